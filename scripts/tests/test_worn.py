"""Real wear: what the masks say, what is measured, and a tiny recipe from data folders to a model folder."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from drawn import write

from seamnet.folder.manifest import read_manifest
from seamnet.model.config import CLASSES, COMPACT
from seamnet.train import augment, detector, losses, match, views, worn
from seamnet.train.features import Garments
from seamnet.train.loop import Schedule, run
from seamnet.train.recipe import Recipe, RecipeError, Run, folder_digest
from seamnet.train.worn import Counts, Found, Tagged, Worn, bare_arms, overlaps, parts, share

REPOSITORY = Path(__file__).resolve().parents[2]
LABELS = ["null", "skin", "blouse", "coat", "skirt", "pants", "bag", "suit", "dress"]
SKIN, BLOUSE, COAT, SKIRT, PANTS, BAG, SUIT, DRESS = range(1, 9)


def write_worn(root: Path, count: int = 11) -> Path:
    """People of rectangles, 96 x 144, one in each photo: by turns bare arms, a coat, a bag, a suit."""
    rng = np.random.default_rng(3)
    (root / "photos").mkdir(parents=True)
    (root / "masks").mkdir()
    photos, boxes = ["photo,width,height,masked,tags"], ["photo,label,x0,y0,x1,y1,pixels"]
    for n in range(1, count + 1):
        mask = np.zeros((144, 96), np.uint8)
        mask[10:24, 40:56] = SKIN
        mask[70:130, 32:64] = SUIT if n % 4 == 3 else PANTS if n % 2 else SKIRT
        mask[24:74, 32:64] = SUIT if n % 4 == 3 else BLOUSE
        if n % 4 == 1:
            mask[30:80, 22:31] = mask[30:80, 65:74] = SKIN
        if n % 4 == 2:
            mask[24:90, 28:38] = mask[24:90, 58:68] = COAT
        mask[80:100, 72:86] = BAG
        name = f"{n:04d}"
        colours = rng.integers(30, 225, size=(len(LABELS), 3))
        cv2.imwrite(str(root / "photos" / f"{name}.jpg"), colours[mask].astype(np.uint8))
        cv2.imwrite(str(root / "masks" / f"{name}.png"), mask)
        photos.append(f"{name},96,144,1,")
        for k in np.unique(mask[mask > 0]):
            y, x = np.nonzero(mask == k)
            boxes.append(f"{name},{LABELS[k]},{x.min()},{y.min()},{x.max() + 1},{y.max() + 1},{len(x)}")
    photos.append("9000,96,144,0,null;bag")
    cv2.imwrite(str(root / "photos" / "9000.jpg"), rng.integers(0, 255, (144, 96, 3), np.uint8))
    (root / "photos.csv").write_text("\n".join(photos) + "\n")
    (root / "boxes.csv").write_text("\n".join(boxes) + "\n")
    (root / "labels.txt").write_text("\n".join(f"{k},{name}" for k, name in enumerate(LABELS)))
    return root


def test_every_fifth_masked_photo_is_never_trained_on(tmp_path):
    people = Worn(write_worn(tmp_path / "worn"))
    assert people.held_out == ["0001", "0006", "0011"]
    assert people.training == ["0002", "0003", "0004", "0005", "0007", "0008", "0009", "0010"]


def test_what_a_mask_leaves_open_stays_open(tmp_path):
    people = Worn(write_worn(tmp_path / "worn"))
    told = {photo: {g.label: g.classes for g in people.garments(photo)} for photo in ("0002", "0003", "0004", "0005")}
    assert told["0005"] == {"blouse": (1, 5, 6), "pants": (8,)}, "bare arms: no long sleeves"
    assert told["0004"] == {"blouse": (2,), "skirt": (9,)}, "no skin: long sleeves"
    assert told["0002"] == {"blouse": (1, 2, 5, 6), "coat": (4,), "skirt": (9,)}, "a coat hides the sleeves below"
    assert told["0003"] == {"suit": ()}, "a jacket and trousers in one: neither garment nor background"


def test_two_people_are_two_garments_and_an_open_coat_is_one():
    mask = np.zeros((100, 200), bool)
    mask[20:80, 10:40] = mask[20:80, 150:180] = True
    assert len(parts(mask)) == 2
    mask[20:80, 150:180] = False
    mask[20:80, 55:85] = True
    assert len(parts(mask)) == 1
    assert bare_arms(mask, np.zeros_like(mask)) == 0


def test_figures_of_the_held_out_photos():
    truth = [("blouse", (0, 0, 10, 10), 0.2), ("skirt", (0, 10, 10, 20), 0.2), ("coat", (50, 50, 60, 60), 0.001)]
    seen = [
        Found((0, 0, 10, 10), 0.9, CLASSES.index("trousers") + 1),
        Found((0, 11, 10, 20), 0.6, CLASSES.index("skirt") + 1),
        Found((80, 0, 90, 10), 0.7, 8),
        Found((80, 0, 90, 10), 0.4, 8),
    ]
    counts = Counts(0.5)
    counts.add("0001", truth, seen)
    assert (counts.garments, counts.found, counts.region_right, counts.boxes) == (2, 2, 1, 3)
    assert [one.score for _, one in counts.stray] == [0.7] and counts.wrong[0][1] == "blouse"
    assert overlaps([(0, 0, 2, 2)], [(1, 0, 3, 2)])[0, 0] == pytest.approx(1 / 3)
    assert share(41, 50) == "0.820 (0.69-0.90; 41 of 50)"


def test_a_set_of_classes_costs_nothing_where_any_of_them_is_sure():
    table = torch.zeros(3, 14, dtype=torch.bool)
    table[0, 0] = table[1, 1] = table[2, 1] = table[2, 2] = True
    logits = torch.full((1, 14), -20.0)
    logits[0, 2] = 20.0
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    deltas = torch.zeros(1, 14 * 4)
    loss, _ = losses.box_loss(logits, deltas, box, torch.tensor([2]), box, table)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss, _ = losses.box_loss(logits, deltas, box, torch.tensor([1]), box, table)
    assert loss.item() > 30


def test_a_view_keeps_box_and_mask_together(tmp_path):
    people = Worn(write_worn(tmp_path / "worn"))
    scene = people.scene("0004")
    cut = augment.cut(scene, (0, 0, 96, 144), (288, 192), 0.0, mirror=True)
    blouse = [g.label for g in people.garments("0004")].index("blouse")
    assert np.abs(cut.boxes[blouse] - np.array([64, 48, 128, 148])).max() <= 8
    assert cut.visible[blouse] == pytest.approx(1, abs=0.05)
    shop = augment.studio(scene, blouse, np.random.default_rng(1))
    assert (shop.places > 0).sum() == pytest.approx(46 * 32, abs=200) and shop.picture[0, 0].min() > 100


def guess(name: str, score: float, *box: float) -> Found:
    return Found(box, score, CLASSES.index(name) + 1)


def test_tags_say_what_is_where_the_model_finds_it():
    numbers = Tagged(views=1)
    shirt = guess("long_sleeved_shirt", 0.9, 10, 10, 50, 60)
    skirt = guess("skirt", 0.8, 12, 60, 48, 100)
    stockings = guess("trousers", 0.7, 15, 95, 45, 140)
    part = guess("vest", 0.6, 12, 12, 30, 50)
    passer_by = guess("vest", 0.7, 150, 10, 190, 60)
    rows = worn.tagged_garments({"blouse", "skirt", "stockings", "null"}, [shirt, skirt, stockings, passer_by, part], numbers)
    assert rows == [(shirt.box, (1, 2, 5, 6)), (skirt.box, (9,)), (stockings.box, ()), (passer_by.box, ())], "one skirt, one blouse"
    assert worn.tagged_garments({"blouse", "pants"}, [shirt], numbers) is None, "the trousers would be background"
    assert worn.tagged_garments({"bag"}, [stockings], numbers) == [], "no garment is worn: what is found is none"
    small = guess("skirt", 0.8, 0, 0, 10, 10)
    assert worn.tagged_garments({"blouse", "skirt"}, [shirt, small], numbers) is None, "somebody else's"
    assert worn.tagged_garments({"suit"}, [shirt], numbers) == [(shirt.box, ())], "a suit may be a jacket"


def test_a_dress_in_two_parts_is_one_dress():
    numbers = Tagged(views=1)
    seen = [guess("vest", 0.8, 10, 10, 50, 60), guess("skirt", 0.7, 8, 58, 52, 120)]
    assert worn.tagged_garments({"dress"}, seen, numbers) == [((8, 10, 52, 120), (10, 11, 12, 13))]
    apart = [seen[0], guess("skirt", 0.7, 80, 58, 120, 120)]
    assert worn.tagged_garments({"dress"}, apart, numbers) is None


def test_a_view_of_a_tagged_photo_moves_its_boxes_too():
    picture = np.zeros((144, 96, 3), np.uint8)
    picture[40:100, 20:60] = 255
    rows = [((20, 40, 60, 100), (9,)), ((0, 0, 4, 4), ())]
    for seed in range(6):
        image, size, truth = views.tagged_view(picture, rows, np.random.default_rng(seed))
        x0, y0, x1, y1, _, shown = truth[0]
        light = image.mean(axis=0)[: size[0], : size[1]]
        inside = light[round(y0) : round(y1), round(x0) : round(x1)]
        assert shown > 0.2 and inside.mean() > light.mean() + 0.3, seed
        assert all(row[4] == 1 and row[5] <= 0.1 for row in truth[1:])


def test_packed_levels_come_back():
    config = COMPACT
    h, w = (side // 8 for side in config.input_size)
    first = torch.randn(1, config.channels + config.extra, h, w)
    levels = [first]
    for k in (1, 2):
        beside = torch.nn.functional.avg_pool2d(levels[-1][:, config.channels :], 2)
        levels.append(torch.cat([torch.randn(1, config.channels, h >> k, w >> k), beside], dim=1))
    row = torch.from_numpy(views.packed(levels, config.channels).astype(np.float32))[None]
    for level, back in zip(levels, views.unpacked(row, config)):
        assert (level - back).abs().max() < 0.01


RECIPE = """
[begin]
folder = "models/compact"
descriptor_hash = "{hash}"
[data.worn]
sha256 = "{worn}"
[data.backgrounds]
sha256 = "{backgrounds}"
[generate]
[views]
whole = 1
mosaics = 2
close = 1
places = 2
views = 2
[tagged]
views = 2
sure = 0.001
seen = 0.001
[detector]
schedule = {{ steps = 3 }}
batch = {{ whole = 1, tagged = 1, close = 1, place = 1 }}
rois = 8
[match]
place = {{ steps = 2 }}
schedule = {{ steps = 2 }}
products = 4
others = 4
[export]
name = "compact"
worn_offset = -0.5
description = "tiny"
licence = "MIT OR Apache-2.0"
provenance = "a test"
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> tuple[Path, dict[str, Path], Run]:
    """A recipe file, its folders, and a finished run of it."""
    torch.set_num_threads(1)
    root, model = tmp_path_factory.mktemp("tiny"), REPOSITORY / "models" / "compact"
    street, backgrounds = write_worn(root / "worn"), root / "backgrounds"
    backgrounds.mkdir()
    cv2.imwrite(str(backgrounds / "room.jpg"), np.random.default_rng(1).integers(0, 255, (64, 128, 3), np.uint8))
    path, out = root / "tiny.toml", root / "run"
    hashes = {"worn": folder_digest(street), "backgrounds": folder_digest(backgrounds)}
    path.write_text(RECIPE.format(hash=read_manifest(model)["descriptor_hash"], **hashes))
    folders = {"worn": street, "backgrounds": backgrounds, "begin": model}
    run = Run(Recipe.read(path), folders, out)
    write(out / "generated")
    (out / "generate.done").write_text(run.recipe.digest_of("generate"))
    run.run()
    return path, folders, run


