"""Ignore rules in the language of gitignore(5): pure text in, verdicts with their origin out."""
