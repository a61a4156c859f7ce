"""Converts the fp32 graphs of a model folder to fp16, and to int8 by Q/DQ nodes, for GPUs.

TensorRT runs them as they are ("strongly typed") and chooses no precision itself. Inputs and outputs of
a graph stay float32.

`measure` says what that costs in accuracy. It compares the graphs with fp32 on pictures, both in onnxruntime on the CPU. That computes
Q/DQ graphs with the same scales as TensorRT. It computes fp16 operators in fp32 and keeps some values between them in fp32, so its
figures for fp16 are a lower bound of the cost.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
from onnxruntime.quantization import quantize_static as quantize

from .check import agreement
from .folder import manifest
from .folder.export import fit_tensorrt
from .folder.manifest import read_manifest
from .folder.runtime import Folder
from .model import preprocess
from .model.detection import Detections

PRECISIONS = ("fp16", "int8")
TYPED = ("trunk", "box_head", "match_head")
"""The graphs that are converted. The aggregator stays fp32: it takes a thousandth of a frame's time, and sums over softmaxes."""
WIDE = {"Sqrt", "Softmax", "ReduceSum"}
"""Operators whose inputs, back to the last layer with weights, stay fp32: for example, the variance of
colours is a small difference of two averages."""
LAYERS = {"Conv", "Gemm", "MatMul", "ConvTranspose"}
PERCENTILE = 99.99
"""Percentage of a tensor's values that the int8 scale covers: the rare larger ones saturate, which halves the error of the rest."""
FLOAT_INPUTS = {"Resize": (0,)}
"""Inputs that have their operator's type, for operators where not all have: scales are always float32."""
SURE = 0.5
"""Score from which a detection counts when precisions are compared."""


def widen(model: onnx.ModelProto) -> None:
    """Weights stored as float16 and cast, and constants, as float32 initializers."""
    graph = model.graph
    halves = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    nodes, made = [], []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in halves:
            values = numpy_helper.to_array(halves[node.input[0]]).astype(np.float32)
        elif node.op_type == "Constant" and node.attribute[0].name == "value":
            values = numpy_helper.to_array(node.attribute[0].t)
        else:
            nodes.append(node)
            continue
        made.append(numpy_helper.from_array(values, node.output[0]))
    kept = [t for t in graph.initializer if t.name not in halves]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept + made)
    graph.node.extend(nodes)


def wide_nodes(graph: onnx.GraphProto) -> set[int]:
    """Indices of the nodes that stay fp32 (`WIDE`)."""
    maker = {out: i for i, node in enumerate(graph.node) for out in node.output}
    wide: set[int] = set()
    todo = [i for i, node in enumerate(graph.node) if node.op_type in WIDE]
    while todo:
        i = todo.pop()
        if i in wide or graph.node[i].op_type in LAYERS:
            continue
        wide.add(i)
        todo += [maker[name] for name in graph.node[i].input if name in maker]
    return wide


class Half:
    """Rewrites one graph so that all nodes except the wide ones are float16."""

    def __init__(self, graph: onnx.GraphProto):
        self.graph = graph
        self.types = {t.name: t.data_type for t in graph.initializer}
        self.types |= {v.name: v.type.tensor_type.elem_type for v in graph.input}
        self.weights = {t.name: t for t in graph.initializer}
        self.nodes: list[onnx.NodeProto] = []

    def as_type(self, name: str, wanted: int) -> str:
        """The value `name` in the type `wanted`, if it is a float."""
        have = self.types.get(name)
        if have not in (TensorProto.FLOAT, TensorProto.FLOAT16) or have == wanted:
            return name
        other = f"{name}.{'fp16' if wanted == TensorProto.FLOAT16 else 'fp32'}"
        if other in self.types:
            return other
        self.types[other] = wanted
        if name in self.weights:
            half = numpy_helper.to_array(self.weights[name]).astype(np.float16)
            if not np.isfinite(half).all():
                raise ValueError(f"{name} does not fit into float16")
            self.graph.initializer.append(numpy_helper.from_array(half, other))
        else:
            self.nodes.append(helper.make_node("Cast", [name], [other], to=wanted))
        return other

    def take(self, node: onnx.NodeProto, wide: bool) -> None:
        """Appends the node with its float inputs and outputs in its own type."""
        own = TensorProto.FLOAT if wide else TensorProto.FLOAT16
        follow = FLOAT_INPUTS.get(node.op_type, range(len(node.input)))
        for k in follow:
            node.input[k] = self.as_type(node.input[k], own)
        to = {a.name: a for a in node.attribute}
        if node.op_type == "Cast":
            kind = to["to"].i
        elif node.op_type == "ConstantOfShape":
            kind = to["value"].t.data_type if "value" in to else TensorProto.FLOAT
        elif node.op_type == "Shape":
            kind = TensorProto.INT64
        else:
            kind = self.types.get(node.input[0])
        for out in node.output:
            self.types[out] = kind
        self.nodes.append(node)

    def run(self) -> None:
        """Rewrites the whole graph; its outputs are cast back to float32 under their own names."""
        wide = wide_nodes(self.graph)
        nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in self.graph.node]
        outputs = {v.name for v in self.graph.output}
        for node in nodes:
            for names in (node.input, node.output):
                names[:] = [n + ".inner" if n in outputs else n for n in names]
        for i, node in enumerate(nodes):
            self.take(node, i in wide)
        for name in (v.name for v in self.graph.output):
            self.nodes.append(helper.make_node("Cast", [name + ".inner"], [name], to=TensorProto.FLOAT))
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        kept = [t for t in self.graph.initializer if t.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)


