"""A photographed garment as panels: the photo bent into the cut of its product.

The front is the photo, edge to edge. Nobody photographed the back: it is made of the front's outer
parts, mirrored, because prints, buttons and zips sit in the middle and backs have none.
"""

from __future__ import annotations

import cv2
import numpy as np

from . import cut
from .photo import Photo, Shape
from .photo_cut import PhotoProduct, Sleeve, find_sleeve
from .products import SLEEVED_LONG, SLEEVED_SHORT, STRAPPED, Product
from .sheet import Panel, Sheet, sheet_of
from .texture import Cloth, dress_up, front_gap, opening, straps

SHOULDER = 4.5
"""cm below the base of the neck where a sleeved garment is nearly as wide as its trunk."""


def cloth_of(product: Product, ppc: float, open: bool = False) -> Cloth:
    """All panels of a product, drawn or photographed."""
    if not isinstance(product, PhotoProduct):
        return dress_up(product, ppc, open)
    photo, open = product.photo(), open and product.kind == "outer"
    # Photos hold 3 to 6 px per cm; finer panels would only cost time.
    ppc = min(ppc, 6.0)
    trunk = _lower_trunk(product, photo, ppc) if product.kind == "lower" else _upper_trunk(product, photo, ppc, open)
    limb = _leg(product, photo, ppc) if product.has_legs else _sleeve(product, photo, ppc)
    # A photo brings shadows of its own.
    return Cloth(product, open, trunk, limb, np.asarray(product.colours[0], np.float32) * 0.82, shadow=0.24)


def _around(x: np.ndarray, w: np.ndarray, plain_back: bool = False) -> np.ndarray:
    """-1..1 across the photo for x cm around the body. The back is the front mirrored; a plain one leaves
    out the front's middle by turning back halfway."""
    u = x / np.maximum(w, 0.5)
    beyond = np.clip(np.abs(u) - 1, 0, 1)
    back = 0.97 - (0.5 - np.abs(beyond - 0.5)) if plain_back else 1 - beyond
    return np.where(np.abs(u) > 1, np.sign(u) * back, u).clip(-1, 1).astype(np.float32)


