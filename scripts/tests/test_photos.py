"""Tests of garments made from photos, with photos that are made here: two garments on a green ground."""

import filecmp
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import dataset, panorama, sources, things  # noqa: E402
from figures.active import close_fitting  # noqa: E402
from figures.photo import Unusable  # noqa: E402
from figures.photo_cloth import cloth_of  # noqa: E402
from figures.photo_cut import find_sleeve, photo_product  # noqa: E402
from figures.products import product_set  # noqa: E402
from figures.util import rng_for  # noqa: E402

GROUND, RED, BLUE, WHITE = (40, 170, 60), (190, 40, 50), (40, 60, 150), (240, 240, 240)
TEE = [(90, 40), (110, 50), (130, 40), (165, 55), (195, 110), (170, 122), (158, 100)]
TEE += [(158, 240), (62, 240), (62, 100), (50, 122), (25, 110), (55, 55)]
TROUSERS = [(80, 30), (140, 30), (160, 290), (122, 290), (110, 110), (98, 290), (60, 290)]
FILLED = TROUSERS[:3] + TROUSERS[-1:]
"""The trousers' mask, with the gap between the legs in it, as automatic cut-outs have it."""


def draw(root: Path, name: str, outline, colour, mask=None) -> None:
    picture = np.full((320, 220, 3), GROUND, np.uint8)
    cv2.fillPoly(picture, [np.array(outline)], colour)
    if outline is TEE:
        cv2.circle(picture, (110, 130), 22, WHITE, -1)
    cut = np.zeros((320, 220), np.uint8)
    cv2.fillPoly(cut, [np.array(mask or outline)], 255)
    for folder, image, kind in (("images", picture[:, :, ::-1], "jpg"), ("masks", cut, "png")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / folder / f"{name}.{kind}"), image)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos of 24 senders, one of each garment; a child's, an unclean and a sideways one."""
    root = tmp_path_factory.mktemp("photos")
    lines = ["image,label,sender_id,kids,ok"]
    for sender in range(24):
        draw(root, f"t{sender}", TEE, RED)
        draw(root, f"p{sender}", TROUSERS, BLUE, FILLED)
        lines += [f"t{sender},T-Shirt,{sender},False,1", f"p{sender},Pants,{sender},False,1"]
    draw(root, "aside", [(y, x) for x, y in TEE[:1] + TROUSERS], BLUE)
    lines += ["t0,T-Shirt,90,True,1", "t0,T-Shirt,91,False,0", "aside,Pants,92,False,1"]
    (root / "masks.csv").write_text("\n".join(lines) + "\n")
    (root / "places").mkdir()
    cv2.imwrite(str(root / "places" / "a.png"), np.random.default_rng(0).integers(0, 255, (64, 128, 3), np.uint8))
    (root / "objects" / "chairs").mkdir(parents=True)
    chair = np.zeros((40, 30, 4), np.uint8)
    chair[5:35, 10:20] = (0, 0, 250, 255)
    cv2.imwrite(str(root / "objects" / "chairs" / "red.png"), chair)
    return root


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    photos = sources.Photos(folder, folder / "places", share=0.6)
    spec = dataset.Spec(tmp_path_factory.mktemp("made"), 10, 2, 2, seed=3, photos=photos)
    return spec, dataset.generate(spec)


def test_the_same_arguments_give_the_same_files(made, tmp_path):
    spec, first = made
    again = dataset.generate(replace(spec, out=tmp_path), workers=2)
    assert again == first
    names = [Path(i["file"]).name for i in first["images"]]
    _, different, missing = filecmp.cmpfiles(spec.out / "images", tmp_path / "images", names, shallow=False)
    assert not different and not missing


def test_products_say_where_they_come_from(made):
    spec, result = made
    real = {int(k): p for k, p in result["products"].items() if p["source"] == "photo"}
    assert len(result["products"]) == 10 and len(real) == 6
    assert len({p["image"] for p in real.values()}) == 6, "each photo once"
    shown = {k: [] for k in real}
    for image in result["images"]:
        for g in image["garments"]:
            x0, y0, x1, y1 = g["box"]
            assert 0 <= x0 < x1 <= image["width"] and 0 <= y0 < y1 <= image["height"]
            if g["product"] in real:
                assert g["class"] == {"T-Shirt": 1, "Pants": 8}[real[g["product"]]["label"]]
                shown[g["product"]].append(image["kind"])
    for kinds in shown.values():
        assert kinds.count("shop") >= 2 and kinds.count("street") >= 2


def test_a_shop_picture_is_annotated_with_its_product_first_and_a_true_mask(made):
    spec, result = made
    real = {int(k): p for k, p in result["products"].items() if p["source"] == "photo"}
    for image in result["images"]:
        product = int(Path(image["file"]).name[1:6]) if image["kind"] == "shop" else 0
        if product not in real:
            continue
        assert image["garments"][0]["product"] == product
        if len(image["garments"]) > 1:
            continue
        picture = cv2.imread(str(spec.out / image["file"]))[:, :, ::-1].astype(int)
        colour = RED if real[product]["label"] == "T-Shirt" else BLUE
        near = np.abs(picture - np.array(colour)).sum(2) < 90
        mask = cv2.imread(str(spec.out / image["mask"]), cv2.IMREAD_GRAYSCALE)
        assert near[mask == 1].mean() > 0.85 and near[mask == 0].mean() < 0.02
        rows, cols = np.nonzero(near)
        seen = *(np.percentile(a, q) for q in (0.1, 99.9) for a in (cols, rows)),
        assert np.abs(np.array(seen) - image["garments"][0]["box"]).max() < 16


