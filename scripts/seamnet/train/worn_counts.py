"""How well garments of real people are found: the held-out photos of `worn`, by what a network or the program saw in them."""

from dataclasses import dataclass, field

import numpy as np

from ..model.config import CLASSES, region
from .worn import LEAST_SHARE, regions_of

OVERLAP = 0.5
"""Intersection over union from which a garment is found by a box."""
STRAY = 0.3
"""A box that overlaps no garment by this much is on no garment."""


@dataclass
class Found:
    """A garment that was found: its box in pixels of the photo, its score, its class (1..13)."""

    box: tuple[float, float, float, float]
    score: float
    label: int

    @property
    def name(self) -> str:
        return CLASSES[self.label - 1]


@dataclass
class Counts:
    """Over all photos. A garment is found by the box that covers it best."""

    score: float
    garments: int = 0
    found: int = 0
    region_right: int = 0
    boxes: int = 0
    stray: list[tuple[str, Found]] = field(default_factory=list)
    """Boxes on no garment, and the photos they are in."""
    missed: list[tuple[str, str, tuple]] = field(default_factory=list)
    """Photo, label and box of the garments that no box covers."""
    wrong: list[tuple[str, str, Found]] = field(default_factory=list)
    """Photo, label and finding of garments of another region than was found."""

    def add(self, photo: str, truth: list[tuple[str, tuple, float]], seen: list[Found]) -> None:
        """The garments of a photo (label, box, share of its pixels) and what was found there."""
        seen = [one for one in seen if one.score >= self.score]
        overlap = overlaps([box for _, box, _ in truth], [one.box for one in seen])
        self.boxes += len(seen)
        for row, (label, box, pixels) in zip(overlap, truth):
            if pixels < LEAST_SHARE:
                continue
            self.garments += 1
            best = int(row.argmax()) if len(row) else -1
            if best < 0 or row[best] < OVERLAP:
                self.missed.append((photo, label, box))
                continue
            self.found += 1
            if region(seen[best].name) in regions_of(label):
                self.region_right += 1
            else:
                self.wrong.append((photo, label, seen[best]))
        self.stray += [(photo, one) for k, one in enumerate(seen) if not (overlap[:, k] >= STRAY).any()]

    def line(self) -> str:
        """The figures, with 95 % intervals."""
        return (
            f"score {self.score}: garments with a box (IoU {OVERLAP}) {share(self.found, self.garments)}; "
            f"region right {share(self.region_right, self.found)}; boxes on no garment {share(len(self.stray), self.boxes)}"
        )


def overlaps(a: list, b: list) -> np.ndarray:
    """len(a) x len(b): intersection over union of boxes x0, y0, x1, y1."""
    if not a or not b:
        return np.zeros((len(a), len(b)))
    a, b = np.asarray(a, float)[:, None], np.asarray(b, float)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(min=0).prod(axis=2)
    whole = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2) - shared
    return shared / whole


def share(count: int, of: int) -> str:
    """A share with its 95 % interval (Wilson) and n."""
    if of == 0:
        return "none"
    z, p = 1.96, count / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * (p * (1 - p) / of + z * z / (4 * of * of)) ** 0.5 / (1 + z * z / of)
    return f"{p:.3f} ({middle - half:.2f}-{middle + half:.2f}; {count} of {of})"
