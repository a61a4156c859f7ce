"""Painting cloth and skin: strips along a spine, with analytic anti-aliased edges and shading.

A strip is either a `Trunk` (a nearly straight axis whose rows shift sideways) or a `Limb` (a bent
polyline). For each pixel near it a strip yields v (cm along), s (-1..1 across) and a cover; cloth
is then fetched from its panel, shaded as a creased elliptic cylinder and blended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .cut import Profile
from .sheet import Panel
from .util import folds


@dataclass
class Light:
    """Where light comes from (unit vector towards it, x right, z to the viewer) and how hard it is."""

    x: float = -0.35
    z: float = 0.94
    ambient: float = 0.5
    direct: float = 0.58
    crease: float = 0.30
    """How deep folds look."""


@dataclass
class Field:
    """A strip's pixels inside the box (x0, y0, x1, y1) of the canvas."""

    box: tuple[int, int, int, int]
    v: np.ndarray
    s: np.ndarray
    d: np.ndarray
    """Signed distance from the spine in px."""
    cover: np.ndarray
    scale: float
    """Pixels per cm."""
    clipped: bool = False
    """Whether the strip reaches beyond the canvas."""


class Canvas:
    """A picture under construction, and which garment instance owns each pixel."""

    def __init__(self, background: np.ndarray):
        self.rgb = np.ascontiguousarray(background, np.float32)
        self.height, self.width = self.rgb.shape[:2]
        self.owner = np.zeros((self.height, self.width), np.int16)
        self.figure = np.zeros((self.height, self.width), np.float32)
        self.amodal: dict[int, np.ndarray] = {}
        self.outside: dict[int, float] = {}

    def clip(self, x0: float, y0: float, x1: float, y1: float) -> tuple[int, int, int, int] | None:
        box = (
            max(0, int(math.floor(x0))),
            max(0, int(math.floor(y0))),
            min(self.width, int(math.ceil(x1))),
            min(self.height, int(math.ceil(y1))),
        )
        return box if box[2] > box[0] and box[3] > box[1] else None

    def blend(self, box: tuple[int, int, int, int], rgb, alpha: np.ndarray, instance: int = 0) -> None:
        """Paints `rgb` with cover `alpha` over the box; `instance` 0 is not a garment."""
        x0, y0, x1, y1 = box
        part = self.rgb[y0:y1, x0:x1]
        part += (rgb - part) * alpha[..., None]
        solid = alpha > 0.5
        self.owner[y0:y1, x0:x1][solid] = instance
        mask = self.figure[y0:y1, x0:x1]
        np.maximum(mask, alpha, out=mask)
        if instance:
            if instance not in self.amodal:
                self.amodal[instance] = np.zeros((self.height, self.width), bool)
            self.amodal[instance][y0:y1, x0:x1] |= solid

    def shadow(
        self, box: tuple[int, int, int, int], alpha: np.ndarray, dx: float, dy: float, blur: float, strength: float
    ) -> None:
        """Darkens what is already painted of this figure, as the shape `alpha` above it would."""
        m = int(blur * 2 + max(abs(dx), abs(dy)) + 1)
        x0, y0, x1, y1 = (
            max(0, box[0] - m),
            max(0, box[1] - m),
            min(self.width, box[2] + m),
            min(self.height, box[3] + m),
        )
        pad = np.zeros((y1 - y0, x1 - x0), np.float32)
        left, top = box[0] - x0 + int(round(dx)), box[1] - y0 + int(round(dy))
        sx, sy = max(0, -left), max(0, -top)
        part = alpha[sy : sy + max(0, pad.shape[0] - max(top, 0)), sx : sx + max(0, pad.shape[1] - max(left, 0))]
        pad[max(top, 0) : max(top, 0) + part.shape[0], max(left, 0) : max(left, 0) + part.shape[1]] = part
        k = max(1, int(blur)) * 2 + 1
        pad = cv2.blur(cv2.blur(pad, (k, k)), (k, k))
        self.rgb[y0:y1, x0:x1] *= (1 - strength * pad * self.figure[y0:y1, x0:x1])[..., None]

    def beyond(self, low, high) -> bool:
        return bool(low[0] < -1 or low[1] < -1 or high[0] > self.width + 1 or high[1] > self.height + 1)

    def lost(self, instance: int, area: float) -> None:
        """Counts garment area (px) that fell outside the picture."""
        if instance and area > 0:
            self.outside[instance] = self.outside.get(instance, 0.0) + area

    def begin_figure(self) -> None:
        self.figure[:] = 0