@pytest.mark.parametrize(("name", "label", "colour"), [("t1", "T-Shirt", RED), ("p1", "Pants", BLUE)])
def test_no_ground_comes_into_the_cloth(folder, name, label, colour):
    product = photo_product(rng_for(1), str(folder), name, label, 1)
    cloth = cloth_of(product, 3.0)
    for panel in (cloth.trunk, cloth.limb):
        rgb = panel.image[..., :3].astype(int)
        green = rgb[..., 1] > rgb[..., [0, 2]].max(-1) + 20
        assert green.mean() < 0.002
        assert (np.abs(rgb - np.array(colour)).sum(2) < 100).mean() > 0.8


def test_the_print_is_on_the_front_only_and_sleeves_are_found(folder):
    product = photo_product(rng_for(1), str(folder), "t2", "T-Shirt", 1)
    assert find_sleeve(product.photo()) and 12 <= product.sleeve <= 28
    panel = cloth_of(product, 3.0).trunk
    white = panel.image[..., :3].min(2) > 200
    columns = panel.x0 + np.flatnonzero(white.any(0)) / panel.ppc
    assert len(columns) and np.abs(columns).max() < 14


def test_photos_that_cannot_be_cut_are_refused(folder):
    with pytest.raises(Unusable, match="sideways|rows"):
        photo_product(rng_for(1), str(folder), "aside", "Pants", 1)
    with pytest.raises(Unusable, match="missing"):
        photo_product(rng_for(1), str(folder), "nowhere", "Pants", 1)


def test_the_splits_share_no_sender(folder):
    rows = {s: sources.listed(sources.Photos(folder, split=s)) for s in ("train", "test")}
    senders = {s: {r["sender_id"] for r in r} for s, r in rows.items()}
    assert senders["train"] and senders["test"] and not senders["train"] & senders["test"]
    assert len(senders["train"] | senders["test"]) == 25, "neither children's clothes nor unclean masks"


def test_a_view_of_a_place_has_the_wanted_size(folder):
    image = panorama.view(rng_for(1), panorama.panoramas(folder / "places"), 60, 90)
    assert image.shape == (90, 60, 3) and image.dtype == np.float32 and 20 < image.mean() < 235


def test_a_drawn_set_is_what_it_always_was(tmp_path):
    """The random streams of sets without photos; a change here changes every drawn set."""
    result = dataset.generate(dataset.Spec(tmp_path, 4, 2, 1, seed=11))
    assert set(result) == {"classes", "images"}
    told = [
        [i["file"], i["width"], i["height"], [[g["product"], g["class"]] for g in i["garments"]]]
        for i in result["images"]
    ]
    assert hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16] == "f4183991a1524817"


def test_people_in_motion_are_drawn_with_true_boxes_and_change_nothing_where_nobody_asks(folder, tmp_path):
    photos = sources.Photos(folder, None, 0.5, "train")
    plain = dataset.Spec(tmp_path / "plain", products=6, frames=2, empty=0, seed=5, photos=photos)
    moved = replace(plain, out=tmp_path / "moved", active=1.0)
    still, active = dataset.generate(plain), dataset.generate(moved)
    shop = lambda result: [image for image in result["images"] if image["kind"] == "shop"]
    street = lambda result: [image for image in result["images"] if image["kind"] == "street"]
    assert shop(still) == shop(active)
    assert street(still) != street(active)
    garments = [(image, garment) for image in street(active) for garment in image["garments"]]
    assert len(garments) > 10
    for image, garment in garments:
        x0, y0, x1, y1 = garment["box"]
        assert 0 <= x0 < x1 <= image["width"] and 0 <= y0 < y1 <= image["height"]


def test_close_clothes_are_no_wider_and_no_longer_than_they_may_be():
    rng = rng_for(3)
    worn = [(p, close_fitting(rng, p)) for p in product_set(3, 200)]
    changed = [(p, close) for p, close in worn if close != p]
    assert len(changed) > 30
    assert {p.kind for p, _ in changed} == {"upper", "lower"}
    for product, close in changed:
        assert close.class_id == product.class_id and close.id == product.id
        assert close.ease <= 0.4 and close.flare <= 0


def test_things_stand_behind_people_and_in_empty_scenes(folder, tmp_path):
    photos = sources.Photos(folder, None, 0.5, "train")
    plain = dataset.Spec(tmp_path / "plain", products=4, frames=2, empty=6, seed=5, photos=photos)
    among = replace(plain, out=tmp_path / "among", photos=replace(photos, objects=folder / "objects"))
    bare, furnished = dataset.generate(plain), dataset.generate(among)
    shop = lambda result: [image for image in result["images"] if image["kind"] == "shop"]
    assert shop(bare) == shop(furnished)
    empty = [image for image in furnished["images"] if image["kind"] == "empty"]
    assert len(empty) == 6 and not any(image["garments"] for image in empty)


def test_a_thing_is_cut_to_what_shows_of_it_and_covers_the_ground(folder, tmp_path):
    paths = things.cutouts(folder / "objects")
    ground = np.full((120, 90, 3), 128, np.float32)
    for seed in range(20):
        image = ground.copy()
        things.put(rng_for(seed), image, paths, 3)
        assert np.isfinite(image).all() and 0 <= image.min() and image.max() <= 255.01
        if (image[..., 0] - image[..., 1]).max() > 40:
            break
    else:
        raise AssertionError("no red thing in twenty pictures")
    assert np.abs(image - ground).max(axis=2).mean() > 1
    cv2.imwrite(str(tmp_path / "solid.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="solid.png: not a picture with transparency"):
        things.put(rng_for(1), ground, things.cutouts(tmp_path), 1)
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="no cut-outs"):
        things.cutouts(tmp_path / "none")
