"""A mirror in a virtual computer: its parts, and what is tried on it."""
