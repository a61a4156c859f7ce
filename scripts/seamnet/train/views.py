"""Augmented views of real and generated people, and what a model folder's trunk makes of them, computed once and stored.

The trunk rests, so its output for a view never changes: the detector's heads and the match heads learn for the price of the heads
alone. A view is drawn by a generator of its own (seed, kind, number), so an unfinished folder is continued where it stopped.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from torchvision.ops import roi_align

from figures import panorama

from ..model.config import COMPACT, Config
from ..model.detection import pool_rois
from ..model.network import Network
from . import augment
from .augment import Cut, Scene, any_light, in_another_light, in_street_light, letterboxed, no_change
from .data import Pictures, Sample
from .features import REAL, whole_lines
from .worn import Row, Tagged, Worn, label_by_tags

SHOWS = 0.25
"""Least share of a garment in a view that is drawn for it."""
SETS: list[tuple[int, ...]] = [(k,) for k in range(14)]
"""What a garment may be, as sets of labels: 0 is background, then each class alone, then what the real labels leave open."""


def number_of(classes: tuple[int, ...]) -> int:
    """The place of a set of classes in `SETS`, which grows by sets that are new."""
    if classes not in SETS:
        SETS.append(classes)
    return SETS.index(classes)


@dataclass(frozen=True)
class Views:
    """How many views of each kind."""

    whole: int = 2
    """Of every photo of a real person."""
    mosaics: int = 300
    """Of four of them at once."""
    close: int = 1
    """Of every garment of them, from near."""
    places: int = 300
    """Of places without people."""
    generated: int = 1
    """Of every generated picture."""
    views: int = 4
    """From near for the match heads, of every real garment; generated ones are seen once a picture."""
    most: int = 0
    """Of the detector's views, whose order is by chance, only so many; 0: all."""
    most_match: int = 0
    """Of those for the match heads, which begin with one view of each garment; 0: all."""
    dress_may_be_skirt: bool = True
    """See `Worn`."""
    begun: bool = False
    """Whether the first blocks' output is stored, from which the rest of the trunk learns too; else the whole trunk's."""
    seed: int = 1


FIRST_BLOCKS = 6
"""The body's first blocks, which keep their ImageNet weights."""


