"""A product's cloth cut into panels: RGBA sheets in garment centimetres.

The trunk panel runs once around the body: x = 0 is the front, x = +-2 w(v) the back, with w the
half-width of the cut. A limb panel is the same for a sleeve or a leg. The flat picture and the worn
garment are painted from the same panels, so they look alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import cut
from .fabric import blossom, star
from .products import STRAPPED, Product
from .sheet import Panel, Sheet, sheet_of
from .util import Rng, pick, rng_for, smoothstep, uniform


@dataclass
class Cloth:
    """All panels of one product in one state (an outwear may hang open)."""

    product: Product
    open: bool
    trunk: Panel
    limb: Panel | None
    trim: np.ndarray
    shadow: float = 0.4
    """How dark a sleeve's shadow on the trunk is."""


def dress_up(product: Product, ppc: float, open: bool = False) -> Cloth:
    """All panels of a product at `ppc` pixels per cm."""
    open = open and product.kind == "outer"
    trim = np.asarray(product.colours[3], np.float32)
    if product.kind == "lower" or "contrast_trim" not in product.details:
        trim = np.asarray(product.colours[0], np.float32) * 0.82
    return Cloth(product, open, _trunk(product, ppc, open, trim), _limb(product, ppc, trim), trim)


def _trunk(p: Product, ppc: float, open: bool, trim: np.ndarray) -> Panel:
    top, end = cut.trunk_top(p), cut.trunk_end(p)
    sheet, half = sheet_of(cut.trunk_profile(p), top - 0.5, end, ppc)
    sheet.cloth(p)
    rng = rng_for(p.print_seed, 0xDE7)
    _areas(sheet, p, top, end)
    if p.kind == "lower":
        _lower_details(sheet, p, top, end, trim, half)
    else:
        _upper_details(sheet, p, top, end, trim, half, rng)
        _neckline(sheet, p, trim, half)
        if p.kind == "outer":
            _front(sheet, p, end, trim, open)
    return sheet.panel()


def _limb(p: Product, ppc: float, trim: np.ndarray) -> Panel | None:
    end = cut.limb_end(p)
    if not p.has_legs and p.sleeve <= 0:
        return None
    sheet, _ = sheet_of(cut.limb_profile(p), -14, end, ppc)
    sheet.cloth(p, (8.5, cut.HIP_V) if p.has_legs else (5.0, 4.0))
    if p.has_legs:
        _leg_details(sheet, p, end, trim)
    else:
        _sleeve_details(sheet, p, end, trim)
    return sheet.panel()


def _areas(sheet: Sheet, p: Product, top: float, end: float) -> None:
    """Colour block, gradient, hem stripes, tiers: things that depend on the height alone."""
    c = np.asarray(p.colours, np.float32)
    soft = 0.6 / sheet.ppc
    if "block" in p.details:
        split = top + (end - top) * (0.35 + 0.3 * (p.print_seed % 100) / 100)
        sheet.mix(smoothstep(split - soft, split + soft, sheet.y), c[2])
    if "gradient" in p.details:
        sheet.mix(smoothstep(top, end, sheet.y), c[1], 0.8)
    if "hem_stripes" in p.details and not p.has_legs:
        for i, k in enumerate((3.0, 6.5)):
            sheet.mix((np.abs(sheet.y - (end - k)) < 1.1).astype(np.float32), c[1 + i])
    if "tiers" in p.details and not p.has_legs:
        for y in np.linspace(max(top + 12, 40), end, 4)[:-1]:
            sheet.shade(np.exp(-(((sheet.y - y) / 0.8) ** 2)), 0.7)
    if "pleats" in p.details and not p.has_legs:
        amount = (
            smoothstep(max(top + 6, 36), max(top + 14, 46), sheet.y)
            * (0.5 + 0.5 * np.cos(2 * np.pi * sheet.x / 3.6)) ** 4
        )
        sheet.shade(amount, 0.72)


