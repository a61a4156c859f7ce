"""Roofline model: a lower bound of a model's time on a board, from each layer's arithmetic and memory traffic.

A layer takes at least its multiply-adds divided by the board's rate, and at least its bytes (weights, inputs and outputs, each
moved once) divided by the board's bandwidth; the larger one counts. Operators between layers are assumed to be fused into them.
No board reaches its peak, so this is a bound, not a forecast.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ..folder.manifest import read_manifest
from ..precision import convert

BYTES = {"fp32": 4, "fp16": 2, "int8": 1}


@dataclass(frozen=True)
class Board:
    """Peak rates from NVIDIA's data sheets: 10^12 dense multiply-adds a second, and 10^9 bytes a second."""

    name: str
    rates: dict[str, float]
    bandwidth: float


def orin(name: str, cores: int, ghz: float, bandwidth: float) -> Board:
    """An Orin's GPU. A CUDA core does one fp32 multiply-add a clock; there is a tensor core for 32 of
    them, which does 256 in fp16 a clock and 512 in int8, dense."""
    clock = cores * ghz / 1e3
    return Board(name, {"fp32": clock, "fp16": clock / 32 * 256, "int8": clock / 32 * 512}, bandwidth)


BOARDS = (
    orin("Orin Nano 8 GB", 1024, 0.625, 68),
    orin("Orin Nano Super", 1024, 1.02, 102),
    orin("Orin NX 16 GB", 1024, 0.918, 102),
    orin("AGX Orin 64 GB", 2048, 1.3, 205),
)


def folded(path: Path, batch: int | None = None) -> onnx.ModelProto:
    """The graph after constant folding, so that every shape can be inferred; optionally with another batch size."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    model = onnx.load(path)
    for value in [*model.graph.input, *model.graph.output] if batch else ():
        value.type.tensor_type.shape.dim[0].dim_value = batch
    with tempfile.TemporaryDirectory() as scratch:
        options.optimized_model_filepath = str(Path(scratch) / "folded.onnx")
        onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["CommonSubexpressionElimination"],
        )
        model = onnx.load(options.optimized_model_filepath)
    convert.widen(model)
    del model.graph.value_info[:]
    return model


@dataclass
class Layer:
    """One layer: its multiply-adds, and the values that it reads and writes."""

    macs: float
    values: float


def layers(path: Path, steps: int = 10, batch: int | None = None) -> list[Layer]:
    """The layers of a graph. An open dimension is `steps`; `batch` replaces the batch size."""
    model = folded(path, batch)
    for value in [*model.graph.input, *model.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == "T":
                dim.dim_value = steps
    del model.graph.output[:]
    tail = {o for n in model.graph.node for o in n.output} - {i for n in model.graph.node for i in n.input}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(tail))
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
    shapes |= {t.name: list(t.dims) for t in graph.initializer}
    count = lambda name: float(np.prod(shapes[name]))  # noqa: E731
    out = []
    for node in graph.node:
        if node.op_type not in convert.LAYERS:
            continue
        weight = shapes[node.input[1]]
        if node.op_type == "Conv":
            each = float(np.prod(weight[1:]))
        elif node.op_type == "ConvTranspose":
            each = float(weight[0])
        else:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            each = float(weight[-1] if turned else weight[0])
        out.append(Layer(count(node.output[0]) * each, sum(map(count, [*node.input[:2], node.output[0]]))))
    return out


def milliseconds(found: list[Layer], board: Board, precision: str) -> float:
    """The least time of one run of these layers."""
    rate, bandwidth = board.rates[precision] * 1e12, board.bandwidth * 1e9
    return 1e3 * sum(max(x.macs / rate, x.values * BYTES[precision] / bandwidth) for x in found)


def table(folder: Path, garments: int) -> str:
    """The table of a model for frames with so many garments. They pass the match heads together, and the aggregator one by one."""
    m = read_manifest(folder)
    runs = {"trunk": 1, "box_head": 1, "match_head": 1, "aggregator": garments}
    batch = {"match_head": garments}
    found = {name: layers(folder / m["graphs"][name]["file"], batch=batch.get(name)) for name in runs}
    lines = [f"{m['name']}, {m['input']['height']}x{m['input']['width']}, {garments} garments a frame", ""]
    lines.append("| graph | runs a frame | GMAC a run | MB a run in fp16 |\n|---|---|---|---|")
    for name, runs_of in runs.items():
        macs, values = sum(x.macs for x in found[name]), sum(x.values for x in found[name])
        lines.append(f"| {name} | {runs_of} | {macs / 1e9:.3f} | {2 * values / 1e6:.1f} |")
    lines.append("\n| least ms a frame | fp32 | fp16 | int8 |\n|---|---|---|---|")
    for board in BOARDS:
        cells = [sum(n * milliseconds(found[g], board, p) for g, n in runs.items()) for p in BYTES]
        lines.append(f"| {board.name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)
