"""The index: SQLite, one writer, any number of readers."""
