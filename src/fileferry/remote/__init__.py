"""The API, behind one protocol."""
