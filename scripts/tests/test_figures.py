"""Tests of the drawing generator: the same seed gives the same files, and the boxes are true."""

import csv
import filecmp
import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import (  # noqa: E402
    CLASSES,  # noqa: E402
    clip,
    dataset,
    flat,
    shop,
    stage,
)
from figures.body import Body, Camera, Pose  # noqa: E402
from figures.canvas import Canvas, Light  # noqa: E402
from figures.fabric import PAINTERS, tile  # noqa: E402
from figures.garment import Worn  # noqa: E402
from figures.plays import PLAYS  # noqa: E402
from figures.products import PATTERNS, near_variant, product_set, random_product  # noqa: E402
from figures.texture import dress_up  # noqa: E402
from figures.util import rng_for  # noqa: E402
from figures.worn import Figure, draw_figure  # noqa: E402

DEMO = Path(__file__).resolve().parents[2] / "demo"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("small")
    spec = dataset.Spec(out, products=6, frames=2, empty=2, seed=11)
    return spec, dataset.generate(spec)


def test_the_files_depend_on_the_seed_alone(small, tmp_path):
    spec, first = small
    again = dataset.generate(replace(spec, out=tmp_path), workers=2)
    assert again == first
    names = [i[kind] for i in first["images"] for kind in ("file", "mask") if kind in i]
    same, different, missing = filecmp.cmpfiles(spec.out, tmp_path, names, shallow=False)
    assert not different and not missing and len(same) == len(names)


def test_annotations_are_complete_and_inside_the_pictures(small):
    spec, result = small
    on_disk = json.loads((spec.out / "annotations.json").read_text())
    assert on_disk == json.loads(json.dumps(result))
    assert tuple(on_disk["classes"]) == CLASSES
    shown = {}
    for image in on_disk["images"]:
        picture = cv2.imread(str(spec.out / image["file"]))
        assert picture.shape[:2] == (image["height"], image["width"])
        assert (image["kind"] == "empty") <= (not image["garments"])
        assert ("mask" in image) == bool(image["garments"])
        mask = cv2.imread(str(spec.out / image["mask"]), cv2.IMREAD_GRAYSCALE) if image["garments"] else None
        for place, g in enumerate(image["garments"], start=1):
            x1, y1, x2, y2 = g["box"]
            assert mask.shape == picture.shape[:2] and list(flat.box_of(mask == place)) == g["box"]
            assert 0 <= x1 < x2 <= image["width"] and 0 <= y1 < y2 <= image["height"]
            assert 1 <= g["class"] <= 13 and 0 < g["visible"] <= 1
            if image["kind"] == "street":
                shown[g["product"]] = shown.get(g["product"], 0) + 1
    assert set(shown) == set(range(1, spec.products + 1))
    assert min(shown.values()) >= spec.frames


