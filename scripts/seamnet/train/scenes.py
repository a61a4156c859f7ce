"""A picture with its garments, real or generated, and looks at it as the network would take them.

A look is the network's input cut from a scene: moved, scaled, mirrored, turned a little and in another light, with the garments
that are left. Real garments are known by their masks (`worn`), generated ones by theirs (`data.Pictures`).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ..model.config import MEAN, STD
from ..model.preprocess import crop_around
from ..model.preprocess import fitted_size
from .data import Pictures
from .worn import Worn, extent

SETS: list[tuple[int, ...]] = [(k,) for k in range(14)]
"""What a garment may be, as sets of labels: 0 is background, then each class alone, then what the real labels leave open."""


def number_of(classes: tuple[int, ...]) -> int:
    """The place of a set of classes in `SETS`, which grows by sets that are new."""
    if classes not in SETS:
        SETS.append(classes)
    return SETS.index(classes)


@dataclass
class Scene:
    """h x w x 3 RGB; h x w: which garment shows (1 .. n, 0 none); of each garment its classes (empty: learn nothing there) and the
    share of it that shows; h x w: what stands before the background."""

    picture: np.ndarray
    places: np.ndarray
    classes: list[tuple[int, ...]]
    visible: list[float]
    person: np.ndarray | None = None

    def box(self, garment: int) -> tuple[int, int, int, int] | None:
        """Of garment 0 .. n - 1."""
        shows = self.places == garment + 1
        return extent(shows) if shows.any() else None


def worn_scene(worn: Worn, photo: str) -> Scene:
    """A photo of a real person."""
    garments = worn.garments(photo)
    mask = worn.mask(photo)
    places = np.zeros(mask.shape, np.uint8)
    for n, garment in enumerate(garments, start=1):
        places[garment.mask] = n
    return Scene(worn.read(photo), places, [g.classes for g in garments], [1.0] * len(garments), mask > 0)


def generated_scene(pictures: Pictures, index: int) -> Scene:
    """A generated picture."""
    entry = pictures.images[index]
    picture = pictures.read(index)
    places = pictures.places(index) if entry["garments"] else np.zeros(picture.shape[:2], np.uint8)
    garments = entry["garments"]
    return Scene(picture, places, [(g["class"],) for g in garments], [g["visible"] for g in garments])


@dataclass
class Cut:
    """A look: the picture as h x w x 3 float32 (0..255) at the network's scale, the same of `places`, and the rest of its scene."""

    picture: np.ndarray
    places: np.ndarray
    boxes: np.ndarray
    """n x 4, of every garment of the scene; 0 where nothing of it is left."""
    visible: np.ndarray
    """n: share of each garment that shows."""


