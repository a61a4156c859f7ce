"""Real people in the street: photos with a pixel mask of every garment, as `data/worn` holds them.

A folder has `photos/ID.jpg`, `masks/ID.png` (a pixel's value is a label of `labels.txt`), `boxes.csv` (the extent of each label
in each photo) and `photos.csv`. Of the masked photos every fifth, by number, is held out for measuring and never trained on.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..model.config import CLASSES, region

EVERY = 5
"""The first of every five masked photos is held out."""
LEAST_PIXELS = 400
"""A label that shows less of itself is a seam or an edge, not a garment that a mirror could match."""

SHIRTS, OUTWEAR, DRESSES = (1, 2, 5, 6), (3, 4), (10, 11, 12, 13)
LABELS: dict[str, tuple[int, ...]] = {
    "t-shirt": (1, 2), "shirt": SHIRTS, "blouse": SHIRTS, "top": SHIRTS, "bodysuit": SHIRTS,
    "sweater": (1, 2), "sweatshirt": (1, 2), "jumper": (1, 2), "hoodie": (1, 2),
    "cardigan": (2, 3, 4), "blazer": OUTWEAR, "jacket": OUTWEAR, "coat": OUTWEAR, "cape": OUTWEAR,
    "vest": (1, 2, 3, 4, 5, 6), "pants": (8,), "jeans": (8,), "leggings": (8,), "shorts": (7,), "skirt": (9,), "dress": DRESSES,
}  # fmt: skip
"""What a label can be of the thirteen classes (1..13), before its sleeves are looked at."""
UNSURE = ("suit", "romper", "intimate", "bra", "panties", "swimwear")
"""Neither surely a garment of one region nor surely none: nothing is learned there."""
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the photo."""
OVER = ("cardigan", "blazer", "jacket", "coat", "cape", "vest")
"""Worn over something whose sleeves they hide."""
UNDER = ("t-shirt", "shirt", "blouse", "top", "sweater", "sweatshirt", "jumper", "hoodie")
"""Worn with a skirt or trousers; over a dress they hide its upper half."""
LONG = (2, 4, 11)
"""The classes with long sleeves."""
COVERED, BARE = 0.12, 0.3
"""Skin of the arms, in shares of the garment's width squared (`bare_arms`): below the first sleeves are long (hands alone), above
the second they are not. Set on the photos that are trained on: nine of ten sweaters lie below the first."""


MEASURED: dict[str, tuple[int, ...]] = LABELS | {"suit": (1, 2, 3, 4, 8), "romper": (7, 8, *DRESSES)}
"""What counts as a garment when the held-out photos are measured, and of which classes it may be."""
LEAST_SHARE = 0.01
"""Of a photo's pixels: a garment that shows less is not looked for."""


def regions_of(label: str) -> set[str]:
    """The regions that a garment of this label may be of."""
    return {region(CLASSES[k - 1]) for k in MEASURED[label]}


@dataclass
class Garment:
    """A label in a photo: which classes it may be (1..13; more than one where the mask does not tell), the box in pixels of the
    photo, and h x w: where it shows. `classes` is empty where neither garment nor background can be learned from it."""

    label: str
    classes: tuple[int, ...]
    box: Box
    mask: np.ndarray


