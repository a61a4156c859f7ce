"""Initial weights that come from data: layers of even outputs, principal components, the linear discriminant."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ..model.network import MatchHead, Network
from .data import Pictures
from .garment_features import Garments


def init_heads(network: Network) -> None:
    """Match weights whose score is 0.5 about where random pairs begin to differ, and small box predictor weights."""
    for head in (network.roi_heads.match_predictor, network.roi_heads.temporal_aggregator):
        with torch.no_grad():
            head.last.weight.zero_()
            head.last.bias.zero_()
            head.last.weight[1] = -0.02
            head.last.bias[1] = 6.0
    predictor = network.roi_heads.box_predictor
    torch.nn.init.normal_(predictor.cls_score.weight, std=0.01)
    torch.nn.init.normal_(predictor.bbox_pred.weight, std=0.001)


@torch.no_grad()
def unit_variance(layers: list[nn.Module], forward: Callable[[], object]) -> None:
    """Layer-sequential unit-variance initialisation (Mishkin and Matas, 2016): scales every layer so that, while `forward()`
    passes data through it, its outputs have mean 0 and deviation 1.

    Nothing normalises activations between pyramid and heads; unscaled, they start large, grow, and
    most ReLUs die within a hundred steps.
    """
    done: set = set()

    def rescale(layer, _, out):
        if layer.weight in done:
            return None
        done.add(layer.weight)
        mean, deviation = out.mean(dim=[0, *range(2, out.dim())]), out.std()
        layer.weight /= deviation
        layer.bias.copy_((layer.bias - mean) / deviation)
        return (out - mean.view([1, -1] + [1] * (out.dim() - 2))) / deviation

    hooks = [layer.register_forward_hook(rescale) for layer in layers]
    forward()
    for hook in hooks:
        hook.remove()


def unit_variance_convolutions(convolutions: nn.Sequential, rois: torch.Tensor) -> None:
    """`unit_variance` for a row of convolutions."""
    layers = [layer for layer in convolutions if isinstance(layer, nn.Conv2d)]
    unit_variance(layers, lambda: convolutions(rois))


@torch.no_grad()
def fit_appearance(network: Network, pictures: Pictures, seed: int) -> None:
    """Fits the appearance channels to some of the pictures."""
    rng = np.random.default_rng([seed, 43])
    picks = rng.choice(len(pictures.images), size=min(128, len(pictures.images)), replace=False)
    images = torch.stack([pictures.sample(int(i), network.config.input_size, rng).image for i in picks])
    network.appearance.fit([network.backbone.body(part) for part in images.split(8)])


def discriminant(x: torch.Tensor, owners: torch.Tensor, count: int, shrink: float):
    """Linear discriminant analysis. x: n x D, owners: n -> (weight count x D, bias count, gain count).

    `weight` and `bias` take x to values of mean 0 and variance 1 over all of x; `gain` is how many times larger
    their variance is among all than within products.
    """
    scale = x.std(dim=0) + 1e-6
    mean = x.mean(dim=0)
    z = (x - mean) / scale
    _, owner = owners.unique(return_inverse=True)
    sums = torch.zeros(int(owner.max()) + 1, z.shape[1], dtype=z.dtype).index_add_(0, owner, z)
    apart = z - (sums / owner.bincount()[:, None])[owner]
    within = apart.T @ apart / max(len(z) - len(sums), 1)
    even = torch.eye(len(within), dtype=z.dtype) * within.diagonal().mean()
    values, vectors = torch.linalg.eigh((1 - shrink) * within + shrink * even)
    whiten = vectors / values.clamp(min=1e-9).sqrt()
    total, directions = torch.linalg.eigh(whiten.T @ (z.T @ z / len(z)) @ whiten)
    total, directions = total.flip(0)[:count].clamp(min=1e-6), directions.flip(1)[:, :count]
    weight = ((whiten @ directions) / total.sqrt()).T / scale
    return weight.float(), -(weight @ mean).float(), total.float()


@torch.no_grad()
def _init_convolutions(head: MatchHead, rois: torch.Tensor) -> None:
    """Unit variance for the convolutions, and for the kinds of the palette one by one."""
    unit_variance_convolutions(head.conv_seq, rois)
    x = head.palette(rois)
    mean, deviation = x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3))
    head.palette.weight /= deviation[:, None, None, None]
    # Below 0 on average, so that a kind of place is the exception and not the rule.
    head.palette.bias.copy_((head.palette.bias - mean) / deviation - 0.3)


@torch.no_grad()
def init_match_head(head: MatchHead, garments: Garments, seed: int, shrink: float, sharpness: float) -> None:
    """Sets the head to the discriminant of its pooled features; what the convolutions see counts nothing yet.

    `shrink`: how far the scatter within products is drawn towards an even one before it is inverted. `sharpness`: mean weight of
    a difference in the score.
    """
    rng = np.random.default_rng([seed, 51])
    rows, owners = [], []
    for product in rng.permutation(garments.products())[:3000]:
        worn = [r for clip in garments.street[int(product)].values() for r in clip]
        shop = garments.shop[int(product)]
        rows += [int(r) for r in rng.choice(worn, min(3, len(worn)), replace=False)]
        rows += [int(r) for r in rng.choice(shop, min(2, len(shop)), replace=False)]
        owners += [int(product)] * (len(rows) - len(owners))
    _init_convolutions(head, garments.read(rows[:256]))
    pooled = [head.features(garments.read(rows[at : at + 128]))[:, head.spatial :] for at in range(0, len(rows), 128)]
    owners = torch.tensor(owners)
    embedding = head.last.in_features
    weight, bias, gain = discriminant(torch.cat(pooled).double(), owners, embedding, shrink)
    head.linear[0].weight.zero_()
    head.linear[0].weight[: len(weight), head.spatial :] = weight
    head.linear[0].bias.zero_()
    head.linear[0].bias[: len(bias)] = bias
    worth = torch.full((embedding,), 0.02)
    worth[: len(gain)] = (gain - 1).clamp(min=0.02)
    head.last.weight.zero_()
    head.last.bias.zero_()
    head.last.weight[1] = -sharpness * worth.sqrt() / worth.sqrt().mean()
    some = head.eval()(garments.read(rows[:512]))
    logits, same = head.pair_logits(some, some), owners[:512, None] == owners[None, :512]
    twice = same & ~torch.eye(len(some), dtype=torch.bool)
    if twice.any() and not same.all():
        head.last.bias[1] = -(logits[twice].mean() + logits[~same].mean()) / 2
