"""A training set on disk: OUT/images/*.jpg, OUT/masks/*.png and OUT/annotations.json.

A mask has the size of its picture; a pixel's value is the place, from 1 on, that the garment it shows has in the picture's list
of garments, and 0 where it shows none.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from . import CLASSES
from .clip import Frame, Surroundings, empty_frame, make_scene, render
from .flat import shop_picture
from .mesh import bank
from .panorama import panoramas
from .photo_cut import PhotoProduct
from .photo_shop import shop_frame, shop_pictures, whole
from .products import Product
from .sources import Photos, described, products_of
from .things import cutouts
from .util import Rng, pick, rng_for, uniform

TRAINING_SEEDS = range(0, 1_000_000)
"""Seeds `scripts/generate` accepts; the demo shop uses one beyond them."""


@dataclass(frozen=True)
class Spec:
    """Options of the generator."""

    out: Path
    products: int
    frames: int
    empty: int
    seed: int
    size: tuple[int, int] | None = None
    photos: Photos | None = None
    clips: int | None = None
    """Clips that each product is worn in; by default two, with fewer than 6 frames one."""
    active: float = 0.0
    """Share of the clips whose figure is in motion, in tight clothes."""
    solid: float = 0.0
    """Share of the clips whose people have 3D bodies; needs Anny, and `photos`."""
    worn: int | None = None
    """Number of products, evenly chosen among all, that the people of clips are dressed in; by default all. The others are seen on
    shop pictures, and on passers-by."""

    @cached_property
    def surroundings(self) -> Surroundings | None:
        """None when everything is drawn."""
        if self.photos is None:
            return None
        places, objects = self.photos.backgrounds, self.photos.objects
        return Surroundings(
            panoramas(places) if places else (),
            cutouts(objects) if objects else (),
            bank(self.seed) if self.solid else (),
        )


Picture = tuple[dict, dict[str, bytes]]
"""An annotation, and the files that belong to it."""


def _picture(name: str, kind: str, frame: Frame, clip: int | None = None, number: int | None = None) -> Picture:
    entry = {
        "file": f"images/{name}.jpg",
        "kind": kind,
        "clip": clip,
        "frame": number,
        "width": frame.width,
        "height": frame.height,
        "garments": [{key: value for key, value in g.items() if key != "mask"} for g in frame.garments],
    }
    files = {entry["file"]: frame.jpeg}
    if frame.garments:
        places = np.zeros((frame.height, frame.width), np.uint8)
        for place, garment in enumerate(frame.garments, start=1):
            places[garment["mask"]] = place
        entry["mask"] = f"masks/{name}.png"
        files[entry["mask"]] = cv2.imencode(".png", places)[1].tobytes()
    return entry, files


def outfits(rng: Rng, products: list[Product], rounds: int) -> list[list[int]]:
    """Combinations of products: lists of product indices, each product in about `rounds` of them."""
    by = {kind: [i for i, p in enumerate(products) if p.kind == kind] for kind in ("upper", "outer", "lower", "dress")}
    out: list[list[int]] = []
    for _ in range(rounds):
        order = {kind: list(rng.permutation(ids)) if ids else [] for kind, ids in by.items()}
        pairs = max(len(order["upper"]), len(order["lower"]))
        sets = []
        for k in range(pairs):
            sets.append([int(order[kind][k % len(order[kind])]) for kind in ("lower", "upper") if order[kind]])
        sets += [[int(i)] for i in order["dress"]]
        shown = len(sets)
        for k, i in enumerate(order["outer"]):
            if shown and k % 4 != 3:  # open, over something
                sets[(k * 7) % shown].append(int(i))
            else:  # closed, so that nothing worn beneath is lost
                sets.append([int(order["lower"][k % len(order["lower"])]), int(i)] if order["lower"] else [int(i)])
        out += sets
    return out


def _street(spec: Spec, products: list[Product], number: int, worn: list[int], frames: int) -> list[Picture]:
    """One clip. Frames in which a garment is barely visible do not count towards its `frames`."""
    rng = rng_for(spec.seed, 2, number)
    others: list[Product] = []
    if rng.random() < 0.25:
        others = [products[int(rng.integers(len(products)))]]
        other = others[0]
        if other.kind in ("upper", "lower"):
            mates = [p for p in products if p.kind == ("lower" if other.kind == "upper" else "upper")]
            others += [pick(rng, mates)] if mates else []
        if {p.id for p in others} & {products[i].id for i in worn}:
            others = []
    scene = make_scene(rng, [products[i] for i in worn], others, spec.size, spec.surroundings, spec.active, spec.solid)
    phase, seen = uniform(rng, 0, 6.28), Counter()
    pictures = []
    for k in range(frames * 2):
        frame = render(scene, rng, phase)
        phase += uniform(rng, 0.9, 2.2)
        pictures.append(_picture(f"c{number:05d}-{k:02d}", "street", frame, number, k))
        seen.update(g["product"] for g in frame.garments if g["visible"] >= 0.25)
        if k + 1 >= frames and all(seen[products[i].id] >= frames for i in worn):
            break
    return pictures


def _photo_shop(spec: Spec, product: PhotoProduct, products: list[Product]) -> list[Picture]:
    """Two pictures of a photographed product; a model wears some other product with it."""
    rng = rng_for(spec.seed, 3, product.id)
    mates = [products[int(i)] for i in rng.integers(len(products), size=24)]
    frames = shop_pictures(product, rng, mates)
    return [_picture(f"p{product.id:05d}-{k}", "shop", frame) for k, frame in enumerate(frames)]


def _shop(spec: Spec, product: Product) -> list[Picture]:
    pictures = []
    rng = rng_for(spec.seed, 3, product.id)
    for k in range(1 + int(rng.random() < 0.5)):
        width, height = int(uniform(rng, 208, 304)), int(uniform(rng, 272, 352))
        shot = shop_picture(product, rng, width, height)
        frame = shop_frame(rng, shot.image, [whole(product, shot.box, shot.mask)])
        pictures.append(_picture(f"p{product.id:05d}-{k}", "shop", frame))
    return pictures


def _empty(spec: Spec, number: int) -> list[Picture]:
    return [_picture(f"e{number:05d}", "empty", empty_frame(rng_for(spec.seed, 4, number), spec.surroundings))]


_JOB: tuple[Spec, list[Product]] | None = None


def _start(spec: Spec, products: list[Product]) -> None:
    global _JOB
    _JOB = (spec, products)


def _work(task: tuple) -> list[dict]:
    """Draws one task's pictures and writes them; returns their annotations."""
    spec, products = _JOB
    kind = task[0]
    if kind == "street":
        pictures = _street(spec, products, *task[1:])
    elif kind == "shop":
        product = products[task[1]]
        if isinstance(product, PhotoProduct):
            pictures = _photo_shop(spec, product, products)
        else:
            pictures = _shop(spec, product)
    else:
        pictures = _empty(spec, task[1])
    for entry, files in pictures:
        for name, data in files.items():
            (spec.out / name).write_bytes(data)
    return [entry for entry, _ in pictures]


