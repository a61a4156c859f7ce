"""Figures as 3D bodies: a mesh in a pose; its clothes are the same mesh, slightly larger.

What is worn are the very panels that `worn.py` lays on strips, so a product's shop picture stays true.
"""

from __future__ import annotations

import cv2
import numpy as np

from . import cut
from .body import Body, Camera, Pose, Skeleton, seen
from .canvas import Canvas, Light, Wrap, around, texels
from .garment import Worn
from .mesh import ARM, FOOT, GROUPS, Mesh, grid, normals, posed, skin, smooth
from .products import Product
from .raster import facing, fill
from .sheet import Panel
from .worn import Figure, ground_shadow, layers

FINE = 2
"""Samples of a pixel along each side."""

TUBE = 40.0
"""Where on the trunk's axis free-hanging cloth leaves the body."""

RING = 41
"""Points round such cloth."""


def draw_solid(canvas: Canvas, figure: Figure, mesh: Mesh, pose: Pose, camera: Camera, light: Light) -> Skeleton:
    """Paints the figure over the canvas as `worn.draw_figure` does, and returns its skeleton."""
    picture = _Picture(canvas, camera, light)
    person = _Person(picture, figure.body, mesh, pose)
    sk = seen(person.at, figure.body, pose, camera)
    canvas.begin_figure()
    ground_shadow(canvas, sk, light)
    person.bare()
    for worn in layers(figure):
        person.wear(worn, sum(g.instance < worn.instance for g in figure.garments))
    picture.finish()
    return sk


def falls(product: Product) -> bool:
    """Whether it hangs free below the hips."""
    return not product.has_legs and cut.trunk_end(product) > cut.CROTCH_V - 2


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


