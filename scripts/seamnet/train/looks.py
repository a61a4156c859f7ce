"""What a model folder's trunk makes of many looks at real and generated people, computed once and kept in files.

With the trunk at rest its output for a look never changes; the detector's heads and the match heads then learn for the price of
the heads alone. A look is drawn by a generator of its own (seed, kind, number), so an unfinished folder goes on where it stood.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from torchvision.ops import roi_align

from figures import panorama

from ..model.config import COMPACT, Config
from ..model.detection import pool_rois
from . import scenes
from .augment import any_light, in_another_light
from .data import Pictures
from .scenes import Cut, Scene
from .worn import Worn

SHOWS = 0.25
"""A garment of which less is left in a look is not what the look is for."""


@dataclass(frozen=True)
class Spec:
    """How many looks of each kind."""

    whole: int = 2
    """At every photo of a real person."""
    mosaics: int = 300
    """At four of them at once."""
    close: int = 1
    """At every garment of them, from near."""
    places: int = 300
    """At places without people."""
    generated: int = 1
    """At every generated picture."""
    views: int = 4
    """From near for the match heads, at every real garment; generated ones are seen once a picture."""
    most: int = 0
    """Of the detector's looks, whose order is by chance, only so many; 0: all."""
    most_match: int = 0
    """Of those for the match heads, which begin with one view of each garment; 0: all."""
    dress_may_be_skirt: bool = True
    """See `Worn`."""
    seed: int = 1


class Trunk:
    """A model folder's trunk on one thread: normalised 1 x 3 x H x W -> RoI levels, channels behind one another."""

    def __init__(self, folder: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / "trunk.onnx"), options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs() if output.name.startswith("p")]

    def __call__(self, image: np.ndarray) -> list[torch.Tensor]:
        return [torch.from_numpy(level) for level in self.session.run(self.names, {"image": image[None]})]


def packed(levels: list[torch.Tensor], channels: int) -> np.ndarray:
    """Levels of one picture in a row, float16: all of the finest, the pyramid's channels of the others. What they hold besides
    are averages of the finest."""
    parts = [levels[0], *(level[:, :channels] for level in levels[1:])]
    return torch.cat([part.flatten() for part in parts]).half().numpy()


