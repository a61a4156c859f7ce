"""The heads: boxes (section 4), match features (5), the match score (6), aggregation (7), masks.

Modules are named so that their keys are those of a published checkpoint (section 11).
"""

import torch
import torch.nn.functional as F
from torch import nn

PALETTE = 128
"""Kinds of place that a match head with appearance channels counts, as a learned colour histogram."""

WHERE = 32
"""Channels by which such a head separates the garment from the rest of its box."""

LEAST_SHARE = 1e-3
"""Smallest weight of a place, so that a part of a box without any garment has a mean too."""

LEAST_SPREAD = 1e-4
"""Added to a variance before taking its root."""

BEFORE_LAST = ("conv_seq", "where", "palette")
"""The parts of a match head before its last layer."""


class BoxHead(nn.Module):
    """Flatten, two fully connected layers with ReLU: N x C x 7 x 7 -> N x width. C = channels + extra.

    With `extra` channels (never in the published network) each place of the RoI is first mixed down to `channels`; at the
    beginning only the pyramid's count. RoIs of the pyramid alone are treated as if the others were 0. With `context` (never in the
    published network) every other RoI is of a box's surroundings, 2 N in all, and is mixed down to half as many channels; at the
    beginning their weights are 0.
    """

    def __init__(self, channels: int, width: int, extra: int = 0, context: bool = False):
        super().__init__()
        self.channels = channels
        if extra:
            self.mix = nn.Linear(channels + extra, channels, bias=False)
            with torch.no_grad():
                self.mix.weight.copy_(torch.eye(channels, channels + extra))
        self.fc6 = nn.Linear(channels * 49, width)
        self.fc7 = nn.Linear(width, width)
        if context:
            self.mix_context = nn.Linear(channels + extra, channels // 2, bias=False)
            self.fc6_context = nn.Linear(channels // 2 * 49, width, bias=False)
            nn.init.zeros_(self.fc6_context.weight)

    def forward(self, rois: torch.Tensor) -> torch.Tensor:
        context = 0.0
        if hasattr(self, "mix_context"):
            rois, around = rois.unflatten(0, (-1, 2)).unbind(dim=1)
            context = F.linear(_mixed(around, self.mix_context).flatten(1), self.fc6_context.weight)
        rois = _mixed(rois, self.mix) if hasattr(self, "mix") else rois[:, : self.channels]
        return F.relu(self.fc7(F.relu(self.fc6(rois.flatten(1)) + context)))


def _mixed(rois: torch.Tensor, mix: nn.Linear) -> torch.Tensor:
    return torch.einsum("ncyx,oc->noyx", rois, mix.weight[:, : rois.shape[1]])


class BoxPredictor(nn.Module):
    """N x width -> class logits N x (K + 1), deltas N x 4 (K + 1)."""

    def __init__(self, width: int, labels: int):
        super().__init__()
        self.cls_score = nn.Linear(width, labels)
        self.bbox_pred = nn.Linear(width, labels * 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.cls_score(x), self.bbox_pred(x)


class MatchHead(nn.Module):
    """N x C x 14 x 14 -> N x embedding, and the weights of its match score. C = channels + extra.

    With `extra` channels (never in the published network) the last layer also sees the RoI pooled over
    the garment alone, each place weighted by the garment's share of it according to `where` (the rest is skin, background
    or other clothes): its upper, middle and lower part and its centre (where clothes under an open
    jacket show), the deviation over its places, and the mean of `palette`: a learned colour histogram.
    """

    def __init__(self, channels: int, extra: int, width: int, embedding: int):
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels + extra
        for outputs in (channels, channels, channels, width):
            layers += [nn.Conv2d(inputs, outputs, 3), nn.ReLU()]
            inputs = channels
        self.conv_seq = nn.Sequential(*layers)
        self.spatial = width
        self.dropout = 0.2 if extra else 0.0
        if extra:
            self.where = nn.Sequential(
                nn.Conv2d(channels + extra, WHERE, 1),
                nn.ReLU(),
                nn.Conv2d(WHERE, WHERE, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(WHERE, 1, 3, padding=1),
            )
            self.palette = nn.Conv2d(channels + extra, PALETTE, 1)
            width += PALETTE + 5 * (channels + extra)
        self.linear = nn.Sequential(nn.Linear(width, embedding), nn.BatchNorm1d(embedding))
        self.last = nn.Linear(embedding, 2)

    def features(self, rois: torch.Tensor) -> torch.Tensor:
        """Inputs of the last layer, N x width: first `spatial` values from the convolutions, then the pooled ones."""
        parts = [F.relu(F.avg_pool2d(self.conv_seq(rois), 6)).flatten(1)]
        if hasattr(self, "where"):
            share = torch.sigmoid(self.where(rois)).reshape(-1, 1, 196) + LEAST_SHARE
            share = share * WINDOWS.to(rois.device)
            share = (share / share.sum(dim=2, keepdim=True)).transpose(1, 2)
            places = rois.reshape(-1, rois.shape[1], 196)
            pooled = places @ share
            whole, mean = share[:, :, :1], pooled[:, :, :1]
            parts.append((F.relu(self.palette(rois)).reshape(-1, PALETTE, 196) @ whole).flatten(1))
            parts.append(pooled[:, :, 1:].flatten(1))
            parts.append(torch.sqrt((places - mean).square() @ whole + LEAST_SPREAD).flatten(1))
        return torch.cat(parts, dim=1)

    def forward(self, rois: torch.Tensor) -> torch.Tensor:
        return self.last_layer(self.features(rois))

    def last_layer(self, features: torch.Tensor) -> torch.Tensor:
        """Output of `features` -> embeddings."""
        return self.linear(F.dropout(features, self.dropout, self.training))

    def score_weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(v, d) of score = sigmoid(v . (a - b)^2 + d)."""
        return self.last.weight[1] - self.last.weight[0], self.last.bias[1] - self.last.bias[0]

    def pair_logits(self, street: torch.Tensor, shop: torch.Tensor) -> torch.Tensor:
        """Q x E, G x E -> Q x G match logits v . (a - b)^2 + d, by the inner-product form."""
        v, d = self.score_weights()
        bias = (street.square() @ v)[:, None] + shop.square() @ v + d
        return bias - 2 * (street * v) @ shop.T


def _windows() -> torch.Tensor:
    """5 x 196 masks: a whole RoI, its upper, middle and lower part, its centre."""
    windows = torch.zeros(5, 14, 14)
    windows[0] = 1
    for part in range(3):
        windows[1 + part, 4 * part : 4 * part + 6] = 1
    windows[4, 3:11, 4:10] = 1
    return windows.flatten(1)


WINDOWS = _windows()
"""The regions that a match head pools over."""


class NonLocal(nn.Module):
    """Concatenation-form non-local block over a sequence, T x E -> T x E (section 7)."""

    def __init__(self, embedding: int):
        super().__init__()
        inner = embedding // 2
        self.g = nn.Conv1d(embedding, inner, 1)
        self.theta = nn.Conv1d(embedding, inner, 1)
        self.phi = nn.Conv1d(embedding, inner, 1)
        self.W = nn.Conv1d(inner, embedding, 1)
        self.concat_project = nn.Sequential(nn.Conv2d(2 * inner, 1, 1, bias=False))
        nn.init.zeros_(self.W.weight)
        nn.init.zeros_(self.W.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.concat_project[0].weight.flatten()
        inner = self.g.weight.shape[0]
        theta, phi, g = (_pointwise(layer, x) for layer in (self.theta, self.phi, self.g))
        p, q = theta @ w[:inner], phi @ w[inner:]
        pairs = F.relu(p[..., :, None] + q[..., None, :])
        # 1 / T as a softmax of zeros: T stays symbolic in the exported graph.
        share = torch.softmax(q * 0.0, dim=-1)
        return _pointwise(self.W, pairs @ (share[..., None] * g)) + x


def _pointwise(layer: nn.Conv1d, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, layer.weight[:, :, 0], layer.bias)


class Aggregator(MatchHead):
    """The second match head, with the layers that aggregate the embeddings of several frames into one."""

    def __init__(self, channels: int, extra: int, width: int, embedding: int):
        super().__init__(channels, extra, width, embedding)
        self.attention_scorer = nn.Linear(embedding, 1)
        self.newnlb = NonLocal(embedding)

    def aggregate(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """... x T x E -> (query ... x E, attention ... x T). T = 1: the embedding itself.

        The attention reads the non-local block's *output*. The published implementation's outputs decide
        (scripts/parity: 146 tracks, sequences of 2, 5 and 16): they agree with that to 1e-7, and differ by up
        to 0.56 from attention on the block's input.
        """
        z = self.newnlb(x) if x.shape[-2] > 1 else x
        attention = torch.softmax(self.attention_scorer(z).squeeze(-1), dim=-1)
        return (attention[..., None] * z).sum(dim=-2), attention


class MaskHead(nn.Sequential):
    """Four 3x3 convolutions with ReLU."""

    def __init__(self, channels: int):
        super().__init__(
            *(nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()) for _ in range(4))
        )


class MaskPredictor(nn.Module):
    """N x C x 14 x 14 -> N x (K + 1) x 28 x 28 logits."""

    def __init__(self, channels: int, labels: int):
        super().__init__()
        self.conv5_mask = nn.ConvTranspose2d(channels, channels, 2, 2)
        self.mask_fcn_logits = nn.Conv2d(channels, labels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mask_fcn_logits(F.relu(self.conv5_mask(x)))