class RestingTrunk:
    """A model folder's trunk on one thread. A row holds the RoI levels of a picture."""

    begun = False

    def __init__(self, folder: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / "trunk.onnx"), options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs() if output.name.startswith("p")]

    def __call__(self, image: np.ndarray) -> list[torch.Tensor]:
        """Normalised 3 x H x W -> RoI levels."""
        return [torch.from_numpy(level) for level in self.session.run(self.names, {"image": image[None]})]

    def row(self, image: np.ndarray) -> np.ndarray:
        """Normalised 3 x H x W -> a row, float16."""
        return packed(self(image), COMPACT.channels)

    def levels(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """B x n in float32 -> RoI levels."""
        return unpacked(rows, COMPACT)


class LearningTrunk:
    """A network's trunk whose first blocks rest. A row holds what these make of a picture, and its colours."""

    begun = True

    def __init__(self, network: Network):
        self.network = network
        h, w = (side // 8 for side in COMPACT.input_size)
        self.shape = (-1, network.backbone.body.blocks[FIRST_BLOCKS - 1].project.out_channels + 6, h, w)

    @torch.no_grad()
    def row(self, image: np.ndarray) -> np.ndarray:
        """Normalised 3 x H x W -> a row, float16."""
        picture = torch.from_numpy(image)[None]
        begun = self.network.backbone.body.begin(picture, FIRST_BLOCKS)
        return torch.cat([begun, self.network.appearance.colours(picture)], dim=1).flatten().half().numpy()

    def levels(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """B x n in float32 -> RoI levels."""
        rows, backbone = rows.view(self.shape), self.network.backbone
        features = backbone.body.finish(rows[:, :-6].contiguous(memory_format=torch.channels_last), FIRST_BLOCKS)
        return self.network.roi_levels(backbone.fpn(features), rows[:, -6:], features)


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


def pyramid_of(levels: list[torch.Tensor], config: Config) -> list[torch.Tensor]:
    """The pyramid's channels of RoI levels, and its pool: what the RPN sees."""
    pyramid = [level[:, : config.channels] for level in levels]
    return [*pyramid, F.max_pool2d(pyramid[-1], 1, 2)]


class Sources:
    """Where views come from: real people, generated pictures, panoramas."""

    def __init__(self, worn: Path, generated: list[Path], backgrounds: Path, dress_may_be_skirt: bool = True):
        self.worn = Worn(worn, dress_may_be_skirt)
        self.sets = [Pictures(folder) for folder in generated]
        self.places = places_without_people(backgrounds)
        self.garments = [(photo, n) for photo in self.worn.training for n in self._whole_garments(photo)]

    def _whole_garments(self, photo: str) -> list[int]:
        """Places, in a photo's scene, of the garments that can be learned from and are more than an edge."""
        garments = self.worn.garments(photo)
        return [n for n, g in enumerate(garments) if g.classes and g.mask.sum() >= 0.015 * g.mask.size]

    def ground(self, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
        return panorama.view(rng, self.places, width, height)


def places_without_people(folder: Path) -> tuple[str, ...]:
    """The panoramas of a folder."""
    found = sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not found:
        raise FileNotFoundError(f"{folder}: no panoramas (jpg or png)")
    return tuple(found)


def finished(cut: Cut, light, rng: np.random.Generator) -> Cut:
    cut.picture = light(cut.picture, rng)
    return cut


def whole(source: Sources, photo: str, room: tuple[int, int], rng: np.random.Generator) -> tuple[Scene, Cut]:
    scene = source.worn.scene(photo)
    if rng.random() < 0.12:
        h, w = scene.picture.shape[:2]
        scene = augment.elsewhere(scene, source.ground(rng, w, h))
    return scene, drawn(scene, augment.whole_window(scene.picture.shape[:2], rng), room, rng, any_light)


def drawn(scene: Scene, window, room: tuple[int, int], rng: np.random.Generator, light) -> Cut:
    """A window of a scene in a room, at times smaller than it could be."""
    shrink = float(rng.uniform(0.45, 0.95)) if rng.random() < 0.3 else 1.0
    turn = float(rng.normal(0, 0.035)) if rng.random() < 0.4 else 0.0
    cut = augment.cut(scene, window, augment.fit(window, room, shrink), turn, bool(rng.random() < 0.5))
    return finished(cut, light, rng)


def truth(scene: Scene, cut: Cut) -> list[list]:
    """Box, number of the set of classes (0: nothing is learned there) and visible share of the garments of a view."""
    rows = []
    for classes, box, visible in zip(scene.classes, cut.boxes, cut.visible):
        if visible > 0 and box[2] - box[0] >= 2 and box[3] - box[1] >= 2:
            shown = float(visible) if classes else min(float(visible), 0.1)
            rows.append([*(float(v) for v in box), number_of(classes) if classes else 1, shown])
    return rows


# A view to draw: its kind, of what, its number.
Job = tuple[str, tuple, int]


def detector_jobs(source: Sources, numbers: Views) -> list[Job]:
    rng = np.random.default_rng([numbers.seed, 3])
    jobs: list[Job] = [("whole", (photo,), k) for photo in source.worn.training for k in range(numbers.whole)]
    jobs += [("mosaic", tuple(rng.choice(source.worn.training, 4).tolist()), k) for k in range(numbers.mosaics)]
    jobs += [("close", garment, k) for garment in source.garments for k in range(numbers.close)]
    jobs += [("place", (), k) for k in range(numbers.places)]
    for s, pictures in enumerate(source.sets):
        jobs += [(image["kind"], (s, i), k) for i, image in enumerate(pictures.images) for k in range(numbers.generated)]
    order = rng.permutation(len(jobs))
    return [jobs[int(i)] for i in order][: numbers.most or None]


def detector_view(source: Sources, job: Job, numbers: Views, place: int) -> tuple[np.ndarray, tuple[int, int], list[list]]:
    """The network's input (3 x H x W), the size of the picture in it, the truth."""
    kind, what, _ = job
    room = COMPACT.input_size
    rng = np.random.default_rng([numbers.seed, 5, place])
    if kind == "mosaic":
        return mosaic(source, what, room, rng)
    if kind == "whole":
        scene, cut = whole(source, what[0], room, rng)
    elif kind == "close":
        scene = source.worn.scene(what[0])
        window = augment.close_window(scene.box(what[1]), scene.picture.shape[:2], room, rng)
        cut = drawn(scene, window, room, rng, any_light)
    elif kind == "place":
        wide = rng.random() < 0.4
        width, height = (480, 320) if wide else (320, 480)
        ground = np.clip(source.ground(rng, width, height), 0, 255).astype(np.uint8)
        scene = Scene(ground, np.zeros((height, width), np.uint8), [], [])
        cut = drawn(scene, (0, 0, width, height), room, rng, any_light)
    else:
        scene = source.sets[what[0]].scene(what[1])
        cut = drawn(scene, augment.whole_window(scene.picture.shape[:2], rng), room, rng, any_light)
    return letterboxed(cut.picture, room), cut.picture.shape[:2], truth(scene, cut)


def mosaic(source: Sources, photos: tuple[str, ...], room: tuple[int, int], rng: np.random.Generator):
    """Four people in one input, or two side by side: people who are small in it."""
    image, rows = np.zeros((3, *room), np.float32), []
    h, w = room[0] // 2, room[1] // 2
    for k, photo in enumerate(photos):
        scene, cut = whole(source, photo, (h, w), rng)
        y, x = (k // 2) * h, (k % 2) * w
        image[:, y : y + h, x : x + w] = letterboxed(cut.picture, (h, w))
        rows += [[a + x, b + y, c + x, d + y, *rest] for a, b, c, d, *rest in truth(scene, cut)]
    return image, room, rows


def tagged_view(picture: np.ndarray, rows: list[Row], rng: np.random.Generator):
    """A photo of which only boxes are known: as `detector_view`."""
    room = COMPACT.input_size
    h, w = picture.shape[:2]
    window = augment.whole_window((h, w), rng)
    shrink = float(rng.uniform(0.45, 0.95)) if rng.random() < 0.3 else 1.0
    size = augment.fit(window, room, shrink)
    mirror = bool(rng.random() < 0.5)
    scene = Scene(picture, np.zeros((h, w), np.uint8), [], [])
    cut = finished(augment.cut(scene, window, size, 0.0, mirror), any_light, rng)
    x0, y0, x1, y1 = window
    scale = np.array([size[1] / (x1 - x0), size[0] / (y1 - y0)] * 2)
    truth = []
    for box, classes in rows:
        whole = (np.array(box) - np.array([x0, y0, x0, y0])) * scale
        left = np.clip(whole, 0, np.array([size[1], size[0]] * 2))
        if mirror:
            left[[0, 2]] = size[1] - left[[2, 0]]
        sides = left[2:] - left[:2]
        if (sides < 2).any():
            continue
        shown = float(sides.prod() / max(1.0, (whole[2:] - whole[:2]).prod()))
        truth.append([*map(float, left), number_of(classes) if classes else 1, shown if classes else min(shown, 0.1)])
    return letterboxed(cut.picture, room), size, truth


# What the trunk makes of views, in files.


def build_detector(folder: Path, source: Sources, numbers: Views, trunk: RestingTrunk | LearningTrunk, report=print) -> None:
    """Fills `folder` with views for the detector; an unfinished one is continued."""
    jobs = detector_jobs(source, numbers)
    check_numbers(folder, numbers, len(jobs))

    def draw(place: int):
        return *jobs[place][:2], *detector_view(source, jobs[place], numbers, place)

    keep(folder, len(jobs), draw, trunk, report)


def keep(folder: Path, count: int, draw: Callable, trunk: RestingTrunk | LearningTrunk, report) -> None:
    """Writes what the trunk makes of views 0 .. count - 1 into features.npy, and their truth into views.jsonl. `draw` gives of each
    its kind, of what it is, the network's input, the picture's size in it and the truth."""
    width = len(trunk.row(np.zeros((3, *COMPACT.input_size), np.float32)))
    features = opened(folder / "features.npy", (count, width), np.float16)

    def made(place: int) -> dict:
        kind, what, image, size, rows = draw(place)
        features[place] = trunk.row(image)
        sets = {str(row[4]): SETS[row[4]] for row in rows}
        return {"kind": kind, "what": list(what), "size": [int(v) for v in size], "rows": rows, "sets": sets}

    fill(folder / "views.jsonl", count, made, report)
    features.flush()


def fill(log: Path, count: int, made: Callable[[int], dict], report) -> None:
    """Appends `made(place)` as a line for every place below `count` that the file does not have yet."""
    begun = len(whole_lines(log))
    with log.open("a") as out:
        for place in range(begun, count):
            out.write(json.dumps(made(place)) + "\n")
            if place % 100 == 0:
                out.flush()
                report(f"{log.parent.name}: {place} of {count}")


def check_numbers(folder: Path, numbers: Any, count: int) -> None:
    """Refuses a folder that was begun with other numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    note, mine = folder / "numbers.json", {"numbers": asdict(numbers), "views": count}
    if note.exists() and json.loads(note.read_text()) != mine:
        raise ValueError(f"{folder}: begun with other data or numbers; remove it or name another folder")
    note.write_text(json.dumps(mine))


def opened(path: Path, shape: tuple[int, ...], dtype) -> np.ndarray:
    mode = "r+" if path.exists() else "w+"
    array = np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)
    if array.shape != shape:
        raise ValueError(f"{path}: made from other data; remove the folder or name another")
    return array


def build_tagged(folder: Path, worn: Worn, numbers: Tagged, model: Path, trunk: RestingTrunk | LearningTrunk, report=print) -> None:
    """Fills `folder` with views of photos that have tags, as `build_detector` does; `model` says where the tagged garments are."""
    folder.mkdir(parents=True, exist_ok=True)
    found = label_by_tags(folder / "garments.jsonl", worn, model, numbers)
    check_numbers(folder, numbers, len(found) * numbers.views)
    report(f"{len(found)} photos with tags, {sum(bool(classes) for rows in found.values() for _, classes in rows)} garments")
    jobs = [(photo, view) for view in range(numbers.views) for photo in found]

    def draw(place: int):
        photo, _ = jobs[place]
        image, size, truth = tagged_view(worn.read(photo), found[photo], np.random.default_rng([numbers.seed, 13, place]))
        return "tagged", [photo], image, size, truth

    keep(folder, len(jobs), draw, trunk, report)


class StoredViews:
    """What `keep` wrote into some folders with one kind of trunk, without the views of the photos `left_out`."""

    def __init__(self, folders: list[Path], begun: bool = False, left_out: frozenset[str] = frozenset()):
        self.begun = begun
        parts = [np.load(folder / "features.npy", mmap_mode="r") for folder in folders]
        self.features = [row for part in parts for row in part]
        self.entries = [json.loads(line) for folder in folders for line in (folder / "views.jsonl").read_text().splitlines()]
        self.sets = [(k,) for k in range(14)]
        self.kinds: dict[str, list[int]] = {}
        for place, entry in enumerate(self.entries):
            numbers = {}
            for number, classes in entry["sets"].items():
                if tuple(classes) not in self.sets:
                    self.sets.append(tuple(classes))
                numbers[int(number)] = self.sets.index(tuple(classes))
            entry["rows"] = [[*row[:4], numbers.get(row[4], row[4]), row[5]] for row in entry["rows"]]
            real = entry["kind"] in ("whole", "mosaic", "close")
            if not (real and left_out & set(map(str, entry["what"]))):
                self.kinds.setdefault(entry["kind"], []).append(place)

    def levels(self, network: Network, rows: torch.Tensor) -> list[torch.Tensor]:
        """Rows -> RoI levels, by `network` where its trunk learns."""
        return LearningTrunk(network).levels(rows) if self.begun else unpacked(rows, network.config)

    def table(self) -> torch.Tensor:
        """S x 14: which labels are in each set."""
        out = torch.zeros(len(self.sets), 14, dtype=torch.bool)
        for number, classes in enumerate(self.sets):
            out[number, list(classes)] = True
        return out

    def sample(self, place: int) -> Sample:
        """A view's truth; labels are numbers of sets."""
        entry = self.entries[place]
        rows = torch.tensor(entry["rows"], dtype=torch.float32).reshape(-1, 6)
        return Sample(
            image=None,
            size=tuple(entry["size"]),
            boxes=rows[:, :4],
            labels=rows[:, 4].long(),
            products=torch.zeros(len(rows), dtype=torch.long),
            visible=rows[:, 5],
            shop=False,
        )

    def order(self, counts: dict[str, int]) -> list[str]:
        """The kind of every view of a `batch`."""
        return [kind for kind, n in counts.items() if kind in self.kinds for _ in range(n)]

    def batch(self, counts: dict[str, int], rng: np.random.Generator) -> tuple[torch.Tensor, list[Sample]]:
        """Features B x n and truths."""
        places = [int(k) for kind, n in counts.items() if kind in self.kinds for k in rng.choice(self.kinds[kind], n)]
        features = torch.from_numpy(np.stack([self.features[k] for k in places]).astype(np.float32))
        return features, [self.sample(k) for k in places]


# Views for the match heads: RoIs of one garment each.


def match_jobs(source: Sources, numbers: Views) -> list[Job]:
    jobs: list[Job] = []
    for view in range(numbers.views):
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
    return jobs[: numbers.most_match or None]


def match_view(source: Sources, job: Job, numbers: Views, place: int):
    """(scene, cut, garment) of a job, or None where nothing of the garment is left."""
    kind, what, _ = job
    room = COMPACT.input_size
    rng = np.random.default_rng([numbers.seed, 7, place])
    if kind in ("close", "studio"):
        scene, garment = source.worn.scene(what[0]), what[1]
        if kind == "studio":
            scene, garment = augment.studio(scene, garment, rng), 0
            light = in_another_light
        else:
            h, w = scene.picture.shape[:2]
            if rng.random() < 0.3:
                scene = augment.elsewhere(scene, source.ground(rng, w, h))
            if rng.random() < 0.3:
                other = str(rng.choice(source.worn.training))
                scene = augment.hidden(scene, source.worn.scene(other), garment, rng)
            light = in_street_light
    else:
        scene = source.sets[what[0]].scene(what[1])
        garment = what[2] if kind == "street" else max(range(len(scene.classes)), key=lambda n: scene.visible[n])
        light = in_street_light if kind == "street" else no_change
    box = scene.box(garment)
    if box is None:
        return None
    h, w = scene.picture.shape[:2]
    near = kind in ("close", "street")
    window = augment.close_window(box, (h, w), room, rng) if near else (0, 0, w, h)
    turn = float(rng.normal(0, 0.05)) if near else 0.0
    # The right half of a garment is much like its left: a mirrored view is the same garment.
    cut = augment.cut(scene, window, augment.fit(window, room, 1.0), turn, bool(rng.random() < 0.5))
    if cut.visible[garment] < SHOWS:
        return None
    return scene, finished(cut, light, rng), garment


def build_match(folder: Path, source: Sources, numbers: Views, model: Path, report=print) -> None:
    """Fills `folder` with features.npy (RoIs), shares.npy and rows.jsonl (identity, kind, of what, classes)."""
    jobs, config, trunk = match_jobs(source, numbers), COMPACT, RestingTrunk(model)
    check_numbers(folder, numbers, len(jobs))
    features = opened(folder / "features.npy", (len(jobs), config.channels + config.extra, 14, 14), np.float16)
    shares = opened(folder / "shares.npy", (len(jobs), 14, 14), np.uint8)

    def made(place: int) -> dict:
        seen = match_view(source, jobs[place], numbers, place)
        if seen is None:
            return {"none": True}
        scene, cut, garment = seen
        rng = np.random.default_rng([numbers.seed, 11, place])
        box = torch.from_numpy(augment.shaken(cut.boxes[garment], cut.picture.shape[:2], rng))[None]
        levels = trunk(letterboxed(cut.picture, config.input_size))
        features[place] = pool_rois(config, levels, box, 14, config.input_size)[0].half().numpy()
        shares[place] = covered(cut, garment, box, config)
        return described(source, jobs[place], scene, garment)

    fill(folder / "rows.jsonl", len(jobs), made, report)
    features.flush()
    shares.flush()


def covered(cut: Cut, garment: int, box: torch.Tensor, config: Config) -> np.ndarray:
    """14 x 14, 0 to 255: how much of each place of a box's RoI the garment covers."""
    mask = np.zeros(config.input_size, np.float32)
    mask[: cut.places.shape[0], : cut.places.shape[1]] = cut.places == garment + 1
    share = roi_align(torch.from_numpy(mask)[None, None], [box], 14, sampling_ratio=4)[0, 0]
    return (share * 255).round().byte().numpy()


def described(source: Sources, job: Job, scene: Scene, garment: int) -> dict:
    """What a row shows."""
    kind, what, view = job
    if kind in ("close", "studio"):
        identity = REAL + int(what[0]) * 100 + what[1]
    else:
        entry = source.sets[what[0]].images[what[1]]["garments"][garment]
        identity = what[0] * 1_000_000 + entry["product"]
    return {"identity": identity, "kind": kind, "what": list(what), "view": view, "classes": list(scene.classes[garment])}
