"""Whether match heads that were adapted to a shop's worn views beat the worn views alone, on a generated shop.

A set of `scripts/generate --worn N --clips C`: each of N products is worn by one person (the enrolment), and by others who are the
queries; the other products are only rivals. An adaptation sees the shop's pictures and the enrolled products' worn views, never a
query. How far it goes back to the old weights is chosen on enrolled products that it did not learn from.
"""

import copy
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from ..folder import weights
from ..folder.runtime import Folder
from ..model import preprocess
from ..model.config import NETWORKS
from ..model.detection import box_iou, find, pool_rois
from ..model.network import Aggregator, Network
from ..train import losses
from ..train.augment import published_noise
from ..train.data import VISIBLE
from ..train.loop import Averaging, Draws, Group, Schedule, Stage, run

LEAST_SCORE, MOST_BOXES = 0.1, 5
"""Detections that are kept of a picture."""
SURE, VIEWS, FRAMES = 0.5, 8, 10
"""The least score of a worn view, the most of a product, and the frames of a query."""
OFFSET, MOVED = -0.75, 0.5
"""How the shipped model counts worn views (docs/seam.md section 12)."""
LOWER = (7, 8, 9)
"""Classes that are worn below; the others are searched together."""
CHUNK = 64
GAINS = (
    ("new, pictures", "old, pictures"),
    ("new, pictures", "old, worn"),
    ("new, worn", "old, worn"),
    ("old, worn", "old, pictures"),
    ("new, worn, no offset", "old, worn, no offset"),
    ("new, pictures", "old, worn, no offset"),
)
"""What is compared query by query: with adapted heads or the old ones; searched by pictures alone, or by worn views too."""


def light_of_a_mirror(picture: np.ndarray) -> np.ndarray:
    """One mirror's own light: warm, dim, and flat."""
    x = (picture.astype(np.float32) / 255) ** 1.25 * 0.8 + 0.06
    return np.clip(x * np.array([1.12, 1.0, 0.8], np.float32) * 255, 0, 255).astype(np.uint8)


