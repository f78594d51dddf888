"""`python -m fileferry`."""

from fileferry.cli.main import entry

entry()
