"""Runs a model folder with onnxruntime: the exported graphs instead of torch's modules."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from ..model.detection import Detections, recognize
from .manifest import config_of, read_manifest


class Folder:
    """The graphs of a model folder, with the methods that `detection.recognize` needs. `precision`: of the graphs
    that the folder has in it; the others are fp32."""

    def __init__(self, folder: str | Path, threads: int = 1, precision: str = "fp32"):
        self.manifest = read_manifest(folder)
        self.config = config_of(self.manifest)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Q/DQ nodes are computed as written: sums of 8-bit products overflow in some processors' instructions.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self.sessions = {
            name: onnxruntime.InferenceSession(
                str(Path(folder) / graph.get(precision, graph)["file"]), options, providers=["CPUExecutionProvider"]
            )
            for name, graph in self.manifest["graphs"].items()
        }

    def run(self, graph: str, value: torch.Tensor) -> list[torch.Tensor]:
        """All outputs of one graph."""
        session = self.sessions[graph]
        given = {session.get_inputs()[0].name: np.ascontiguousarray(value.numpy())}
        return [torch.from_numpy(v) for v in session.run(None, given)]

    def batched(self, graph: str, rois: torch.Tensor, batch: int, each: int = 1) -> list[torch.Tensor]:
        """Runs RoIs (channels first), `each` of them a row of the result, in batches of fixed size; the last is zero-padded."""
        rois = rois.permute(0, 2, 3, 1)
        padded = torch.cat([rois, rois.new_zeros(-len(rois) % batch, *rois.shape[1:])])
        if len(padded) == 0:
            padded = rois.new_zeros(batch, *rois.shape[1:])
        parts = [self.run(graph, part) for part in padded.split(batch)]
        return [torch.cat(column)[: len(rois) // each] for column in zip(*parts)]

    def trunk(self, image: torch.Tensor):
        """As `Network.trunk`, for one picture."""
        outputs = self.run("trunk", image)
        n, k = len(self.config.levels), len(self.config.anchor_sizes)
        return outputs[:n], outputs[n : n + k], outputs[n + k :]

    def box(self, rois: torch.Tensor):
        """As `Network.box`."""
        each = self.config.rois_each
        return self.batched("box_head", rois, each * self.config.keep, each)

    def embed(self, rois: torch.Tensor):
        """As `Network.embed`."""
        return self.batched("match_head", rois, self.config.match_batch)

    def aggregate(self, sequence: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """T x 256 -> query, attention. T = 1 bypasses the graph."""
        if len(sequence) == 1:
            return sequence[0], torch.ones(1)
        query, attention = self.run("aggregator", sequence)
        return query, attention

    def __call__(self, image: torch.Tensor, size: tuple[int, int]) -> Detections:
        """One normalised picture -> its garments."""
        levels, objectness, deltas = self.trunk(image)
        return recognize(self.config, self, self.config.input_size, size, levels, objectness, deltas)
