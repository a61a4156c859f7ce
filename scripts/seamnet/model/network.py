"""SEAM Match-RCNN: its layers, and the network that they make (sections 2, 4 to 7).

First the trunk (body, feature pyramid, RPN head), then the heads (boxes, match features and score, aggregation, masks), then `Network`.
Modules are named so that their keys are those of a published checkpoint (section 11). The steps between the layers are in `detection`.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet50
from torchvision.ops import FrozenBatchNorm2d

from . import detection
from .config import Config
from .detection import Detections

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


class ResNetBody(nn.Module):
    """ResNet-50 with frozen batch norm (eps 1e-5); returns C2..C5 at strides 4..32."""

    out_channels = (256, 512, 1024, 2048)

    def __init__(self):
        super().__init__()
        net = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(net, name))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """N x 3 x H x W -> C2..C5."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        features = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return features


class SameConv(nn.Module):
    """Convolution + ReLU6, its padding that of TensorFlow's SAME on even sides (bottom, right first)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups)
        before = (kernel - stride) // 2 if stride > 1 else kernel // 2
        after = kernel - stride - before if stride > 1 else kernel // 2
        self.pad = (before, after, before, after)
        if before == after:
            self.conv.padding = (before, before)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pad[0] != self.pad[1]:
            x = F.pad(x, self.pad)
        return F.relu6(self.conv(x), inplace=True)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand 1x1, depthwise 3x3, project 1x1 (linear)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self.expand = SameConv(inputs, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = SameConv(hidden, hidden, 3, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x -> (output, the expanded tensor, which has the most channels of its stride)."""
        wide = self.expand(x)
        y = self.project(self.depthwise(wide))
        return (x + y if self.residual else y), wide


# outputs, blocks, stride of the first block
MOBILENET_STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2))


class MobileNetBody(nn.Module):
    """MobileNetV2-1.0 without batch norm (folded in the weights it starts from).

    C3 and C4 are the expansions (192 and 576 channels) just before the next stride, C5 the
    last 160-channel output. The 320- and 1280-channel layers of the classifier are left out.
    """

    out_channels = (192, 576, 160)

    def __init__(self):
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks, inputs = [], 32
        for outputs, count, stride in MOBILENET_STAGES:
            for i in range(count):
                expansion = 1 if inputs == 32 and outputs == 16 else 6
                blocks.append(InvertedResidual(inputs, outputs, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        strides = [block.depthwise.conv.stride[0] for block in blocks]
        self.taps = [i for i, s in enumerate(strides) if s == 2][2:]

    def begin(self, x: torch.Tensor, blocks: int) -> torch.Tensor:
        """N x 3 x H x W -> the output of the stem and the first `blocks` blocks."""
        x = self.stem(x)
        for block in self.blocks[:blocks]:
            x, _ = block(x)
        return x

    def finish(self, x: torch.Tensor, blocks: int) -> list[torch.Tensor]:
        """Output of `begin` -> C3, C4, C5. All taps must be after the first `blocks`."""
        features = []
        for i, block in enumerate(self.blocks[blocks:], blocks):
            x, wide = block(x)
            if i in self.taps:
                features.append(wide)
        return [*features, x]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """N x 3 x H x W -> C3, C4, C5 at strides 8, 16, 32."""
        return self.finish(self.begin(x, 0), 0)


class FeaturePyramid(nn.Module):
    """Lateral 1x1, nearest x2 from above, 3x3; plus `pool`, every second pixel of the last level."""

    def __init__(self, inputs: tuple[int, ...], channels: int):
        super().__init__()
        self.inner_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(n, channels, 1)) for n in inputs)
        self.layer_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1)) for _ in inputs
        )

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """C levels, fine to coarse -> P levels, fine to coarse, then pool."""
        above = self.inner_blocks[-1](features[-1])
        out = [self.layer_blocks[-1](above)]
        for i in range(len(features) - 2, -1, -1):
            lateral = self.inner_blocks[i](features[i])
            above = lateral + F.interpolate(above, scale_factor=2.0, mode="nearest")
            out.insert(0, self.layer_blocks[i](above))
        out.append(F.max_pool2d(out[-1], 1, 2))
        return out


