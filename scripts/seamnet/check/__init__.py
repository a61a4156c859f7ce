"""Measurements: accuracy, agreement with other implementations, time."""
