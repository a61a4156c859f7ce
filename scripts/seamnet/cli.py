"""What the entry points share: options and how they end."""

import argparse
import sys


def size(text: str) -> tuple[int, int]:
    """"384x256" -> (384, 256), height x width, multiples of 32."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, such as 384x256") from None
    if height < 64 or width < 64 or height % 32 or width % 32:
        raise argparse.ArgumentTypeError(f"{text}: sides must be multiples of 32, at least 64")
    if height % 64 or width % 64:
        print(f"note: {text} is no multiple of 64; the coarsest anchors' stride is uneven", file=sys.stderr)
    return height, width


def fail(error: Exception) -> int:
    """Print one error and give the exit code."""
    print(f"error: {error}", file=sys.stderr)
    return 1