@dataclass
class Trunk:
    """Rows along the axis from points[0] to points[-1]; `half` gives px by v."""

    points: np.ndarray
    v: np.ndarray
    half: Profile
    scale: float
    top: float
    end: float
    bow: float = 0.0
    """How many cm the hem hangs lower in the middle."""
    fade: float = 0.0
    """cm over which the lower end fades out (0 = a hem)."""

    def area(self) -> float:
        return _area(self.half, self.top, self.end) * self.scale

    def field(self, canvas: Canvas) -> Field | None:
        first, last = self.points[0], self.points[-1]
        axis = (last - first) / (np.linalg.norm(last - first) + 1e-6)
        normal = np.array([-axis[1], axis[0]]) * -1.0
        along = (self.points - first) @ axis
        aside = (self.points - first) @ normal
        # A little beyond both ends, so that hems and collars have room.
        lo, hi = along[0] - 10 * self.scale, along[-1] + 10 * self.scale
        h = np.arange(lo, hi, 0.25)
        grow = lambda a, b: (b[1] - b[0]) / max(a[1] - a[0], 1e-3)
        v = np.interp(h, along, self.v)
        v = np.where(h < along[0], self.v[0] + (h - along[0]) * grow(along[:2], self.v[:2]), v)
        v = np.where(h > along[-1], self.v[-1] + (h - along[-1]) * grow(along[-2:], self.v[-2:]), v)
        centre = np.interp(h, along, aside)
        k = max(3, int(4 * 6 * self.scale)) | 1
        centre = cv2.blur(centre.astype(np.float32)[None], (k, 1), borderType=cv2.BORDER_REPLICATE)[0]
        half = np.interp(v, *self.half).astype(np.float32)
        # The box, from the rows that can carry cloth.
        live = (v > self.top - 0.5) & (v < self.end + max(self.bow, 0) + 0.5)
        if not live.any():
            return None
        rows = np.flatnonzero(live)[[0, -1]]
        reach = float(half[live].max() + np.abs(centre[live]).max()) + 2
        corners = np.concatenate([first + h[r] * axis + np.outer([-reach, reach], normal) for r in rows])
        box = canvas.clip(*(corners.min(0) - 1), *(corners.max(0) + 1))
        if box is None:
            return None
        slope = np.sqrt(1 + np.gradient(half, 0.25) ** 2)
        table = np.stack([v, centre, half, slope], 1).astype(np.float32)
        x = np.arange(box[0], box[2], dtype=np.float32)[None] + 0.5 - np.float32(first[0])
        y = np.arange(box[1], box[3], dtype=np.float32)[:, None] + 0.5 - np.float32(first[1])
        row = x * np.float32(axis[0]) + y * np.float32(axis[1])
        index = ((row - np.float32(lo)) * 4).astype(np.int32)
        np.clip(index, 0, len(table) - 1, out=index)
        vv = table[:, 0][index]
        d = x * np.float32(normal[0]) + y * np.float32(normal[1]) - table[:, 1][index]
        w = table[:, 2][index]
        cover = np.clip((w - np.abs(d)) / table[:, 3][index] + 0.5, 0, 1)
        s = np.clip(d / np.maximum(w, 0.5), -1, 1)
        vscale = 1.0 / max(abs(float(np.median(np.gradient(v, 0.25)))), 1e-3)
        cover *= np.clip((vv - self.top) * vscale + 0.5, 0, 1)
        if self.fade > 0:
            cover *= np.clip((self.end - vv) / self.fade, 0, 1)
        else:
            cover *= np.clip((self.end + self.bow * (1 - s * s) - vv) * vscale + 0.5, 0, 1)
        return Field(box, vv, s, d, cover, self.scale, canvas.beyond(corners.min(0) + 2, corners.max(0) - 2))


