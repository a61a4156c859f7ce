"""The demo shop: products from the assortment, the feed, its pictures."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from .assortment import BRANDS, COLOURS, PRICES, PRODUCT_TYPES, ROWS
from .camera import encode
from .flat import lay_flat, on_mannequin
from .products import SLEEVELESS, STRAPPED, Product, random_product
from .util import rng_for

DEMO_SEED = 7_000_001
"""Beyond the training seeds: nothing of the demo shop is ever trained on."""

COLUMNS = (
    "id",
    "title",
    "description",
    "link",
    "image_link",
    "additional_image_link",
    "price",
    "brand",
    "color",
    "size",
    "availability",
    "product_type",
    "item_group_id",
)
"""Google Merchant's attribute names."""

PICTURE = (600, 750)
NECK_DEPTHS = {
    "crew": 6.5,
    "vee": 15,
    "scoop": 11,
    "boat": 4.5,
    "square": 9.5,
    "polo": 8,
    "shirt": 8,
    "turtle": 2,
    "hood": 7,
    "lapel": 24,
    "stand": 5,
    "straight": 12,
    "sweetheart": 12.5,
    "vtop": 12.5,
}


@dataclass(frozen=True)
class Article:
    """A product as the shop sells it."""

    sku: str
    product: Product
    title: str
    colours: tuple[str, ...]
    group: str


def assortment() -> list[Article]:
    """The demo shop's 72 articles, in feed order."""
    styles: dict[str, int] = {}
    return [_article(i, row, styles.setdefault(row[5] or f"row-{i}", i)) for i, row in enumerate(ROWS)]


def _article(number: int, row: tuple, style: int) -> Article:
    title, class_id, pattern, names, cut, group = row
    base = random_product(rng_for(DEMO_SEED, style), class_id, number + 1)
    colours = names.replace("light denim", "light_denim").split()
    colours = tuple(c.replace("_", " ") for c in colours)
    neck = cut.get("neck", base.neck)
    change = {k: float(cut[k]) for k in ("length", "ease", "flare", "waist") if k in cut}
    product = replace(
        base,
        pattern=pattern,
        colours=tuple(COLOURS[c] for c in colours),
        details=tuple(cut.get("details", "").split()),
        neck=neck,
        neck_depth=NECK_DEPTHS.get(neck, base.neck_depth),
        neck_width=_neck_width(neck, base),
        pattern_scale=cut.get("scale", 1.0),
        ease=change.pop("ease", min(base.ease, 3.0)),
        style=cut.get("style", ""),
        print_kind=cut.get("print", -1),
        **change,
    )
    shown = tuple(dict.fromkeys(colours[:1] if pattern in ("plain", "denim", "knit", "melange") else colours[:3]))
    return Article(f"V{101 + number}", product, title, shown, group)


def _neck_width(neck: str, base: Product) -> float:
    if base.class_id in STRAPPED:
        return base.neck_width
    least = 9.3 if base.class_id in SLEEVELESS else 7.9
    return {"boat": 11.0 if base.class_id in SLEEVELESS else 12.0, "scoop": 9.5, "square": 9.5}.get(neck, least)


def feed_row(article: Article, extra: list[str]) -> dict[str, str]:
    rng = rng_for(DEMO_SEED, 77, article.product.id)
    low, high = PRICES[article.product.class_id]
    group_rng = rng_for(DEMO_SEED, 78, sum(map(ord, article.group or article.sku)))
    price = int(group_rng.integers(low, high + 1)) + 0.90
    colour = (
        " and ".join((", ".join(article.colours[:-1]), article.colours[-1]))
        if len(article.colours) > 1
        else article.colours[0]
    )
    return {
        "id": article.sku,
        "title": f"{article.title}, {article.colours[0]}",
        "description": f"{article.title} in {colour}. Drawn for the vetrina demo shop.",
        "link": f"https://shop.example/p/{article.sku}",
        "image_link": f"pictures/{article.sku}.jpg",
        "additional_image_link": ",".join(extra),
        "price": f"{price:.2f} EUR",
        "brand": BRANDS[int(group_rng.integers(len(BRANDS)))],
        "color": "/".join(article.colours),
        "size": ("S", "M", "L")[int(rng.integers(3))],
        "availability": "out_of_stock" if article.product.id % 24 == 0 else "in_stock",
        "product_type": PRODUCT_TYPES[article.product.class_id],
        "item_group_id": article.group,
    }


def _shrunk(draw, width: int, height: int, **options) -> np.ndarray:
    """Draws at twice the size and halves it."""
    shot = draw(width=width * 2, height=height * 2, **options)
    return cv2.resize(shot.image, (width, height), interpolation=cv2.INTER_AREA)


def write_feed(out: Path, quality: int = 85) -> list[Article]:
    """Writes OUT/feed.csv and OUT/pictures/."""
    articles = assortment()
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    with open(out / "feed.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for article in articles:
            writer.writerow(feed_row(article, write_pictures(out, article, quality)))
    return articles


def write_pictures(out: Path, article: Article, quality: int) -> list[str]:
    """Writes an article's pictures; returns the paths of the additional ones."""
    p, (w, h) = article.product, PICTURE
    rng = rng_for(DEMO_SEED, 79, p.id)
    path = f"pictures/{article.sku}.jpg"
    (out / path).write_bytes(encode(_shrunk(lay_flat, w, h, product=p, rng=rng), quality))
    extra = []
    if p.id % 9 == 2:
        extra.append(
            (f"pictures/{article.sku}-back.jpg", lambda: _shrunk(lay_flat, w, h, product=p, rng=rng, back=True))
        )
    if p.id % 11 == 4:
        extra.append((f"pictures/{article.sku}-worn.jpg", lambda: _shrunk(on_mannequin, w, h, product=p, rng=rng)))
    for name, draw in extra:
        (out / name).write_bytes(encode(draw(), quality))
    return [name for name, _ in extra]
