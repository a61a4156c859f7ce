"""A training set on disk: OUT/images/*.jpg and OUT/annotations.json."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import CLASSES
from .camera import encode
from .clip import Surroundings, empty_frame, make_scene, render
from .flat import shop_picture
from .mesh import bank
from .panorama import panoramas
from .photo_cut import PhotoProduct
from .photo_shop import shop_pictures
from .products import Product
from .sources import Photos, described, products_of
from .things import cutouts
from .util import Rng, pick, rng_for, uniform

TRAINING_SEEDS = range(0, 1_000_000)
"""Seeds `scripts/generate` accepts; the demo shop uses one beyond them."""


@dataclass(frozen=True)
class Spec:
    """What is asked of the generator."""

    out: Path
    products: int
    frames: int
    empty: int
    seed: int
    size: tuple[int, int] | None = None
    photos: Photos | None = None
    clips: int | None = None
    """Clips that each product is worn in; by default two, or one where the frames are few."""
    active: float = 0.0
    """Share of the clips whose figure is in motion, in clothes that fit close."""
    solid: float = 0.0
    """Share of the clips whose people have bodies of three dimensions; needs Anny, and `photos`."""

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


def outfits(rng: Rng, products: list[Product], rounds: int) -> list[list[int]]:
    """Who is worn with whom: lists of product indices, each product in about `rounds` of them."""
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


def _street(
    spec: Spec, products: list[Product], number: int, worn: list[int], frames: int
) -> tuple[list[tuple[str, bytes]], list[dict]]:
    """One clip. Frames in which a garment hardly shows do not count towards `frames` for it."""
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
    files, entries = [], []
    for k in range(frames * 2):
        frame = render(scene, rng, phase)
        phase += uniform(rng, 0.9, 2.2)
        name = f"c{number:05d}-{k:02d}.jpg"
        files.append((name, frame.jpeg))
        entries.append(
            {
                "file": f"images/{name}",
                "kind": "street",
                "clip": number,
                "frame": k,
                "width": frame.width,
                "height": frame.height,
                "garments": frame.garments,
            }
        )
        seen.update(g["product"] for g in frame.garments if g["visible"] >= 0.25)
        if k + 1 >= frames and all(seen[products[i].id] >= frames for i in worn):
            break
    return files, entries


def _shop_entry(name: str, width: int, height: int, garments: list[dict]) -> dict:
    return {
        "file": f"images/{name}",
        "kind": "shop",
        "clip": None,
        "frame": None,
        "width": width,
        "height": height,
        "garments": garments,
    }


def _photo_shop(spec: Spec, product: PhotoProduct, products: list[Product]) -> tuple[list, list[dict]]:
    """Two pictures of a photographed product; a model wears some other product with it."""
    rng = rng_for(spec.seed, 3, product.id)
    mates = [products[int(i)] for i in rng.integers(len(products), size=24)]
    frames = shop_pictures(product, rng, mates)
    names = [f"p{product.id:05d}-{k}.jpg" for k in range(len(frames))]
    entries = [_shop_entry(n, f.width, f.height, f.garments) for n, f in zip(names, frames)]
    return [(n, f.jpeg) for n, f in zip(names, frames)], entries


def _shop(spec: Spec, product: Product) -> tuple[list[tuple[str, bytes]], list[dict]]:
    files, entries = [], []
    rng = rng_for(spec.seed, 3, product.id)
    for k in range(1 + int(rng.random() < 0.5)):
        width, height = int(uniform(rng, 208, 304)), int(uniform(rng, 272, 352))
        shot = shop_picture(product, rng, width, height)
        name = f"p{product.id:05d}-{k}.jpg"
        files.append((name, encode(shot.image, int(rng.integers(75, 95)))))
        garment = {"product": product.id, "class": product.class_id, "box": list(shot.box), "visible": 1.0}
        entries.append(_shop_entry(name, width, height, [garment]))
    return files, entries


def _empty(spec: Spec, number: int) -> tuple[list[tuple[str, bytes]], list[dict]]:
    frame = empty_frame(rng_for(spec.seed, 4, number), spec.surroundings)
    name = f"e{number:05d}.jpg"
    entry = {
        "file": f"images/{name}",
        "kind": "empty",
        "clip": None,
        "frame": None,
        "width": frame.width,
        "height": frame.height,
        "garments": [],
    }
    return [(name, frame.jpeg)], [entry]


_JOB: tuple[Spec, list[Product]] | None = None


def _start(spec: Spec, products: list[Product]) -> None:
    global _JOB
    _JOB = (spec, products)


def _work(task: tuple) -> list[dict]:
    """Draws one task's pictures and writes them; returns their annotations."""
    spec, products = _JOB
    kind = task[0]
    if kind == "street":
        files, entries = _street(spec, products, *task[1:])
    elif kind == "shop":
        product = products[task[1]]
        if isinstance(product, PhotoProduct):
            files, entries = _photo_shop(spec, product, products)
        else:
            files, entries = _shop(spec, product)
    else:
        files, entries = _empty(spec, task[1])
    for name, data in files:
        (spec.out / "images" / name).write_bytes(data)
    return entries


def tasks(spec: Spec, products: list[Product]) -> list[tuple]:
    """Everything to draw, in the order of the annotations."""
    rounds = spec.clips or (2 if spec.frames >= 6 else 1)
    clips = outfits(rng_for(spec.seed, 5), products, rounds)
    share = -(-spec.frames // rounds)
    return (
        [("shop", i) for i in range(len(products))]
        + [("street", n, worn, share) for n, worn in enumerate(clips)]
        + [("empty", n) for n in range(spec.empty)]
    )


def generate(spec: Spec, workers: int = 1) -> dict:
    """Draws the data set and returns its annotations."""
    (spec.out / "images").mkdir(parents=True, exist_ok=True)
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
