"""Augmentation: light, colour, crop and noise of pictures; scenes with masks, cut, turned, on another background or half hidden;
boxes as a detector would place them.

A scene is a picture and its garments' masks. A view is the part of it that becomes an input of the network: moved, scaled, mirrored,
turned a little and in another light, with the garments that are left.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from ..model.config import MEAN, STD
from ..model.preprocess import crop_around, fitted_size


def jitter(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small changes of exposure, contrast, white balance and noise: a garment's colour identifies it."""
    x = picture.astype(np.float32)
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.96, 1.04, size=3)
    x = (x - 128) * rng.uniform(0.9, 1.1) + 128
    x = x * gain.astype(np.float32) + rng.uniform(-8, 8)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(2, 10), size=x.shape).astype(np.float32)
    return np.clip(x, 0, 255)


def in_another_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Large changes of exposure, gamma, contrast, white balance and saturation: as between a studio and the street."""
    x = np.power(picture.astype(np.float32) / 255, np.exp(rng.uniform(-0.25, 0.25)))
    gain = rng.uniform(0.72, 1.28) * rng.uniform(0.93, 1.07, size=3)
    x = (x - 0.5) * rng.uniform(0.8, 1.15) + 0.5
    x = x * gain.astype(np.float32) + rng.uniform(-0.05, 0.05)
    grey = x.mean(axis=2, keepdims=True)
    x = (grey + (x - grey) * rng.uniform(0.7, 1.2)).astype(np.float32) * 255
    if rng.random() < 0.25:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(2, 9), size=x.shape)
    return np.clip(x, 0, 255).astype(np.float32)


def published_noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The published test's noise (section 9): strong in one frame of four, weak in the others; 0 to 255, not rounded."""
    deviation = 255 * (0.25 if rng.random() < 0.25 else 0.05)
    return np.clip(picture + rng.normal(0, deviation, size=picture.shape), 0, 255)


def in_published_noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`in_another_light` plus `published_noise`, at half the resolution."""
    x = published_noise(in_another_light(picture, rng), rng).astype(np.float32)
    h, w = x.shape[:2]
    return cv2.resize(x, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_LINEAR)


def any_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`in_another_light`; sometimes with haze, at low resolution, without colour, or strongly compressed."""
    picture = in_another_light(picture, rng)
    if rng.random() < 0.2:
        picture = picture * (clear := rng.uniform(0.35, 0.9)) + (1 - clear) * rng.uniform(60, 230)
    if rng.random() < 0.2:
        h, w = picture.shape[:2]
        coarse = rng.uniform(1.2, 3.0)
        small = cv2.resize(picture, (max(8, int(w / coarse)), max(8, int(h / coarse))), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        picture = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture.astype(np.uint8), quality)[1], cv2.IMREAD_COLOR)
    return picture.astype(np.float32)


def no_change(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return picture


def in_street_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another light; at times with a shadow across, as a tree or a house throws one, or badly compressed."""
    picture = in_another_light(picture, rng)
    h, w = picture.shape[:2]
    if rng.random() < 0.25:
        angle, at = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.7)
        x, y = np.meshgrid(np.linspace(0, 1, w), np.linspace(0, 1, h))
        edge = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5 - at
        shade = 1 / (1 + np.exp(-edge * rng.uniform(6, 40)))
        picture = picture * (1 - rng.uniform(0.2, 0.5) * shade[..., None])
    if rng.random() < 0.25:
        scale = rng.uniform(1.3, 2.5)
        small = cv2.resize(picture, (max(8, int(w / scale)), max(8, int(h / scale))), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))]
        picture = cv2.imdecode(cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), quality)[1], cv2.IMREAD_COLOR)
    return picture.astype(np.float32)


def closer(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Crops every second picture around a garment, to no less than half; makes one in four slightly wider or narrower."""
    height, width = picture.shape[:2]
    if rng.random() < 0.5:
        zoom = float(np.exp(rng.uniform(0, np.log(2))))
        h, w = int(height / zoom), int(width / zoom)
        box = boxes[rng.integers(len(boxes))] if len(boxes) else np.array([0, 0, width, height])
        x = int(np.clip((box[0] + box[2]) / 2 - w * rng.uniform(0.25, 0.75), 0, width - w))
        y = int(np.clip((box[1] + box[3]) / 2 - h * rng.uniform(0.25, 0.75), 0, height - h))
        picture = np.ascontiguousarray(picture[y : y + h, x : x + w])
        boxes = np.clip(boxes - np.array([x, y, x, y]), 0, np.array([w, h, w, h]))
    if rng.random() < 0.25:
        stretch = float(np.exp(rng.uniform(-0.2, 0.2)))
        picture = cv2.resize(picture, (max(8, int(picture.shape[1] * stretch)), picture.shape[0]))
        boxes = boxes * np.array([stretch, 1, stretch, 1])
    return picture, boxes.astype(np.float32)


def recoloured(picture: np.ndarray, colour: int) -> np.ndarray:
    """h x w x 3 RGB with all hues rotated by `colour` sixths; even ones are more saturated. 0: unchanged."""
    if colour == 0:
        return picture
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 30 * colour) % 180
    if colour % 2 == 0:
        saturation = hsv[..., 1].astype(int)
        hsv[..., 1] = np.clip(saturation * 1.4 + 25 * (saturation > 20), 0, 255).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def jitter_boxes(boxes: torch.Tensor, amount: float, generator: torch.Generator | None = None) -> torch.Tensor:
    """Boxes with every side moved by up to `amount` of the box."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + sides * (torch.rand(boxes.shape, generator=generator, device=boxes.device) * 2 - 1) * amount


def shaken(box: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A box as a detector would have found it."""
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + sides * rng.uniform(-0.05, 0.05, size=4)
    limit = np.array([size[1], size[0]] * 2)
    moved = np.clip(moved, 0, limit).astype(np.float32)
    moved[2:] = np.maximum(moved[2:], moved[:2] + 2)
    return moved


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The box of what is set, x0, y0, x1, y1; x1 and y1 behind the last pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


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


@dataclass
class Cut:
    """A view: the picture as h x w x 3 float32 (0..255) at the network's scale, the same of `places`, and the rest of its scene."""

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
    """The view that a garment is embedded from: its box, a little wrong, fills about .6 of it."""
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
