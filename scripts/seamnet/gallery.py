"""Stage two of training: the match head alone, on stored RoI features of the frozen detector.

A picture passes through the trunk once or twice; after that a step costs only the match head, so a
batch can hold many products, which is what telling products apart needs.
"""

import multiprocessing
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch

from . import boxes, losses
from .data import VISIBLE, Pictures
from .network import Network, pool_rois
from .train import Bank, shaken


@dataclass
class Rois:
    """n garments: features n x C x 14 x 14 (float16), product, clip (-1 is a shop picture), picture."""

    features: torch.Tensor
    products: torch.Tensor
    clips: torch.Tensor
    pictures: torch.Tensor


_JOB: tuple[Network, Pictures, int, float] | None = None


def _start(job) -> None:
    global _JOB
    _JOB = job
    torch.set_num_threads(1)


@torch.no_grad()
def _features(task: tuple[int, bool]):
    """RoI features of one picture, once, augmented or not; two shaken boxes a garment."""
    network, pictures, seed, shake = _JOB
    index, augmented = task
    torch.manual_seed(seed * 1_000_003 + 2 * index + augmented)
    rng = np.random.default_rng([seed, index]) if augmented else None
    sample = pictures.sample(index, network.config.input_size, rng)
    keep = sample.visible >= VISIBLE
    if not keep.any():
        return None
    image = sample.image[None].contiguous(memory_format=torch.channels_last)
    levels = [t.contiguous() for t in network.backbone(image)[:-1]]
    garments, products = sample.boxes[keep], sample.products[keep]
    variants = [boxes.clip(shaken(garments, shake), sample.size) for _ in range(2)]
    pooled = pool_rois(network.config, levels, torch.cat(variants), 14, network.config.input_size)
    return pooled.half().numpy(), products.repeat(2).numpy()


def choose(pictures: Pictures, rng, few: int, many: int, long_clips: int) -> list[tuple[int, bool]]:
    """Pictures to use: all of the shop (as it is, and augmented), `few` frames of every clip, `many` of some."""
    clips = defaultdict(list)
    tasks = []
    for i, image in enumerate(pictures.images):
        if image["kind"] == "shop":
            tasks += [(i, False), (i, True)]
        elif image["kind"] == "street":
            clips[image["clip"]].append(i)
    order = rng.permutation(sorted(clips))
    for place, clip in enumerate(order):
        count = many if place < long_clips else few
        frames = rng.permutation(clips[int(clip)])[:count]
        tasks += [(int(i), place >= long_clips) for i in sorted(frames)]
    return tasks


def collect(network, pictures, seed: int, workers: int = 1, few=3, many=10, long_clips=70, shake=0.07) -> Rois:
    """Run the frozen trunk over the chosen pictures."""
    tasks = choose(pictures, np.random.default_rng([seed, 7]), few, many, long_clips)
    job = (network.eval(), pictures, seed, shake)
    if workers > 1:
        with multiprocessing.get_context("fork").Pool(workers, _start, (job,)) as pool:
            results = pool.map(_features, tasks, chunksize=8)
    else:
        _start(job)
        results = [_features(task) for task in tasks]
    kept = [(task[0], *r) for task, r in zip(tasks, results) if r is not None]
    clip = [pictures.images[i]["clip"] for i, _, _ in kept]
    return Rois(
        torch.cat([torch.from_numpy(f) for _, f, _ in kept]),
        torch.cat([torch.from_numpy(p) for _, _, p in kept]),
        torch.cat([torch.full((len(p),), -1 if c is None else c) for c, (_, _, p) in zip(clip, kept)]),
        torch.cat([torch.full((len(p),), i) for i, _, p in kept]),
    )


class Sampler:
    """Draws batches of products: one shop RoI and two street RoIs, of two clips where there are two."""

    def __init__(self, rois: Rois, rng):
        self.rois, self.rng = rois, rng
        self.shop, self.street = defaultdict(list), defaultdict(lambda: defaultdict(list))
        for i, (product, clip) in enumerate(zip(rois.products.tolist(), rois.clips.tolist())):
            if clip < 0:
                self.shop[product].append(i)
            else:
                self.street[product][clip].append(i)
        self.products = sorted(set(self.shop) & set(self.street))

    def batch(self, count: int) -> list[int]:
        """Indices of RoIs."""
        out = []
        for product in self.rng.choice(self.products, size=min(count, len(self.products)), replace=False):
            out.append(int(self.rng.choice(self.shop[product])))
            clips = list(self.street[product].values())
            picks = self.rng.permutation(len(clips))[:2] if len(clips) > 1 else [0, 0]
            out += [int(self.rng.choice(clips[k])) for k in picks]
        return out


def fit(network: Network, rois: Rois, steps: int, seed: int, report=print, products: int = 32, lr: float = 6e-4) -> None:
    """Train the match predictor; 3 RoIs of each of `products` products a step."""
    rng = np.random.default_rng([seed, 11])
    sampler, bank = Sampler(rois, rng), Bank(300)
    head = network.roi_heads.match_predictor.train()
    optimiser = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps, pct_start=0.1)
    mean = 0.0
    for step in range(steps):
        some = sampler.batch(products)
        shop = rois.clips[some] < 0
        embeddings = head(rois.features[some].float())
        pairs, rank = losses.match_loss(head, embeddings, rois.products[some], shop, bank.tensors())
        bank.add(embeddings[shop], rois.products[some][shop])
        loss = rank + 0.5 * pairs
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        mean = 0.95 * mean + 0.05 * float(rank.detach()) if step else float(rank.detach())
        if step % 25 == 0 or step == steps - 1:
            report(f"match step {step} rank loss {mean:.3f} pairs {float(pairs.detach()):.3f}")
    head.eval()


@torch.no_grad()
def sequences(network: Network, rois: Rois):
    """Aggregator-head embeddings by shop picture and by (clip, product), for `sequences.fit`."""
    from .sequences import Embedded

    head = network.roi_heads.temporal_aggregator.eval()
    embeddings = torch.cat([head(part.float()) for part in rois.features.split(64)])
    shop = rois.clips < 0
    out = Embedded(embeddings[shop], rois.products[shop])
    grouped = defaultdict(dict)
    for i in torch.nonzero(~shop).flatten().tolist():
        key = int(rois.clips[i]), int(rois.products[i])
        grouped[key][int(rois.pictures[i])] = embeddings[i]
    for (_, product), frames in sorted(grouped.items()):
        if len(frames) >= 2:
            out.sequences.append(torch.stack(list(frames.values())))
            out.products.append(product)
    return out
