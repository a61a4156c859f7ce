"""Evaluates the picture of the virtual screen."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

BARS = ("yellow", "cyan", "green", "magenta", "red", "blue")
"""The coloured bars of vivid's test picture, left to right; white before and black after them."""


@dataclass(frozen=True)
class Screen:
    """An RGB picture, rows top to bottom."""

    width: int
    height: int
    rgb: bytes

    @staticmethod
    def read(ppm: bytes) -> Screen:
        """A binary PPM, as QEMU writes it."""
        head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", ppm)
        if head is None:
            raise ValueError("the screen's picture is not a PPM")
        return Screen(int(head[1]), int(head[2]), ppm[head.end() :])

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        at = 3 * (y * self.width + x)
        return tuple(self.rgb[at : at + 3])

    def turned_back(self, degrees: int) -> Screen:
        """The picture as the shopper sees it, for a screen content that is rotated clockwise by `degrees`."""
        screen = self
        for _ in range(degrees // 90):
            screen = screen._quarter_back()
        return screen

    def _quarter_back(self) -> Screen:
        """A quarter turn counter-clockwise."""
        rows = []
        for x in range(self.width - 1, -1, -1):
            row = bytearray(3 * self.height)
            for channel in range(3):
                row[channel::3] = self.rgb[3 * x + channel :: 3 * self.width]
            rows.append(bytes(row))
        return Screen(self.height, self.width, b"".join(rows))

    def bars(self, y: int) -> list[str]:
        """The sequence of colours along row `y`, without grey and narrow runs."""
        runs: list[list] = []
        for x in range(self.width):
            name = hue(*self.pixel(x, y))
            if runs and runs[-1][0] == name:
                runs[-1][1] += 1
            else:
                runs.append([name, 1])
        wide = [name for name, count in runs if name and count > self.width // 40]
        return [name for i, name in enumerate(wide) if i == 0 or wide[i - 1] != name]

    def shows_camera(self, mirrored: bool = True) -> bool:
        """Whether it shows the camera's bars, in the order of a mirror image."""
        wanted = list(reversed(BARS)) if mirrored else list(BARS)
        # An upright screen crops the picture at both sides: four adjacent bars give the orientation.
        parts = [wanted[i : i + 4] for i in range(len(wanted) - 3)]
        return any(_within(part, self.bars(y)) for y in range(0, self.height, 16) for part in parts)

    def light(self, top: float, bottom: float) -> int:
        """Number of light pixels (text) between two heights, 0..1."""
        rows = range(int(top * self.height), int(bottom * self.height))
        return sum(1 for y in rows for x in range(self.width) if min(self.pixel(x, y)) > 100)

    def png(self) -> bytes:
        """As a PNG file."""

        def chunk(name: bytes, data: bytes) -> bytes:
            body = name + data
            return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

        row = 3 * self.width
        rows = b"".join(b"\0" + self.rgb[y * row : (y + 1) * row] for y in range(self.height))
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _within(part: list[str], whole: list[str]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def hue(red: int, green: int, blue: int) -> str:
    """The name of a strong colour; empty for a weak or dark one."""
    most, least = max(red, green, blue), min(red, green, blue)
    if most < 30 or most - least < most * 0.6:
        return ""
    half = (most + least) / 2
    key = (red > half, green > half, blue > half)
    return {
        (True, True, False): "yellow", (False, True, True): "cyan", (False, True, False): "green",
        (True, False, True): "magenta", (True, False, False): "red", (False, False, True): "blue",
    }[key]  # fmt: skip