def test_a_tiny_recipe_makes_a_model_folder_and_goes_on_where_it_stopped(tiny, tmp_path):
    path, folders, run = tiny
    out = run.out
    told = read_manifest(out / "model")
    assert run.recipe.digest in told["provenance"] and told["aggregation"]["worn_offset"] == -0.5
    last = json.loads((out / "real-heads.log").read_text().splitlines()[-1])
    assert last["step"] == 3 and {"found", "val_found", "class"} <= last.keys()
    kept = views.StoredViews([out / "views-detector", out / "views-tagged"], left_out=run.validation)
    assert len(kept.kinds["tagged"]) == 2, "nothing is worn there: both views are background"
    assert kept.sample(kept.kinds["tagged"][0]).boxes.shape == (0, 4)
    before = (out / "detector.pth").stat().st_mtime_ns
    run.run()
    assert (out / "detector.pth").stat().st_mtime_ns == before
    other = tmp_path / "other.toml"
    other.write_text(path.read_text().replace('"a test"', '"another"'))
    with pytest.raises(RecipeError, match="export was made with other numbers"):
        Run(Recipe.read(other), folders, out).run()


def test_a_plot_is_drawn_from_the_log_of_a_stage(tiny, tmp_path):
    plot = [sys.executable, REPOSITORY / "scripts" / "plot-run"]
    subprocess.run([*plot, tiny[2].out / "real-heads.log", tmp_path / "plot"], check=True)
    assert cv2.imread(str(tmp_path / "plot")).shape[1] == 3 * 420
    done = subprocess.run([*plot, tiny[0], tmp_path / "plot"], capture_output=True, text=True)
    assert done.returncode == 1 and "not the log of a stage" in done.stderr