def unpacked(rows: torch.Tensor, config: Config) -> list[torch.Tensor]:
    """B x n in float32 -> levels, B x C x h x w."""
    h, w = (side // 8 for side in config.input_size)
    count, c = config.channels + config.extra, config.channels
    sizes = [count * h * w, c * h * w // 4, c * h * w // 16]
    first, second, third = rows.split(sizes, dim=1)
    levels = [first.view(-1, count, h, w)]
    beside = levels[0][:, c:]
    for k, part in enumerate((second, third), start=1):
        beside = F.avg_pool2d(beside, 2)
        levels.append(torch.cat([part.view(-1, c, h >> k, w >> k), beside], dim=1))
    return levels


class Sources:
    """Where looks come from: real people, generated pictures, panoramas."""

    def __init__(self, worn: Path, generated: list[Path], backgrounds: Path, dress_may_be_skirt: bool = True):
        self.worn = Worn(worn, dress_may_be_skirt)
        self.sets = [Pictures(folder) for folder in generated]
        self.places = scenes.places_without_people(backgrounds)
        self.garments = [(photo, n) for photo in self.worn.training for n in self._whole_garments(photo)]

    def _whole_garments(self, photo: str) -> list[int]:
        """Places, in a photo's scene, of the garments that can be learned from and are more than an edge."""
        garments = self.worn.garments(photo)
        return [n for n, g in enumerate(garments) if g.classes and g.mask.sum() >= 0.015 * g.mask.size]

    def ground(self, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
        return panorama.view(rng, self.places, width, height)


def finished(cut: Cut, light, rng: np.random.Generator) -> Cut:
    cut.picture = light(cut.picture, rng)
    return cut


def whole(source: Sources, photo: str, room: tuple[int, int], rng: np.random.Generator) -> tuple[Scene, Cut]:
    scene = scenes.worn_scene(source.worn, photo)
    if rng.random() < 0.12:
        h, w = scene.picture.shape[:2]
        scene = scenes.elsewhere(scene, source.ground(rng, w, h))
    return scene, drawn(scene, scenes.whole_window(scene.picture.shape[:2], rng), room, rng, any_light)


def drawn(scene: Scene, window, room: tuple[int, int], rng: np.random.Generator, light) -> Cut:
    """A window of a scene in a room, at times smaller than it could be."""
    shrink = float(rng.uniform(0.45, 0.95)) if rng.random() < 0.3 else 1.0
    turn = float(rng.normal(0, 0.035)) if rng.random() < 0.4 else 0.0
    cut = scenes.cut(scene, window, scenes.fit(window, room, shrink), turn, bool(rng.random() < 0.5))
    return finished(cut, light, rng)


def truth(scene: Scene, cut: Cut) -> list[list]:
    """Box, number of the set of classes (0: nothing is learned there) and visible share of the garments of a look."""
    rows = []
    for classes, box, visible in zip(scene.classes, cut.boxes, cut.visible):
        if visible > 0 and box[2] - box[0] >= 2 and box[3] - box[1] >= 2:
            shown = float(visible) if classes else min(float(visible), 0.1)
            rows.append([*(float(v) for v in box), scenes.number_of(classes) if classes else 1, shown])
    return rows


# A look at it is (kind, what of it, number).
Job = tuple[str, tuple, int]


def detector_jobs(source: Sources, spec: Spec) -> list[Job]:
    rng = np.random.default_rng([spec.seed, 3])
    jobs: list[Job] = [("whole", (photo,), k) for photo in source.worn.training for k in range(spec.whole)]
    jobs += [("mosaic", tuple(rng.choice(source.worn.training, 4).tolist()), k) for k in range(spec.mosaics)]
    jobs += [("close", garment, k) for garment in source.garments for k in range(spec.close)]
    jobs += [("place", (), k) for k in range(spec.places)]
    for s, pictures in enumerate(source.sets):
        jobs += [(image["kind"], (s, i), k) for i, image in enumerate(pictures.images) for k in range(spec.generated)]
    order = rng.permutation(len(jobs))
    return [jobs[int(i)] for i in order][: spec.most or None]


def detector_look(source: Sources, job: Job, spec: Spec, place: int) -> tuple[np.ndarray, tuple[int, int], list[list]]:
    """The network's input (3 x H x W), the size of the picture in it, the truth."""
    kind, what, _ = job
    room = COMPACT.input_size
    rng = np.random.default_rng([spec.seed, 5, place])
    if kind == "mosaic":
        return mosaic(source, what, room, rng)
    if kind == "whole":
        scene, cut = whole(source, what[0], room, rng)
    elif kind == "close":
        scene = scenes.worn_scene(source.worn, what[0])
        window = scenes.close_window(scene.box(what[1]), scene.picture.shape[:2], room, rng)
        cut = drawn(scene, window, room, rng, any_light)
    elif kind == "place":
        wide = rng.random() < 0.4
        width, height = (480, 320) if wide else (320, 480)
        ground = np.clip(source.ground(rng, width, height), 0, 255).astype(np.uint8)
        scene = Scene(ground, np.zeros((height, width), np.uint8), [], [])
        cut = drawn(scene, (0, 0, width, height), room, rng, any_light)
    else:
        scene = scenes.generated_scene(source.sets[what[0]], what[1])
        cut = drawn(scene, scenes.whole_window(scene.picture.shape[:2], rng), room, rng, any_light)
    return scenes.letterboxed(cut.picture, room), cut.picture.shape[:2], truth(scene, cut)


def mosaic(source: Sources, photos: tuple[str, ...], room: tuple[int, int], rng: np.random.Generator):
    """Four people in one input, or two side by side: people who are small in it."""
    image, rows = np.zeros((3, *room), np.float32), []
    h, w = room[0] // 2, room[1] // 2
    for k, photo in enumerate(photos):
        scene, cut = whole(source, photo, (h, w), rng)
        y, x = (k // 2) * h, (k % 2) * w
        image[:, y : y + h, x : x + w] = scenes.letterboxed(cut.picture, (h, w))
        rows += [[a + x, b + y, c + x, d + y, *rest] for a, b, c, d, *rest in truth(scene, cut)]
    return image, room, rows


def build_detector(folder: Path, source: Sources, spec: Spec, model: Path, report=print) -> None:
    """Fills `folder` with features.npy and looks.jsonl; goes on where an unfinished one stood."""
    jobs = detector_jobs(source, spec)
    folder.mkdir(parents=True, exist_ok=True)
    check_spec(folder, spec, len(jobs))

    def draw(place: int):
        return *jobs[place][:2], *detector_look(source, jobs[place], spec, place)

    keep(folder, len(jobs), draw, model, report)


def keep(folder: Path, count: int, draw, model: Path, report) -> None:
    """Writes what the trunk makes of looks 0 .. count - 1. `draw` gives of each its kind, what it is at, the network's input, the
    picture's size in it and the truth."""
    config, trunk = COMPACT, Trunk(model)
    width = packed(trunk(np.zeros((3, *config.input_size), np.float32)), config.channels).shape[0]
    features = opened(folder / "features.npy", (count, width), np.float16)
    log = folder / "looks.jsonl"
    begun = len(log.read_text().splitlines()) if log.exists() else 0
    with log.open("a") as out:
        for place in range(begun, count):
            kind, what, image, size, rows = draw(place)
            features[place] = packed(trunk(image), config.channels)
            sets = {str(row[4]): scenes.SETS[row[4]] for row in rows}
            line = {"kind": kind, "what": list(what), "size": [int(v) for v in size], "rows": rows, "sets": sets}
            out.write(json.dumps(line) + "\n")
            if place % 100 == 0:
                out.flush()
                report(f"detector look {place} of {count}")
    features.flush()


def check_spec(folder: Path, spec: Any, count: int) -> None:
    """Refuses a folder that was begun with other numbers."""
    note, mine = folder / "spec.json", {"spec": asdict(spec), "looks": count}
    if note.exists() and json.loads(note.read_text()) != mine:
        raise ValueError(f"{folder}: begun with other data or numbers; remove it or name another folder")
    note.write_text(json.dumps(mine))


def opened(path: Path, shape: tuple[int, ...], dtype) -> np.ndarray:
    mode = "r+" if path.exists() else "w+"
    array = np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)
    if array.shape != shape:
        raise ValueError(f"{path}: made from other data; remove the folder or name another")
    return array


# For the match heads: rows of RoIs.


def match_jobs(source: Sources, spec: Spec) -> list[Job]:
    jobs: list[Job] = []
    for view in range(spec.views):
        jobs += [("close", garment, view) for garment in source.garments]
        if view == 0:
            jobs += [("studio", garment, 0) for garment in source.garments]
            for s, pictures in enumerate(source.sets):
                for i, image in enumerate(pictures.images):
                    if image["kind"] == "shop":
                        jobs.append(("shop", (s, i), 0))
                    elif image["kind"] == "street":
                        seen = [n for n, g in enumerate(image["garments"]) if g["visible"] >= 0.5]
                        jobs += [("street", (s, i, n), 0) for n in seen[:2]]
    return jobs[: spec.most_match or None]


def match_look(source: Sources, job: Job, spec: Spec, place: int):
    """(scene, cut, garment) of a job, or None where nothing of the garment is left."""
    kind, what, _ = job
    room = COMPACT.input_size
    rng = np.random.default_rng([spec.seed, 7, place])
    if kind in ("close", "studio"):
        scene, garment = scenes.worn_scene(source.worn, what[0]), what[1]
        if kind == "studio":
            scene, garment = scenes.studio(scene, garment, rng), 0
            light = in_another_light
        else:
            h, w = scene.picture.shape[:2]
            if rng.random() < 0.3:
                scene = scenes.elsewhere(scene, source.ground(rng, w, h))
            if rng.random() < 0.3:
                other = str(rng.choice(source.worn.training))
                scene = scenes.hidden(scene, scenes.worn_scene(source.worn, other), garment, rng)
            light = in_street_light
    else:
        scene = scenes.generated_scene(source.sets[what[0]], what[1])
        garment = what[2] if kind == "street" else max(range(len(scene.classes)), key=lambda n: scene.visible[n])
        light = in_street_light if kind == "street" else no_change
    box = scene.box(garment)
    if box is None:
        return None
    h, w = scene.picture.shape[:2]
    near = kind in ("close", "street")
    window = scenes.close_window(box, (h, w), room, rng) if near else (0, 0, w, h)
    turn = float(rng.normal(0, 0.05)) if near else 0.0
    # The right half of a garment is much like its left: a mirrored view is the same garment.
    cut = scenes.cut(scene, window, scenes.fit(window, room, 1.0), turn, bool(rng.random() < 0.5))
    if cut.visible[garment] < SHOWS:
        return None
    return scene, finished(cut, light, rng), garment


def no_change(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return picture


def in_street_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another light; at times with a shadow across, as a tree or a house throws one, or badly compressed."""
    picture = in_another_light(picture, rng)
    h, w = picture.shape[:2]
    if rng.random() < 0.25:
        angle, at = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.7)
        x, y = np.meshgrid(np.linspace(0, 1, w), np.linspace(0, 1, h))
        edge = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5 - at
        shade = 1 / (1 + np.exp(-edge * rng.uniform(6, 40)))
        picture = picture * (1 - rng.uniform(0.2, 0.5) * shade[..., None])
    if rng.random() < 0.25:
        scale = rng.uniform(1.3, 2.5)
        small = cv2.resize(picture, (max(8, int(w / scale)), max(8, int(h / scale))), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))]
        picture = cv2.imdecode(cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), quality)[1], cv2.IMREAD_COLOR)
    return picture.astype(np.float32)


def build_match(folder: Path, source: Sources, spec: Spec, model: Path, report=print) -> None:
    """Fills `folder` with features.npy (RoIs), shares.npy and rows.jsonl (identity, shop or worn, class, colour)."""
    jobs, config, trunk = match_jobs(source, spec), COMPACT, Trunk(model)
    folder.mkdir(parents=True, exist_ok=True)
    check_spec(folder, spec, len(jobs))
    features = opened(folder / "features.npy", (len(jobs), config.channels + config.extra, 14, 14), np.float16)
    shares = opened(folder / "shares.npy", (len(jobs), 14, 14), np.uint8)
    log = folder / "rows.jsonl"
    begun = len(log.read_text().splitlines()) if log.exists() else 0
    with log.open("a") as out:
        for place in range(begun, len(jobs)):
            seen = match_look(source, jobs[place], spec, place)
            if seen is not None:
                scene, cut, garment = seen
                rng = np.random.default_rng([spec.seed, 11, place])
                box = torch.from_numpy(shaken(cut.boxes[garment], cut.picture.shape[:2], rng))[None]
                levels = trunk(scenes.letterboxed(cut.picture, config.input_size))
                features[place] = pool_rois(config, levels, box, 14, config.input_size)[0].half().numpy()
                mask = np.zeros(config.input_size, np.float32)
                mask[: cut.places.shape[0], : cut.places.shape[1]] = cut.places == garment + 1
                covered = roi_align(torch.from_numpy(mask)[None, None], [box], 14, sampling_ratio=4)[0, 0]
                shares[place] = (covered * 255).round().byte().numpy()
            out.write(json.dumps(described(source, jobs[place], seen)) + "\n")
            if place % 100 == 0:
                out.flush()
                report(f"match look {place} of {len(jobs)}")
    features.flush()
    shares.flush()


def shaken(box: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A box as a detector would have found it."""
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + sides * rng.uniform(-0.05, 0.05, size=4)
    limit = np.array([size[1], size[0]] * 2)
    moved = np.clip(moved, 0, limit).astype(np.float32)
    moved[2:] = np.maximum(moved[2:], moved[:2] + 2)
    return moved


def described(source: Sources, job: Job, seen) -> dict:
    """What a row shows. Identities of real garments begin at 10,000,000."""
    kind, what, view = job
    if seen is None:
        return {"none": True}
    scene, cut, garment = seen
    if kind in ("close", "studio"):
        identity = 10_000_000 + int(what[0]) * 100 + what[1]
    else:
        entry = source.sets[what[0]].images[what[1]]["garments"][garment]
        identity = what[0] * 1_000_000 + entry["product"]
    return {"identity": identity, "kind": kind, "what": list(what), "view": view, "classes": list(scene.classes[garment])}
