"""Model folders: graphs that give what the network gives, and a manifest that says what they are."""

import dataclasses
import hashlib

import numpy as np
import onnx
import pytest
import torch

from seamnet.folder import export, manifest, weights
from seamnet.folder.runtime import Folder
from seamnet.model import config
from seamnet.model.detection import pool_boxes, pool_rois, recognize
from seamnet.model.network import Network
from seamnet.train import aggregation, detector

HEAD = dict(name="test", description='a "quoted" one', licence="none", provenance="random")


@pytest.mark.parametrize("storage,allowed", [("f32", 1e-4), ("f16", 2e-2)])
def test_round_trip(compact, tmp_path, storage, allowed):
    folder = Folder(export.export(compact, tmp_path, HEAD, storage))
    image = torch.randn(1, 3, 128, 64)
    rois = torch.tensor([[3.0, 4, 60, 90], [0, 0, 20, 20], [10, 10, 50, 120]])
    with torch.no_grad():
        wanted, got = compact.trunk(image), folder.trunk(image)
        for a, b in zip([*wanted[0], *wanted[1], *wanted[2]], [*got[0], *got[1], *got[2]]):
            assert float((a - b).abs().max()) <= allowed * max(1.0, float(a.abs().max()))
        pooled = [pool_boxes(compact.config, wanted[0], rois, (128, 64)), pool_rois(compact.config, wanted[0], rois, 14, (128, 64))]
        pairs = [*zip(compact.box(pooled[0]), folder.box(pooled[0]))]
        pairs += zip(compact.embed(pooled[1]), folder.embed(pooled[1]))
        for t in (2, 7):
            x = torch.randn(t, 256)
            pairs += zip(compact.roi_heads.temporal_aggregator.aggregate(x), folder.aggregate(x))
    for a, b in pairs:
        assert a.shape == b.shape
        assert float((a - b).abs().max()) <= allowed * max(1.0, float(a.abs().max()))


def test_manifest_holds_hashes_and_weights(compact, tmp_path):
    folder = Folder(export.export(compact, tmp_path, HEAD, "f16", open_set=-1.5, worn_offset=-0.5))
    m = folder.manifest
    assert m["format"] == 1 and m["description"] == 'a "quoted" one' and len(m["classes"]) == 13
    assert m["anchors"]["strides"] == [[8, 8], [16, 16], [32, 32], [64, 64]]
    assert m["open_set"]["logit"] == -1.5
    assert m["aggregation"]["worn_offset"] == -0.5
    assert m["focus"] == {"below": 0.3, "fill": 0.7, "score": 0.2, "looks": 2}
    for graph in m["graphs"].values():
        assert hashlib.sha256((tmp_path / graph["file"]).read_bytes()).hexdigest() == graph["sha256"]
    v, d = compact.roi_heads.match_predictor.score_weights()
    assert np.array_equal(np.float32(m["match"]["weight"]), v.detach().numpy())
    assert np.float32(m["match"]["bias"]) == d.item()
    assert len(m["descriptor_hash"]) == 64


def test_heads_that_differ_in_their_last_layer_alone_compute_the_rest_once(compact, tmp_path):
    def convolutions(name: str) -> int:
        folder = export.export(compact, tmp_path / name, HEAD)
        return sum(node.op_type == "Conv" for node in onnx.load(folder / "match_head.onnx").graph.node)

    apart = convolutions("apart")
    aggregation.copy_head(compact)
    torch.nn.init.normal_(compact.roi_heads.temporal_aggregator.linear[0].weight)
    assert convolutions("alike") == apart // 2 > 0
    rois = torch.randn(compact.config.match_batch, compact.config.channels + compact.config.extra, 14, 14)
    with torch.no_grad():
        for wanted, got in zip(compact.embed(rois), Folder(tmp_path / "alike").embed(rois)):
            assert float((wanted - got).abs().max()) <= 1e-4 * float(wanted.abs().max())


def test_an_empty_scene_gives_empty_embeddings(compact, tmp_path):
    folder = Folder(export.export(compact, tmp_path, HEAD))
    levels, objectness, deltas = folder.trunk(torch.zeros(1, 3, 128, 64))
    found = recognize(folder.config, folder, (128, 64), (128, 64), levels, objectness, deltas)
    assert found.match.shape == (len(found.boxes), 256)


@pytest.mark.parametrize("value", [1e-8, 0.1, -3.4e30, 0.0, 1.0])
def test_numbers_read_back(value):
    assert np.float32(float(manifest.number(np.float32(value)))) == np.float32(value)


@pytest.mark.parametrize("alike", (False, True))
@pytest.mark.parametrize("box_appearance,context", ((False, 0.0), (True, 0.0), (True, 2.0)))
def test_a_model_folder_comes_back_as_the_network_it_was(compact, tmp_path, alike, box_appearance, context):
    network = Network(dataclasses.replace(compact.config, box_appearance=box_appearance, context=context)).eval()
    detector.init_heads(network)
    heads = network.roi_heads
    if box_appearance:
        torch.nn.init.normal_(heads.box_head.mix.weight)
    if context:
        torch.nn.init.normal_(heads.box_head.fc6_context.weight, std=0.01)
    if alike:
        aggregation.copy_head(network)
    else:
        torch.nn.init.normal_(heads.temporal_aggregator.newnlb.W.weight)
    for head in (heads.match_predictor, heads.temporal_aggregator):
        head.linear[1].running_mean.normal_()
        head.linear[1].running_var.uniform_(0.5, 2)
    again = Network(network.config).eval()
    weights.load(again, export.export(network, tmp_path, HEAD))
    image, sequence = torch.randn(1, 3, 128, 64), torch.randn(5, 256)
    with torch.no_grad():
        levels = network.trunk(image)[0]
        box = torch.tensor([[3.0, 4, 60, 90]])
        rois = [pool_boxes(network.config, levels, box, (128, 64)), pool_rois(network.config, levels, box, 14, (128, 64))]
        answers = [
            [*n.trunk(image)[0], *n.trunk(image)[1], *n.box(rois[0]), *n.embed(rois[1]), *n.roi_heads.temporal_aggregator.aggregate(sequence)]
            for n in (network, again)
        ]
    for a, b in zip(*answers):
        assert float((a - b).abs().max()) <= 1e-4 * max(1.0, float(a.abs().max()))
    folder = Folder(tmp_path)
    assert folder.config.context == context
    for a, b in zip(folder.box(rois[0]), map(torch.Tensor.detach, network.box(rois[0]))):
        assert a.shape == b.shape and float((a - b).abs().max()) <= 1e-4 * max(1.0, float(b.abs().max()))
    assert torch.equal(heads.match_predictor.score_weights()[0], again.roi_heads.match_predictor.score_weights()[0])


def test_a_folder_that_is_no_compact_network_is_refused(tmp_path):
    with pytest.raises(weights.CheckpointError, match="not a model folder"):
        weights.read(tmp_path)
    export.export(Network(config.TINY), tmp_path / "tiny", HEAD)
    with pytest.raises(weights.CheckpointError, match="does not fit the compact network"):
        weights.load(Network(config.COMPACT), tmp_path / "tiny")