def fp16(model: onnx.ModelProto) -> None:
    """Converts a float32 graph to float16, except the nodes kept by `WIDE`."""
    Half(model.graph).run()


class Inputs(CalibrationDataReader):
    """Inputs of one graph in sequence."""

    def __init__(self, name: str, values: list[np.ndarray]):
        self.feeds = iter([{name: value} for value in values])

    def get_next(self):
        """The next input, None at the end, as onnxruntime expects."""
        return next(self.feeds, None)


def int8(source: Path, out: Path, values: list[np.ndarray]) -> None:
    """Q/DQ around the layers with weights: symmetric, one scale for each channel of weights and one for each tensor
    of inputs, calibrated on `values` (inputs of the graph). Sums stay float32."""
    graph = onnx.load(source).graph
    keep = [graph.node[i].name for i in wide_nodes(graph)]
    # Depthwise layers are bound by memory: int8 gains nothing there and costs much accuracy.
    keep += [n.name for n in graph.node if any(a.name == "group" and a.i > 1 for a in n.attribute)]
    quantize(
        str(source),
        str(out),
        Inputs(graph.input[0].name, values),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.Percentile,
        op_types_to_quantize=["Conv", "Gemm"],
        nodes_to_exclude=keep,
        extra_options=dict(ActivationSymmetric=True, WeightSymmetric=True, QuantizeBias=False, CalibPercentile=PERCENTILE),
    )


def without(text: str, *precisions: str) -> str:
    """A manifest's text without the graphs of these precisions."""
    for precision in precisions:
        text = re.sub(rf"\n\[graphs\.\w+\.{precision}\]\n(?:\w.*\n)*", "", text)
    return text


def add(folder: Path, precision: str, inputs: dict[str, list[np.ndarray]] | None = None) -> None:
    """Writes `NAME.PRECISION.onnx` for every graph of `TYPED`, and adds them to the manifest.
    `inputs`: calibration data of int8, by graph."""
    text = without((folder / "model.toml").read_text(), precision)
    for name, graph in read_manifest(folder)["graphs"].items():
        if name not in TYPED:
            continue
        model = onnx.load(folder / graph["file"])
        widen(model)
        fit_tensorrt(model)
        path = folder / f"{name}.{precision}.onnx"
        if precision == "fp16":
            fp16(model)
            onnx.checker.check_model(model)
            onnx.save(model, path)
        else:
            wide = folder / f"{name}.wide.onnx"
            onnx.save(model, wide)
            int8(wide, path, inputs[name])
            wide.unlink()
        text += manifest.section(
            f"graphs.{name}.{precision}", {"file": path.name, "sha256": manifest.sha256(path)}
        )
    (folder / "model.toml").write_text(text)


PICTURES = (".jpg", ".jpeg", ".png", ".webp")
MOST = 48
"""Inputs kept of a graph, the first ones: each takes memory for all of the graph's values at once."""


class Recording(Folder):
    """A model folder that records the inputs of its graphs."""

    def __init__(self, folder: str | Path):
        super().__init__(folder)
        self.inputs: dict[str, list[np.ndarray]] = {name: [] for name in self.sessions}

    def run(self, graph: str, value: torch.Tensor) -> list[torch.Tensor]:
        """As `Folder.run`."""
        if len(self.inputs[graph]) < MOST:
            self.inputs[graph].append(np.ascontiguousarray(value.numpy()))
        return super().run(graph, value)


