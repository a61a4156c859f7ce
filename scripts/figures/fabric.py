"""Cloth: a periodic tile of a product's pattern. The tile is the same whatever its resolution."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .products import Product
from .util import Rng, periodic_noise, pick, rng_for, smoothstep, uniform, wrap_resize

BASE_PERIOD = 24.0
"""Side of a tile in cm, before the product's pattern scale."""


def tile_period(product: Product) -> float:
    return BASE_PERIOD * product.pattern_scale


def tile(product: Product, ppc: float) -> np.ndarray:
    """The pattern's tile at about `ppc` pixels per cm: n x n x 3 float32 in 0..255, periodic."""
    n = max(24, int(round(tile_period(product) * ppc)))
    rng = rng_for(product.seed, 0xFAB)
    colours = np.asarray(product.colours, np.float32)
    over = 2 if n < 700 else 1
    draw = PAINTERS.get(product.pattern, _plain)
    image = draw(rng, n * over, colours, product.style) if draw in STRIPED else draw(rng, n * over, colours)
    if over > 1:
        image = cv2.resize(image, (n, n), interpolation=cv2.INTER_AREA)
    weave = wrap_resize(periodic_noise(rng_for(product.seed, 0xFAC), 96, 1.5, 1.5), (n, n))
    return np.clip(image * (1.0 + 0.018 * weave[..., None]), 0, 255).astype(np.float32)


