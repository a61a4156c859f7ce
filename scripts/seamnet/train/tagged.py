"""Street photos of which only the tags are known (what is worn, not where): a model folder says where, the tags what.

The model looks at a photo and at its mirror image. What it finds of a region that is tagged becomes a garment of the classes that
the tags leave open, as many as there are tags. What it finds of a region without a tag is background, and so are parts of a garment
beside the whole of it: so it unlearns what it took for garments. A photo with a tagged garment that is not found teaches nothing.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from ..folder.manifest import read_manifest
from ..folder.runtime import Folder
from ..model import preprocess
from ..model.config import CLASSES, COMPACT, region
from ..model.detection import find
from . import looks, scenes
from .augment import any_light
from .worn import LABELS, UNDER, UNSURE, Worn
from .worn_counts import overlaps


@dataclass(frozen=True)
class Tagged:
    """The numbers of the looks."""

    views: int = 0
    """Looks at every photo; 0: none."""
    sure: float = 0.3
    """Score from which what is found and tagged is a garment."""
    seen: float = 0.1
    """Score from which it is left out of the background."""
    seed: int = 1

PASSER_BY = 0.5
"""Score from which a garment more than the tags name may be another person's."""

NEAR = 0.15
"""Least size of a tagged garment, in shares of the largest one: what is smaller may be another person's."""


@dataclass
class Guess:
    """What is found in a photo: box in its pixels, score, class (1..13)."""

    box: tuple[float, float, float, float]
    score: float
    label: int

    @property
    def region(self) -> str:
        return region(CLASSES[self.label - 1])


def photos(worn: Worn) -> dict[str, set[str]]:
    """The photos without a mask, and their tags."""
    with (worn.root / "photos.csv").open() as file:
        return {row["photo"]: set(row["tags"].split(";")) for row in csv.DictReader(file) if row["masked"] != "1"}


def guesses(folder: Folder, picture: np.ndarray) -> list[Guess]:
    """What a model finds in a picture (h x w x 3 RGB): the scores are means over the picture and its mirror image."""
    here = _found(folder, picture)
    there = _found(folder, np.ascontiguousarray(picture[:, ::-1]))
    width = picture.shape[1]
    mirrored = [(width - box[2], box[1], width - box[0], box[3]) for box in (one.box for one in there)]
    overlap = overlaps([one.box for one in here], mirrored)
    for one, row in zip(here, overlap):
        twins = [other.score for other, shared in zip(there, row) if shared >= 0.5 and other.region == one.region]
        one.score = (one.score + max(twins, default=0.0)) / 2
    return sorted(here, key=lambda one: -one.score)


def _found(folder: Folder, picture: np.ndarray) -> list[Guess]:
    config = folder.config
    image, size = preprocess.letterbox(picture, config.input_size, config.prefilter)
    found = find(config, folder, config.input_size, size, *folder.trunk(image))
    back = torch.tensor([picture.shape[1] / size[1], picture.shape[0] / size[0]] * 2)
    return [Guess(tuple(b), s, k) for b, s, k in zip((found.boxes * back).tolist(), found.scores.tolist(), found.labels.tolist())]


# Box in pixels of the photo, the classes that it may be of; none: nothing is learned there.
Row = tuple[tuple[float, float, float, float], tuple[int, ...]]


def garments(tags: set[str], seen: list[Guess], numbers: Tagged) -> list[Row] | None:
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


def joined(seen: list[Guess], numbers: Tagged) -> list[Guess]:
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
    return [Guess(box, min(upper.score, lower.score), CLASSES.index("vest_dress") + 1)]


def label(path: Path, worn: Worn, model: Path, numbers: Tagged) -> dict[str, list[Row]]:
    """The photos that something can be learned from. One line a photo in `path`, so that an unfinished run goes on."""
    told = {"model": read_manifest(model)["graphs"]["box_head"]["sha256"], "sure": numbers.sure, "seen": numbers.seen}
    lines = path.read_text().splitlines() if path.exists() else []
    if lines and json.loads(lines[0]) != told:
        raise ValueError(f"{path}: begun with another model or other numbers; remove it")
    folder, done = Folder(model), len(lines)
    with path.open("a") as out:
        if not lines:
            out.write(json.dumps(told) + "\n")
        for photo, tags in list(photos(worn).items())[max(0, done - 1) :]:
            out.write(json.dumps([photo, garments(tags, guesses(folder, worn.read(photo)), numbers)]) + "\n")
            out.flush()
    found = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return {photo: [(tuple(box), tuple(classes)) for box, classes in rows] for photo, rows in found if rows is not None}


def look(picture: np.ndarray, rows: list[Row], rng: np.random.Generator):
    """The network's input (3 x H x W), the size of the picture in it, the truth: box, number of the set of classes, visible share."""
    room = COMPACT.input_size
    h, w = picture.shape[:2]
    window = scenes.whole_window((h, w), rng)
    shrink = float(rng.uniform(0.45, 0.95)) if rng.random() < 0.3 else 1.0
    size = scenes.fit(window, room, shrink)
    mirror = bool(rng.random() < 0.5)
    scene = scenes.Scene(picture, np.zeros((h, w), np.uint8), [], [])
    cut = looks.finished(scenes.cut(scene, window, size, 0.0, mirror), any_light, rng)
    x0, y0, x1, y1 = window
    scale = np.array([size[1] / (x1 - x0), size[0] / (y1 - y0)] * 2)
    truth = []
    for box, classes in rows:
        whole = (np.array(box) - np.array([x0, y0, x0, y0])) * scale
        left = np.clip(whole, 0, np.array([size[1], size[0]] * 2))
        if mirror:
            left[[0, 2]] = size[1] - left[[2, 0]]
        sides = left[2:] - left[:2]
        if (sides < 2).any():
            continue
        shown = float(sides.prod() / max(1.0, (whole[2:] - whole[:2]).prod()))
        truth.append([*map(float, left), scenes.number_of(classes) if classes else 1, shown if classes else min(shown, 0.1)])
    return scenes.letterboxed(cut.picture, room), size, truth


def build(folder: Path, worn: Worn, numbers: Tagged, model: Path, report=print) -> None:
    """Fills `folder` with features.npy and looks.jsonl as `looks.build_detector` does; goes on where an unfinished one stood."""
    folder.mkdir(parents=True, exist_ok=True)
    found = label(folder / "garments.jsonl", worn, model, numbers)
    looks.check_spec(folder, numbers, len(found) * numbers.views)
    report(f"{len(found)} photos with tags, {sum(bool(classes) for rows in found.values() for _, classes in rows)} garments")
    jobs = [(photo, view) for view in range(numbers.views) for photo in found]

    def draw(place: int):
        photo, _ = jobs[place]
        image, size, truth = look(worn.read(photo), found[photo], np.random.default_rng([numbers.seed, 13, place]))
        return "tagged", [photo], image, size, truth

    looks.keep(folder, len(jobs), draw, model, report)