def cut(scene: Scene, window: tuple[float, float, float, float], size: tuple[int, int], turn: float, mirror: bool) -> Cut:
    """The part `window` (x0, y0, x1, y1) of a scene drawn in `size` (height, width), turned by `turn` radians."""
    x0, y0, x1, y1 = window
    sx, sy = size[1] / (x1 - x0), size[0] / (y1 - y0)
    c, s = np.cos(turn), np.sin(turn)
    to = np.array([[sx, 0, -x0 * sx], [0, sy, -y0 * sy], [0, 0, 1]])
    middle = np.array([[1, 0, size[1] / 2], [0, 1, size[0] / 2], [0, 0, 1]])
    about = middle @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.linalg.inv(middle)
    # Pixel centres: 0.5 is the middle of the first one.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = (np.linalg.inv(half) @ about @ to @ half)[:2]
    source = scene.picture
    shrink = 1 / max(sx, sy)
    if shrink > 1.3:
        source = cv2.GaussianBlur(source, (0, 0), 0.35 * shrink)
    picture = cv2.warpAffine(source, matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    places = cv2.warpAffine(scene.places, matrix, (size[1], size[0]), flags=cv2.INTER_NEAREST, borderValue=0)
    if mirror:
        picture, places = np.ascontiguousarray(picture[:, ::-1]), np.ascontiguousarray(places[:, ::-1])
    count = len(scene.classes)
    boxes, visible = np.zeros((count, 4), np.float32), np.zeros(count, np.float32)
    for n in range(count):
        shows = places == n + 1
        if shows.sum() < 12:
            continue
        boxes[n] = extent(shows)
        whole = max(1.0, (scene.places == n + 1).sum() * sx * sy)
        visible[n] = scene.visible[n] * min(1.0, shows.sum() / whole)
    return Cut(picture.astype(np.float32), places, boxes, visible)


def letterboxed(picture: np.ndarray, input_size: tuple[int, int]) -> np.ndarray:
    """3 x H x W normalised, zeros to the right and below."""
    out = np.zeros((3, *input_size), np.float32)
    h, w = picture.shape[:2]
    out[:, :h, :w] = ((np.clip(picture, 0, 255) / 255 - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)
    return out


def whole_window(shape: tuple[int, int], rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Most of a picture, now and then a broad part of it."""
    h, w = shape
    if rng.random() < 0.2:
        height = min(h, w * rng.uniform(0.6, 1.3))
        width = min(w, w * rng.uniform(0.7, 1.0))
    else:
        zoom = float(np.exp(rng.uniform(0, np.log(1.5)))) if rng.random() < 0.6 else 1.0
        stretch = float(np.exp(rng.uniform(-0.08, 0.08)))
        height, width = min(h, h / zoom * stretch), min(w, w / zoom / stretch)
    x, y = rng.uniform(0, w - width), rng.uniform(0, h - height)
    return x, y, x + width, y + height


def close_window(box, shape: tuple[int, int], input_size: tuple[int, int], rng: np.random.Generator):
    """The look that a garment is embedded from: its box, a little wrong, fills about .6 of it."""
    w, h = box[2] - box[0], box[3] - box[1]
    shift = rng.uniform(-0.05, 0.05, size=4) * np.array([w, h, w, h])
    return crop_around(np.asarray(box) + shift, shape, input_size, float(rng.uniform(0.5, 0.72)))


def fit(window, room: tuple[int, int], shrink: float) -> tuple[int, int]:
    """Height and width of a window in `room`."""
    h, w = max(2, round(window[3] - window[1])), max(2, round(window[2] - window[0]))
    size = fitted_size((h, w), room)
    return max(16, int(size[0] * shrink)), max(16, int(size[1] * shrink))


def elsewhere(scene: Scene, ground: np.ndarray) -> Scene:
    """The person before another background (h' x w' x 3, any size)."""
    h, w = scene.picture.shape[:2]
    ground = cv2.resize(ground, (w, h), interpolation=cv2.INTER_LINEAR)
    alpha = cv2.GaussianBlur(scene.person.astype(np.float32), (0, 0), 0.8)[..., None]
    picture = scene.picture * alpha + ground * (1 - alpha)
    return replace(scene, picture=np.clip(picture, 0, 255).astype(np.uint8))


def hidden(scene: Scene, other: Scene, garment: int, rng: np.random.Generator) -> Scene:
    """With a garment of another scene, or half of one, before a part of `garment`."""
    mine, theirs = scene.box(garment), other.box(int(rng.integers(len(other.classes)))) if other.classes else None
    if mine is None or theirs is None:
        return scene
    x0, y0, x1, y1 = theirs
    patch = other.picture[y0:y1, x0:x1]
    shape = (other.places[y0:y1, x0:x1] > 0).astype(np.uint8)
    scale = rng.uniform(0.25, 0.55) * np.sqrt((mine[2] - mine[0]) * (mine[3] - mine[1]) / ((x1 - x0) * (y1 - y0)))
    size = max(4, int((x1 - x0) * scale)), max(4, int((y1 - y0) * scale))
    patch, shape = cv2.resize(patch, size, interpolation=cv2.INTER_AREA), cv2.resize(shape, size) > 0
    h, w = scene.picture.shape[:2]
    x = int(np.clip(rng.uniform(mine[0], mine[2]) - size[0] / 2, 0, max(0, w - size[0])))
    y = int(np.clip(rng.uniform(mine[1], mine[3]) - size[1] / 2, 0, max(0, h - size[1])))
    shape, patch = shape[: h - y, : w - x], patch[: h - y, : w - x]
    picture, places = scene.picture.copy(), scene.places.copy()
    part = np.s_[y : y + shape.shape[0], x : x + shape.shape[1]]
    left = (scene.places == garment + 1).sum()
    places[part][shape] = 0
    if (places == garment + 1).sum() < 0.6 * left:
        return scene
    picture[part][shape] = patch[shape]
    return replace(scene, picture=picture, places=places)


def studio(scene: Scene, garment: int, rng: np.random.Generator) -> Scene | None:
    """The garment alone on a studio's ground: a shop picture of itself."""
    box = scene.box(garment)
    if box is None:
        return None
    x0, y0, x1, y1 = box
    pad = int(rng.uniform(0.08, 0.3) * max(x1 - x0, y1 - y0)) + 2
    shape = cv2.copyMakeBorder((scene.places[y0:y1, x0:x1] == garment + 1).astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    patch = cv2.copyMakeBorder(scene.picture[y0:y1, x0:x1], pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    tone = rng.uniform(215, 255) if rng.random() < 0.8 else rng.uniform(120, 215)
    ground = np.full(patch.shape, tone, np.float32) + rng.uniform(-4, 4, size=3).astype(np.float32)
    alpha = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 0.7)[..., None]
    picture = np.clip(patch * alpha + ground * (1 - alpha), 0, 255).astype(np.uint8)
    return Scene(picture, shape, [scene.classes[garment]], [1.0], shape > 0)


def places_without_people(folder: Path) -> tuple[str, ...]:
    """Panoramas to look around in."""
    found = sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not found:
        raise FileNotFoundError(f"{folder}: no panoramas (jpg or png)")
    return tuple(found)
