"""How long the graphs of a model folder take, measured: torch, onnxruntime and the program's own runtime in turns.

The runtimes take turns, so that other load on the machine affects all of them alike.
"""

import dataclasses
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..folder import export
from ..folder.manifest import config_of, read_manifest
from ..folder.runtime import Folder
from ..folder.weights import load
from ..model import config
from ..model.network import Network


def median_ms(call, runs: int) -> float:
    """Median of `runs` calls after one warm-up call, in milliseconds."""
    call()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1e3)
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
        name: median_ms(lambda s=s, name=name: s.run(None, {s.get_inputs()[0].name: given[name]}), runs)
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
        out[name] = median_ms(lambda: module(given), runs)
    return out


def vetrina_ms(binary: Path, path: Path, picture: Path | None, runs: int) -> dict[str, float]:
    """Medians of the one-thread pass of `vetrina bench --json`, by graph or stage name."""
    command = [binary, "bench", "--model", path, "--json", "--frames", str(runs)]
    command += ["--picture", picture] if picture else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{binary} bench failed: {done.stderr.strip()}")
    stages = {stage["name"]: stage["median_ms"] for stage in json.loads(done.stdout)["stages"]}
    if "aggregate" in stages:
        stages["aggregator"] = stages.pop("aggregate")
    return stages


def in_turns(columns: dict[str, Callable[[], dict[str, float]]], rounds: int) -> dict[str, dict[str, float]]:
    """Measures the columns in turn, `rounds` times; the median of the rounds, by column and stage."""
    seen: dict[str, dict[str, list[float]]] = {name: {} for name in columns}
    for _ in range(rounds):
        for name, measure in columns.items():
            for stage, ms in measure().items():
                seen[name].setdefault(stage, []).append(ms)
    return {name: {stage: statistics.median(ms) for stage, ms in stages.items()} for name, stages in seen.items()}


def cpu_name() -> str:
    """The processor as Linux names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "an unnamed processor"


def table(columns: dict[str, dict[str, float]]) -> str:
    """Rows are stages, columns runtimes; a dash where a runtime lacks a stage."""
    stages = list(dict.fromkeys(s for column in columns.values() for s in column))
    lines = ["stage, median ms".ljust(20) + "".join(f"{name:>18s}" for name in columns)]
    for stage in stages:
        cells = [f"{c[stage]:18.2f}" if stage in c else f"{'-':>18s}" for c in columns.values()]
        lines.append(stage.ljust(20) + "".join(cells))
    return "\n".join(lines)