@dataclass
class Limb:
    """A polyline with a round start; `half` gives px by v. Ends at `end` cm with a slightly curved hem."""

    points: np.ndarray
    v: np.ndarray
    half: Profile
    scale: float
    end: float
    round_end: bool = False
    bow: float = 0.0
    seam: tuple[np.ndarray, np.ndarray, float, float] | None = None
    """(point, outward normal, v0, v1): up to v0 only what lies outwards of the line is kept, from v1 on everything."""

    def area(self) -> float:
        span = np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum() / max(float(self.v[-1] - self.v[0]), 1e-3)
        return _area(self.half, 0.0, self.end) * float(span)

    def field(self, canvas: Canvas) -> Field | None:
        points, v = self._trim()
        reach = float(self.half[1].max()) + 2
        box = canvas.clip(*(points.min(0) - reach), *(points.max(0) + reach))
        if box is None:
            return None
        x = np.arange(box[0], box[2], dtype=np.float32)[None] + 0.5
        y = np.arange(box[1], box[3], dtype=np.float32)[:, None] + 0.5
        best = None
        for i in range(len(points) - 1):
            a, b = points[i].astype(np.float32), points[i + 1].astype(np.float32)
            length = float(np.linalg.norm(b - a)) + 1e-3
            ux, uy = (b - a) / np.float32(length)
            dx, dy = x - a[0], y - a[1]
            t = dx * ux + dy * uy
            tail = i == len(points) - 2 and not self.round_end
            held = np.clip(t, 0, length + (6 * self.scale if tail else 0))
            over = t - held
            cross = dy * ux - dx * uy
            far = cross * cross + over * over
            # The round start goes on along the cloth, so that its pattern does too.
            vv = v[i] + (np.minimum(t, held) if i == 0 else held) * np.float32((v[i + 1] - v[i]) / length)
            if best is None:
                best, side, along = far, cross, vv
            else:
                nearer = far < best
                best = np.where(nearer, far, best)
                side = np.where(nearer, cross, side)
                along = np.where(nearer, vv, along)
        d = np.sqrt(best) * np.where(side < 0, np.float32(1), np.float32(-1))
        w = _table(self.half, along)
        along = along.astype(np.float32)
        cover = np.clip(w - np.abs(d) + 0.5, 0, 1)
        s = np.clip(-side / np.maximum(w, 0.5), -1, 1)
        if self.seam is not None:
            point, normal, v0, v1 = self.seam
            out = (x - np.float32(point[0])) * np.float32(normal[0]) + (y - np.float32(point[1])) * np.float32(
                normal[1]
            )
            cover *= np.clip(out + 0.5 + np.clip((along - v0) / (v1 - v0), 0, 1) * np.float32(14 * self.scale), 0, 1)
        if not self.round_end:
            vscale = float(np.linalg.norm(points[-1] - points[-2]) / max(v[-1] - v[-2], 1e-3))
            cover *= np.clip((self.end + self.bow * (1 - s * s) - along) * max(vscale, 0.2) + 0.5, 0, 1)
        return Field(box, along, s, d, cover, self.scale, canvas.beyond(points.min(0), points.max(0)))

    def _trim(self) -> tuple[np.ndarray, np.ndarray]:
        """The spine up to `end`."""
        if self.end >= self.v[-1]:
            return self.points, self.v
        keep = self.v < self.end - 0.3
        keep[0] = True
        last = np.array([np.interp(self.end, self.v, self.points[:, k]) for k in (0, 1)])
        return np.vstack([self.points[keep], last]), np.append(self.v[keep], np.float32(self.end))


def _area(half: Profile, low: float, high: float) -> float:
    """Area under a profile, both sides (px by cm)."""
    v = np.arange(low, high, 1.0)
    return float(2 * np.interp(v, *half).sum())


def _table(p: Profile, v: np.ndarray) -> np.ndarray:
    """np.interp for a picture of v, through a fine table (several times faster)."""
    low, high = float(p[0][0]), float(p[0][-1])
    table = np.interp(np.arange(low, high, 0.125), *p).astype(np.float32)
    index = ((v - np.float32(low)) * 8).astype(np.int32)
    np.clip(index, 0, len(table) - 1, out=index)
    return table[index]


_PHI = np.linspace(-math.pi, math.pi, 513)
_FRONT = 0.6 * np.sin(_PHI) + 0.4 * _PHI * 2 / math.pi
_HALF_PHI = np.where(np.abs(_PHI) > math.pi / 2, math.pi - np.abs(_PHI), np.abs(_PHI))
_BACKED = 0.6 * np.sin(_HALF_PHI) + 0.4 * _HALF_PHI * 2 / math.pi
WRAP = np.where(np.abs(_PHI) <= math.pi / 2, _FRONT, np.sign(_PHI) * (2 - _BACKED)).astype(np.float32)
"""Cloth position x / w round the body (-2..2) by the angle on the ellipse (-pi..pi)."""