class Appearance(nn.Module):
    """What distinguishes garments and is lost in a detector's narrow pyramid: colour and the body's own features.

    At stride 8: mean and deviation of the normalised RGB in each 8 x 8 block, and C3, C4, C5, each
    through a 1x1 convolution onto its principal components (`fit`, never trained). Coarser levels
    are averages of it.
    """

    def __init__(self, inputs: tuple[int, ...], channels: tuple[int, ...]):
        super().__init__()
        self.components = nn.ModuleList(nn.Conv2d(n, k, 1) for n, k in zip(inputs, channels))
        self.requires_grad_(False)

    @staticmethod
    def colours(image: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W -> N x 6 x H/8 x W/8: means, then deviations."""
        mean = F.avg_pool2d(image, 8)
        return torch.cat([mean, F.relu(F.avg_pool2d(image * image, 8) - mean * mean + 1e-4).sqrt()], dim=1)

    def forward(self, colours: torch.Tensor, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """`colours` and C3..C5 -> one tensor a level, at strides 8, 16, 32."""
        parts = [colours]
        for k, (conv, feature) in enumerate(zip(self.components, features)):
            part = conv(feature)
            parts.append(F.interpolate(part, scale_factor=2.0**k, mode="nearest") if k else part)
        levels = [torch.cat(parts, dim=1)]
        for _ in features[1:]:
            levels.append(F.avg_pool2d(levels[-1], 2))
        return levels

    @torch.no_grad()
    def fit(self, features: list[list[torch.Tensor]]) -> None:
        """Principal components, scaled to deviation 1, of the features (C3, C4, C5) of some batches."""
        for conv, column in zip(self.components, zip(*features)):
            x = torch.cat([t.permute(0, 2, 3, 1).flatten(0, 2) for t in column]).double()
            mean = x.mean(dim=0)
            values, vectors = torch.linalg.eigh(torch.cov((x - mean).T))
            top = vectors.flip(1)[:, : conv.out_channels] / values.flip(0)[: conv.out_channels].clamp(min=1e-9).sqrt()
            conv.weight.copy_(top.T[:, :, None, None].float())
            conv.bias.copy_((-top.T @ mean).float())


class RpnHead(nn.Module):
    """3x3 convolution, ReLU, then 3 objectness logits and 12 deltas a pixel, one head for all levels."""

    def __init__(self, channels: int, anchors: int):
        super().__init__()
        self.conv = nn.Sequential(nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()))
        self.cls_logits = nn.Conv2d(channels, anchors, 1)
        self.bbox_pred = nn.Conv2d(channels, anchors * 4, 1)
        for layer in (self.conv[0][0], self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, levels: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Levels -> (objectness N x A x h x w, deltas N x 4A x h x w) a level, raw."""
        hidden = [self.conv(level) for level in levels]
        return [self.cls_logits(t) for t in hidden], [self.bbox_pred(t) for t in hidden]


def backbone(body: str, channels: int) -> nn.Sequential:
    """`body` and `fpn` in sequence: N x 3 x H x W -> pyramid levels and pool."""
    made = {"resnet50": ResNetBody, "mobilenet_v2": MobileNetBody}[body]()
    pyramid = FeaturePyramid(made.out_channels, channels)
    return nn.Sequential(OrderedDict(body=made, fpn=pyramid))


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


def _mixed_level(level: torch.Tensor, mix: nn.Linear) -> torch.Tensor:
    return F.conv2d(level, mix.weight[:, :, None, None]).contiguous()


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


class Network(nn.Module):
    """SEAM Match-RCNN. The submodules are named after the checkpoint's keys; the methods compute."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        labels = len(config.classes) + 1
        self.backbone = backbone(config.body, config.channels)
        if config.appearance:
            self.appearance = Appearance(self.backbone.body.out_channels, config.appearance)
        self.rpn = nn.Module()
        self.rpn.head = RpnHead(config.channels, len(config.ratios))
        heads = self.roi_heads = nn.Module()
        heads.box_head = BoxHead(config.channels, config.fc, config.extra if config.box_appearance else 0, config.context > 0)
        heads.box_predictor = BoxPredictor(config.fc, labels)
        if config.masks:
            heads.mask_head = MaskHead(config.channels)
            heads.mask_predictor = MaskPredictor(config.channels, labels)
        shape = (config.channels, config.extra, config.match_width, config.embedding)
        heads.match_predictor = MatchHead(*shape)
        heads.temporal_aggregator = Aggregator(*shape)

    def trunk(self, image: torch.Tensor):
        """N x 3 x H x W -> (RoI levels, objectness of each level, deltas of each level)."""
        features = self.backbone.body(image)
        levels = self.backbone.fpn(features)
        objectness, deltas = self.rpn.head(levels)
        return self.roi_levels(levels, self.appearance.colours(image) if self.config.appearance else None, features), objectness, deltas

    def roi_levels(self, pyramid: list[torch.Tensor], colours: torch.Tensor | None, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Pyramid and pool, `colours` and C3..C5 -> the levels that RoIs are pooled from."""
        if colours is None:
            return pyramid[:-1]
        return [torch.cat(pair, dim=1) for pair in zip(pyramid[:-1], self.appearance(colours, features))]

    def box(self, rois: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Output of `pool_boxes` for N boxes -> class logits, deltas."""
        return self.roi_heads.box_predictor(self.roi_heads.box_head(rois))

    def box_of(self, levels: list[torch.Tensor], proposals: torch.Tensor, image=None) -> tuple[torch.Tensor, torch.Tensor]:
        """`box` of the RoIs of n proposals, for a box head with appearance and context. Channels are mixed before they are pooled:
        both are linear, so the result is the same, at a fifth of the work."""
        config, head = self.config, self.roi_heads.box_head
        own = detection.pool_rois(config, [_mixed_level(v, head.mix) for v in levels], proposals, 7, config.input_size, image)
        about = detection.with_context(proposals, config.context)[1::2]
        around = detection.pool_rois(config, [_mixed_level(v, head.mix_context) for v in levels], about, 7, config.input_size, image)
        hidden = F.relu(head.fc6(own.flatten(1)) + F.linear(around.flatten(1), head.fc6_context.weight))
        return self.roi_heads.box_predictor(F.relu(head.fc7(hidden)))

    def embed(self, rois: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """N x C x 14 x 14 -> embeddings of the SFMR head and of the aggregator's head."""
        return self.roi_heads.match_predictor(rois), self.roi_heads.temporal_aggregator(rois)

    def masks(self, rois: torch.Tensor) -> torch.Tensor:
        """N x C x 14 x 14 -> N x (K + 1) x 28 x 28 logits."""
        return self.roi_heads.mask_predictor(self.roi_heads.mask_head(rois))

    @torch.no_grad()
    def forward(self, image: torch.Tensor, size: tuple[int, int]) -> Detections:
        """One picture -> its garments, with both embeddings."""
        levels, objectness, deltas = self.trunk(image)
        return detection.recognize(self.config, self, image.shape[-2:], size, levels, objectness, deltas)
