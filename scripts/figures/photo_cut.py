"""Class and cut (in cm) of a photographed garment, from its label and its outline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .photo import SLEEVED, Photo, Unusable, read_pair
from .products import OUTER, SLEEVED_LONG, SLEEVED_SHORT, STRAPPED, Product, kind_of
from .util import Rng, uniform

PARTS = {"Pants": "legs", "Shorts": "legs", "Skirt": "skirt", "Dress": "dress"} | dict.fromkeys(
    ("Longsleeve", "Hoodie", "Outwear", "Blazer"), "sleeved"
)
"""What to measure by label; everything else is an upper."""

ASPECTS = {
    "upper": (0.85, 2.4),
    "sleeved": (0.85, 2.5),
    "dress": (1.3, 3.6),
    "skirt": (0.55, 3.0),
    "Pants": (1.5, 4.2),
    "Shorts": (0.6, 2.0),
}
"""Plausible heights against the trunk's width."""

FLAT = 44.0
"""Width in cm of a flat upper's trunk on the standard body."""


@dataclass(frozen=True)
class PhotoProduct(Product):
    """A product whose cloth is a photo's: `name` under `folder`/images and `folder`/masks."""

    folder: str = ""
    image: str = ""
    label: str = ""

    @property
    def part(self) -> str:
        return PARTS.get(self.label, "upper")

    def photo(self) -> Photo:
        return read_pair(self.folder, self.image, self.part)


@dataclass
class Sleeve:
    """One sleeve as a polyline in px with half-widths, as if it were the one on the picture's right."""

    points: np.ndarray
    half: np.ndarray
    length: float
    mirrored: bool
    area: float


def find_sleeve(photo: Photo) -> Sleeve | None:
    """The clearer of the two sleeves: what lies outside the trunk, in steps of distance from the shoulder."""
    s = photo.shape
    best = None
    for mirrored in (False, True):
        mask = photo.mask[:, ::-1] if mirrored else photo.mask
        axis = mask.shape[1] - 1 - s.axis if mirrored else s.axis
        found = _one_sleeve(mask, s, axis, mirrored)
        if found and (best is None or found.area > best.area):
            best = found
    return best


