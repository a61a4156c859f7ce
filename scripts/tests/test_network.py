"""Shapes, box arithmetic, checkpoints, preprocessing."""

import dataclasses

import numpy as np
import pytest
import torch

from seamnet.check import agreement
from seamnet.folder import weights
from seamnet.model import config, detection, preprocess
from seamnet.model.network import Network


def test_base_anchors_round_half_to_even():
    got = detection.base_anchors(32, (0.5, 1.0, 2.0))
    assert got.tolist() == [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]


def test_decode_inverts_encode():
    given = torch.tensor([[10.0, 20, 50, 90], [0, 0, 4, 4]])
    base = torch.tensor([[12.0, 18, 40, 100], [1, 1, 9, 9]])
    for scale in (detection.RPN_WEIGHTS, detection.BOX_WEIGHTS):
        back = detection.decode(detection.encode(given, base, scale), base, scale)
        torch.testing.assert_close(back, given)


def test_decode_clamps_growth():
    grown = detection.decode(torch.tensor([[0.0, 0, 99, 99]]), torch.tensor([[0.0, 0, 16, 16]]), detection.RPN_WEIGHTS)
    assert float(grown[0, 2] - grown[0, 0]) == pytest.approx(1000, rel=1e-5)


def test_compact_shapes(compact):
    levels, objectness, deltas = compact.trunk(torch.zeros(1, 3, 128, 64))
    assert [tuple(t.shape[1:]) for t in levels] == [(214, 16, 8), (214, 8, 4), (214, 4, 2)]
    assert [tuple(t.shape[1:]) for t in objectness] == [(3, 16, 8), (3, 8, 4), (3, 4, 2), (3, 2, 1)]
    assert [t.shape[1] for t in deltas] == [12] * 4


def test_a_picture_passes_through(compact):
    low = Network(dataclasses.replace(compact.config, score=0.0)).eval()
    low.load_state_dict(compact.state_dict())
    found = low(torch.randn(1, 3, 128, 64), (100, 64))
    assert len(found.boxes) == len(found.match) == len(found.aggregation) > 0
    assert found.match.shape[1] == 256
    assert float(found.boxes[:, 3].max()) <= 100


def test_pair_logits_are_the_elementwise_form(compact):
    head = compact.roi_heads.match_predictor
    a, b = torch.randn(5, 256), torch.randn(7, 256)
    logits = head.last((a[:, None] - b[None]).square())
    torch.testing.assert_close(head.pair_logits(a, b), logits[..., 1] - logits[..., 0], rtol=1e-4, atol=1e-3)


def test_a_sequence_of_one_is_itself(compact):
    x = torch.randn(1, 256)
    query, attention = compact.roi_heads.temporal_aggregator.aggregate(x)
    torch.testing.assert_close(query, x[0])
    assert attention.tolist() == [1.0]


def test_greedy_tracks_take_one_box_a_frame():
    frames = torch.tensor([0, 0, 1, 1])
    similarity = torch.tensor([[1, 0.9, 0.8, 0.1], [0.9, 1, 0.1, 0.2], [0.8, 0.1, 1, 0.9], [0.1, 0.2, 0.9, 1]])
    tracks = agreement.greedy_tracks(frames, torch.tensor([0.9, 0.5, 0.7, 0.6]), similarity)
    assert tracks == [[0, 2], [3], [1]]


