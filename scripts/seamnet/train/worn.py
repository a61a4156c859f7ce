"""Real people in the street: what masks and tags say is worn, and how much of it is found.

A folder has `photos/ID.jpg`, `masks/ID.png` (a pixel's value is a label of `labels.txt`), `boxes.csv` (the extent of each label
in each photo) and `photos.csv`. Of the masked photos every fifth, by number, is held out for measuring and never trained on.

Photos without a mask have tags: what is worn, not where. A model folder says where, the tags what. The model sees a photo and its
mirror image. A detection in a tagged region becomes a garment of the classes that the tags leave open, as many as there are tags. A
detection in a region without a tag is background, and so are parts of a garment beside the whole of it. A photo with a tagged garment
that is not found is left out.
"""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from ..folder.manifest import read_manifest
from ..folder.runtime import Folder
from ..model import preprocess
from ..model.config import CLASSES, region
from ..model.detection import Detections, find
from .augment import Scene, extent
from .features import whole_lines

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
    """The masked photos of a folder, those held out and the others. `dress_may_be_skirt`: what is called a dress and has a shirt
    over it may be a skirt as well, which it looks like."""

    def __init__(self, root: str | Path, dress_may_be_skirt: bool = True):
        self.root, self.dress_may_be_skirt = Path(root), dress_may_be_skirt
        for name in ("photos.csv", "boxes.csv", "labels.txt"):
            if not (self.root / name).is_file():
                raise FileNotFoundError(f"{self.root / name}: missing; scripts/README.md says what a folder of street photos holds")
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
        return preprocess.read(self.root / "photos" / f"{photo}.jpg")

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

    def scene(self, photo: str) -> Scene:
        """A photo with its garments' masks; what is masked at all is the person."""
        garments, mask = self.garments(photo), self.mask(photo)
        places = np.zeros(mask.shape, np.uint8)
        for n, garment in enumerate(garments, start=1):
            places[garment.mask] = n
        return Scene(self.read(photo), places, [g.classes for g in garments], [1.0] * len(garments), mask > 0)

    def tagged(self) -> dict[str, set[str]]:
        """The photos without a mask, and their tags."""
        with (self.root / "photos.csv").open() as file:
            return {row["photo"]: set(row["tags"].split(";")) for row in csv.DictReader(file) if row["masked"] != "1"}

    def _classes(self, label: str, mine: np.ndarray, mask: np.ndarray, shown: set[str]) -> tuple[int, ...]:
        classes = LABELS[label]
        if label == "dress" and shown & set(UNDER):
            # Its sleeves do not show.
            return (9, *classes) if self.dress_may_be_skirt else classes
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


OVERLAP = 0.5
"""Intersection over union from which a garment is found by a box."""
STRAY = 0.3
"""A box that overlaps no garment by this much is on no garment."""


@dataclass
class Found:
    """A detection: its box in pixels of the photo, its score, its class (1..13)."""

    box: tuple[float, float, float, float]
    score: float
    label: int

    @property
    def name(self) -> str:
        return CLASSES[self.label - 1]

    @property
    def region(self) -> str:
        return region(self.name)


def found_in(found: Detections, factor: torch.Tensor) -> list[Found]:
    """Detections with their boxes in pixels of the photo; `factor` (4) takes them there."""
    return [Found(tuple(b), s, k) for b, s, k in zip((found.boxes * factor).tolist(), found.scores.tolist(), found.labels.tolist())]


def find_in(folder: Folder, picture: np.ndarray) -> list[Found]:
    """What a model folder's graphs find in a picture (h x w x 3 RGB) in one pass."""
    config = folder.config
    image, size = preprocess.letterbox(picture, config.input_size, config.prefilter)
    found = find(config, folder, config.input_size, size, *folder.trunk(image))
    return found_in(found, torch.tensor([picture.shape[1] / size[1], picture.shape[0] / size[0]] * 2))


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
            if seen[best].region in regions_of(label):
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


@dataclass(frozen=True)
class Tagged:
    """The numbers of what is learned from tags."""

    views: int = 0
    """Views of every photo; 0: none."""
    sure: float = 0.3
    """Score from which what is found and tagged is a garment."""
    seen: float = 0.1
    """Score from which it is left out of the background."""
    seed: int = 1


PASSER_BY = 0.5
"""Score from which a garment more than the tags name may be another person's."""
NEAR = 0.15
"""Least size of a tagged garment, in shares of the largest one: what is smaller may be another person's."""


