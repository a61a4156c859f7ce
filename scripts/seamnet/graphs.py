"""The parts of a network as modules ready for ONNX: what each graph takes and gives.

Everything between the graphs (anchors, top-k, NMS, RoIAlign, scores) is the program's. Batch norm
is folded into the layer before it; RoIs are channels-last.
"""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_linear_bn_eval
from torchvision.ops import FrozenBatchNorm2d

from .heads import BEFORE_LAST, MatchHead
from .network import Network


class Trunk(nn.Module):
    """`image` 1 x 3 x H x W -> RoI levels, then objectness and deltas of every RPN level, raw."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, image):
        levels, objectness, deltas = self.network.trunk(image)
        return (*levels, *objectness, *deltas)


class Box(nn.Module):
    """`rois` N x 7 x 7 x C (2 N with context, as `pool_boxes` gives them) -> class logits, deltas; fc6's columns are permuted
    instead of the RoIs."""

    def __init__(self, network: Network):
        super().__init__()
        self.head = copy.deepcopy(network.roi_heads.box_head)
        self.predictor = network.roi_heads.box_predictor
        # Laid out as it is multiplied, so that it keeps its name.
        self.mix = nn.Parameter(self.head.mix.weight.T.contiguous()) if hasattr(self.head, "mix") else None
        self.cut = network.config.extra > 0
        self.context = network.config.context > 0
        channels_last = lambda w: w.view(len(w), -1, 7, 7).permute(0, 2, 3, 1).flatten(1).contiguous()  # noqa: E731
        self.head.fc6.weight = nn.Parameter(channels_last(self.head.fc6.weight))
        if self.context:
            self.mix_context = nn.Parameter(self.head.mix_context.weight.T.contiguous())
            self.fc6_context = nn.Parameter(channels_last(self.head.fc6_context.weight).T.contiguous())

    def forward(self, rois):
        if self.context:
            rois, around = rois.reshape(-1, 2, *rois.shape[1:]).unbind(dim=1)
        if self.mix is not None:
            rois = rois @ self.mix
        elif self.cut:
            rois = rois[..., : self.head.channels]
        hidden = self.head.fc6(rois.flatten(1))
        if self.context:
            hidden = hidden + (around @ self.mix_context).flatten(1) @ self.fc6_context
        return self.predictor(F.relu(self.head.fc7(F.relu(hidden))))


class Match(nn.Module):
    """`rois` B x 14 x 14 x C -> embeddings of both match heads.

    Heads whose last layers alone differ, which is how stage two leaves them, compute the rest once.
    """

    def __init__(self, network: Network):
        super().__init__()
        self.match = network.roi_heads.match_predictor
        self.aggregation = network.roi_heads.temporal_aggregator
        before = lambda head: {k: v for k, v in head.state_dict().items() if k.startswith(BEFORE_LAST)}  # noqa: E731
        one, other = before(self.match), before(self.aggregation)
        self.alike = one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)

    def forward(self, rois):
        rois = rois.permute(0, 3, 1, 2)
        features = self.match.features(rois)
        others = features if self.alike else self.aggregation.features(rois)
        return self.match.last_layer(features), self.aggregation.last_layer(others)


class Aggregate(nn.Module):
    """`sequence` T x 256 (T >= 2) -> query 256, attention T."""

    def __init__(self, network: Network):
        super().__init__()
        self.aggregator = network.roi_heads.temporal_aggregator

    def forward(self, sequence):
        return self.aggregator.aggregate(sequence)


class Masks(nn.Module):
    """`rois` B x 14 x 14 x C -> mask logits B x (K + 1) x 28 x 28."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, rois):
        return self.network.masks(rois.permute(0, 3, 1, 2))


def _fold(conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> nn.Conv2d:
    """`conv` followed by `norm`, as one convolution with a bias."""
    scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
    folded = copy.deepcopy(conv)
    folded.weight.data = (conv.weight.double() * scale[:, None, None, None]).float()
    folded.bias = nn.Parameter((norm.bias.double() - norm.running_mean.double() * scale).float())
    return folded


def _fold_frozen(module: nn.Module) -> None:
    """Fold every frozen batch norm into the convolution registered just before it."""
    names = list(module._modules)
    for before, name in zip(names, names[1:]):
        norm = module._modules[name]
        if isinstance(norm, FrozenBatchNorm2d):
            module._modules[before] = _fold(module._modules[before], norm)
            module._modules[name] = nn.Identity()
    for child in module.children():
        _fold_frozen(child)


def folded(network: Network) -> Network:
    """A copy for inference, without batch norm."""
    network = copy.deepcopy(network).eval()
    with torch.no_grad():
        _fold_frozen(network.backbone)
        for head in network.roi_heads.children():
            if isinstance(head, MatchHead):
                fused = fuse_linear_bn_eval(head.linear[0], head.linear[1])
                head.linear = nn.Sequential(fused)
    return network


def trunk_outputs(network: Network) -> list[str]:
    """Names of the trunk's outputs, in order."""
    config = network.config
    kinds = range(len(config.anchor_sizes))
    return (
        [f"p{k}" for k in config.levels]
        + [f"objectness.{k}" for k in kinds]
        + [f"deltas.{k}" for k in kinds]
    )
