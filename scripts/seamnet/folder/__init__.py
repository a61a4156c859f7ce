"""A network on disk: model folders written, read and run, and every kind of file that weights come from."""