def _lower_details(s: Sheet, p: Product, top: float, end: float, trim: np.ndarray, half: np.ndarray) -> None:
    belt = "belt" in p.details
    colour = np.asarray(p.colours[3], np.float32) * 0.8 if belt else trim
    band = ((s.y - top) < (3.6 if belt else 3.2)).astype(np.float32)
    s.mix(band, colour, 1.0 if belt else 0.45)
    s.line([(-60, top + 3.4), (60, top + 3.4)], 0.25, trim * 0.6, 0.6)
    if belt:
        s.poly([(-2.2, top + 0.4), (2.2, top + 0.4), (2.2, top + 3.2), (-2.2, top + 3.2)], (200, 180, 120))
        s.poly([(-1.4, top + 1.1), (1.4, top + 1.1), (1.4, top + 2.5), (-1.4, top + 2.5)], colour * 0.7)
    elif p.has_legs:
        s.disc(0, top + 1.7, 0.7, (190, 180, 160))
    if p.has_legs:
        fly = [(2.6, top + 3.4), (2.6, top + 11), (0.4, top + 15)]
        s.line(fly, 0.3, trim * 0.65, 0.7)
        s.line([(0, top + 3.4), (0, end)], 0.35, trim * 0.55, 0.6)
    if "pockets" in p.details:
        for side in (-1, 1):
            s.line([(side * 7.5, top + 3.4), (side * 10.5, top + 8.5), (side * 15, top + 11)], 0.35, trim * 0.6, 0.75)
            back = 2 * cut.at(cut.trunk_profile(p), top + 8)
            if p.has_legs:
                s.line(
                    [
                        (side * (back - 3), top + 7),
                        (side * (back - 11), top + 7),
                        (side * (back - 11), top + 17),
                        (side * (back - 7), top + 19),
                        (side * (back - 3), top + 17),
                    ],
                    0.35,
                    trim * 0.6,
                    0.7,
                    True,
                )
    if "drawstring" in p.details and not belt:
        for side in (-1, 1):
            s.line([(side * 0.8, top + 2), (side * 1.8, top + 8), (side * 1.4, top + 13)], 0.6, (238, 236, 230))
    if p.class_id == 9 and "buttons" in p.details:
        s.line([(0, top), (0, end)], 0.3, trim * 0.6, 0.8)
        for y in np.arange(top + 6, end - 3, 7):
            s.disc(0, float(y), 0.9, p.colours[3])
    if p.class_id == 9 and "slit" in p.details:
        cutout = (np.abs(s.x - 8) < 0.12 * np.clip(s.y - (end - 0.35 * p.length), 0, None)).astype(np.float32)
        s.cover *= 1 - cutout
    s.shade((np.abs(s.y - (end - 2.4)) < 0.18).astype(np.float32) * (not p.has_legs), 0.75)


def _leg_details(s: Sheet, p: Product, end: float, trim: np.ndarray) -> None:
    c = np.asarray(p.colours, np.float32)
    if "block" in p.details:
        s.mix(smoothstep(end * 0.55 - 0.2, end * 0.55 + 0.2, s.y), c[2])
    if "side_stripe" in p.details:
        s.mix((np.abs(s.x - 10.5) < 1.6).astype(np.float32) * (s.y > -30), c[1])
    if "crease" in p.details:
        s.shade(np.exp(-((s.x / 0.35) ** 2)), 0.8)
    if "cargo" in p.details and end > 34:
        y = 26.0 if end > 40 else 14.0
        s.line([(3, y), (11, y), (11, y + 15), (3, y + 15)], 0.45, trim * 0.6, 0.9, True)
        s.line([(3, y + 4.5), (11, y + 4.5)], 0.45, trim * 0.6, 0.9)
    if "cuff" in p.details:
        s.mix(
            (s.y > end - 4.5).astype(np.float32) * np.ones_like(s.x),
            trim * 1.12 if p.pattern == "denim" else c[1],
            0.85,
        )
        s.line([(-40, end - 4.5), (40, end - 4.5)], 0.35, trim * 0.5, 0.7)
    s.line([(-40, end - 1.8), (40, end - 1.8)], 0.25, trim * 0.7, 0.7)