class Cut(Exception):
    """The power failed."""


def trained(train, out: Path, lines: int) -> None:
    """Calls `train(run)`, whose `run` of a stage is cut behind the `lines`th log line."""
    said = []

    def report(line: str) -> None:
        said.append(line)
        if len(said) > lines:
            raise Cut

    train(lambda stage: run(dataclasses.replace(stage, log_every=3), out, report, save_every=0))


@pytest.mark.parametrize("part,cuts", (("detector", (1,)), ("match", (1, 3, 5))))
def test_the_stages_on_real_people_go_on_to_the_bit_where_they_were_cut(tiny, tmp_path, part, cuts):
    _, _, made = tiny
    stored = views.StoredViews([made.out / "views-detector"], left_out=made.validation)
    garments, strangers = (Garments.of_views(made.out / "views-match", made.validation, only) for only in (False, True))
    heads = dataclasses.replace(made.recipe["detector"], schedule=Schedule(steps=6))
    numbers = dataclasses.replace(made.recipe["match"], schedule=Schedule(steps=6), place=Schedule(steps=6))

    def state(out: Path, lines: int) -> dict[str, torch.Tensor]:
        network = made.network(made.begin)
        train = {
            "detector": lambda run: run(detector.view_heads(network, stored, heads)),
            "match": lambda run: match.fit(network, garments, strangers, numbers, run, lambda _: None),
        }[part]
        trained(train, out, lines)
        return network.state_dict()

    whole = state(tmp_path / "whole", 99)
    assert any(not torch.equal(v, whole[k]) for k, v in made.network(made.begin).state_dict().items())
    for lines in cuts:
        with pytest.raises(Cut):
            state(tmp_path / f"cut-{lines}", lines)
        resumed = state(tmp_path / f"cut-{lines}", 99)
        assert all(torch.equal(v, resumed[k]) for k, v in whole.items()), lines