def tasks(spec: Spec, products: list[Product]) -> list[tuple]:
    """Everything to draw, in the order of the annotations."""
    rounds = spec.clips or (2 if spec.frames >= 6 else 1)
    count, worn = len(products), min(spec.worn or len(products), len(products))
    chosen = [i for i in range(count) if (i + 1) * worn // count > i * worn // count]
    made = outfits(rng_for(spec.seed, 5), [products[i] for i in chosen], rounds)
    clips = [[chosen[i] for i in outfit] for outfit in made]
    share = -(-spec.frames // rounds)
    return (
        [("shop", i) for i in range(len(products))]
        + [("street", n, worn, share) for n, worn in enumerate(clips)]
        + [("empty", n) for n in range(spec.empty)]
    )


def generate(spec: Spec, workers: int = 1) -> dict:
    """Draws the data set and returns its annotations."""
    for folder in ("images", "masks"):
        (spec.out / folder).mkdir(parents=True, exist_ok=True)
    products = products_of(spec.seed, spec.products, spec.photos)
    todo, images = tasks(spec, products), []
    begun = time.monotonic()
    spec.surroundings  # read once, before the workers are forked
    pool = multiprocessing.get_context("fork").Pool(workers, _start, (spec, products)) if workers > 1 else None
    if pool is None:
        _start(spec, products)
    results = pool.imap(_work, todo, chunksize=4) if pool else map(_work, todo)
    for n, entries in enumerate(results):
        images += entries
        if n % 50 == 49 or n == len(todo) - 1:
            pace = len(images) / max(time.monotonic() - begun, 1e-6)
            print(
                f"\r{n + 1}/{len(todo)} tasks, {len(images)} pictures, {pace:.0f}/s",
                end="",
                file=sys.stderr,
                flush=True,
            )
    print(file=sys.stderr)
    if pool:
        pool.close()
        pool.join()
    result = {"classes": list(CLASSES), "images": images}
    if spec.photos is not None:
        result["products"] = described(products)
    (spec.out / "annotations.json").write_text(json.dumps(result))
    return result
