"""Tests of bodies of three dimensions, on a doll of tubes, so that they need no Anny."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import clip, cut, mesh, raster, solid  # noqa: E402
from figures.body import Body, Camera, Pose, joints  # noqa: E402
from figures.canvas import Canvas, Light  # noqa: E402
from figures.garment import Worn  # noqa: E402
from figures.products import random_product  # noqa: E402
from figures.texture import dress_up  # noqa: E402
from figures.util import rng_for  # noqa: E402
from figures.worn import Figure  # noqa: E402

BONES = {
    "upperleg01": (0.10, 0.0, 0.0), "lowerleg01": (0.12, 0.0, -0.42), "foot": (0.13, 0.0, -0.84), "toe2-1": (0.13, -0.14, -0.90),
    "upperarm01": (0.17, 0.0, 0.47), "lowerarm01": (0.34, 0.0, 0.28), "wrist": (0.50, 0.0, 0.10), "finger3-1": (0.56, 0.0, 0.03),
}  # fmt: skip
MIDDLE = {"neck01": (0, 0, 0.56), "head": (0, -0.02, 0.66), "spine04": (0, 0, 0.1)}


@pytest.fixture(scope="module")
def doll() -> mesh.Mesh:
    """Tubes of twelve sides along the bones, in Anny's axes (x to the body's left, y backwards, z up, m)."""
    heads = {name: np.array(p, float) for name, p in MIDDLE.items()}
    for name, (x, y, z) in BONES.items():
        heads[f"{name}.L"], heads[f"{name}.R"] = np.array([x, y, z]), np.array([-x, y, z])
    heads["eye.L"], heads["eye.R"] = np.array([0.03, -0.09, 0.70]), np.array([-0.03, -0.09, 0.70])
    tubes = [("hips", (0, 0, -0.08), (0, 0, 0.1), 0.155, 0.14), ("chest", (0, 0, 0.1), (0, 0, 0.54), 0.14, 0.13)]
    tubes += [("head", (0, 0, 0.54), (0, 0, 0.80), 0.06, 0.09)]
    chain = (("thigh", "upperleg01", "lowerleg01", 0.08), ("shin", "lowerleg01", "foot", 0.055), ("foot", "foot", "toe2-1", 0.045),
             ("arm", "upperarm01", "lowerarm01", 0.045), ("fore", "lowerarm01", "wrist", 0.038), ("hand", "wrist", "finger3-1", 0.03))  # fmt: skip
    for group, a, b, r in chain:
        for ours, side in (("l", "R"), ("r", "L")):
            tubes.append((f"{group}_{ours}", heads[f"{a}.{side}"], heads[f"{b}.{side}"], r, r * 0.8))
    points, faces, weights, at = [], [], [], 0
    for group, a, b, r0, r1 in tubes:
        a, b = np.array(a, float), np.array(b, float)
        axis = (b - a) / np.linalg.norm(b - a)
        u = np.cross(axis, [0.1, 1, 0.2])
        u /= np.linalg.norm(u)
        w = np.cross(axis, u)
        t, angle = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 2 * np.pi, 13), indexing="ij")
        ring = u * np.cos(angle)[..., None] + w * np.sin(angle)[..., None]
        points.append((a + (b - a) * t[..., None] + ring * (r0 + (r1 - r0) * t)[..., None]).reshape(-1, 3))
        faces.append(mesh.grid(9, 13)[:, ::-1] + at)
        weights.append(np.tile(np.eye(len(mesh.GROUPS), dtype=np.float32)[mesh.GROUPS.index(group)], (9 * 13, 1)))
        at += 9 * 13
    return mesh._mesh(np.concatenate(points), np.concatenate(faces), np.concatenate(weights), heads)


def drawn(doll: mesh.Mesh, pose: Pose, *classes: int, scale: float = 1.9) -> tuple[Canvas, dict[int, dict], object]:
    canvas = Canvas(np.full((384, 256, 3), 128, np.float32))
    products = [random_product(rng_for(5, c), c, k + 1) for k, c in enumerate(classes)]
    figure = Figure(Body(hair_style="long"), [Worn(dress_up(p, 3.0), k + 1) for k, p in enumerate(products)])
    sk = solid.draw_solid(canvas, figure, doll, pose, Camera(scale, 128.0, 190.0), Light())
    found = clip.annotate(canvas, {k + 1: p for k, p in enumerate(products)})
    return canvas, {g["class"]: g for g in found}, sk


def test_the_nearest_triangle_is_seen_and_weights_find_the_point():
    points = np.array([[2, 2], [2, 30], [30, 2], [0, 0], [0, 20], [20, 0]], float)
    depth = np.array([5.0, 5.0, 5.0, 1.0, 1.0, 9.0])
    faces = np.array([[0, 1, 2], [3, 4, 5], [0, 2, 1]])
    found = raster.fill(points, depth, faces, 32, 32)
    assert len(np.unique(found.pixel)) == len(found.pixel)
    assert set(found.face) == {0, 1}, "the third is seen from behind"
    place = found.mix(faces, points)
    assert np.abs(place - np.stack([found.pixel % 32 + 0.5, found.pixel // 32 + 0.5], 1)).max() < 1e-3
    covered = {(int(p) % 32, int(p) // 32): f for p, f in zip(found.pixel, found.face)}
    assert covered[4, 4] == 0 and covered[12, 3] == 1, "the second leans forward to the right"
    alone = raster.fill(points, depth, faces[:1], 32, 32)
    assert abs(len(alone.pixel) - 28 * 28 / 2) < 30


def test_what_lies_outside_the_picture_is_left_out():
    points = np.array([[-50, -50], [-50, 90], [90, -50]], float)
    found = raster.fill(points, np.zeros(3), np.array([[0, 1, 2]]), 16, 12)
    assert sorted(found.pixel) == list(range(16 * 12))
    assert len(raster.fill(points - 200, np.zeros(3), np.array([[0, 1, 2]]), 16, 12).pixel) == 0


@pytest.mark.parametrize("pose", [Pose(), Pose(yaw=1.2, thigh=(0.6, -0.3), knee=(0.9, 0.1), arm_out=(1.4, 0.2), fore=(0.9, 0.4))])
def test_limbs_point_as_the_drawn_figure_does_and_keep_their_length(doll, pose):
    at, turns, _ = mesh.posed(doll, Body(), pose)
    wanted = joints(Body(), pose)
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        for side in "lr":
            ours, theirs = at[f"{b}_{side}"] - at[f"{a}_{side}"], wanted[f"{b}_{side}"] - wanted[f"{a}_{side}"]
            assert np.isclose(np.linalg.norm(ours), np.linalg.norm(doll.at[f"{b}_{side}"] - doll.at[f"{a}_{side}"]))
            assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.999
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-6)


def test_garments_sit_where_they_belong(doll):
    canvas, found, sk = drawn(doll, Pose(), 8, 1)
    assert set(found) == {8, 1}
    upper, lower = found[1]["box"], found[8]["box"]
    neck, elbow, hip, ankle = (sk.at[j][1] for j in ("neck", "elbow_l", "hip_l", "ankle_l"))
    assert neck - 5 < upper[1] < elbow and upper[3] < lower[3]
    assert hip - 45 < lower[1] < hip + 15 and lower[3] < ankle + 15
    assert found[1]["visible"] > 0.9
    assert canvas.figure.max() == 1 and (canvas.owner > 0).sum() > 4000


def test_a_skirt_covers_the_knees_of_a_stride_and_a_turned_body_is_narrower(doll):
    for thigh in ((0.0, 0.0), (0.5, -0.4)):
        product = replace(random_product(rng_for(5, 9), 9, 1), length=70.0)
        canvas = Canvas(np.full((384, 256, 3), 128, np.float32))
        figure = Figure(Body(hair_style="bald"), [Worn(dress_up(product, 3.0), 1)])
        sk = solid.draw_solid(canvas, figure, doll, Pose(thigh=thigh), Camera(1.9, 128.0, 190.0), Light())
        assert solid.falls(product)
        for side in "lr":
            x, y = (sk.at[f"hip_{side}"] * 0.3 + sk.at[f"knee_{side}"] * 0.7).astype(int)
            assert canvas.owner[y, x] == 1
    wide = lambda yaw: (lambda b: b[2] - b[0])(drawn(doll, Pose(yaw=yaw, arm_out=(0.0, 0.0)), 5)[1][5]["box"])
    assert wide(1.57) < 0.95 * wide(0.0)


def test_what_falls_outside_the_picture_counts_as_hidden(doll):
    _, near, _ = drawn(doll, Pose(), 8, scale=5.0)
    assert near[8]["visible"] < 0.8


def test_without_anny_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "anny", None)
    with pytest.raises(ModuleNotFoundError, match="pip install anny"):
        mesh.bank(1, 1)


def test_annys_bodies_are_people():
    pytest.importorskip("anny", reason="Anny is not installed")
    first, again = mesh.bank(3, 2), mesh.bank(3, 2)
    assert all(np.array_equal(a.points, b.points) for a, b in zip(first, again))
    for body in first:
        assert abs(np.ptp(body.points[:, 1]) - 173) < 1
        assert np.allclose(body.weights.sum(1), 1, atol=1e-3)
        assert body.at["neck"][1] < body.at["shoulder_l"][1] < 0 < body.at["knee_l"][1] < body.at["ankle_l"][1]
        assert 10 < np.interp(cut.WAIST_V, body.half[0], body.half[1]) < 25