def at_half_size_with_noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture as the published test has it (section 9)."""
    noisy = published_noise(picture, rng).round().astype(np.uint8)
    h, w = picture.shape[:2]
    return cv2.resize(noisy, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA)


def network_of(folder: Path) -> Network:
    network = Network(NETWORKS["compact"]).eval()
    weights.load(network, folder)
    return network.requires_grad_(False)


@torch.no_grad()
def look(folder: Folder, network: Network, picture: np.ndarray) -> dict[str, np.ndarray]:
    """A picture's garments: boxes in its pixels, scores, labels, and the inputs of the match heads' last layers (which share
    all that lies before)."""
    config = folder.config
    image, size = preprocess.letterbox(picture, config.input_size, config.prefilter)
    levels, objectness, deltas = folder.trunk(image)
    found = find(config, folder, config.input_size, size, levels, objectness, deltas)
    keep = torch.nonzero(found.scores >= LEAST_SCORE).flatten()[:MOST_BOXES]
    rois = pool_rois(config, levels, found.boxes[keep], 14, config.input_size)
    back = torch.tensor([picture.shape[1] / size[1], picture.shape[0] / size[0]] * 2)
    return {
        "boxes": (found.boxes[keep] * back).numpy(),
        "scores": found.scores[keep].numpy(),
        "labels": found.labels[keep].numpy(),
        "features": network.roi_heads.temporal_aggregator.features(rois).half().numpy(),
    }


def see(data: Path, out: Path, model: Path, rounds: int, mirror: bool) -> None:
    """Looks at all pictures that are not in `out` yet. The clips of all rounds but the first have the published noise."""
    out.mkdir(parents=True, exist_ok=True)
    first_query = clips_of_a_round(json.loads((data / "annotations.json").read_text())["images"], rounds)
    done = {str(name) for part in out.glob("*.npz") for name in np.load(part)["names"]}
    files = [f for f in sorted((data / "images").glob("[pc]*.jpg"), key=lambda f: (f.name[0] != "p", f.name)) if f.stem not in done]
    folder, network = Folder(model), network_of(model)
    for at in range(0, len(files), CHUNK):
        rows, pictures, shapes = defaultdict(list), [], []
        for n, file in enumerate(files[at : at + CHUNK]):
            picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
            shapes.append(picture.shape[:2])
            if file.name[0] == "c":
                picture = light_of_a_mirror(picture) if mirror else picture
                clip, frame = (int(v) for v in file.stem[1:].split("-"))
                if clip >= first_query:
                    picture = at_half_size_with_noise(picture, np.random.default_rng([clip, frame]))
            seen = look(folder, network, picture)
            seen["boxes"] *= shapes[-1][0] / picture.shape[0]
            pictures += [n] * len(seen["scores"])
            for name, values in seen.items():
                rows[name].append(values)
        part = out / f"{len(list(out.glob('*.npz'))):05d}.npz"
        with open(part.with_suffix(".tmp"), "wb") as file:
            np.savez(file, names=[f.stem for f in files[at : at + CHUNK]], picture=pictures, shape=shapes,
                     **{k: np.concatenate(v) for k, v in rows.items()})
        part.with_suffix(".tmp").rename(part)
        print(f"{at + CHUNK} of {len(files)}", flush=True)


@dataclass
class Shop:
    """Rows of `features` (n x width). `pictures` and `second`: product -> row; `worn`: product -> rows of the enrolment's good
    frames, the surest first; `queries`: product -> windows of rows, each of another person."""

    features: torch.Tensor
    labels: list[int]
    scores: list[float]
    pictures: dict[int, int] = field(default_factory=dict)
    second: dict[int, int] = field(default_factory=dict)
    worn: dict[int, list[int]] = field(default_factory=dict)
    queries: dict[int, list[list[int]]] = field(default_factory=lambda: defaultdict(list))


def clips_of_a_round(images: list[dict], rounds: int) -> int:
    """In each round all worn products are dressed once or more."""
    return (1 + max(i["clip"] for i in images if i["kind"] == "street")) // rounds


def read_shop(data: Path, seen: Path, rounds: int) -> Shop:
    """The set as an enrolment sees it. The garment is chosen by its annotated box, frame by frame, as by the ground truth of `eval`."""
    images = json.loads((data / "annotations.json").read_text())["images"]
    parts = [dict(np.load(part)) for part in sorted(seen.glob("*.npz"))]
    first, rows_of, shapes = 0, {}, {}
    for part in parts:
        for n, name in enumerate(part["names"]):
            rows_of[str(name)] = (first + np.nonzero(part["picture"] == n)[0]).tolist()
            shapes[str(name)] = part["shape"][n]
        first += len(part["scores"])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in ("features", "labels", "scores", "boxes")}
    shop = Shop(torch.from_numpy(joined["features"]).float(), joined["labels"].tolist(), joined["scores"].tolist())
    boxes = torch.from_numpy(joined["boxes"]).float()
    length = clips_of_a_round(images, rounds)
    frames: dict[tuple[int, int], list[int]] = defaultdict(list)
    for image in images:
        name = Path(image["file"]).stem
        rows = rows_of.get(name, [])
        if not rows or image["kind"] == "empty":
            continue
        if image["kind"] == "shop":
            sides = boxes[rows][:, 2:] - boxes[rows][:, :2]
            largest = rows[int(sides.prod(dim=1).argmax())]
            product = image["garments"][0]["product"]
            (shop.second if product in shop.pictures else shop.pictures)[product] = largest
            continue
        for garment in image["garments"]:
            if garment["visible"] < VISIBLE:
                continue
            overlap = box_iou(torch.tensor([garment["box"]]), boxes[rows])[0]
            if float(overlap.max()) >= 0.5:
                frames[image["clip"], garment["product"]].append(rows[int(overlap.argmax())])
    best: dict[tuple[int, int], tuple[int, int]] = {}
    for (clip, product), found in frames.items():
        key = (product, clip // length)
        if len(found) > len(frames.get((best.get(key, -1), product), [])):
            best[key] = clip
    widths = {row: shapes[name] for name, rows in rows_of.items() for row in rows}
    for (product, turn), clip in sorted(best.items()):
        if product not in shop.pictures:
            continue
        found = frames[clip, product]
        if turn:
            shop.queries[product].append(found[:FRAMES])
        else:
            good = [row for row in found if whole(boxes[row].tolist(), widths[row]) and shop.scores[row] >= SURE]
            if good:
                shop.worn[product] = sorted(good, key=lambda row: -shop.scores[row])
    return shop


def whole(box: list[float], shape) -> bool:
    """As an enrolment asks for: only the lower side of the picture may cut a garment off."""
    height, width = (float(v) for v in shape)
    return box[0] > 0.005 * width and box[2] < 0.995 * width and box[1] > 0.005 * height


@torch.no_grad()
def spread(head: Aggregator, views: torch.Tensor, count: int) -> list[int]:
    """Places of the views that an enrolment keeps: the first, then again and again the one least like those chosen."""
    alike = head.pair_logits(views, views)
    chosen, nearest = [0], alike[0].clone()
    while len(chosen) < min(count, len(views)):
        nearest[chosen] = torch.inf
        chosen.append(int(nearest.argmin()))
        nearest = torch.maximum(nearest.masked_fill(nearest.isinf(), -torch.inf), alike[chosen[-1]])
    return chosen


class Search:
    """A shop under one head: ranks of all queries, with any products enrolled."""

    @torch.no_grad()
    def __init__(self, shop: Shop, head: Aggregator, kept: dict[int, list[int]]):
        """`kept`: product -> rows of its worn views."""
        self.products = sorted(shop.pictures)
        place = {product: n for n, product in enumerate(self.products)}
        rows = [shop.pictures[p] for p in self.products]
        lower = torch.tensor([shop.labels[row] in LOWER for row in rows])
        embed = lambda rows: head.last_layer(shop.features[rows])  # noqa: E731
        pictures, queries, own, below = embed(rows), [], [], []
        for product in sorted(shop.queries):
            for window in shop.queries[product]:
                queries.append(head.aggregate(embed(window))[0] if len(window) > 1 else embed(window)[0])
                own.append(place[product])
                votes = Counter()
                for row in window:
                    votes[shop.labels[row]] += shop.scores[row]
                below.append(votes.most_common(1)[0][0] in LOWER)
        self.own, self.query = torch.tensor(own), torch.stack(queries)
        self.searched = torch.tensor(below)[:, None] == lower[None]
        self.head, self.pictures = head, pictures
        self.by_picture = head.pair_logits(self.query, pictures)
        self.has = torch.zeros(len(rows), dtype=torch.bool)
        self.means = torch.zeros_like(pictures)
        for product, views in kept.items():
            self.has[place[product]] = True
            self.means[place[product]] = embed(views).mean(dim=0)
        self.by_mean = head.pair_logits(self.query, self.means)
        self.place = place

    @torch.no_grad()
    def ranks(self, enrolled: list[int], offset: float = OFFSET, moved: float = MOVED, only: list[int] | None = None) -> torch.Tensor:
        """The place of each query's product, from 1; larger than the shop if it is not searched. `only`: the shop's products."""
        mine = torch.zeros(len(self.products), dtype=torch.bool)
        mine[[self.place[p] for p in enrolled]] = True
        mine &= self.has
        values = self.by_picture
        if mine.any():
            to = self.head.pair_logits(self.query, self.pictures + moved * (self.means - self.pictures))
            worn = torch.maximum(to + moved * offset, self.by_mean + offset)
            values = torch.where(mine[None], worn, values)
        searched = self.searched
        if only is not None:
            there = torch.zeros(len(self.products), dtype=torch.bool)
            there[[self.place[p] for p in only]] = True
            searched = searched & there[None]
        own = torch.arange(len(self.own)), self.own
        before = ((values >= values[own][:, None]) & searched).sum(dim=1)
        return torch.where(searched[own], before, len(self.products) + 1)

    def of(self, products: list[int]) -> torch.Tensor:
        """Which queries are of these products."""
        return torch.isin(self.own, torch.tensor([self.place[p] for p in products]))


@dataclass(frozen=True)
class Numbers:
    """Of one adaptation."""

    steps: int = 120
    lr: float = 1e-3
    """For features of deviation 1."""
    dropout: float = 0.2
    decay: float = 0.98
    """Of the weights' average, which is what is left."""
    cap: float = 6.0
    """Where the ranking loss of a window bends."""
    folds: int = 3
    rivals: int = 400
    """Products of the shop that a step tells the enrolled ones from besides."""
    backs: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9)
    """Parts of the way back to the old weights to choose from."""