@dataclass
class Wrap:
    """How a strip's cloth lies: `width` is the cut's own half-width (cm by v), `turn` its rotation."""

    width: Profile
    turn: float = 0.0
    flat: bool = False
    back: bool = False
    mirror: bool = False
    fold: int = 0
    fold_at: tuple[float, float] = (0.0, 0.0)


def cloth_x(f: Field, wrap: Wrap) -> np.ndarray:
    """Panel x in cm for each pixel."""
    w = _table(wrap.width, f.v)
    if wrap.flat:
        x = f.s * w
        return np.where(x < 0, -2 * w - x, 2 * w - x) if wrap.back else x
    return around(np.arcsin(f.s) - np.float32(wrap.turn), w)


def around(phi: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Panel x in cm at angles phi round a body, for cloth of half-width w; 0 in front."""
    index = np.mod(phi * np.float32(512 / (2 * math.pi)) + 256, 512)
    low = index.astype(np.int32)
    t = index - low.astype(np.float32)
    a, b = WRAP[low], WRAP[np.minimum(low + 1, 512)]
    return (a + (b - a) * t) * w


def shade(f: Field, light: Light, bump: np.ndarray | None, flat: bool) -> np.ndarray:
    """Brightness factor of each pixel."""
    nx = f.s * np.float32(0.55 if flat else 0.97)
    nz = np.sqrt(1 - nx * nx)
    if bump is not None:
        nx = nx + bump[..., 0] * np.float32(light.crease)
        nz = nz - bump[..., 1] * np.float32(light.crease * 0.5)
    lit = nx * np.float32(light.x) + nz * np.float32(light.z)
    return np.float32(light.ambient) + np.float32(light.direct) * np.maximum(lit, -0.35)


def texels(panel: Panel, wrap: Wrap, x: np.ndarray, v: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """(RGBA, bump of the folds) of a panel at x, v cm, pictures both; `scale`: pixels per cm."""
    bump = cv2.remap(
        folds(wrap.fold),
        x * 4 + np.float32(wrap.fold_at[0]),
        v * 4 + np.float32(wrap.fold_at[1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    image, ppc = panel.level(scale)
    slip = np.float32(0.0 if wrap.flat else 0.22 * ppc)
    px = (x * (-1 if wrap.mirror else 1) - np.float32(panel.x0)) * np.float32(ppc) - 0.5 + bump[..., 0] * slip
    py = (v - np.float32(panel.y0)) * np.float32(ppc) - 0.5 + bump[..., 1] * slip
    return cv2.remap(image, px, py, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), bump


def paint_cloth(
    canvas: Canvas,
    strip: Trunk | Limb,
    panel: Panel,
    wrap: Wrap,
    light: Light,
    instance: int,
    *,
    shadow: float = 0.0,
    dim: float = 1.0,
) -> None:
    """Lays a panel on a strip and paints it."""
    f = strip.field(canvas)
    if f is None:
        canvas.lost(instance, strip.area())
        return
    texel, bump = texels(panel, wrap, cloth_x(f, wrap), f.v, f.scale)
    alpha = f.cover * (texel[..., 3].astype(np.float32) * np.float32(1 / 255))
    if shadow:
        canvas.shadow(f.box, alpha, -light.x * 1.2 * f.scale, 1.6 * f.scale, 1.3 * f.scale, shadow)
    bright = shade(f, light, bump, wrap.flat) * np.float32(dim)
    rgb = texel[..., :3].astype(np.float32) * bright[..., None]
    if f.clipped:
        canvas.lost(instance, strip.area() - float(alpha.sum()))
    # Even black cloth catches light on a fold.
    rgb += np.clip(bright - 0.8, 0, 1)[..., None] * np.float32(16)
    canvas.blend(f.box, rgb, alpha, instance)


def paint_plain(
    canvas: Canvas, strip: Trunk | Limb, colour, light: Light, *, shadow: float = 0.0, instance: int = 0
) -> None:
    """Paints a strip in one colour: skin, shoes, hair."""
    f = strip.field(canvas)
    if f is None:
        return
    if shadow:
        canvas.shadow(f.box, f.cover, -light.x * f.scale, 1.4 * f.scale, 1.2 * f.scale, shadow)
    rgb = np.asarray(colour, np.float32) * shade(f, light, None, False)[..., None]
    canvas.blend(f.box, rgb, f.cover, instance)
