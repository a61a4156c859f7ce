"""The network: its sizes, its layers, and how a picture passes through it."""
