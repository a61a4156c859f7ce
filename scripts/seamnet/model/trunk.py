"""The trunk: a body (ResNet-50 or MobileNetV2), the feature pyramid, the RPN head (section 2).

Modules are named so that their keys are those of a published checkpoint (section 11).
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet50
from torchvision.ops import FrozenBatchNorm2d


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

    def forward(self, image: torch.Tensor, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """N x 3 x H x W and C3..C5 -> one tensor a level, at strides 8, 16, 32."""
        mean = F.avg_pool2d(image, 8)
        deviation = F.relu(F.avg_pool2d(image * image, 8) - mean * mean + 1e-4).sqrt()
        parts = [mean, deviation]
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
