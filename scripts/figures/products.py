"""Products: a class, a cut in cm, colours and a pattern. Nothing is drawn here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from . import CLASSES
from .util import Rng, pick, rng_for, uniform, weighted

UPPER = (1, 2, 5, 6)
OUTER = (3, 4)
LOWER = (7, 8, 9)
DRESS = (10, 11, 12, 13)
SLEEVED_SHORT = (1, 3, 10)
SLEEVED_LONG = (2, 4, 11)
SLEEVELESS = (5, 12)
STRAPPED = (6, 13)

Colour = tuple[int, int, int]


def kind_of(class_id: int) -> str:
    """upper, outer, lower or dress: where on the body a class sits."""
    for name, ids in (("upper", UPPER), ("outer", OUTER), ("lower", LOWER), ("dress", DRESS)):
        if class_id in ids:
            return name
    raise ValueError(f"class id {class_id} is not 1..13")


@dataclass(frozen=True)
class Product:
    """One garment. Lengths in cm on a body of 173 cm; `ease` is cloth beyond the body."""

    id: int
    seed: int
    class_id: int
    colours: tuple[Colour, ...]
    """Base, first accent, second accent, trim."""
    pattern: str
    pattern_scale: float
    length: float
    """Shoulder to hem; for lower garments waist (or, with legs, hip joint) to hem."""
    ease: float
    flare: float
    """Extra half-width at the hem."""
    waist: float
    """0 = boxy, 1 = taken in at the waist."""
    sleeve: float
    sleeve_ease: float
    sleeve_flare: float
    neck: str
    neck_depth: float
    neck_width: float
    rise: float
    """Lower garments: height of the waistband above the hip joint."""
    details: tuple[str, ...] = field(default=())
    print_seed: int = 0
    style: str = ""
    """A named variety of the pattern (such as "breton"); empty leaves it to the seed."""
    print_kind: int = -1
    """Which graphic is printed; -1 leaves it to the seed."""

    @property
    def kind(self) -> str:
        return kind_of(self.class_id)

    @property
    def name(self) -> str:
        return CLASSES[self.class_id - 1]

    @property
    def has_legs(self) -> bool:
        return self.class_id in (7, 8)

    @property
    def sleeves(self) -> bool:
        return self.sleeve > 0


NEUTRALS: tuple[Colour, ...] = (
    (24, 24, 27),
    (245, 244, 240),
    (128, 130, 134),
    (196, 198, 202),
    (33, 43, 72),
    (214, 196, 168),
    (112, 82, 60),
    (74, 78, 62),
    (60, 60, 66),
    (236, 226, 208),
    (92, 112, 146),
    (160, 132, 100),
)
PATTERNS = {
    "plain": 20,
    "hstripe": 12,
    "vstripe": 6,
    "diagonal": 4,
    "gingham": 5,
    "tartan": 7,
    "dots": 7,
    "floral": 8,
    "blobs": 5,
    "chevron": 4,
    "knit": 6,
    "denim": 4,
    "melange": 5,
    "argyle": 3,
    "leopard": 3,
    "shapes": 4,
    "splatter": 3,
    "houndstooth": 3,
    "waves": 3,
}
"""Patterns and how common they are."""


def random_colour(rng: Rng) -> Colour:
    """A colour of clothes: often neutral, less often muted, bright or pastel."""
    if rng.random() < 0.34:
        base = np.asarray(pick(rng, NEUTRALS), float) + rng.normal(0, 5, 3)
        return tuple(int(v) for v in np.clip(base, 12, 250))
    hue = rng.integers(0, 180)
    style = weighted(rng, {"muted": 4, "bright": 4, "pastel": 3, "deep": 3})
    sat, val = {
        "muted": (uniform(rng, 50, 120), uniform(rng, 90, 200)),
        "bright": (uniform(rng, 150, 235), uniform(rng, 150, 240)),
        "pastel": (uniform(rng, 30, 90), uniform(rng, 205, 250)),
        "deep": (uniform(rng, 120, 220), uniform(rng, 50, 115)),
    }[style]
    pixel = np.uint8([[[hue, sat, val]]])
    return tuple(int(v) for v in cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0])


def _distance(a: Colour, b: Colour) -> float:
    return float(np.linalg.norm(np.subtract(a, b, dtype=float)))


def random_palette(rng: Rng) -> tuple[Colour, ...]:
    """Four colours; the accents contrast with the base."""
    base = random_colour(rng)
    out = [base]
    for _ in range(3):
        for _ in range(12):
            candidate = random_colour(rng)
            if _distance(base, candidate) > 70 and _distance(out[-1], candidate) > 40:
                break
        out.append(candidate)
    if rng.random() < 0.3:
        out[1] = pick(rng, ((248, 247, 244), (22, 22, 26))) if _distance(base, (248, 247, 244)) > 90 else (22, 22, 26)
    return tuple(out)


def _cut_upper(rng: Rng, class_id: int) -> dict:
    outer = class_id in OUTER
    length = (
        uniform(rng, 47, 70)
        if not outer
        else weighted(rng, {uniform(rng, 50, 62): 4, uniform(rng, 62, 76): 4, uniform(rng, 82, 108): 3})
    )
    cut = {
        "length": length,
        "ease": uniform(rng, 0.6, 4.0) + (2.0 if outer else 0.0),
        "flare": uniform(rng, -0.5, 3.0) + (1.0 if outer else 0.0),
        "waist": uniform(rng, 0.0, 0.8) if not outer else uniform(rng, 0.0, 0.45),
    }
    if class_id in STRAPPED:
        cut |= {"length": uniform(rng, 40, 60), "ease": uniform(rng, 0.3, 1.6), "waist": uniform(rng, 0.3, 1.0)}
    return cut


def _cut_dress(rng: Rng, class_id: int) -> dict:
    ease = uniform(rng, 0.4, 1.6) if class_id in STRAPPED else uniform(rng, 0.6, 2.6)
    return {
        "length": uniform(rng, 84, 128),
        "ease": ease,
        "flare": weighted(rng, {uniform(rng, 0, 4): 3, uniform(rng, 5, 14): 5, uniform(rng, 14, 22): 2}),
        "waist": uniform(rng, 0.2, 1.0),
    }


def _cut_lower(rng: Rng, class_id: int) -> dict:
    length = {7: uniform(rng, 20, 44), 8: uniform(rng, 68, 87), 9: uniform(rng, 36, 92)}[class_id]
    flare = (
        uniform(rng, -2.5, 4.5)
        if class_id in (7, 8)
        else weighted(rng, {uniform(rng, -2, 2): 3, uniform(rng, 4, 12): 4, uniform(rng, 12, 22): 2})
    )
    return {"length": length, "ease": uniform(rng, 0.4, 3.4), "flare": flare, "waist": 1.0}


def _sleeve(rng: Rng, class_id: int) -> dict:
    if class_id in SLEEVED_SHORT:
        return {
            "sleeve": uniform(rng, 13, 27),
            "sleeve_ease": uniform(rng, 0.8, 3.4),
            "sleeve_flare": uniform(rng, -0.5, 2.6),
        }
    if class_id in SLEEVED_LONG:
        return {
            "sleeve": uniform(rng, 48, 58),
            "sleeve_ease": uniform(rng, 0.7, 2.8),
            "sleeve_flare": uniform(rng, -0.8, 2.8),
        }
    return {"sleeve": 0.0, "sleeve_ease": 0.0, "sleeve_flare": 0.0}


def _neck(rng: Rng, class_id: int) -> dict:
    if class_id in STRAPPED:
        return {
            "neck": pick(rng, ("straight", "sweetheart", "vtop")),
            "neck_depth": uniform(rng, 11, 15),
            "neck_width": uniform(rng, 8.0, 10.5),
        }
    style = pick(rng, ("crew", "crew", "vee", "scoop", "boat", "square", "polo"))
    if class_id in OUTER:
        style = pick(rng, ("lapel", "stand", "hood", "crew", "vee", "shirt"))
    elif class_id in SLEEVED_LONG:
        style = pick(rng, ("crew", "vee", "boat", "shirt", "turtle", "hood", "scoop", "polo"))
    elif class_id in SLEEVED_SHORT:
        style = pick(rng, ("crew", "crew", "vee", "scoop", "boat", "square", "polo", "shirt"))
    depth = {
        "crew": 6.5,
        "vee": 16,
        "scoop": 12,
        "boat": 4.5,
        "square": 10,
        "polo": 8,
        "shirt": 8,
        "turtle": 2,
        "hood": 7,
        "lapel": 24,
        "stand": 5,
    }[style] * uniform(rng, 0.85, 1.15)
    width = {"boat": 12.0, "scoop": 9.5, "square": 9.5}.get(style, 7.8) * uniform(rng, 0.95, 1.1)
    if class_id in SLEEVELESS and style not in ("polo", "shirt"):
        width = max(width, 9.3)
    return {"neck": style, "neck_depth": depth, "neck_width": width}


def _details(rng: Rng, class_id: int, neck: str, pattern: str) -> tuple[str, ...]:
    chance = lambda name, p: [name] if rng.random() < p else []
    out: list[str] = []
    kind = kind_of(class_id)
    if kind == "outer":
        out += (
            [pick(rng, ("zip", "buttons", "buttons", "toggles"))]
            + chance("pockets", 0.7)
            + chance("chest_pockets", 0.25)
        )
        out += chance("belt", 0.12) + chance("yoke", 0.12) + chance("open", 0.5)
    elif kind == "lower":
        out += chance("belt", 0.25) + chance("side_stripe", 0.16) + chance("cuff", 0.25) + chance("pockets", 0.6)
        if class_id == 9:
            out += chance("pleats", 0.35) + chance("tiers", 0.12) + chance("buttons", 0.12) + chance("slit", 0.15)
        else:
            out += chance("crease", 0.25) + chance("cargo", 0.15) + chance("drawstring", 0.15)
    else:
        if neck in ("shirt", "polo"):
            out.append("placket" if neck == "polo" else "buttons")
        out += chance("pocket", 0.15) + chance("contrast_trim", 0.3) + chance("band", 0.08)
        if pattern in ("plain", "melange") and class_id not in STRAPPED:
            out += chance("print", 0.6)
        if kind == "dress":
            out += chance("belt", 0.3) + chance("tiers", 0.12) + chance("pleats", 0.15)
    out += (
        chance("contrast_sleeves", 0.12)
        + chance("block", 0.09)
        + chance("gradient", 0.06)
        + chance("hem_stripes", 0.09)
    )
    return tuple(out)


def random_product(rng: Rng, class_id: int | None = None, id: int = 0) -> Product:
    """A product of the class, or of any class."""
    class_id = class_id or int(rng.integers(1, 14))
    pattern = weighted(rng, PATTERNS)
    if class_id in (7, 8) and rng.random() < 0.45:
        pattern = pick(rng, ("plain", "denim", "denim", "melange"))
    cut = {"upper": _cut_upper, "outer": _cut_upper, "dress": _cut_dress, "lower": _cut_lower}[kind_of(class_id)](
        rng, class_id
    )
    neck = _neck(rng, class_id)
    palette = random_palette(rng)
    if pattern == "denim":
        palette = (pick(rng, ((62, 84, 126), (92, 122, 164), (36, 46, 74), (134, 160, 192), (48, 50, 56))),) + palette[
            1:
        ]
    return Product(
        id=id,
        seed=int(rng.integers(1 << 31)),
        class_id=class_id,
        colours=palette,
        pattern=pattern,
        pattern_scale=float(np.exp(uniform(rng, -0.55, 0.65))),
        rise=uniform(rng, 11, 18),
        **cut,
        **neck,
        **_sleeve(rng, class_id),
        details=_details(rng, class_id, neck["neck"], pattern),
        print_seed=int(rng.integers(1 << 31)),
    )


def near_variant(rng: Rng, product: Product, id: int, change: str | None = None) -> Product:
    """The same style with one thing changed: `colour`, `pattern`, `print` or `cut`."""
    change = change or weighted(rng, {"colour": 4, "pattern": 3, "print": 2, "cut": 2})
    if change == "colour":
        return replace(product, id=id, colours=random_palette(rng))
    if change == "pattern":
        others = [p for p in PATTERNS if p != product.pattern]
        return replace(
            product,
            id=id,
            seed=int(rng.integers(1 << 31)),
            pattern=pick(rng, others),
            colours=(product.colours[0],) + random_palette(rng)[1:],
        )
    if change == "print":
        details = (
            tuple(dict.fromkeys(product.details + ("print",)))
            if product.kind in ("upper", "dress")
            else product.details
        )
        return replace(
            product,
            id=id,
            details=details,
            print_seed=int(rng.integers(1 << 31)),
            seed=int(rng.integers(1 << 31)),
            pattern_scale=product.pattern_scale * uniform(rng, 0.6, 1.6),
        )
    other = random_product(rng, product.class_id)
    return replace(
        product,
        id=id,
        length=other.length,
        ease=other.ease,
        flare=other.flare,
        neck=other.neck,
        sleeve=other.sleeve,
        neck_depth=other.neck_depth,
        neck_width=other.neck_width,
        details=other.details,
    )


def product_set(seed: int, count: int) -> list[Product]:
    """`count` products with ids 1.., all classes equally often, about one in four a near variant of an earlier one."""
    out: list[Product] = []
    for i in range(count):
        rng = rng_for(seed, 1, i)
        class_id = i % 13 + 1
        if i >= 13 and rng.random() < 0.25:
            out.append(near_variant(rng, out[i - 13], i + 1))
        else:
            out.append(random_product(rng, class_id, i + 1))
    return out