def fitted(network: Folder, pictures: Path) -> Iterator[tuple[torch.Tensor, tuple[int, int]]]:
    """The pictures of a folder and its subfolders, sorted by name, as inputs of the network: image and size inside it."""
    for file in sorted(p for p in pictures.rglob("*") if p.suffix.lower() in PICTURES):
        yield preprocess.letterbox(preprocess.read(file), network.config.input_size, network.manifest["input"]["prefilter"])


def calibration(folder: Path, pictures: Path) -> dict[str, list[np.ndarray]]:
    """Inputs of every graph for the pictures in a folder."""
    network = Recording(folder)
    for image, size in fitted(network, pictures):
        network(image, size)
    missing = [name for name in TYPED if not network.inputs[name]]
    if missing:
        raise ValueError(f"{pictures}: no picture there has a garment, so {', '.join(missing)} got no input")
    return network.inputs


def copy(folder: Path, out: Path) -> None:
    """Copies the fp32 graphs and the manifest of a model folder, in a form that TensorRT accepts."""
    out.mkdir(parents=True, exist_ok=True)
    text = without(folder.joinpath("model.toml").read_text(), *PRECISIONS)
    for graph in read_manifest(folder)["graphs"].values():
        model = onnx.load(folder / graph["file"])
        before = model.SerializeToString()
        fit_tensorrt(model)
        path = out / graph["file"]
        if model.SerializeToString() != before:
            onnx.save(model, path)
        elif path.resolve() != (folder / graph["file"]).resolve():
            shutil.copy(folder / graph["file"], path)
        text = text.replace(graph["sha256"], manifest.sha256(path))
    (out / "model.toml").write_text(text)


def graph_errors(wide: Recording, narrow: Folder, most: int = 8) -> list[tuple[str, float, float]]:
    """For every graph on the same inputs: the largest and the RMS difference of any of
    its outputs, relative to the largest value of that output."""
    rows = []
    for name, inputs in wide.inputs.items():
        worst = typical = 0.0
        for value in inputs[:most]:
            value = torch.from_numpy(value)
            for a, b in zip(Folder.run(wide, name, value), narrow.run(name, value)):
                difference = (a - b).abs() / max(float(a.abs().max()), 1e-12)
                worst = max(worst, float(difference.max()))
                typical = max(typical, float(difference.square().mean().sqrt()))
        rows.append((name, worst, typical))
    return rows


def sure(found: Detections) -> Detections:
    """The detections with a score of at least `SURE`."""
    keep = found.scores >= SURE
    return Detections(*(v[keep] for v in (found.boxes, found.scores, found.labels, found.match, found.aggregation)))


@torch.no_grad()
def measure(folder: Path, precision: str, pictures: Path) -> dict:
    """The figures of one precision on the pictures of a folder."""
    if not any(precision in graph for graph in read_manifest(folder)["graphs"].values()):
        raise ValueError(f"{folder} has no graph in {precision}; add it with scripts/export --precision {precision}")
    wide, narrow = Recording(folder), Folder(folder, precision=precision)
    seen, gallery, queries = [], [], []
    count, counts = 0, [0, 0]
    for image, size in fitted(wide, pictures):
        count += 1
        a, b = sure(wide(image, size)), sure(narrow(image, size))
        counts = [counts[0] + len(a.labels), counts[1] + len(b.labels)]
        for i, j in agreement.pairs(a, b, 0.5):
            seen.append((a.boxes[i], b.boxes[j], a.scores[i], b.scores[j]))
            gallery.append(a.match[i])
            queries.append(b.match[j])
    columns = [torch.stack(column) for column in zip(*seen)]
    g, q = torch.stack(gallery), torch.stack(queries)
    nearest = torch.cdist(q, g).argmin(dim=1)
    return {
        "pictures": count,
        "garments in fp32": counts[0],
        f"garments in {precision}": counts[1],
        "found by both": len(seen),
        "boxes, median px of the input": float((columns[0] - columns[1]).abs().amax(dim=1).median()),
        "boxes, worst px": float((columns[0] - columns[1]).abs().max()),
        "scores, median": float((columns[2] - columns[3]).abs().median()),
        "scores, worst": float((columns[2] - columns[3]).abs().max()),
        "match embedding, lowest cosine": float(F.cosine_similarity(g, q).min()),
        "nearest of all garments in fp32 is its own": float((nearest == torch.arange(len(q))).float().mean()),
        "graphs": graph_errors(wide, narrow),
    }
