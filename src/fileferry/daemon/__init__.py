"""The engine: what looks, decides, acts and records; and the process around it."""