def test_wrong_keys_are_named(compact, tmp_path):
    state = compact.state_dict()
    del state["rpn.head.cls_logits.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["roi_heads.box_head.fc7.weight"] = torch.zeros(2, 2)
    torch.save({"model_state_dict": state}, tmp_path / "bad.pth")
    with pytest.raises(weights.CheckpointError) as caught:
        weights.load(compact, tmp_path / "bad.pth")
    text = str(caught.value)
    assert "missing: rpn.head.cls_logits.bias" in text
    assert "unexpected: extra.weight" in text
    assert "shape: roi_heads.box_head.fc7.weight is (2, 2), expected (512, 512)" in text


def test_old_and_wrapped_names_load(compact, tmp_path):
    old = {}
    for key, value in compact.state_dict().items():
        key = key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        if ".fpn." in key:
            key = key.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        old["module." + key] = value
    torch.save({"model_state_dict": old}, tmp_path / "old.pth")
    assert weights.load(Network(compact.config), tmp_path / "old.pth") is False


def test_old_mask_names():
    assert weights.current_name("roi_heads.mask_head.mask_fcn3.bias") == "roi_heads.mask_head.2.0.bias"


@pytest.mark.parametrize("content", [None, b"no checkpoint"])
def test_a_file_that_is_no_checkpoint(compact, tmp_path, content):
    path = tmp_path / "x.pth"
    if content:
        path.write_bytes(content)
    with pytest.raises(weights.CheckpointError, match="x.pth"):
        weights.load(compact, path)


def test_full_has_the_published_keys():
    keys = Network(config.FULL).state_dict().keys()
    for key in (
        "backbone.body.layer4.2.bn3.running_var",
        "backbone.fpn.inner_blocks.3.0.weight",
        "rpn.head.conv.0.0.weight",
        "roi_heads.mask_predictor.conv5_mask.weight",
        "roi_heads.match_predictor.linear.1.running_mean",
        "roi_heads.temporal_aggregator.newnlb.concat_project.0.weight",
    ):
        assert key in keys


def test_letterbox_sizes():
    assert preprocess.fitted_size((1920, 1080), (384, 256)) == (384, 216)
    assert preprocess.fitted_size((480, 640), (384, 256)) == (192, 256)
    assert preprocess.fitted_size((20000, 1), (384, 256)) == (384, 1)
    assert preprocess.reduction((1920, 1080), (384, 256)) == 5
    assert preprocess.reduction((768, 512), (384, 256)) == 1
    assert preprocess.reduction((480, 640), (384, 256)) == 2


def test_box_reduce_rounds_half_up_and_repeats_edges():
    picture = np.zeros((3, 2, 3), np.uint8)
    picture[0, 0], picture[2] = 2, 7
    got = preprocess.box_reduce(picture, 2)
    assert got.shape == (2, 1, 3)
    assert got[0, 0].tolist() == [1, 1, 1] and got[1, 0].tolist() == [7, 7, 7]


def test_letterbox_fills_with_zeros():
    out, size = preprocess.letterbox(np.full((900, 500, 3), 255, np.uint8), (384, 256), "box")
    assert size == (384, 213)
    assert float(out[..., 213:].abs().max()) == 0
    assert out[0, 0, 100, 100].item() == pytest.approx((1 - 0.485) / 0.229, abs=1e-5)


def test_labels_of_a_region_are_one_garment():
    compact = dataclasses.replace(config.COMPACT, per="region")
    assert compact.groups == [[1, 2, 3, 4, 5, 6], [7, 8, 9], [10, 11, 12, 13]]
    proposals = torch.tensor([[20.0, 20.0, 60.0, 60.0]])
    chances = torch.full((1, 14), 1e-9)
    chances[0, [0, 7, 8]] = torch.tensor([0.1, 0.36, 0.54])
    deltas = torch.zeros(1, 56)
    deltas[0, 4 * 8] = 1.0  # label 8 lies 4 pixels further right
    found = detection.detect(compact, (100, 100), proposals, chances.log(), deltas)
    assert found.labels.tolist() == [8]
    assert torch.allclose(found.scores, torch.tensor([0.9]), atol=1e-6)
    assert torch.allclose(found.boxes, torch.tensor([[22.4, 20.0, 62.4, 60.0]]), atol=1e-3)
    apart = detection.detect(dataclasses.replace(compact, per="class"), (100, 100), proposals, chances.log(), deltas)
    assert apart.labels.tolist() == [8, 7] and apart.boxes[1].tolist() == [20, 20, 60, 60]