def _one_sleeve(mask: np.ndarray, s, axis: float, mirrored: bool) -> Sleeve | None:
    edge = int(axis + 0.53 * s.width)
    side = np.where(np.arange(mask.shape[1])[None] > edge, mask, 0).astype(np.uint8)
    side = cv2.morphologyEx(side, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # Below the sleeve a flared hem may come out at the side again.
    out = (side > 0).sum(1)
    peak = s.top + int(np.argmax(out[s.top : s.top + int(0.45 * s.rows)]))
    closed = np.flatnonzero(out[peak:] <= 0.25 * out[peak])
    if len(closed):
        side[peak + int(closed[0]) :] = 0
    count, labels, stats, _ = cv2.connectedComponentsWithStats(side)
    if count < 2:
        return None
    y, x = np.nonzero(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
    if len(x) < 0.018 * s.width * s.rows or y.min() > s.shoulder + 0.22 * s.rows:
        return None
    start = np.array([axis + 0.45 * s.width, s.shoulder + 0.06 * s.width])
    away = np.hypot(x - start[0], y - start[1])
    length = float(np.percentile(away, 97))
    first = float(np.percentile(away, 3))
    if length < 0.1 * s.width or length - first < 8:
        return None
    marks = np.linspace(first, length, 15)
    index = np.clip(np.digitize(away, marks) - 1, 0, 13)
    n = np.bincount(index, minlength=14).astype(float)
    good = n > 3
    centre = np.stack([np.bincount(index, v, 14) for v in (x, y)], 1)[good] / n[good, None]
    half = np.clip(n[good] / (marks[1] - marks[0]) / 2, 2, 0.3 * s.width)
    if good.sum() < 3:
        return None
    soft = lambda a: np.concatenate([a[:1], (a[:-2] + a[1:-1] + a[2:]) / 3, a[-1:]])
    return Sleeve(soft(centre), soft(half), length, mirrored, float(len(x)))


def class_of(label: str, photo: Photo, sleeve: Sleeve | None) -> int:
    """The class of DeepFashion2 for a label and an outline."""
    reach = sleeve.length / (photo.shape.width / FLAT) if sleeve else 0.0
    fixed = {"T-Shirt": 1, "Polo": 1, "Longsleeve": 2, "Hoodie": 2, "Outwear": 4, "Blazer": 4}
    fixed |= {"Pants": 8, "Shorts": 7, "Skirt": 9, "Undershirt": 5}
    if label == "Outwear" and reach < 24:
        raise Unusable("an outwear without sleeves, or with folded ones")
    if label in fixed:
        return fixed[label]
    if label in ("Shirt", "Blouse"):
        return 1 if 8 < reach < 31 else 2
    sling = _strap_share(photo) < 0.3 or _bandeau(photo)
    if label == "Top":
        return 1 if 12 < reach < 31 else 2 if reach >= 31 else 6 if sling else 5
    if reach >= 34:
        return 11
    return 10 if reach > 10 else 13 if sling else 12


def _strap_share(photo: Photo) -> float:
    """How much of the trunk's width is cloth near the top."""
    s = photo.shape
    rows = photo.mask[s.top + int(0.03 * s.width) : s.top + int(0.12 * s.width)] > 0
    return float(rows.sum(1).mean() / s.width) if len(rows) else 1.0


def _bandeau(photo: Photo) -> bool:
    """A straight upper edge, as wide as the trunk."""
    s = photo.shape
    return bool((photo.mask[s.top + max(2, int(0.05 * s.width))] > 0).sum() > 0.8 * s.width)


def _roll_neck(photo: Photo) -> bool:
    """Whether a narrow collar stands well above the shoulders."""
    s = photo.shape
    rows = photo.mask[s.top : s.shoulder] > 0
    return len(rows) > 0.34 * s.width and bool(rows[: len(rows) // 2].sum(1).mean() < 0.45 * s.width)


def _sleeve_cut(rng: Rng, class_id: int, reach: float) -> dict:
    if class_id in SLEEVED_SHORT:
        length = float(np.clip(reach if reach > 8 else uniform(rng, 16, 24), 12, 28))
        return {"sleeve": length, "sleeve_ease": uniform(rng, 1.0, 3.2), "sleeve_flare": uniform(rng, -0.3, 1.8)}
    if class_id in SLEEVED_LONG:
        wide = 1.2 if class_id in OUTER else 0.0
        return {
            "sleeve": uniform(rng, 50, 57),
            "sleeve_ease": uniform(rng, 0.8, 2.6) + wide,
            "sleeve_flare": uniform(rng, -0.8, 1.0),
        }
    return {"sleeve": 0.0, "sleeve_ease": 0.0, "sleeve_flare": 0.0}


def _neck_cut(rng: Rng, class_id: int, label: str, photo: Photo, length: float) -> dict:
    """Depth and width of the neck's opening: it must remove the visible inside of the garment."""
    s = photo.shape
    column = photo.mask[:, int(s.axis)] > 0
    notch = (int(np.argmax(column)) - s.top) / max(1.0, s.rows / length)
    neck, depth, width = "crew", uniform(rng, 7.5, 9.5), uniform(rng, 8.2, 9.4)
    if label in ("Shirt", "Polo", "Blouse"):
        neck, depth, width = "vee", uniform(rng, 6, 9), uniform(rng, 6.4, 7.4)
    elif label == "Blazer":
        neck, depth, width = "vee", uniform(rng, 14, 22), 7.4
    elif label == "Hoodie":
        neck, depth, width = "hood", 7.0, 7.8
    elif class_id in OUTER:
        neck, depth, width = "vee", uniform(rng, 5, 9), 6.8
    elif class_id in STRAPPED:
        return {"neck": "straight", "neck_depth": uniform(rng, 11, 14), "neck_width": uniform(rng, 8, 10)}
    elif label in ("Undershirt", "Top") or class_id == 12:
        neck, depth, width = "scoop", uniform(rng, 9, 13), uniform(rng, 9.3, 10.4)
    if label == "Longsleeve" and _roll_neck(photo):
        neck, depth, width = "turtle", 2.0, 7.8
    if neck in ("crew", "scoop") and 3 < notch < 20:
        depth = max(depth, notch + 1.5)
    return {"neck": neck, "neck_depth": float(depth), "neck_width": width}


def _upper_cut(rng: Rng, class_id: int, label: str, photo: Photo, sleeve: Sleeve | None) -> dict:
    s = photo.shape
    rows = s.rows
    if label in ("Hoodie", "Outwear"):  # the hood lies above the shoulders
        rows = min(rows, s.end - s.shoulder + int(0.12 * s.width))
    kind = kind_of(class_id)
    low, high = {"upper": (46, 70), "outer": (52, 104), "dress": (80, 124)}[kind]
    # How wide such a garment lies flat, in cm on the standard body.
    flat = uniform(rng, *{"upper": (41, 46), "outer": (49, 56), "dress": (36, 41)}[kind])
    length = float(np.clip(rows / s.width * flat, low, high))
    hem = float(np.median((s.right - s.left)[s.end - max(4, rows // 14) : s.end - 2])) / s.width
    flare = float(np.clip((hem - 1) * 20, -0.5, 18 if kind == "dress" else 3))
    reach = sleeve.length / (s.width / FLAT) if sleeve else 0.0
    close = class_id in STRAPPED
    return {
        "length": length,
        "ease": uniform(rng, 0.4, 1.6) if close else uniform(rng, 0.9, 3.2) + (1.6 if kind == "outer" else 0.0),
        "flare": flare,
        "waist": uniform(rng, 0.3, 0.9) if close or kind == "dress" else uniform(rng, 0.0, 0.5),
        "rise": 14.0,
        **_sleeve_cut(rng, class_id, reach),
        **_neck_cut(rng, class_id, label, photo, length),
    }


def _lower_cut(rng: Rng, class_id: int, photo: Photo) -> dict:
    s = photo.shape
    tall = s.rows / s.width * uniform(rng, 46, 52)
    rise = uniform(rng, 11, 17)
    low, high = {7: (16, 46), 8: (66, 86), 9: (32, 92)}[class_id]
    length = float(np.clip(tall - (0 if class_id == 9 else rise), low, high))
    if class_id == 9:
        hem = float(np.median((s.right - s.left)[s.end - max(4, s.rows // 10) : s.end - 2])) / s.width
        flare = float(np.clip((hem - 1) * 24, -2, 20))
    else:
        flare = uniform(rng, -2.0, 3.0)
    none = {"sleeve": 0.0, "sleeve_ease": 0.0, "sleeve_flare": 0.0}
    neck = {"neck": "crew", "neck_depth": 7.0, "neck_width": 8.0}
    return {"length": length, "ease": uniform(rng, 0.4, 2.6), "flare": flare, "waist": 1.0, "rise": rise} | none | neck


def photo_product(rng: Rng, folder: str, image: str, label: str, id: int) -> PhotoProduct:
    """The product of a photo. Raises `Unusable`."""
    part = PARTS.get(label, "upper")
    photo = read_pair(folder, image, part)
    s = photo.shape
    low, high = ASPECTS.get(label) or ASPECTS[part]
    if not low <= s.rows / s.width <= high:
        raise Unusable(f"{s.rows} rows at a width of {s.width:.0f}")
    lean = np.ptp(s.centre()[s.top + s.rows // 5 : s.end - s.rows // 20]) / s.rows
    if part != "legs" and lean > math.tan(0.35):
        raise Unusable("lies aslant")
    sleeve = find_sleeve(photo) if part in SLEEVED else None
    class_id = class_of(label, photo, sleeve)
    if part in SLEEVED:
        cut = _upper_cut(rng, class_id, label, photo, sleeve)
    else:
        cut = _lower_cut(rng, class_id, photo)
    base = tuple(int(v) for v in np.median(photo.image[photo.mask > 0], axis=0))
    return PhotoProduct(
        id=id,
        seed=int(rng.integers(1 << 31)),
        class_id=class_id,
        colours=(base,) * 4,
        pattern="plain",
        pattern_scale=1.0,
        **cut,
        folder=folder,
        image=image,
        label=label,
    )
