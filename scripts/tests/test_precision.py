"""Graphs in fp16 and int8, and what a board can do at most."""

import hashlib

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from seamnet import precisions
from seamnet.check import timing
from seamnet.folder import export
from seamnet.folder.manifest import read_manifest
from seamnet.folder.runtime import Folder

HEAD = dict(name="test", description="", licence="none", provenance="random")


@pytest.fixture
def folder(compact, tmp_path):
    """A small model folder, and pictures of noise."""
    export.export(compact, tmp_path / "model", HEAD, "f16")
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"pictures/{name}.png"), rng.integers(0, 256, (128, 64, 3), np.uint8))
    return tmp_path


def test_fp16_graphs_are_half_where_it_is_safe_and_close(folder):
    precisions.add(folder / "model", "fp16")
    wide, half = Folder(folder / "model"), Folder(folder / "model", precision="fp16")
    image = torch.rand(1, 3, 128, 64)
    for a, b in zip(wide.run("trunk", image), half.run("trunk", image)):
        assert b.dtype == torch.float32
        assert float((a - b).abs().max()) <= 2e-2 * float(a.abs().max())
    graph = onnx.load(folder / "model/trunk.fp16.onnx").graph
    kinds = {t.name: t.data_type for t in graph.initializer}
    layers = [n for n in graph.node if n.op_type == "Conv"]
    assert layers and all(kinds[n.input[1]] == TensorProto.FLOAT16 for n in layers)
    # The colours' variance, a small difference of averages, stays wide.
    roots = [n for n in graph.node if n.op_type == "Sqrt"]
    assert roots and not any(n.input[0].endswith(".fp16") for n in roots)


def test_int8_graphs_have_scales_around_full_layers_only(folder):
    seen = precisions.calibration(folder / "model", folder / "pictures")
    precisions.add(folder / "model", "int8", seen)
    graph = onnx.load(folder / "model/trunk.int8.onnx").graph
    maker = {out: n for n in graph.node for out in n.output}
    for node in graph.node:
        if node.op_type == "Conv":
            grouped = any(a.name == "group" and a.i > 1 for a in node.attribute)
            quantised = maker.get(node.input[0]) is not None and maker[node.input[0]].op_type == "DequantizeLinear"
            assert quantised != grouped, node.name
    zeros = [t for t in graph.initializer if t.name.endswith("_zero_point")]
    assert zeros and all(not onnx.numpy_helper.to_array(t).any() for t in zeros)
    wide = precisions.Recording(folder / "model")
    wide.run("trunk", torch.from_numpy(seen["trunk"][0]))
    errors = {name: typical for name, _, typical in precisions.graph_errors(wide, Folder(folder / "model", precision="int8"))}
    assert 0 < errors["trunk"] < 0.3 and errors["aggregator"] == 0


def test_the_manifest_names_each_typed_graph_once_with_its_hash(folder):
    model = folder / "model"
    precisions.add(model, "fp16")
    precisions.add(model, "fp16")
    graphs = read_manifest(model)["graphs"]
    assert set(graphs["trunk"]["fp16"]) == {"file", "sha256"} and "fp16" not in graphs["aggregator"]
    for name in precisions.TYPED:
        file = model / graphs[name]["fp16"]["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == graphs[name]["fp16"]["sha256"]
    precisions.copy(model, folder / "copy")
    assert "fp16" not in read_manifest(folder / "copy")["graphs"]["trunk"]
    assert (folder / "copy/trunk.onnx").read_bytes() == (model / "trunk.onnx").read_bytes()


def test_no_picture_is_an_error(folder):
    (folder / "none").mkdir()
    with pytest.raises(ValueError, match="no picture"):
        precisions.calibration(folder / "model", folder / "none")


def graph_of(nodes, inputs, outputs, weights=()):
    """A model of these nodes."""
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)  # noqa: E731
    tensors = [onnx.numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights]
    graph = helper.make_graph(nodes, "g", [info(*i) for i in inputs], [info(*o) for o in outputs], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_softmax_of_one_axis_gets_a_second_and_gives_the_same():
    model = graph_of([helper.make_node("Softmax", ["x"], ["y"])], [("x", [5])], [("y", [5])])
    export.fit_tensorrt(model)
    onnx.checker.check_model(model)
    assert [n.op_type for n in model.graph.node] == ["Unsqueeze", "Softmax", "Squeeze"]
    x = np.float32([1, 2, 3, -4, 0])
    y = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    assert np.allclose(y, np.exp(x) / np.exp(x).sum(), atol=1e-6)


def test_a_layer_takes_what_arithmetic_or_bytes_take(tmp_path):
    conv = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    model = graph_of([conv], [("x", [1, 4, 10, 10])], [("y", [1, 8, 10, 10])], [("w", (8, 4, 3, 3))])
    onnx.save(model, tmp_path / "g.onnx")
    [layer] = timing.layers(tmp_path / "g.onnx")
    assert layer.macs == 8 * 100 * 4 * 9 and layer.values == 400 + 288 + 800
    [of_three] = timing.layers(tmp_path / "g.onnx", batch=3)
    assert of_three.macs == 3 * layer.macs and of_three.values == 3 * (400 + 800) + 288
    slow = timing.Board("b", {"fp16": 1e-6}, 1e3)
    thin = timing.Board("b", {"fp16": 1e3}, 1e-3)
    assert timing.milliseconds([layer], slow, "fp16") == pytest.approx(28.8)
    assert timing.milliseconds([layer], thin, "fp16") == pytest.approx(1e3 * 2 * 1488 / 1e6)


def test_an_orins_ceilings_are_those_of_its_data_sheet():
    agx = next(board for board in timing.BOARDS if board.name.startswith("AGX"))
    # 5.3 TFLOPS in fp32, 170 TOPS in int8 with half of the weights zero.
    assert 2 * agx.rates["fp32"] == pytest.approx(5.3, rel=0.01)
    assert 2 * 2 * agx.rates["int8"] == pytest.approx(170, rel=0.01)