def test_a_trunk_that_learns_gives_what_the_whole_network_gives_and_holds_the_embeddings(tiny, tmp_path):
    _, _, made = tiny
    network = made.network(made.begin).eval()
    image = np.random.default_rng(5).standard_normal((3, *COMPACT.input_size)).astype(np.float32)
    trunk = views.LearningTrunk(network)
    rows = torch.from_numpy(trunk.row(image).astype(np.float32))[None]
    with torch.no_grad():
        for ours, whole in zip(trunk.levels(rows), network.trunk(torch.from_numpy(image)[None])[0]):
            assert (ours - whole).abs().max() < 0.02 * whole.abs().max()

    numbers = dataclasses.replace(made.recipe["detector"], schedule=Schedule(steps=4, warmup=1))
    with torch.random.fork_rng():
        folder = tmp_path / "views"
        views.build_detector(folder, made.sources(), dataclasses.replace(made.recipe["views"], begun=True), trunk)
    stored = views.StoredViews([folder], begun=True)
    before = made.network(made.begin).state_dict()
    stage = detector.view_heads(network, stored, numbers)
    out = next(stage.batches(0))
    assert stage.losses(out)["moved"].item() < 1e-6, "nothing has moved before the first step"
    run(stage, tmp_path / "run")
    after = network.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert any(name.startswith("backbone.fpn") for name in moved) and any(name.startswith("backbone.body.blocks.6") for name in moved)
    assert not any(name.startswith(("backbone.body.stem", "backbone.body.blocks.5", "appearance")) for name in moved)