def adapt(shop: Shop, head: Aggregator, kept: dict[int, list[int]], numbers: Numbers, seed: int) -> Aggregator:
    """Stage two (section 10) on worn views: a copy of `head` whose last layer, attention and score learned to find the shop picture
    of each window of an enrolment among all of the shop's."""
    torch.manual_seed(seed)
    head = copy.deepcopy(head).eval()
    rows = [shop.pictures[p] for p in sorted(shop.pictures)] + [row for p in sorted(kept) for row in kept[p]]
    mean, deviation = shop.features[rows].mean(dim=0), shop.features[rows].std(dim=0)
    deviation = deviation.clamp(min=0.1 * float(deviation.median()))
    first = head.linear[0]
    with torch.no_grad():
        # The batch norm of a shipped head is the identity, merged into the layer before it.
        first.bias.add_(first.weight @ mean)
        first.weight.mul_(deviation)
    run(stage_of(head, (shop.features - mean) / deviation, draws_of(shop, kept, numbers, seed), numbers), report=lambda _: None)
    with torch.no_grad():
        first.weight.div_(deviation)
        first.bias.sub_(first.weight @ mean)
    return head.requires_grad_(False)


def draws_of(shop: Shop, kept: dict[int, list[int]], numbers: Numbers, seed: int) -> Draws:
    """Batches: a window of each enrolled product, all of one length, and rows of shop pictures, theirs first."""
    rng = np.random.default_rng(seed)
    products, learners = sorted(shop.pictures), sorted(kept)
    mine = [products.index(p) for p in learners]
    others = np.setdiff1d(np.arange(len(products)), mine)

    def draw() -> tuple[torch.Tensor, list[int]]:
        length = int(rng.integers(1, VIEWS + 1))
        windows = [rng.choice(kept[p], length, replace=len(kept[p]) < length) for p in learners]
        asked = mine + rng.choice(others, min(numbers.rivals, len(others)), replace=False).tolist()
        return torch.tensor(np.array(windows)), [shop.pictures[products[n]] for n in asked]

    return Draws(draw, rng)


