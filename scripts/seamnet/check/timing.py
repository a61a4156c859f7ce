"""The time of a model folder's graphs: measured in torch, onnxruntime and the program, and its lower bound on NVIDIA's boards.

Measured runtimes take turns, so that other load on the machine affects all of them alike.

The bound is a roofline model: a layer takes at least its multiply-adds divided by the board's rate, and at least its bytes
(weights, inputs and outputs, each moved once) divided by the board's bandwidth; the larger one counts. Operators between layers are
assumed to be fused into them. No board reaches its peak, so this is a bound, not a forecast.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from .. import precisions
from ..folder import export
from ..folder.manifest import config_of, read_manifest
from ..folder.runtime import Folder
from ..folder.weights import load
from ..model import config
from ..model.network import Network


def median_ms(call, runs: int, threads: int = 1) -> float:
    """Median of `runs` calls after one warm-up call, in milliseconds: processor time on one thread, so that other load on the machine
    hardly counts; elapsed time on several."""
    now = time.process_time if threads == 1 else time.perf_counter
    call()
    times = []
    for _ in range(runs):
        begun = now()
        call()
        times.append((now() - begun) * 1e3)
    return statistics.median(times)


def inputs(folder: Folder) -> dict[str, np.ndarray]:
    """One input for each graph, of the manifest's shape; ten frames for the aggregator."""
    out = {}
    for name, session in folder.sessions.items():
        shape = [n if isinstance(n, int) else folder.config.frames for n in session.get_inputs()[0].shape]
        out[name] = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return out


def onnxruntime_ms(path: Path, threads: int, runs: int) -> dict[str, float]:
    """Median of each graph in onnxruntime."""
    folder = Folder(path, threads)
    given = inputs(folder)
    return {
        name: median_ms(lambda s=s, name=name: s.run(None, {s.get_inputs()[0].name: given[name]}), runs, threads)
        for name, s in folder.sessions.items()
    }


@torch.inference_mode()
def torch_ms(path: Path, weights: Path, which: str, threads: int, runs: int) -> dict[str, float]:
    """Median of each graph's module in torch, with folded batch norm."""
    torch.set_num_threads(threads)
    folder = Folder(path, threads)
    shape = config_of(read_manifest(path))
    network = Network(dataclasses.replace(config.NETWORKS[which], input_size=shape.input_size))
    load(network, weights)
    network = export.folded(network)
    modules = {
        "trunk": export.Trunk,
        "box_head": export.Box,
        "match_head": export.Match,
        "aggregator": export.Aggregate,
        "mask_head": export.Masks,
    }
    out = {}
    for name, value in inputs(folder).items():
        module, given = modules[name](network).eval(), torch.from_numpy(value)
        out[name] = median_ms(lambda: module(given), runs, threads)
    return out


def vetrina_ms(binary: Path, path: Path, picture: Path | None, runs: int) -> dict[str, float]:
    """Medians of the one-thread pass of `vetrina bench --json`, by graph or stage name, in processor time."""
    command = [binary, "bench", "--model", path, "--json", "--frames", str(runs)]
    command += ["--picture", picture] if picture else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{binary} bench failed: {done.stderr.strip()}")
    stages = {stage["name"]: stage["median_ms"] for stage in json.loads(done.stdout)["stages"]}
    if "aggregate" in stages:
        stages["aggregator"] = stages.pop("aggregate")
    return stages


def kernels_ms(root: Path, runs: int) -> dict[str, dict[str, float]]:
    """Medians of the shipped model's graphs by tract alone and by our kernels for each instruction set of this machine, by column and
    graph: what the ignored test `times` of tests/runtime.rs prints."""
    command = ["cargo", "test", "--release", "--test", "runtime", "times", "--", "--ignored", "--nocapture"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env={**os.environ, "VETRINA_RUNS": str(runs)})
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not rows:
        raise OSError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    out: dict[str, dict[str, float]] = {}
    for row in rows:
        for column, ms in row["ms"].items():
            out.setdefault(column, {})[row["graph"]] = ms
    return out


# By column, then by stage: the times of all rounds.
Rounds = dict[str, dict[str, list[float]]]


def in_turns(measures: list[Callable[[], dict[str, dict[str, float]]]], rounds: int) -> Rounds:
    """Calls what measures one or more columns in turn, `rounds` times."""
    seen: Rounds = {}
    for _ in range(rounds):
        for measure in measures:
            for column, stages in measure().items():
                for stage, ms in stages.items():
                    seen.setdefault(column, {}).setdefault(stage, []).append(ms)
    return seen


def cpu_name() -> str:
    """The processor as Linux names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "an unnamed processor"


def side_by_side(seen: Rounds, against: str | None = None) -> str:
    """Rows are stages, columns runtimes: the median of the rounds, and in brackets the median of the rounds' ratios to the column
    `against`. A dash where a runtime lacks a stage."""
    stages = list(dict.fromkeys(stage for column in seen.values() for stage in column))
    base = seen.get(against, {}) if against else {}

    def cell(name: str, stage: str) -> str:
        if stage not in seen[name]:
            return "-"
        ms = seen[name][stage]
        text = f"{statistics.median(ms):.2f}"
        if stage in base and name != against:
            text += f" ({statistics.median(a / b for a, b in zip(ms, base[stage], strict=True)):.2f})"
        return text

    lines = ["stage, median ms".ljust(20) + "".join(f"{name:>18s}" for name in seen)]
    for stage in stages:
        lines.append(stage.ljust(20) + "".join(f"{cell(name, stage):>18s}" for name in seen))
    return "\n".join(lines)


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


def constant_folded(path: Path, batch: int | None = None) -> onnx.ModelProto:
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
    precisions.widen(model)
    del model.graph.value_info[:]
    return model


@dataclass
class Layer:
    """One layer: its multiply-adds, and the values that it reads and writes."""

    macs: float
    values: float


def layers(path: Path, steps: int = 10, batch: int | None = None) -> list[Layer]:
    """The layers of a graph. An open dimension is `steps`; `batch` replaces the batch size."""
    model = constant_folded(path, batch)
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
        if node.op_type not in precisions.LAYERS:
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


def bounds(folder: Path, garments: int) -> str:
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
