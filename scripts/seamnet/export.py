"""A network to a model folder: ONNX graphs (opset 17, fixed shapes) and the manifest."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from . import graphs, manifest, typed
from .network import Network

OPSET = 17
F16_MINIMUM = 256
"""Tensors smaller than this stay float32 in f16 storage: biases cost nothing and decide much."""


def write_graph(
    module: nn.Module, example: torch.Tensor, path: Path, name: str, outputs: list[str], symbolic=None
) -> None:
    """Trace `module` on `example` (its one input, called `name`) and write it to `path`."""
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
    typed.fit(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def store_f16(path: Path) -> None:
    """Rewrite a graph so that its large float32 weights are stored as float16 and cast when loaded."""
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
) -> Path:
    """Write the model folder `out`. `head`: name, description, licence, provenance."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    network = graphs.folded(network)
    c = network.config
    rois7 = torch.rand(c.keep * c.rois_each, 7, 7, c.channels + c.extra)
    rois14 = torch.rand(c.match_batch, 14, 14, c.channels + c.extra)
    parts = {
        "trunk": (graphs.Trunk, torch.rand(1, 3, *c.input_size), "image", graphs.trunk_outputs(network)),
        "box_head": (graphs.Box, rois7, "rois", ["class_logits", "box_deltas"]),
        "match_head": (graphs.Match, rois14, "rois", ["match_embedding", "aggregation_embedding"]),
        "aggregator": (graphs.Aggregate, torch.rand(5, c.embedding), "sequence", ["query", "attention"]),
    }
    if masks:
        parts["mask_head"] = (graphs.Masks, rois14, "rois", ["mask_logits"])
    for name, (module, example, given, outputs) in parts.items():
        path = out / f"{name}.onnx"
        symbolic = {"sequence": {0: "T"}, "attention": {0: "T"}} if name == "aggregator" else None
        write_graph(module(network), example, path, given, outputs, symbolic)
        if storage == "f16":
            store_f16(path)
    values = manifest.sections(network, c.input_size, open_set)
    manifest.write(out, head, c.classes, values, list(parts))
    return out