def _sleeve_details(s: Sheet, p: Product, end: float, trim: np.ndarray) -> None:
    c = np.asarray(p.colours, np.float32)
    if "contrast_sleeves" in p.details:
        s.mix(np.ones_like(s.cover), c[1])
    if "hem_stripes" in p.details:
        for i, k in enumerate((4.5, 7.5)):
            s.mix((np.abs(s.y - (end - k)) < 1.0).astype(np.float32), c[1 + i])
    strength = 1.0 if "contrast_trim" in p.details else 0.35
    wide = 2.2 if end < 30 else 3.6
    s.mix((s.y > end - wide).astype(np.float32), trim, strength)
    s.line([(-40, end - wide), (40, end - wide)], 0.25, trim * 0.65, 0.6)


def _upper_details(s: Sheet, p: Product, top: float, end: float, trim: np.ndarray, half: np.ndarray, rng: Rng) -> None:
    c = np.asarray(p.colours, np.float32)
    if "yoke" in p.details:
        s.mix((s.y < 16).astype(np.float32) * np.ones_like(s.x), c[2])
    if "band" in p.details:
        s.mix((np.abs(s.y - 24) < 4).astype(np.float32) * np.ones_like(s.x), c[1])
    if "contrast_trim" in p.details:
        s.mix((s.y > end - 2.2).astype(np.float32) * np.ones_like(s.x), trim)
    s.line([(-70, end - 2.0), (70, end - 2.0)], 0.25, trim * 0.7, 0.6)
    if "print" in p.details:
        _print(s, p, rng)
    if "pocket" in p.details:
        s.line([(5, 19), (12.5, 19), (12.5, 27), (8.7, 28.5), (5, 27)], 0.35, trim * 0.6, 0.8, True)
    if "belt" in p.details and p.kind == "dress":
        s.mix((np.abs(s.y - cut.WAIST_V) < 1.8).astype(np.float32) * np.ones_like(s.x), c[3])
        s.disc(0, cut.WAIST_V, 1.5, (205, 190, 130))
    if "buttons" in p.details:
        s.line([(1.6, 2), (1.6, end)], 0.25, trim * 0.6, 0.6)
        for y in np.arange(p.neck_depth + 2.5, end - 4, 8.5):
            s.disc(0, float(y), 0.75, c[3] if "contrast_trim" in p.details else (236, 233, 226))
            s.disc(0, float(y), 0.3, (120, 118, 112))
    if "placket" in p.details:
        s.line([(-1.5, 2), (-1.5, 18), (1.5, 18), (1.5, 2)], 0.25, trim * 0.6, 0.7)
        for y in (11.0, 15.0):
            s.disc(0, y, 0.6, (236, 233, 226))


def _print(s: Sheet, p: Product, rng: Rng) -> None:
    """A graphic on the chest, made of a few plain shapes."""
    c = list(p.colours[1:]) + [(250, 250, 248), (20, 20, 22)]
    cy, size = uniform(rng, 21, 26), uniform(rng, 5.5, 10.5)
    kind = int(rng.integers(6))
    kind = p.print_kind if p.print_kind >= 0 else kind
    if kind == 0:
        for i in range(4):
            s.disc(0, cy, size * (1 - 0.24 * i), c[i % 3])
    elif kind == 1:
        for i in range(int(rng.integers(3, 6))):
            y = cy - size + i * 2.6
            s.poly([(-size, y), (size, y), (size, y + 1.4), (-size, y + 1.4)], c[i % 3])
    elif kind == 2:
        s.disc(0, cy, size, c[0])
        s.poly(star(int(rng.integers(5, 9)), uniform(rng, 0.35, 0.7)) * size * 0.85 + (0, cy), c[1])
    elif kind == 3:
        s.poly([(-size, cy + size * 0.7), (-size * 0.2, cy - size * 0.7), (size * 0.45, cy + size * 0.7)], c[0])
        s.poly([(-size * 0.2, cy + size * 0.7), (size * 0.5, cy - size * 0.2), (size, cy + size * 0.7)], c[1])
        s.disc(size * 0.55, cy - size * 0.75, size * 0.25, c[2])
    elif kind == 4:
        s.poly(blossom(int(rng.integers(4, 9)), 0.5) * size + (0, cy), c[0])
        s.disc(0, cy, size * 0.3, c[1])
    for i in range(int(rng.integers(2, 6)) if kind == 5 else 0):
        at = (uniform(rng, -size, size) * 0.7, cy + uniform(rng, -size, size) * 0.7)
        shape = pick(rng, (star(3, 0.5), star(2, 1.0, 0.78), blossom(3, 0.0), star(5, 0.42)))
        s.poly(shape * size * uniform(rng, 0.35, 0.7) + at, c[i % 4], 0.95)


