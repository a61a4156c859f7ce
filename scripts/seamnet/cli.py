"""Shared by the commands: argument types and error exit."""

import argparse
import sys


def size(text: str) -> tuple[int, int]:
    """"384x256" -> (384, 256), height x width, multiples of 32."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, for example 384x256") from None
    if height < 64 or width < 64 or height % 32 or width % 32:
        raise argparse.ArgumentTypeError(f"{text}: both sides must be multiples of 32 and at least 64")
    if height % 64 or width % 64:
        print(f"note: {text} is not a multiple of 64; the stride of the coarsest anchors is not uniform", file=sys.stderr)
    return height, width


def fail(error: Exception) -> int:
    """Prints an error; returns the exit code."""
    print(f"error: {error}", file=sys.stderr)
    return 1