def _grid(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Tile coordinates 0..1 at pixel centres: x as a row, y as a column."""
    t = (np.arange(n, dtype=np.float32) + 0.5) / n
    return t[None, :], t[:, None]


def _fill(n: int, colour) -> np.ndarray:
    return np.broadcast_to(np.asarray(colour, np.float32), (n, n, 3)).copy()


def _mix(a, b, t) -> np.ndarray:
    return a + (b - a) * t[..., None]


def _plain(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    return _fill(n, c[0])


def _stripe_row(rng: Rng, t: np.ndarray, c: np.ndarray, wanted: str) -> np.ndarray:
    """Colours along a periodic coordinate: n x 3."""
    style = pick(rng, ("breton", "equal", "pin", "multi", "wide"))
    style = wanted or style
    repeat = {"breton": 8, "equal": 6, "pin": 10, "multi": 3, "wide": 3}[style]
    phase = (t * repeat) % 1.0
    out = np.broadcast_to(c[0], t.shape + (3,)).copy()
    if style == "multi":
        edges = np.sort(rng.random(4))
        for i in range(3):
            out[(phase >= edges[i]) & (phase < edges[i + 1])] = c[1 + i % 3]
        return out
    share = {"breton": 0.32, "equal": 0.5, "pin": 0.12, "wide": 0.5}[style]
    out[phase < share] = c[1]
    if style == "wide" and rng.random() < 0.5:
        out[(phase > 0.7) & (phase < 0.78)] = c[2]
    return out


def _hstripe(rng: Rng, n: int, c: np.ndarray, style: str = "") -> np.ndarray:
    row = _stripe_row(rng, _grid(n)[1][:, 0], c, style)
    return np.repeat(row[:, None, :], n, axis=1)


def _vstripe(rng: Rng, n: int, c: np.ndarray, style: str = "") -> np.ndarray:
    return _hstripe(rng, n, c, style).transpose(1, 0, 2).copy()


def _diagonal(rng: Rng, n: int, c: np.ndarray, style: str = "") -> np.ndarray:
    x, y = _grid(n)
    row = _stripe_row(rng, _grid(n)[0][0], c, style)
    index = (((x + y * pick(rng, (1, -1, 2))) % 1.0) * n).astype(int) % n
    return row[index]


def _gingham(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    x, y = _grid(n)
    k = pick(rng, (4, 6, 8))
    level = ((x * k) % 1 < 0.5).astype(np.float32) + ((y * k) % 1 < 0.5)
    return _mix(_fill(n, c[1]), c[0], level / 2)


def _tartan(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    t = _grid(n)[0][0]
    repeat = pick(rng, (1, 2, 3))
    phase = (t * repeat) % 1.0
    row = np.broadcast_to(c[0], (n, 3)).copy()
    row[(phase > 0.1) & (phase < uniform(rng, 0.35, 0.5))] = c[1]
    row[(phase > 0.62) & (phase < 0.67)] = c[2]
    row[(phase > 0.8) & (phase < 0.84)] = c[3]
    return (row[None] + row[:, None]) / 2


def _dots(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    x, y = _grid(n)
    k = pick(rng, (4, 6, 8, 12))
    radius = uniform(rng, 0.17, 0.3)
    row = np.floor(y * k)
    fx, fy = ((x * k + 0.5 * (row % 2)) % 1) - 0.5, ((y * k) % 1) - 0.5
    inside = smoothstep(radius + k / n, radius - k / n, np.hypot(fx, fy))
    return _mix(_fill(n, c[0]), c[1], inside.astype(np.float32))


def _stamp(image: np.ndarray, points: np.ndarray, colour) -> None:
    """Fills a polygon given in tile units, wrapped round the tile's edges."""
    n = image.shape[0]
    low, high = points.min(0), points.max(0)
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            if low[0] + dx < 1 and high[0] + dx > 0 and low[1] + dy < 1 and high[1] + dy > 0:
                p = np.round((points + (dx, dy)) * n * 16).astype(np.int32)
                cv2.fillPoly(image, [p], tuple(float(v) for v in colour), cv2.LINE_AA, 4)


def star(points: int, inner: float, turn: float = 0.0) -> np.ndarray:
    """A star polygon with outer radius 1."""
    a = turn + np.arange(points * 2) * math.pi / points
    r = np.where(np.arange(points * 2) % 2 == 0, 1.0, inner)
    return np.stack([np.sin(a) * r, -np.cos(a) * r], 1)


def blossom(petals: int, depth: float, turn: float = 0.0) -> np.ndarray:
    """A rounded flower outline with outer radius 1."""
    a = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    r = 1 - depth * (0.5 + 0.5 * np.cos(a * petals))
    return np.stack([np.sin(a + turn) * r, -np.cos(a + turn) * r], 1)


def _floral(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    image = np.ascontiguousarray(_fill(n, c[0]).astype(np.uint8))
    count, petals = int(rng.integers(9, 26)), int(rng.integers(4, 8))
    size = uniform(rng, 0.05, 0.085)
    spots = _spread(rng, count)
    for i, spot in enumerate(spots):
        turn, grow = uniform(rng, 0, 6.3), uniform(rng, 0.7, 1.3)
        for side in (-1, 1):
            a = turn + side * 2.2
            leaf = blossom(2, 0.72, a) * size * grow * 0.9 + spot + np.array([math.sin(a), -math.cos(a)]) * size * grow
            _stamp(image, leaf, c[3])
        _stamp(image, blossom(petals, 0.45, turn) * size * grow + spot, c[1 + i % 2])
        _stamp(image, blossom(6, 0.1) * size * grow * 0.32 + spot, c[2 - i % 2])
    return image.astype(np.float32)


def _spread(rng: Rng, count: int) -> np.ndarray:
    """Points on a torus that keep away from each other."""
    points = [rng.random(2)]
    for _ in range(count - 1):
        best = rng.random((6, 2))
        gap = np.abs(best[:, None] - np.asarray(points)[None])
        gap = np.minimum(gap, 1 - gap)
        points.append(best[np.argmax((gap**2).sum(2).min(1))])
    return np.asarray(points)


def _shapes(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    image = np.ascontiguousarray(_fill(n, c[0]).astype(np.uint8))
    outline = pick(rng, (star(5, 0.42), star(3, 0.5), star(4, 0.35), star(2, 1.0), blossom(2, 0.5), star(8, 0.6)))
    k, size = int(pick(rng, (3, 4, 5))), uniform(rng, 0.055, 0.085)
    for i in range(k):
        for j in range(k):
            turn = uniform(rng, 0, 6.3) if k % 2 else 0.0
            rotate = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
            spot = np.array([(i + 0.25 + 0.5 * (j % 2) * (k % 2 == 0)) / k, (j + 0.5) / k])
            _stamp(image, outline @ rotate.T * size * 4 / k + spot, c[1 + (i + j) % 2 * (k % 2)])
    return image.astype(np.float32)


def _splatter(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    image = np.ascontiguousarray(_fill(n, c[0]).astype(np.uint8))
    for i in range(int(rng.integers(40, 160))):
        size = 0.004 + 0.03 * rng.random() ** 3
        _stamp(image, blossom(int(rng.integers(3, 7)), 0.3, rng.random() * 6) * size + rng.random(2), c[1 + i % 3])
    return image.astype(np.float32)


def _blobs(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    scale = uniform(rng, 9, 22)
    image = _fill(n, c[0])
    for i, level in enumerate((0.55, 0.75, 1.0)[: int(rng.integers(2, 4))]):
        field = wrap_resize(periodic_noise(rng, 128, scale, scale * uniform(rng, 0.6, 1.6), 1.8), (n, n))
        image = _mix(image, c[1 + i], smoothstep(level - 0.05, level + 0.05, field))
    return image


def _leopard(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    field = wrap_resize(periodic_noise(rng, 128, 7, 7, 2.0), (n, n))
    ring = np.abs(field - 0.75)
    image = _mix(_fill(n, c[0]), c[2], smoothstep(0.6, 0.75, field) * 0.6)
    return _mix(image, c[1], smoothstep(0.3, 0.2, ring))


def _chevron(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    x, y = _grid(n)
    k, m = int(pick(rng, (3, 4, 6))), int(pick(rng, (4, 6, 8)))
    zig = np.abs((x * k) % 1 - 0.5) * 2 * (m / k) * 0.8
    row = (y * m + zig) % 1
    image = _mix(_fill(n, c[0]), c[1], (row < 0.5).astype(np.float32))
    return image


def _waves(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    x, y = _grid(n)
    k, m = int(pick(rng, (1, 2, 3))), int(pick(rng, (3, 5, 7)))
    phase = (y * m + uniform(rng, 0.3, 0.9) * np.sin(2 * np.pi * x * k) / 2) % 1
    image = _mix(_fill(n, c[0]), c[1], (phase < 0.45).astype(np.float32))
    return _mix(image, c[2], ((phase > 0.6) & (phase < 0.68)).astype(np.float32))


def _knit(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    x, y = _grid(n)
    k = int(pick(rng, (12, 18, 26)))
    cable = np.sin(2 * np.pi * (x * k + 0.35 * np.sin(2 * np.pi * y * k * 0.5)))
    stitch = np.sin(2 * np.pi * (y * k * 2 + np.abs((x * k) % 1 - 0.5)))
    light = 1 + 0.10 * cable + 0.05 * stitch
    image = _fill(n, c[0]) * light[..., None].astype(np.float32)
    if rng.random() < 0.4:
        band = ((y * pick(rng, (2, 3))) % 1 < 0.18).astype(np.float32) * np.ones_like(x)
        image = _mix(image, c[1] * light[..., None], band)
    return image.astype(np.float32)


def _denim(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    x, y = _grid(n)
    twill = np.sin(2 * np.pi * (x + y) * 48)
    noise = wrap_resize(periodic_noise(rng, 192, 1.2, 3.5), (n, n))
    wash = wrap_resize(periodic_noise(rng, 64, 16, 22, 1.6), (n, n))
    light = 1 + 0.05 * twill + 0.09 * noise + 0.07 * wash
    return (_fill(n, c[0]) * light[..., None]).astype(np.float32)


def _melange(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    noise = wrap_resize(periodic_noise(rng, 192, 3.0, 0.8), (n, n))
    return _mix(_fill(n, c[0]), c[1], np.clip(0.16 + 0.16 * noise, 0, 0.6))


def _argyle(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    x, y = _grid(n)
    k, m = int(pick(rng, (3, 4))), int(pick(rng, (2, 3)))
    diamond = np.abs((x * k) % 1 - 0.5) + np.abs((y * m) % 1 - 0.5)
    parity = (np.floor(x * k + 0 * y) % 2).astype(np.float32)
    inside = (diamond < 0.47).astype(np.float32)
    image = _mix(_fill(n, c[0]), c[1], inside * (1 - 0.7 * parity))
    line = np.minimum(np.abs(((x * k + y * m) % 1) - 0.5), np.abs(((x * k - y * m) % 1) - 0.5))
    return _mix(image, c[2], (line < 0.03).astype(np.float32))


def _houndstooth(rng: Rng, n: int, c: np.ndarray) -> np.ndarray:
    x, y = _grid(n)
    k = int(pick(rng, (6, 8, 12)))
    a, b = (x * k * 2) % 2, (y * k * 2) % 2
    twill = ((x * k * 4 + y * k * 4) % 2) < 1
    dark = np.where(a < 1, np.where(b < 1, True, twill), np.where(b < 1, ~twill, False))
    return _mix(_fill(n, c[0]), c[1], dark.astype(np.float32))


PAINTERS = {
    "plain": _plain,
    "hstripe": _hstripe,
    "vstripe": _vstripe,
    "diagonal": _diagonal,
    "gingham": _gingham,
    "tartan": _tartan,
    "dots": _dots,
    "floral": _floral,
    "blobs": _blobs,
    "chevron": _chevron,
    "knit": _knit,
    "denim": _denim,
    "melange": _melange,
    "argyle": _argyle,
    "leopard": _leopard,
    "shapes": _shapes,
    "splatter": _splatter,
    "houndstooth": _houndstooth,
    "waves": _waves,
}

STRIPED = (_hstripe, _vstripe, _diagonal)
"""Painters that know named varieties."""
