"""The disk, read only."""
