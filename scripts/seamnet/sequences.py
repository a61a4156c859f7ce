"""Stage two of training: the aggregator, on sequences of one garment in the frames of a clip.

The detector and the convolutions are frozen; the aggregator's own copy of the match head stays as
it was copied, so its embeddings can be computed once. What learns: non-local block, attention,
score weights.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch

from . import boxes, losses
from .data import VISIBLE, Pictures
from .network import Network, pool_rois
from .train import shaken


@dataclass
class Embedded:
    """Aggregator-head embeddings: of shop pictures, and of street sequences by (clip, product)."""

    shop: torch.Tensor
    shop_products: torch.Tensor
    sequences: list[torch.Tensor] = field(default_factory=list)
    products: list[int] = field(default_factory=list)


def copy_head(network: Network) -> None:
    """Start the aggregator's head as a copy of the match predictor's (section 10), attention even."""
    source = network.roi_heads.match_predictor.state_dict()
    aggregator = network.roi_heads.temporal_aggregator
    aggregator.load_state_dict(source, strict=False)
    torch.nn.init.zeros_(aggregator.attention_scorer.weight)
    torch.nn.init.zeros_(aggregator.attention_scorer.bias)


@torch.no_grad()
def garments(network: Network, pictures: Pictures, index: int, shake: float) -> list[tuple[int, torch.Tensor]]:
    """(product, embedding) of everything that shows in a picture, from its (shaken) boxes."""
    sample = pictures.sample(index, network.config.input_size, None)
    keep = sample.visible >= VISIBLE
    if not keep.any():
        return []
    levels = network.backbone(sample.image[None])[:-1]
    rois = boxes.clip(shaken(sample.boxes[keep], shake), sample.size)
    pooled = pool_rois(network.config, levels, rois, 14, sample.image.shape[-2:])
    embeddings = network.roi_heads.temporal_aggregator(pooled)
    return list(zip(sample.products[keep].tolist(), embeddings))


def embed_all(network: Network, pictures: Pictures, clips: int, rng, shake: float = 0.05) -> Embedded:
    """Embed `clips` clips drawn at random, and the shop pictures of all that shows in them."""
    network.eval()
    frames = defaultdict(list)
    for i, image in enumerate(pictures.images):
        if image["kind"] == "street":
            frames[image["clip"]].append(i)
    chosen = rng.permutation(sorted(frames))[:clips]
    found = defaultdict(list)
    for clip in chosen:
        for i in frames[int(clip)][:12]:
            for product, embedding in garments(network, pictures, i, shake):
                found[int(clip), product].append(embedding)
    shop, names = [], []
    for product in sorted({p for _, p in found}):
        for i in pictures.shop.get(product, []):
            for name, embedding in garments(network, pictures, i, shake / 2):
                shop.append(embedding)
                names.append(name)
    out = Embedded(torch.stack(shop), torch.tensor(names))
    for (_, product), sequence in sorted(found.items()):
        if len(sequence) >= 2 and product in pictures.shop:
            out.sequences.append(torch.stack(sequence))
            out.products.append(product)
    return out


def fit(network: Network, data: Embedded, steps: int, seed: int, report=print, lr: float = 1e-3) -> None:
    """Train the aggregation on embedded sequences; 24 sequences of one length a step."""
    rng = np.random.default_rng(seed)
    head = network.roi_heads.temporal_aggregator
    learn = [head.newnlb, head.attention_scorer, head.last]
    for module in learn:
        module.requires_grad_(True)
    parameters = [p for m in learn for p in m.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=lr, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    products = torch.tensor(data.products)
    for step in range(steps):
        length = int(rng.integers(2, network.config.frames + 1))
        able = [i for i, s in enumerate(data.sequences) if len(s) >= length]
        if not able:
            continue
        picks = rng.choice(able, size=min(24, len(able)), replace=False)
        x = torch.stack(
            [data.sequences[i][rng.permutation(len(data.sequences[i]))[:length].copy()] for i in picks]
        )
        queries, _ = head.aggregate(x)
        logits = head.pair_logits(queries, data.shop)
        same = products[picks][:, None] == data.shop_products[None]
        loss = losses.rank_loss(logits, same) + losses.pair_loss(logits, same)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            report(f"aggregator step {step} loss {float(loss.detach()):.4f}")