def stage_of(head: Aggregator, features: torch.Tensor, draws: Draws, numbers: Numbers) -> Stage:
    """The last layer, attention and score of `head` on `features` of mean 0 and deviation 1, to which the draws' rows belong."""
    linear, last, scorer = head.linear, head.last, head.attention_scorer

    def values(batch: tuple[torch.Tensor, list[int]]) -> dict[str, torch.Tensor]:
        windows, pictures = batch
        mask = (torch.rand(features.shape[1]) >= numbers.dropout) / (1 - numbers.dropout)
        street = linear(features[windows.flatten()] * mask).unflatten(0, windows.shape)
        queries = head.aggregate(street)[0] if windows.shape[1] > 1 else street[:, 0]
        logits = head.pair_logits(queries, linear(features[pictures] * mask))
        same = torch.arange(len(windows))[:, None] == torch.arange(len(pictures))[None]
        return {"rank": losses.rank_loss(logits, same, numbers.cap), "pairs": losses.pair_loss(logits, same)}

    learns = [([linear[0].weight, linear[0].bias], numbers.lr), ([last.weight, last.bias, scorer.weight], numbers.lr / 4)]
    return Stage(
        name="learning",
        module=head,
        learns=[Group([p.requires_grad_(True) for p in parameters], peak) for parameters, peak in learns],
        batches=draws,
        losses=values,
        weights={"rank": 1.0, "pairs": 0.5},
        schedule=Schedule(steps=numbers.steps, shape="trapezoid"),
        averaging=Averaging(decay=numbers.decay, first=0),
        constrain=lambda: losses.constrain_distance(head),
    )


@torch.no_grad()
def between(new: Aggregator, old: Aggregator, back: float) -> Aggregator:
    """`new` part of the way back to `old`."""
    mixed = copy.deepcopy(new)
    for parameter, before in zip(mixed.parameters(), old.parameters()):
        parameter.lerp_(before, back)
    return mixed


@torch.no_grad()
def held_out(shop: Shop, head: Aggregator, kept: dict[int, list[int]]) -> torch.Tensor:
    """Log rank of the shop picture of each product whose worn views are a query."""
    windows = {product: [views] for product, views in kept.items()}
    queries = Shop(shop.features, shop.labels, shop.scores, shop.pictures, {}, {}, windows)
    return Search(queries, head, {}).ranks([]).float().log()


def tops(ranks: torch.Tensor) -> list[float]:
    """Shares of the queries whose product is first, and among the first five."""
    return [round(float((ranks <= k).float().mean()), 4) for k in (1, 5)]