class Worn:
    """The masked photos of a folder, those held out and the others."""

    def __init__(self, root: str | Path):
        self.root = Path(root)
        with (self.root / "photos.csv").open() as file:
            rows = list(csv.DictReader(file))
        self.pixels = {row["photo"]: int(row["width"]) * int(row["height"]) for row in rows}
        masked = [row["photo"] for row in rows if row["masked"] == "1"]
        self.held_out = masked[::EVERY]
        held = set(self.held_out)
        self.training = [photo for photo in masked if photo not in held]
        lines = (self.root / "labels.txt").read_text().split()
        self.names = dict((int(n), name) for n, name in (line.split(",") for line in lines))
        self.codes = {name: n for n, name in self.names.items()}

    def read(self, photo: str) -> np.ndarray:
        """h x w x 3 RGB."""
        path = self.root / "photos" / f"{photo}.jpg"
        picture = cv2.imread(str(path))
        if picture is None:
            raise FileNotFoundError(f"{path}: missing or not a picture")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def mask(self, photo: str) -> np.ndarray:
        """h x w: labels."""
        path = self.root / "masks" / f"{photo}.png"
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise FileNotFoundError(f"{path}: missing or not a mask")
        return mask

    def boxes(self) -> dict[str, list[tuple[str, Box, float]]]:
        """Photo -> label, box and share of the photo's pixels of everything in `MEASURED`."""
        found: dict[str, list] = {}
        with (self.root / "boxes.csv").open() as file:
            for row in csv.DictReader(file):
                if row["label"] in MEASURED:
                    box = tuple(int(row[k]) for k in ("x0", "y0", "x1", "y1"))
                    pixels = self.pixels[row["photo"]]
                    found.setdefault(row["photo"], []).append((row["label"], box, int(row["pixels"]) / pixels))
        return found

    def garments(self, photo: str) -> list[Garment]:
        """The garments of a photo that can be learned from, and those that can only be left out."""
        mask = self.mask(photo)
        shown = {self.names[int(k)] for k in np.unique(mask)}
        out = []
        for label in sorted(shown & (set(LABELS) | set(UNSURE))):
            mine = mask == self.codes[label]
            if mine.sum() < LEAST_PIXELS // 4:
                continue
            known = label in LABELS and mine.sum() >= LEAST_PIXELS
            for part in parts(mine):
                classes = self._classes(label, part, mask, shown) if known else ()
                out.append(Garment(label, classes, extent(part), part))
        return out

    def _classes(self, label: str, mine: np.ndarray, mask: np.ndarray, shown: set[str]) -> tuple[int, ...]:
        classes = LABELS[label]
        if label == "dress" and shown & set(UNDER):
            # What shows of it below a shirt looks like a skirt, but the label says what it is; its sleeves do not show.
            return classes
        if len(classes) == 1 or (label not in OVER and shown & set(OVER)):
            return classes
        share = bare_arms(mine, mask == self.codes["skin"])
        if share > BARE:
            left = tuple(k for k in classes if k not in LONG)
        elif share < COVERED and label != "t-shirt":
            left = tuple(k for k in classes if k in LONG)
        else:
            left = classes
        return left or classes


def extent(mask: np.ndarray) -> Box:
    """The box of what is set, x0, y0, x1, y1; x1 and y1 behind the last pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def parts(mine: np.ndarray) -> list[np.ndarray]:
    """The garments of one label: two where two large parts stand well apart side by side, else one, without far specks."""
    count, named, stats, _ = cv2.connectedComponentsWithStats(mine.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-areas)
    largest = areas[order[0]]
    if len(order) > 1 and areas[order[1]] >= 0.3 * largest:
        a, b = stats[1 + order[0]], stats[1 + order[1]]
        left, right = (a, b) if a[0] <= b[0] else (b, a)
        gap = right[0] - (left[0] + left[2])
        if gap > 0.6 * max(a[2], b[2]):
            return [named == 1 + order[0], named == 1 + order[1]]
    kept = [1 + k for k in order if areas[k] >= max(30, 0.01 * largest)]
    return [np.isin(named, kept)]


def bare_arms(mine: np.ndarray, skin: np.ndarray) -> float:
    """How much skin of arms and hands there is beside a garment of the upper body, in shares of the garment's width squared.

    Arms: skin whose middle lies below the garment's upper seventh and above its lower edge, or which reaches so high.
    """
    x0, y0, x1, y1 = extent(mine)
    width = max(1.0, float(np.percentile(mine.sum(axis=1)[y0:y1], 60)))
    height = min(y1 - y0, 2.2 * width)
    count, _, stats, centres = cv2.connectedComponentsWithStats(skin.astype(np.uint8), connectivity=8)
    arms = 0.0
    for k in range(1, count):
        left, top, w, h, area = stats[k]
        beside = left < x1 + 0.5 * width and left + w > x0 - 0.5 * width
        if beside and y0 + height / 7 < centres[k][1] < y0 + height * 1.15 and top < y0 + height:
            arms += area
    return arms / width**2