def _take(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.broadcast_arrays(x, y)
    return cv2.remap(
        image, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)


def _rows(p: PhotoProduct, s: Shape, v: np.ndarray) -> np.ndarray:
    """Rows of the photo for v along the trunk of an upper."""
    if p.class_id in SLEEVED_SHORT + SLEEVED_LONG:
        step = (s.end - 1 - s.shoulder) / max(p.length - SHOULDER, 1.0)
        return s.shoulder + (v - SHOULDER) * step
    return s.top + v * (s.rows - 1) / p.length


def trunk_edges(p: PhotoProduct, s: Shape, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, middle and half-width (px) of the photo's trunk for v. Above the armpits the cut gives the width,
    so that sleeves do not count as trunk."""
    rows = _rows(p, s, v)
    y = np.arange(len(s.left))
    half = np.interp(rows, y, (s.right - s.left) / 2)
    middle = np.interp(rows, y, s.centre())
    arm = 21.0
    row = float(_rows(p, s, np.array([arm]))[0])
    ratio = np.interp(row, y, (s.right - s.left) / 2) / cut.at(cut.trunk_profile(p), arm)
    above = np.clip((arm - v) / 5, 0, 1)
    half = half + (np.interp(v, *cut.trunk_profile(p)) * ratio - half) * above
    middle = middle + (np.interp(row, y, s.centre()) - middle) * above
    return rows, middle, half * 0.97


def _upper_trunk(p: PhotoProduct, photo: Photo, ppc: float, open: bool) -> Panel:
    top, end = cut.trunk_top(p), cut.trunk_end(p)
    sheet, wide = sheet_of(cut.trunk_profile(p), top - 0.5, end, ppc)
    # The hem's last row goes on below it.
    rows, middle, half = trunk_edges(p, photo.shape, np.minimum(sheet.y[:, 0], end - 0.6))
    sheet.rgb = _take(photo.cloth, middle[:, None] + _around(sheet.x, wide, True) * half[:, None], rows[:, None])
    back = 2 * wide - np.abs(sheet.x)
    _neckline(sheet, p, back)
    if open:
        gap = front_gap(sheet.y, end)
        sheet.shade((np.abs(np.abs(sheet.x) - gap - 0.9) < 0.9).astype(np.float32), 0.82)
        sheet.cover *= np.clip((np.abs(sheet.x) - gap) * ppc + 0.5, 0, 1)
    return sheet.panel()


def _neckline(s: Sheet, p: PhotoProduct, back: np.ndarray) -> None:
    if p.class_id in STRAPPED:
        s.cover *= straps(s, p, back)[1]
        return
    if p.neck == "turtle":
        return
    front = opening(s, p, p.neck_depth, p.neck_width, s.x)
    rear = opening(s, p, 3.0, p.neck_width, back)
    rim = opening(s, p, p.neck_depth + 1.1, p.neck_width + 0.8, s.x)
    s.shade(rim, 0.86)
    s.cover *= 1 - np.maximum(front, rear)


def _sleeve(p: PhotoProduct, photo: Photo, ppc: float) -> Panel | None:
    if p.sleeve <= 0:
        return None
    sheet, wide = sheet_of(cut.limb_profile(p), -14, p.sleeve, ppc)
    u = _around(sheet.x, wide)
    along = np.clip(sheet.y[:, 0], 0, p.sleeve - 0.5)
    found = find_sleeve(photo)
    fits = found and (p.class_id in SLEEVED_SHORT or found.length > 0.5 * photo.shape.width)
    sheet.rgb = _along_sleeve(photo, found, along / p.sleeve, u) if fits else _patch(p, photo, along, u)
    sheet.shade((np.abs(sheet.y - (p.sleeve - 2.2)) < 0.2).astype(np.float32), 0.85)
    return sheet.panel()


def _along_sleeve(photo: Photo, sleeve: Sleeve, t: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The photo along a sleeve's middle line."""
    at = np.linspace(0, 1, len(sleeve.points))
    n = 3 * len(at)
    fine = np.linspace(0, 1, n)
    line = np.stack([np.interp(fine, at, sleeve.points[:, k]) for k in (0, 1)], 1)
    way = np.gradient(line, axis=0)
    way = np.stack([np.convolve(np.pad(way[:, k], 4, mode="edge"), np.ones(9) / 9, "valid") for k in (0, 1)], 1)
    way /= np.linalg.norm(way, axis=1, keepdims=True) + 1e-6
    pick = lambda a: np.interp(t, fine, a)[:, None]
    half = np.interp(t, at, sleeve.half)[:, None] * 0.86 * u
    x, y = pick(line[:, 0]) + pick(way[:, 1]) * half, pick(line[:, 1]) - pick(way[:, 0]) * half
    if sleeve.mirrored:
        x = photo.image.shape[1] - 1 - x
    return _take(photo.cloth, x, y)


def _patch(p: PhotoProduct, photo: Photo, along: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Cloth for a sleeve that the photo does not show: the trunk's outer part."""
    s = photo.shape
    y = s.shoulder + 0.12 * s.rows + along / max(p.sleeve, 40.0) * 0.7 * (s.end - s.shoulder)
    y = np.clip(y, s.top, s.end - 3)
    rows = np.arange(len(s.left))
    middle = np.interp(y, rows, s.centre())[:, None]
    half = np.interp(y, rows, (s.right - s.left) / 2)[:, None]
    return _take(photo.cloth, middle + (0.66 + 0.28 * u) * half, y[:, None])


def _lower_rows(p: PhotoProduct, s: Shape, below: np.ndarray) -> np.ndarray:
    """Rows of the photo for cm below the waistband's upper edge."""
    tall = p.length + (p.rise if p.has_legs else 0)
    return s.top + 1 + np.clip(below, 0, tall - 0.6) * (s.rows - 2) / tall


def _lower_trunk(p: PhotoProduct, photo: Photo, ppc: float) -> Panel:
    top, end = cut.trunk_top(p), cut.trunk_end(p)
    sheet, wide = sheet_of(cut.trunk_profile(p), top - 0.5, end, ppc)
    s = photo.shape
    rows = _lower_rows(p, s, sheet.y[:, 0] - top)
    y = np.arange(len(s.left))
    half = np.interp(rows, y, (s.right - s.left) / 2)[:, None] * 0.96
    middle = np.interp(rows, y, s.centre())[:, None]
    sheet.rgb = _take(photo.cloth, middle + _around(sheet.x, wide) * half, rows[:, None])
    return sheet.panel()


def _leg(p: PhotoProduct, photo: Photo, ppc: float) -> Panel:
    """The leg on the photo's right, from its outer edge inwards."""
    sheet, wide = sheet_of(cut.limb_profile(p), -14, p.length, ppc)
    s = photo.shape
    rows = _lower_rows(p, s, sheet.y[:, 0] + p.rise)
    inner, outer = (np.interp(rows, np.arange(len(s.left)), e)[:, None] for e in leg_edges(photo))
    middle, half = (inner + outer) / 2, (outer - inner) / 2 * 0.93
    sheet.rgb = _take(photo.cloth, middle + _around(sheet.x, wide) * half, rows[:, None])
    return sheet.panel()


def leg_edges(photo: Photo) -> tuple[np.ndarray, np.ndarray]:
    """Inner and outer edge (px) of the right leg by row. Where the mask hides the gap, a leg is at most as
    wide as half the hips."""
    s = photo.shape
    outer = s.right
    inner = np.maximum(s.centre(), outer - 0.5 * s.width)
    on = photo.mask > 0
    for y in range(s.top + int(0.3 * s.rows), s.end):
        edge = int(min(outer[y], on.shape[1])) - 3
        run = np.flatnonzero(~on[y, : max(edge, 1)])
        if len(run) and edge - run[-1] > 0.12 * s.width:
            inner[y] = max(inner[y], run[-1] + 1)
    k = max(3, s.rows // 24) | 1
    soft = np.convolve(np.pad(inner, k // 2, mode="edge"), np.ones(k) / k, mode="valid")
    return np.minimum(soft, outer - 4), outer