@pytest.mark.parametrize("class_id", range(1, 14))
def test_every_class_draws_flat_and_worn(class_id):
    product = random_product(rng_for(5, class_id), class_id, 1)
    for back in (False, True):
        shot = flat.lay_flat(product, rng_for(6, class_id), 128, 160, back=back)
        assert shot.image.shape == (160, 128, 3) and shot.mask.mean() > 0.08
        assert shot.box == flat.box_of(shot.mask)
    assert flat.on_mannequin(product, rng_for(7, class_id), 128, 160).mask.mean() > 0.03
    canvas = Canvas(np.full((192, 128, 3), 128.0))
    draw_figure(canvas, Figure(Body(), [Worn(dress_up(product, 2.0), 1)]), Pose(), Camera(1.0, 64, 96), Light())
    (garment,) = clip.annotate(canvas, {1: product})
    rows, cols = np.nonzero(canvas.owner == 1)
    assert garment["box"] == [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
    # In a whole figure that nothing hides, a garment shows (its far side and what an arm covers apart).
    assert garment["visible"] > 0.6


def test_what_leaves_the_picture_counts_as_hidden():
    product = random_product(rng_for(5, 8), 8, 1)
    worn = Figure(Body(), [Worn(dress_up(product, 2.0), 1)])
    shares = []
    for cy in (100, 175):
        canvas = Canvas(np.full((200, 128, 3), 128.0))
        draw_figure(canvas, worn, Pose(), Camera(1.0, 64, cy), Light())
        shares += [g["visible"] for g in clip.annotate(canvas, {1: product})]
    assert shares[0] > 0.85 and shares[1] < 0.55


def test_every_pattern_tiles_and_is_the_same_at_any_resolution():
    assert set(PATTERNS) == set(PAINTERS)
    base = random_product(rng_for(1, 1), 1)
    for pattern in PATTERNS:
        product = replace(base, pattern=pattern, pattern_scale=1.0)
        fine, coarse = tile(product, 6.0), tile(product, 3.0)
        assert fine.shape[0] == 2 * coarse.shape[0]
        assert abs(fine.mean((0, 1)) - coarse.mean((0, 1))).max() < 6, pattern


def test_near_variants_keep_class_and_change_something():
    for i in range(20):
        product = random_product(rng_for(2, i), i % 13 + 1, 1)
        variant = near_variant(rng_for(3, i), product, 2)
        assert variant.class_id == product.class_id and replace(variant, id=1) != product


def test_training_products_and_demo_products_have_nothing_in_common():
    assert shop.DEMO_SEED not in dataset.TRAINING_SEEDS
    trained = {(p.colours, p.pattern, p.length) for p in product_set(1, 130)}
    assert not trained & {(a.product.colours, a.product.pattern, a.product.length) for a in shop.assortment()}


def test_the_assortment_covers_every_class():
    articles = shop.assortment()
    assert len(articles) == 72 and len({a.sku for a in articles}) == 72
    for class_id in range(1, 14):
        assert sum(a.product.class_id == class_id for a in articles) >= 4
    groups = {}
    for a in articles:
        groups.setdefault(a.group, []).append(a)
    for group in (g for name, g in groups.items() if name):
        cuts = {replace(a.product, id=0, colours=()) for a in group}
        assert len(group) > 1 and len(cuts) == 1, "a group is one style in several colours"


def test_plays_wear_what_the_shop_sells():
    skus = {a.sku for a in shop.assortment()}
    for play in PLAYS:
        for part in play.parts:
            assert set(part.wears) <= skus
        first = stage.value(play.parts[0].x, 0.0)
        assert abs(first) > 150, "the clip begins with an empty scene"


@pytest.mark.skipif(not (DEMO / "feed.csv").exists(), reason="the demo shop is not drawn")
def test_the_demo_feed_and_its_pictures():
    with open(DEMO / "feed.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == shop.COLUMNS and len(rows) == 72
    for row in rows:
        assert row["price"].endswith(" EUR") and row["availability"] in ("in_stock", "out_of_stock")
        for path in [row["image_link"], *filter(None, row["additional_image_link"].split(","))]:
            assert (DEMO / path).is_file(), path


@pytest.mark.skipif(not (DEMO / "feed.csv").exists(), reason="the demo shop is not drawn")
def test_demo_pictures_are_drawn_again_to_the_byte(tmp_path):
    (tmp_path / "pictures").mkdir()
    articles = shop.assortment()
    for article in (articles[1], articles[14]):
        names = [f"pictures/{article.sku}.jpg", *shop.write_pictures(tmp_path, article, 85)]
        assert len(names) == 2
        for name in names:
            assert (tmp_path / name).read_bytes() == (DEMO / name).read_bytes(), name


@pytest.mark.skipif(not (DEMO / "truth.json").exists(), reason="the demo clips are not drawn")
def test_the_demo_clips_agree_with_their_truth():
    for entry in json.loads((DEMO / "truth.json").read_text())["clips"]:
        data = (DEMO / entry["clip"]).read_bytes()
        assert len(data) <= stage.LARGEST and data.count(b"\xff\xd8\xff") == len(entry["frames"])
        assert not entry["frames"][9]["boxes"]
        seen = {b["id"] for f in entry["frames"] for b in f["boxes"]}
        assert seen >= set(entry["worn"])
        for f in entry["frames"]:
            for b in f["boxes"]:
                x1, y1, x2, y2 = b["box"]
                assert 0 <= x1 < x2 <= entry["width"] and 0 <= y1 < y2 <= entry["height"]


def test_a_shop_may_have_more_products_than_are_worn(tmp_path):
    spec = dataset.Spec(tmp_path, products=13, frames=6, empty=0, seed=3, worn=5)
    todo = dataset.tasks(spec, dataset.products_of(3, 13, None))
    assert sum(kind == "shop" for kind, *_ in todo) == 13
    assert len({i for kind, *rest in todo if kind == "street" for i in rest[1]}) == 5
    everything = dataset.tasks(dataset.Spec(tmp_path, products=13, frames=6, empty=0, seed=3), dataset.products_of(3, 13, None))
    assert {i for kind, *rest in everything if kind == "street" for i in rest[1]} == set(range(13))