def opening(s: Sheet, p: Product, depth: float, width: float, x: np.ndarray) -> np.ndarray:
    """Cover 0..1 of the neck's opening, for x measured from the front or back centre."""
    u = np.clip(np.abs(x) / width, 0, 1)
    rim = cut.shoulder_line(width) + 0.4
    if p.neck in ("vee", "shirt", "lapel"):
        shape = 1 - u
    elif p.neck == "square":
        shape = np.sqrt(np.clip(1 - u**12, 0, 1))
    else:
        shape = np.sqrt(1 - u**2)
    edge = rim + max(depth - rim, 0.0) * shape
    slope = 1.3 if p.neck not in ("vee", "lapel") else 2.0
    return np.clip((edge - s.y) * s.ppc / slope + 0.5, 0, 1) * (np.abs(x) < width)


def _neckline(s: Sheet, p: Product, trim: np.ndarray, half: np.ndarray) -> None:
    back = 2 * half - np.abs(s.x)
    if p.class_id in STRAPPED:
        edge, cover = straps(s, p, back)
        s.mix((s.y < edge + 1.2) * np.ones_like(s.x), trim, 0.9 if "contrast_trim" in p.details else 0.3)
        s.cover *= cover
        return
    if p.neck in ("turtle", "stand"):
        s.shade((np.abs(s.y - 0.3) < 0.25).astype(np.float32), 0.72)
        s.shade((s.y < 0).astype(np.float32), 0.93)
        if p.neck == "stand":
            s.shade((np.abs(s.x) < 0.3).astype(np.float32) * (s.y < 6), 0.55)
        return
    front_hole = opening(s, p, p.neck_depth, p.neck_width, s.x)
    wide = opening(s, p, p.neck_depth + 2.2, p.neck_width + 1.8, s.x)
    standing = p.neck in ("shirt", "polo", "lapel")
    rear_hole = opening(s, p, 3.0, p.neck_width, back) * (not standing)
    rear_wide = opening(s, p, 5.0, p.neck_width + 1.8, back)
    strength = 1.0 if "contrast_trim" in p.details else 0.4
    if p.neck not in ("lapel",):
        s.mix(np.maximum(wide, rear_wide), trim, strength)
        s.shade(np.clip(wide * (1 - opening(s, p, p.neck_depth + 1.9, p.neck_width + 1.5, s.x)) * 3, 0, 1), 0.8)
    if p.neck in ("shirt", "polo", "lapel"):
        _collar(s, p, trim, np.abs(s.x) > half)
    s.cover *= 1 - np.maximum(front_hole, rear_hole)


def _collar(s: Sheet, p: Product, trim: np.ndarray, behind: np.ndarray) -> None:
    base = np.asarray(p.colours[3] if "contrast_trim" in p.details else p.colours[0], np.float32)
    w, d = p.neck_width, p.neck_depth
    s.mix((s.y < 3.2) * behind, base * 0.93)
    for side in (-1, 1):
        if p.neck == "lapel":
            flap = [
                (side * 6.4, -1.5),
                (side * (w + 3.0), 3.4),
                (side * (w + 4.2), 9),
                (side * (w + 1.6), 9.6),
                (side * (w + 3.4), 12),
                (0, d + 1),
                (side * 0.1, d - 1),
            ]
        else:
            flap = [(side * 6.3, -2.5), (side * (w + 1.6), 2.9), (side * (w - 0.5), d + 3.5), (side * 0.3, d * 0.95)]
        s.poly(flap, base * 0.93 if base.sum() > 120 else base + 16)
        s.line(flap, 0.3, trim * 0.55, 0.8, True)