def _texel(panel: Panel, wrap: Wrap, angle: np.ndarray, v: np.ndarray, scale: float, side: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(RGBA, bump) of a panel at n places: angle round the body, v cm down; `side` -1 for its mirror image.

    cv2 takes rows of less than 32768 places."""
    x = (side * around(angle, np.interp(v, *wrap.width))).astype(np.float32)[None]
    v = v.astype(np.float32)[None]
    parts = [texels(panel, wrap, x[:, i : i + 30000], v[:, i : i + 30000], scale) for i in range(0, x.shape[1], 30000)]
    rgba, bump = (np.concatenate(column, axis=1)[0] for column in zip(*parts))
    return rgba.astype(np.float32), bump


class _Picture:
    """The figure under construction, finer than the canvas: colour, depth and owner of each sample."""

    def __init__(self, canvas: Canvas, camera: Camera, light: Light):
        self.canvas, self.camera, self.light = canvas, camera, light
        self.width, self.height = canvas.width * FINE, canvas.height * FINE
        self.rgb = np.zeros((self.height * self.width, 3), np.float32)
        self.depth = np.full(self.height * self.width, -1e9, np.float32)
        self.owner = np.full(self.height * self.width, -1, np.int16)
        self.normal = np.zeros((self.height * self.width, 3), np.float32)

    def add(self, points: np.ndarray, faces: np.ndarray, given: np.ndarray, colour, instance: int) -> None:
        """Paints a surface. `given`: values of its points; `colour` makes of them (RGB, cover 0..1, bump or None)."""
        flat = self.camera.project(points)[0] * FINE
        found = fill(flat, points[:, 2], faces, self.width, self.height)
        if instance:
            self._lost(flat, faces, instance)
        if not len(found.pixel):
            return
        rgb, cover, bump = colour(found.mix(faces, given))
        normal = found.mix(faces, normals(points, faces))
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
        """Darkens what is behind nearby parts: beneath arms and hems, between the legs."""
        k = max(3, int(7 * self.camera.scale * FINE)) | 1
        cover = here.astype(np.float32).reshape(self.height, self.width)
        depth = np.where(here, self.depth, 0).reshape(self.height, self.width)
        around = cv2.blur(depth, (k, k)) / np.maximum(cv2.blur(cover, (k, k)), 1e-3)
        return (1 - 0.45 * np.clip((around - depth) / 9.0, 0, 1)).reshape(-1)


class _Person:
    """A body in a pose on the picture: its skin, and its clothes over it."""

    def __init__(self, picture: _Picture, body: Body, mesh: Mesh, pose: Pose):
        self.picture, self.body, self.mesh = picture, body, mesh
        at, self.turns, offsets = posed(mesh, body, pose)
        self.at = {name: p * body.size for name, p in at.items()}
        self.points = skin(mesh, self.turns, offsets) * np.float32(body.size)
        self.normals = normals(self.points, mesh.faces)
        self.given = np.concatenate([mesh.points, mesh.weights[:, ARM].sum(1)[:, None]], 1)
        """Of every point: where it is at rest, and how much it belongs to an arm."""

    def bare(self) -> None:
        """Skin, face, hair and shoes."""
        self.picture.add(self.points, self.mesh.faces, self.given, self._face, 0)
        self._shoes()
        if self.body.hair_style != "bald":
            self._hair()

    def _face(self, values: np.ndarray):
        """Skin at points at rest, with eyes, brows and mouth."""
        p, skin_, hair = values[:, :3], np.asarray(self.body.skin, np.float32), np.asarray(self.body.hair, np.float32)
        rgb = np.repeat(skin_[None], len(p), 0)
        if not self.body.mannequin:
            eye = self._eyes()
            x, y, front = np.abs(p[:, 0]), p[:, 1] - eye[1], p[:, 2] > eye[2] - 4
            apart = abs(self.mesh.at["eye_r"][0] - self.mesh.at["eye_l"][0]) / 2
            rgb[front & (np.abs(x - apart) < 1.5) & (np.abs(y) < 0.7)] = (228, 224, 220)
            rgb[front & (np.abs(x - apart) < 0.65) & (np.abs(y) < 0.65)] = (52, 40, 34)
            rgb[front & (np.abs(x - apart) < 2.2) & (np.abs(y + 2.0) < 0.4)] = hair * 0.8
            rgb[front & (x < 2.2) & (np.abs(y - 7.0) < 0.7)] = skin_ * (0.86, 0.66, 0.64)
        return rgb, np.ones(len(p)), None

    def _eyes(self) -> np.ndarray:
        return (self.mesh.at["eye_l"] + self.mesh.at["eye_r"]) / 2

    def _shoes(self) -> None:
        mesh, shoe = self.mesh, np.asarray(self.body.shoe, np.float32)
        foot = mesh.weights[:, FOOT].sum(1)
        near = mesh.edges[(foot > 0.1)[mesh.edges].all(1)]
        grown = _over(smooth(self.points + self.normals * 0.9, near, 20), self.points, self.normals, 0.15)
        ground = float(mesh.points[:, 1].max())
        sole = np.float32(225) if sum(self.body.shoe) % 2 < 1 else shoe * 0.55
        leather = lambda values: (np.where((values[:, 1] > ground - 2.2)[:, None], sole, shoe), np.ones(len(values)), None)
        self.picture.add(grown, mesh.faces[(foot[mesh.faces] > 0.4).all(1)], self.given, leather, 0)

    def _hair(self) -> None:
        p, eye, style, hair = self.mesh.points, self._eyes(), self.body.hair_style, np.asarray(self.body.hair, np.float32)
        low = 3.0 if style in ("short", "bun") else 9.0
        head = (p[:, 1] < eye[1] + low) & ((p[:, 1] < eye[1] - 5.0) | (p[:, 2] < eye[2] - 5.0))
        head &= self.mesh.weights[:, GROUPS.index("head")] > 0.5
        grain = lambda values: (hair * (1 + 0.12 * np.sin(values[:, :1] * 5 + values[:, 1:2])), np.ones(len(values)), None)
        cap = self.points + self.normals * (1.6 if style == "short" else 2.2)
        self.picture.add(cap, self.mesh.faces[head[self.mesh.faces].all(1)], self.given, grain, 0)
        if style in ("long", "bob", "tail"):
            self._hanging(head, grain)

    def _hanging(self, head: np.ndarray, grain) -> None:
        """Hair that falls behind the head: half a rounded tube, thick where the style wants it."""
        eye = self._eyes()
        skull = np.linalg.lstsq(np.c_[self.mesh.points[head], np.ones(head.sum())], self.points[head], rcond=None)[0]
        length, wide = {"long": (34, 9.5), "bob": (17, 9.5), "tail": (30, 3.2)}[self.body.hair_style]
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
        moved = np.c_[rest, np.ones(len(rest))] @ skull
        self.picture.add(moved.astype(np.float32), grid(12, 25), rest.astype(np.float32), grain, 0)

    def wear(self, worn: Worn, layer: int) -> None:
        """One garment: its trunk and limbs close to the body, what hangs free below the hips as a tube."""
        p, cloth = worn.cloth.product, worn.cloth
        width, top, end = cut.trunk_profile(p), cut.trunk_top(p), cut.trunk_end(p)
        limb = cut.limb_profile(p) if cloth.limb is not None else None
        arm, v = self.given[:, 3], self.mesh.v
        hangs = falls(p)
        on_arm = arm > 0.5
        reach = TUBE + 6 if hangs else end
        if p.has_legs:
            part = (v > top - 2) & (v < cut.HIP_V + p.length + 3) & (arm < 0.6)
        else:
            sleeve = np.zeros(len(v), bool)
            if limb is not None:
                for side in "lr":
                    joints = (self.mesh.at[f"{j}_{side}"] for j in ("shoulder", "elbow", "wrist"))
                    along, _ = _along(self.mesh.points, *joints, cut.UPPER_ARM, cut.LOWER_ARM)
                    sleeve |= (along < p.sleeve + 3) & on_arm & ((self.mesh.points[:, 0] < 0) == (side == "l"))
            part = ((v > top - 2) & (v < reach + 3) & ~on_arm) | sleeve
        faces = self.mesh.faces[part[self.mesh.faces].all(1)]
        loose = np.interp(v, *width) - np.interp(v, *cut.BODY_TRUNK)
        if p.has_legs:
            leg_v = v - cut.HIP_V
            loose = np.where(v > cut.CROTCH_V, np.interp(leg_v, *limb) - np.interp(leg_v, *cut.BODY_LEG), loose)
        elif limb is not None:
            loose = loose * (1 - arm) + (p.sleeve_ease + 0.4) * arm
        gap = np.clip(loose, 0.35, 7.0)[:, None]
        grown = self.points + self.normals * (gap * 0.8 + 0.25 * layer).astype(np.float32) * np.float32(self.body.size)
        ease = float(np.median(gap[part])) if part.any() else 0.0
        if ease > 0.6:
            inner = self.mesh.edges[part[self.mesh.edges].all(1)]
            grown = _over(smooth(grown, inner, int(min(16, 3 + 5 * ease))), self.points, self.normals, 0.3 + 0.25 * layer)
        colour = _clothing(self.mesh, worn, width, limb, top, end, self.picture.camera.scale * FINE)
        self.picture.add(grown, faces, self.given, colour, worn.instance)
        if hangs:
            tube, rest = self._tube(p, width, end, layer)
            fabric = lambda values: colour(np.concatenate([values, np.zeros((len(values), 1), np.float32)], 1))
            self.picture.add(tube, grid(len(rest) // RING, RING), rest, fabric, worn.instance)

    def _tube(self, p: Product, width: cut.Profile, end: float, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """(points, points at rest) of what hangs from the hips: rings of RING points, wide enough for the knees of a stride."""
        v = np.append(np.arange(TUBE, end, 3.0), end + 1.0)
        steps, half, depth, middle = self.mesh.half
        y = self.mesh.height(v)
        hips = self.turns[GROUPS.index("hips")]
        least = 0.5 + 0.25 * layer
        below = np.minimum(v, 60.0)
        wide = np.interp(v, *width)
        free = np.clip((v - TUBE) / 12, 0, 1)
        body_a, body_b, centre = (np.interp(below, steps, r) for r in (half, depth, middle))
        a = np.maximum(body_a + (wide - body_a) * free, body_a + least)
        b = np.maximum(body_b + (wide * 0.68 - body_b) * free, body_b + least)
        theta = np.linspace(-np.pi, np.pi, RING)
        wave = 1 + 0.05 * np.clip((v - 60) / 40, 0, 1)[:, None] * np.sin(theta * 7 + p.seed % 7)[None] * min(p.flare / 4, 1.6)
        u = np.stack([np.sin(theta), np.cos(theta)])
        radius = 1 / np.sqrt((u[0] / a[:, None]) ** 2 + (u[1] / b[:, None]) ** 2)
        for s in "lr":
            hip, knee, ankle = (hips.T @ (self.at[f"{j}_{s}"] / self.body.size) for j in ("hip", "knee", "ankle"))
            down = np.maximum.accumulate([hip[1], knee[1], ankle[1]]) + np.array([0, 1e-3, 2e-3])
            x, z = (np.interp(y, down, [hip[k], knee[k], ankle[k]]) for k in (0, 2))
            thick = np.interp(v - cut.HIP_V, *cut.BODY_LEG) * 1.2 + least
            away = x[:, None] * u[0] + (z - centre)[:, None] * u[1] + thick[:, None]
            radius = np.where((v > cut.HIP_V + 4)[:, None], np.maximum(radius, away), radius)
        # Cloth hangs down from where it is held away.
        radius = np.maximum(np.maximum.accumulate(radius, 0), radius) * wave
        x, z = radius * u[0], radius * u[1]
        local = np.stack([x, np.broadcast_to(y[:, None], x.shape), z + centre[:, None]], -1)
        turn = np.stack([np.broadcast_to(u[0], x.shape), local[..., 1], u[1] * self.mesh.depth(v)[:, None]], -1)
        rest = turn + np.stack([0 * v, 0 * v, self.mesh.middle(v)], 1)[:, None]
        moved = local.reshape(-1, 3) @ hips.T * self.body.size
        # At rest only the angle counts: the panels' width is in their profile.
        return moved.astype(np.float32), rest.reshape(-1, 3).astype(np.float32)


def _clothing(mesh: Mesh, worn: Worn, width, limb, top: float, end: float, scale: float):
    """Colours of the garment's panels at points at rest."""
    p, cloth = worn.cloth.product, worn.cloth
    wrap = lambda half, fold: Wrap(half, fold=fold, fold_at=(17.0 * fold, 31.0 * fold))

    def colour(values):
        rest, arm = values[:, :3].astype(np.float32), values[:, 3]
        v = mesh.down(rest[:, 1])
        angle = np.arctan2(rest[:, 0], (rest[:, 2] - mesh.middle(v)) / mesh.depth(v))
        rgba, bump = _texel(cloth.trunk, wrap(width, worn.fold), angle, v, scale)
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
                fold, sign = (1, -1) if side == "l" else (2, 1)
                part, bumps = _texel(cloth.limb, wrap(limb, worn.fold + fold), round_, along, scale, sign)
                rgba[own], bump[own] = part, bumps
                cover[own] = part[:, 3] / 255 * (along < stop)
        return rgba[:, :3], cover, bump

    return colour
