"""The whole network, and the data flow from a picture to its garments (sections 2 to 5).

A picture is a normalised 1 x 3 x H x W tensor and the `size` (height, width) of the image inside
it; boxes are pixels of that tensor, clipped to the image.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torchvision.ops import roi_align

from . import boxes
from .config import Config
from .heads import Aggregator, BoxHead, BoxPredictor, MaskHead, MaskPredictor, MatchHead
from .trunk import Appearance, RpnHead, backbone


@dataclass
class Detections:
    """N garments: boxes N x 4, scores N, labels N (1..K), embeddings N x 256 of both match heads."""

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor
    match: torch.Tensor | None = None
    aggregation: torch.Tensor | None = None


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
        levels = levels[:-1]
        if self.config.appearance:
            levels = [torch.cat(pair, dim=1) for pair in zip(levels, self.appearance(image, features))]
        return levels, objectness, deltas

    def box(self, rois: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Output of `pool_boxes` for N boxes -> class logits, deltas."""
        return self.roi_heads.box_predictor(self.roi_heads.box_head(rois))

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
        return look(self.config, self, image.shape[-2:], size, levels, objectness, deltas)


def find(config, heads, input_size, size, levels, objectness, deltas) -> Detections:
    """The trunk's outputs -> garments without embeddings; `heads` has `box` (torch or exported)."""
    proposals, _ = propose(config, input_size, size, objectness, deltas)
    logits, box_deltas = heads.box(pool_boxes(config, levels, proposals, input_size))
    return detect(config, size, proposals, logits, box_deltas)


def look(config, heads, input_size, size, levels, objectness, deltas) -> Detections:
    """The trunk's outputs -> garments with both embeddings; `heads` has `box` and `embed`."""
    found = find(config, heads, input_size, size, levels, objectness, deltas)
    rois = pool_rois(config, levels, found.boxes, 14, input_size)
    found.match, found.aggregation = heads.embed(rois)
    return found


def level_anchors(config: Config, input_size, grids) -> list[torch.Tensor]:
    """Anchors of each RPN level, for feature maps of `grids` (height, width)."""
    return [
        boxes.grid_anchors(s, config.ratios, g, boxes.strides(input_size, g))
        for s, g in zip(config.anchor_sizes, grids)
    ]


def flat(objectness: torch.Tensor, deltas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """B x A x h x w and B x 4A x h x w -> B x n logits and B x n x 4 deltas in the anchors' order."""
    b, a, h, w = objectness.shape
    return (
        objectness.permute(0, 2, 3, 1).reshape(b, -1),
        deltas.view(b, a, 4, h, w).permute(0, 3, 4, 1, 2).reshape(b, -1, 4),
    )


def propose(config, input_size, size, objectness, deltas) -> tuple[torch.Tensor, torch.Tensor]:
    """Raw RPN outputs of one picture (batch 1) -> (proposals n x 4, scores n), best first (section 3)."""
    kept_boxes, kept_scores = [], []
    all_anchors = level_anchors(config, input_size, [t.shape[-2:] for t in objectness])
    for logits, level_deltas, level in zip(objectness, deltas, all_anchors):
        logits, level_deltas = (column[0] for column in flat(logits, level_deltas))
        top = logits.topk(min(config.per_level, len(logits))).indices
        found = boxes.clip(boxes.decode(level_deltas[top], level[top], boxes.RPN_WEIGHTS), size)
        scores = logits[top].sigmoid()
        big = boxes.large(found, config.proposal_min_side)
        found, scores = found[big], scores[big]
        keep = boxes.nms(found, scores, config.proposal_nms)[: config.keep]
        kept_boxes.append(found[keep])
        kept_scores.append(scores[keep])
    scores = torch.cat(kept_scores)
    order = scores.argsort(descending=True, stable=True)[: config.keep]
    return torch.cat(kept_boxes)[order], scores[order]


def roi_levels(config: Config, rois: torch.Tensor) -> torch.Tensor:
    """Index into `config.levels` for each box (section 4)."""
    side = boxes.area(rois).sqrt()
    level = torch.floor(config.canonical_level + torch.log2(side / config.canonical_size) + 1e-6)
    return (level.clamp(config.levels[0], config.levels[-1]) - config.levels[0]).long()


def pool_rois(config: Config, levels, rois: torch.Tensor, out: int, input_size, image=None) -> torch.Tensor:
    """Multi-level RoIAlign, n x 4 -> n x C x out x out. `image` (n): index of each box's picture in the batch."""
    result = levels[0].new_zeros(len(rois), levels[0].shape[1], out, out)
    index = rois.new_zeros(len(rois)) if image is None else image.to(rois.dtype)
    which = roi_levels(config, rois)
    for i, level in enumerate(levels):
        mine = torch.nonzero(which == i).flatten()
        if len(mine) == 0:
            continue
        scale = 2.0 ** round(torch.log2(torch.tensor(level.shape[-2] / input_size[0])).item())
        given = torch.cat([index[mine, None], rois[mine]], dim=1)
        pooled = roi_align(level, given, out, scale, config.sampling_ratio, aligned=False)
        result = result.index_put((mine,), pooled)
    return result


def pool_boxes(config: Config, levels, rois: torch.Tensor, input_size, image=None) -> torch.Tensor:
    """Inputs of the box head for n boxes: n x C x 7 x 7; with `context` 2 n, each box's RoI, then that of its surroundings."""
    if config.context:
        rois = boxes.with_context(rois, config.context)
        image = None if image is None else image.repeat_interleave(2)
    return pool_rois(config, levels, rois, 7, input_size, image)


def detect(config: Config, size, proposals, logits, deltas) -> Detections:
    """Class logits and deltas of the proposals -> final boxes, best first (section 4). A group of labels makes one
    garment: its score is their sum, its label the likeliest one, its box the mean of theirs weighted by their probabilities."""
    labels = logits.shape[1]
    moved = boxes.decode(deltas.view(-1, labels, 4), proposals[:, None], boxes.BOX_WEIGHTS)
    moved = boxes.clip(moved, size)
    scores = logits.softmax(dim=1)
    parts = []
    for group in config.groups:
        group = torch.tensor(group)
        s = scores[:, group].sum(dim=1)
        # Relative to the first one, so that a group of one label keeps its box to the bit.
        first = moved[:, group[0]]
        b = first + ((moved[:, group] - first[:, None]) * scores[:, group, None]).sum(dim=1) / s[:, None]
        k = group[scores[:, group].argmax(dim=1)]
        ok = (s > config.score) & boxes.large(b, config.min_side)
        b, s, k = b[ok], s[ok], k[ok]
        keep = boxes.nms(b, s, config.nms)
        parts.append((b[keep], s[keep], k[keep]))
    b, s, k = (torch.cat(column) for column in zip(*parts))
    order = s.argsort(descending=True, stable=True)[: config.max_detections]
    return Detections(b[order], s[order], k[order])