def straps(s: Sheet, p: Product, back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The upper edge (cm) of a strapped garment, and its cover: straps and all below the edge."""
    rng = rng_for(p.seed, 0x57A)
    wide = uniform(rng, 0.5, 1.1)
    x = np.abs(s.x)
    d = p.neck_depth
    if p.neck == "sweetheart":
        edge = d - 2.4 * np.abs(np.sin(np.clip(x / 7.5, 0, 2) * math.pi / 2)) + 1.2
    elif p.neck == "vtop":
        edge = d + 4.0 - 5.5 * np.clip(x / p.neck_width, 0, 1) + 6.0 * smoothstep(p.neck_width, p.neck_width + 6.5, x)
    else:
        edge = d + 0 * x
    edge = np.where(back < x, d + 7.0, edge)
    body = np.clip((s.y - edge) * s.ppc + 0.5, 0, 1)
    near = np.minimum(x, back)
    strap = np.clip((wide - np.abs(near - p.neck_width)) * s.ppc + 0.5, 0, 1)
    return edge, np.maximum(body, strap)


def front_gap(y, end: float):
    """Half the width between the edges of an outwear that hangs open."""
    return 2.6 + 4.6 * np.clip(y / max(end, 1), 0, 1.1) + 1.2 * np.sin(y / 19.0)


def _front(s: Sheet, p: Product, end: float, trim: np.ndarray, open: bool) -> None:
    """The fastening of an outwear, its pockets, and the gap when it hangs open."""
    c = np.asarray(p.colours, np.float32)
    start = p.neck_depth * 0.9 if p.neck not in ("stand",) else -4
    s.shade(np.exp(-((s.x / 0.5) ** 2)), 0.62)
    for side in (-1, 1):
        if "pockets" in p.details:
            y = min(44.0, end - 20)
            s.line(
                [(side * 6, y), (side * 14, y), (side * 14, y + 13), (side * 6, y + 13)], 0.4, trim * 0.55, 0.85, True
            )
            s.line([(side * 6, y + 3.5), (side * 14, y + 3.5)], 0.4, trim * 0.55, 0.85)
        if "chest_pockets" in p.details:
            s.line([(side * 5, 19), (side * 12.5, 19), (side * 12.5, 27), (side * 5, 27)], 0.35, trim * 0.55, 0.8, True)
    metal = (205, 205, 208) if c[0].sum() < 420 else (88, 88, 92)
    if "zip" in p.details:
        down = np.arange(start, end, 3.0)
        for side in (-1, 1) if open else (0,):
            s.line([(side * (front_gap(y, end) + 0.4) + 0.6 * (not open), y) for y in down], 0.5, metal, 0.9)
    else:
        pitch, big = (12.0, 1.5) if "toggles" in p.details else (9.0, 1.1)
        for y in np.arange(start + 3, end - 5, pitch):
            x = 2.2 if not open else float(front_gap(y, end)) + 1.9
            s.disc(x, float(y), big, c[3] if np.abs(c[3] - c[0]).sum() > 90 else metal)
            s.disc(x, float(y), big * 0.4, trim * 0.5)
    if "belt" in p.details:
        s.mix((np.abs(s.y - cut.WAIST_V) < 2.3).astype(np.float32) * np.ones_like(s.x), c[0] * 0.75 + 8)
    if open:
        gap = front_gap(s.y, end)
        s.shade((np.abs(np.abs(s.x) - gap - 0.9) < 0.9).astype(np.float32), 0.82)
        s.cover *= np.clip((np.abs(s.x) - gap) * s.ppc + 0.5, 0, 1)
