"""Converts a network into a model folder: ONNX graphs (opset 17, fixed shapes) and the manifest.

The program computes everything between the graphs (anchors, top-k, NMS, RoIAlign, scores). Batch norm
is folded into the layer before it; RoIs are channels-last.
"""

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_linear_bn_eval
from torchvision.ops import FrozenBatchNorm2d

from ..model.network import BEFORE_LAST, MatchHead, Network
from . import manifest


class Trunk(nn.Module):
    """`image` 1 x 3 x H x W -> RoI levels, then objectness and deltas of every RPN level, raw."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, image):
        levels, objectness, deltas = self.network.trunk(image)
        return (*levels, *objectness, *deltas)


class Box(nn.Module):
    """`rois` N x 7 x 7 x C (2 N with context, as from `pool_boxes`) -> class logits, deltas. The columns of fc6 are permuted
    instead of the RoIs."""

    def __init__(self, network: Network):
        super().__init__()
        self.head = copy.deepcopy(network.roi_heads.box_head)
        self.predictor = network.roi_heads.box_predictor
        # Transposed here, so that it keeps its name in the graph.
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

    Heads that differ only in their last layers, as training leaves them, compute the rest once.
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
    """`conv` and `norm` as one convolution with a bias."""
    scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
    folded = copy.deepcopy(conv)
    folded.weight.data = (conv.weight.double() * scale[:, None, None, None]).float()
    folded.bias = nn.Parameter((norm.bias.double() - norm.running_mean.double() * scale).float())
    return folded


def _fold_frozen(module: nn.Module) -> None:
    """Folds every frozen batch norm into the convolution registered just before it."""
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


OPSET = 17
F16_MINIMUM = 256
"""Tensors smaller than this stay float32 in f16 storage: biases are small, and results are sensitive to them."""


def two_axes(model: onnx.ModelProto, rank_one: set[str]) -> None:
    """Gives softmaxes over the only axis of `rank_one` values a second axis, which TensorRT requires."""
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Softmax" or node.input[0] not in rank_one:
            nodes.append(node)
            continue
        name, axis = node.output[0], node.output[0] + ".axis"
        model.graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), axis))
        nodes += [
            helper.make_node("Unsqueeze", [node.input[0], axis], [name + ".row"]),
            helper.make_node("Softmax", [name + ".row"], [name + ".shares"], axis=-1),
            helper.make_node("Squeeze", [name + ".shares", axis], [name]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def fit_tensorrt(model: onnx.ModelProto) -> None:
    """Rewrites what TensorRT does not accept; the values stay the same."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    two_axes(model, {v.name for v in values if len(v.type.tensor_type.shape.dim) == 1})


def write_graph(
    module: nn.Module, example: torch.Tensor, path: Path, name: str, outputs: list[str], symbolic=None
) -> None:
    """Traces `module` on `example` (its one input, called `name`) and writes it to `path`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            str(path),
            input_names=[name],
            output_names=outputs,
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=True,
            dynamic_axes=symbolic,
        )
    model = onnx.load(path)
    del model.graph.value_info[:]
    fit_tensorrt(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def store_f16(path: Path) -> None:
    """Rewrites a graph so that its large float32 weights are stored as float16 and cast when loaded."""
    model = onnx.load(path)
    kept, casts = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < F16_MINIMUM:
            kept.append(tensor)
            continue
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"{path.name}: {tensor.name} does not fit into float16")
        kept.append(numpy_helper.from_array(half, tensor.name + ".f16"))
        casts.append(helper.make_node("Cast", [tensor.name + ".f16"], [tensor.name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(casts + nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def export(
    network: Network,
    out: str | Path,
    head: dict,
    storage: str = "f32",
    masks: bool = False,
    open_set: float | None = None,
    worn_offset: float | None = None,
) -> Path:
    """Writes the model folder `out`. `head`: name, description, licence, provenance."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    network = folded(network)
    c = network.config
    rois7 = torch.rand(c.keep * c.rois_each, 7, 7, c.channels + c.extra)
    rois14 = torch.rand(c.match_batch, 14, 14, c.channels + c.extra)
    parts = {
        "trunk": (Trunk, torch.rand(1, 3, *c.input_size), "image", trunk_outputs(network)),
        "box_head": (Box, rois7, "rois", ["class_logits", "box_deltas"]),
        "match_head": (Match, rois14, "rois", ["match_embedding", "aggregation_embedding"]),
        "aggregator": (Aggregate, torch.rand(5, c.embedding), "sequence", ["query", "attention"]),
    }
    if masks:
        parts["mask_head"] = (Masks, rois14, "rois", ["mask_logits"])
    for name, (module, example, given, outputs) in parts.items():
        path = out / f"{name}.onnx"
        symbolic = {"sequence": {0: "T"}, "attention": {0: "T"}} if name == "aggregator" else None
        write_graph(module(network), example, path, given, outputs, symbolic)
        if storage == "f16":
            store_f16(path)
    values = manifest.sections(network, c.input_size, open_set, worn_offset)
    manifest.write(out, head, c.classes, values, list(parts))
    return out
