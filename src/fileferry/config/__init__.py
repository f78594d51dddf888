"""The configuration: TOML and environment in, one frozen value out; the file is never rewritten.

Nothing is imported at this place, so that a quick command pays only for `config.source`.
"""
