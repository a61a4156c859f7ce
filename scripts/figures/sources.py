"""The garment photos of a data set, and its products: photographed ones first, then drawn ones."""

from __future__ import annotations

import csv
import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from .photo import Unusable
from .photo_cut import PhotoProduct, photo_product
from .products import Product, product_set
from .util import rng_for

TRAIN_SHARE = 0.85
"""Share of the senders of photos who belong to the training split."""


@dataclass(frozen=True)
class Photos:
    """Folders of real pictures, and the share of them to use."""

    garments: Path
    backgrounds: Path | None = None
    share: float = 0.7
    """Share of photographed products among all."""
    split: str = "train"
    objects: Path | None = None
    """Folder of cut-outs of objects that are not clothes."""


def split_of(sender: str) -> str:
    """train or test; depends only on the sender, whose photos share their background."""
    number = int.from_bytes(hashlib.sha256(sender.encode()).digest()[:4], "big")
    return "train" if number < TRAIN_SHARE * 2**32 else "test"


def listed(photos: Photos) -> list[dict]:
    """Rows of masks.csv that may be used: clean masks, adults' clothes, the requested split."""
    path = photos.garments / "masks.csv"
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    good = lambda r: r["ok"] == "1" and r["kids"] != "True" and float(r.get("solidity") or 1) >= 0.5
    return sorted((r for r in rows if good(r) and split_of(r["sender_id"]) == photos.split), key=lambda r: r["image"])


def photo_products(seed: int, count: int, photos: Photos) -> list[PhotoProduct]:
    """Up to `count` products, ids 1.., each of another photo; unusable photos are skipped."""
    rows = listed(photos)
    out: list[PhotoProduct] = []
    for i in rng_for(seed, 6).permutation(len(rows)):
        if len(out) == count:
            break
        row = rows[int(i)]
        try:
            rng = rng_for(seed, 7, int(i))
            out.append(photo_product(rng, str(photos.garments), row["image"], row["label"], len(out) + 1))
        except Unusable:
            continue
    if len(out) < count:
        print(f"{photos.garments}: only {len(out)} usable photos of {photos.split}", file=sys.stderr)
    return out


def products_of(seed: int, count: int, photos: Photos | None) -> list[Product]:
    """`count` products with ids 1.., of which `photos.share` are photographed, if there are enough photos."""
    if photos is None:
        return product_set(seed, count)
    real = photo_products(seed, round(count * photos.share), photos)
    drawn = product_set(seed, count - len(real))
    return real + [replace(p, id=len(real) + p.id) for p in drawn]


def described(products: list[Product]) -> dict[str, dict]:
    """The source of each product, by id."""
    tell = lambda p: (
        {"source": "photo", "label": p.label, "image": p.image} if isinstance(p, PhotoProduct) else {"source": "drawn"}
    )
    return {str(p.id): tell(p) for p in products}