def interval(values: torch.Tensor, products: torch.Tensor, seed: int = 1) -> tuple[float, float, float]:
    """Mean and its 95 % interval by resampling products, each with all of its queries."""
    rng = np.random.default_rng(seed)
    names, which = np.unique(products.numpy(), return_inverse=True)
    sums, counts = np.bincount(which, values.numpy()), np.bincount(which)
    picks = rng.integers(len(names), size=(2000, len(names)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def learn(shop: Shop, head: Aggregator, count: int, draw: int, numbers: Numbers) -> dict:
    """Enrols `count` products, adapts, and measures the four ways on queries of enrolled and of other products."""
    rng = np.random.default_rng([draw, count])
    worn = [p for p in sorted(shop.worn) if p in shop.queries]
    enrolled = sorted(int(p) for p in rng.permutation(worn)[:count])
    others = [p for p in sorted(shop.queries) if p not in set(enrolled)]
    kept = {p: keep(shop, head, p, VIEWS) for p in enrolled}
    folds = np.array_split(rng.permutation(enrolled), numbers.folds) if len(numbers.backs) > 1 else []
    before, after = [], defaultdict(list)
    for fold in folds:
        out = {int(p) for p in fold}
        test = {p: views for p, views in kept.items() if p in out}
        new = adapt(shop, head, {p: views for p, views in kept.items() if p not in out}, numbers, draw)
        before.append(held_out(shop, head, test))
        for back in numbers.backs:
            after[back].append(held_out(shop, between(new, head, back), test))
    gains = {back: torch.cat(before) - torch.cat(ranks) for back, ranks in after.items()}
    back = max(gains, key=lambda one: float(gains[one].mean())) if gains else numbers.backs[0]
    new = between(adapt(shop, head, kept, numbers, draw), head, back)
    result = {
        "count": count,
        "draw": draw,
        "back": back,
        "held_out": {str(b): interval(g, torch.arange(len(g))) for b, g in gains.items()},
    }
    searches = {"old": Search(shop, head, kept), "new": Search(shop, new, kept)}
    ranks = {}
    for name, search in searches.items():
        ranks[f"{name}, pictures"] = search.ranks([])
        ranks[f"{name}, worn"] = search.ranks(enrolled)
        ranks[f"{name}, worn, no offset"] = search.ranks(enrolled, 0.0)
    for group, products in (("enrolled", enrolled), ("others", others)):
        mine = searches["old"].of(products)
        clusters = searches["old"].own[mine]
        figures = {"queries": int(mine.sum())}
        for name, found in ranks.items():
            figures[name] = tops(found[mine])
        for one, other in GAINS:
            gain = (ranks[one][mine] <= 1).float() - (ranks[other][mine] <= 1).float()
            figures[f"{one} over {other}"] = interval(gain, clusters)
        result[group] = figures
    second = {p: [[row]] for p, row in shop.second.items()}
    views = Shop(shop.features, shop.labels, shop.scores, shop.pictures, {}, {}, second)
    result["second pictures"] = [tops(Search(views, one, {}).ranks([]))[0] for one in (head, new)]
    return result


def keep(shop: Shop, head: Aggregator, product: int, count: int) -> list[int]:
    """Rows of the worn views that an enrolment keeps."""
    rows = shop.worn[product]
    with torch.no_grad():
        views = head.last_layer(shop.features[rows])
    return [rows[n] for n in spread(head, views, count)]


def ways(shop: Shop, head: Aggregator, draws: int) -> list[dict]:
    """Top-1 and top-5 of ways to count worn views: offsets, parts of the way, numbers of views; own, half of and all worn products."""
    worn = [p for p in sorted(shop.worn) if p in shop.queries]
    out = []
    for views in (1, 3, 8):
        search = Search(shop, head, {p: keep(shop, head, p, views) for p in worn})
        mine = search.of(worn)
        nothing = search.ranks([], only=worn)
        for moved in (0.3, 0.4, 0.5, 0.6, 0.7) if views == VIEWS else (MOVED,):
            for offset in (0.0, -0.25, -0.5, -0.75, -1.0, -1.25):
                every = search.ranks(worn, offset, moved, worn)
                with_views, without = [], []
                for draw in range(draws):
                    order = np.random.default_rng([draw, 7]).permutation(worn)
                    for half in np.array_split(order, 2):
                        found = search.ranks([int(p) for p in half], offset, moved, worn)
                        inside = search.of([int(p) for p in half])
                        with_views.append(torch.stack([found[inside], search.own[inside]]))
                        without.append(torch.stack([found[mine & ~inside], search.own[mine & ~inside]]))
                with_views, without = torch.cat(with_views, 1), torch.cat(without, 1)
                half = torch.cat([with_views, without], 1)
                out.append(
                    {
                        "views": views,
                        "moved": moved,
                        "offset": offset,
                        "queries": int(mine.sum()),
                        "none": tops(nothing[mine]),
                        "all": tops(every[mine]),
                        "half": tops(half[0]),
                        "half, worn": tops(with_views[0]),
                        "half, not worn": tops(without[0]),
                        "all, top-1": interval((every[mine] <= 1).float(), search.own[mine]),
                        "half, top-1": interval((half[0] <= 1).float(), half[1]),
                    }
                )
    return out
