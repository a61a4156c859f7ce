"""Calibration data: the inputs of a model folder's graphs for given pictures, from which the int8 scales come."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch

from ..folder import manifest
from ..folder.export import fit_tensorrt
from ..folder.manifest import read_manifest
from ..folder.runtime import Folder
from ..model import preprocess
from . import convert

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
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"{file} is not a picture")
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        yield preprocess.letterbox(picture, network.config.input_size, network.manifest["input"]["prefilter"])


def inputs(folder: Path, pictures: Path) -> dict[str, list[np.ndarray]]:
    """Inputs of every graph for the pictures in a folder."""
    network = Recording(folder)
    for image, size in fitted(network, pictures):
        network(image, size)
    missing = [name for name in convert.TYPED if not network.inputs[name]]
    if missing:
        raise ValueError(f"{pictures}: no picture there has a garment, so {', '.join(missing)} got no input")
    return network.inputs


def copy(folder: Path, out: Path) -> None:
    """Copies the fp32 graphs and the manifest of a model folder, in a form that TensorRT accepts."""
    out.mkdir(parents=True, exist_ok=True)
    text = convert.without(folder.joinpath("model.toml").read_text(), *convert.PRECISIONS)
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