def find_twice(folder: Folder, picture: np.ndarray) -> list[Found]:
    """As `find_in`; the scores are means over the picture and its mirror image."""
    here = find_in(folder, picture)
    there = find_in(folder, np.ascontiguousarray(picture[:, ::-1]))
    width = picture.shape[1]
    mirrored = [(width - box[2], box[1], width - box[0], box[3]) for box in (one.box for one in there)]
    overlap = overlaps([one.box for one in here], mirrored)
    for one, row in zip(here, overlap):
        twins = [other.score for other, shared in zip(there, row) if shared >= 0.5 and other.region == one.region]
        one.score = (one.score + max(twins, default=0.0)) / 2
    return sorted(here, key=lambda one: -one.score)


# Box in pixels of the photo, the classes that it may be of; none: nothing is learned there.
Row = tuple[tuple[float, float, float, float], tuple[int, ...]]


def tagged_garments(tags: set[str], seen: list[Found], numbers: Tagged) -> list[Row] | None:
    """The garments of a photo, the surest first; None: a tagged one is not found, so its place would teach that it is background."""
    worn = {tag: LABELS[tag] for tag in sorted(tags & set(LABELS))}
    if "dress" in worn and tags & set(UNDER):
        worn["dress"] = (9, *worn["dress"])
    wanted = {region(CLASSES[k - 1]) for classes in worn.values() for k in classes}
    unsure = bool(tags & set(UNSURE))
    # A dress that was found in two parts.
    if wanted == {"dress"} and not any(one.region == "dress" and one.score >= numbers.sure for one in seen):
        seen = joined(seen, numbers) + seen
    largest = max((area(one.box) for one in seen if one.score >= numbers.sure), default=0.0)
    rows: list[Row] = []
    told: dict[str, list] = {}
    for one in seen:
        if one.score < numbers.seen or one.region not in wanted and not unsure:
            continue
        tagged = [classes for classes in worn.values() if any(region(CLASSES[k - 1]) == one.region for k in classes)]
        mine = told.setdefault(one.region, [])
        if len(mine) < len(tagged) and one.score >= numbers.sure and area(one.box) >= NEAR * largest:
            mine.append(one.box)
            rows.append((one.box, tuple(sorted({k for classes in tagged for k in classes if region(CLASSES[k - 1]) == one.region}))))
        elif not tagged or len(mine) < len(tagged) or one.score >= PASSER_BY and not any(within(one.box, box) for box in mine):
            rows.append((one.box, ()))
    for classes in worn.values():
        if not any(told.get(region(CLASSES[k - 1])) for k in classes):
            return None
    return rows


def area(box: tuple) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def within(part: tuple, whole: tuple) -> bool:
    """Whether most of a box lies in another."""
    sides = (min(part[2], whole[2]) - max(part[0], whole[0]), min(part[3], whole[3]) - max(part[1], whole[1]))
    return min(sides) > 0 and sides[0] * sides[1] >= 0.7 * area(part)


def joined(seen: list[Found], numbers: Tagged) -> list[Found]:
    """A dress for an upper and a lower part, one above the other, that were found in its place."""
    best = {}
    for one in seen:
        if one.score >= numbers.sure:
            best.setdefault(one.region, one)
    if not {"upper", "lower"} <= best.keys():
        return []
    (a, upper), (b, lower) = ((best[k].box, best[k]) for k in ("upper", "lower"))
    shared = min(a[2], b[2]) - max(a[0], b[0])
    apart = b[1] - a[3]
    if shared < 0.5 * min(a[2] - a[0], b[2] - b[0]) or abs(apart) > 0.25 * (b[3] - a[1]):
        return []
    box = min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
    return [Found(box, min(upper.score, lower.score), CLASSES.index("vest_dress") + 1)]


def label_by_tags(path: Path, worn: Worn, model: Path, numbers: Tagged) -> dict[str, list[Row]]:
    """The photos that something can be learned from. One line a photo in `path`, so that an unfinished run goes on."""
    told = {"model": read_manifest(model)["graphs"]["box_head"]["sha256"], "sure": numbers.sure, "seen": numbers.seen}
    lines = whole_lines(path)
    if lines and json.loads(lines[0]) != told:
        raise ValueError(f"{path}: begun with another model or other numbers; remove it")
    folder, done = Folder(model), len(lines)
    with path.open("a") as out:
        if not lines:
            out.write(json.dumps(told) + "\n")
        for photo, tags in list(worn.tagged().items())[max(0, done - 1) :]:
            out.write(json.dumps([photo, tagged_garments(tags, find_twice(folder, worn.read(photo)), numbers)]) + "\n")
            out.flush()
    found = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return {photo: [(tuple(box), tuple(classes)) for box, classes in rows] for photo, rows in found if rows is not None}
