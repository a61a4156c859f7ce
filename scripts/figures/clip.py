"""Sequences for training: one figure in one place, in frames far enough apart to differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .active import active_pose, close_fitting, part_of
from .body import Body, Camera, Pose, Skeleton, camera_on, random_body, random_pose
from .camera import Sensor, encode, expose, random_sensor, wobble
from .canvas import Canvas, Light
from .flat import box_of
from .garment import Worn
from .mesh import Mesh
from .panorama import view
from .photo_cloth import cloth_of
from .products import Product
from .scenery import background, bag, front_rail, pillar, sneaker
from .solid import draw_solid, falls
from .things import put
from .util import Rng, pick, rng_for, uniform, weighted
from .worn import Figure, draw_figure

SIZES = {(256, 384): 5, (216, 384): 4, (384, 216): 1.5, (288, 384): 1}
"""Street frame sizes (width, height) and how common they are."""

REAL_SIZES = {(256, 384): 5, (216, 384): 3.5, (384, 216): 2.2, (288, 384): 1.3, (384, 288): 1.2}
"""The same for sets with real pictures, whose clips come from more kinds of cameras."""

AFAR = 0.15
"""Share of frames of such sets in which the person is far away."""

PART = 0.35
"""Share of frames of an active person that show a part of the body only."""

OBJECTS, OBJECTS_ALONE = 0.4, 0.85
"""Share of scenes with and without people that contain objects, if the set has any."""

SPORTY = 0.6
"""Share of people in sports shoes, in sets with objects."""

LEAST_VISIBLE = 0.08
"""Garments with a smaller visible share are left out of the annotations."""


@dataclass
class Frame:
    """An encoded picture and its garments: dicts with product, class, box, visible, mask (h x w, bool)."""

    jpeg: bytes
    width: int
    height: int
    garments: list[dict]


@dataclass(frozen=True)
class Surroundings:
    """Real pictures other than clothes: paths of panoramas, and of cut-outs of objects."""

    places: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    bodies: tuple[Mesh, ...] = ()
    """3D bodies, instead of drawn ones."""


@dataclass
class Scene:
    """What is constant in a clip."""

    width: int
    height: int
    backdrop: np.ndarray
    figure: Figure
    passer: Figure | None
    products: dict[int, Product]
    """Instance number to product."""
    light: Light
    sensor: Sensor
    prop: str
    prop_colour: np.ndarray
    prop_seed: int
    real: bool = False
    """Whether this is a set with real pictures."""
    active: bool = False
    """Whether the figure is in motion (`active`)."""
    sporty: bool = False
    """Whether the figure wears sports shoes."""
    bodies: tuple[Mesh, Mesh] | None = None
    """Those of the figure and of the passer-by; None for drawn ones."""

    def draw(self, canvas: Canvas, figure: Figure, pose: Pose, camera: Camera) -> Skeleton:
        if self.bodies is None:
            return draw_figure(canvas, figure, pose, camera, self.light)
        return draw_solid(canvas, figure, self.bodies[figure is self.passer], pose, camera, self.light)


@lru_cache(maxsize=96)
def _cloth(product: Product, ppc: float, open: bool):
    return cloth_of(product, ppc, open)


def dressed(rng: Rng, body: Body, products: list[Product], first: int, ppc: float) -> Figure:
    """A figure wearing the products, with instance numbers from `first`."""
    garments = []
    for i, p in enumerate(products):
        hangs_open = p.kind == "outer" and any(other.kind in ("upper", "dress") for other in products)
        tucked = p.kind == "upper" and p.neck != "hood" and rng.random() < 0.25
        garments.append(Worn(_cloth(p, ppc, hangs_open), first + i, fold=int(rng.integers(6)), tucked=tucked))
    return Figure(body, garments)


def make_scene(
    rng: Rng,
    products: list[Product],
    others: list[Product],
    size: tuple[int, int] | None = None,
    around: Surroundings | None = None,
    active: float = 0.0,
    solid: float = 0.0,
) -> Scene:
    """`around`: None for a set without real pictures. `active`: share of people in motion; `solid`: of people with
    3D bodies."""
    moves = active > 0 and rng.random() < active
    real = around is not None
    width, height = size or weighted(rng, REAL_SIZES if real else SIZES)
    x = uniform(rng, -0.6, 0.6)
    hard = uniform(rng, 0.35, 0.7)
    light = Light(x=x, z=float(np.sqrt(1 - x * x)), ambient=1.06 - hard, direct=hard, crease=uniform(rng, 0.18, 0.42))
    ppc = 3.4 * max(width, height) / 384
    worn = [close_fitting(rng, p) for p in products] if moves else products
    figure = dressed(rng, random_body(rng), worn, 1, ppc)
    passer = dressed(rng, random_body(rng), others, 1 + len(products), ppc) if others else None
    listed = {1 + i: p for i, p in enumerate(products + others)}
    prop = weighted(rng, {"none": 5, "pillar": 1, "rail": 1, "bag": 1.2})
    return Scene(
        width,
        height,
        _backdrop(rng, int(width * 1.25), int(height * 1.25), around, OBJECTS),
        figure,
        passer,
        listed,
        light,
        random_sensor(rng, width),
        prop,
        np.asarray(rng.uniform(60, 235, 3)),
        int(rng.integers(1 << 31)),
        real,
        moves,
        sporty=real and bool(around.objects) and rng.random() < SPORTY,
        bodies=(pick(rng, around.bodies), pick(rng, around.bodies)) if solid > 0 and rng.random() < solid else None,
    )


def _backdrop(rng: Rng, width: int, height: int, around: Surroundings | None, furnished: float) -> np.ndarray:
    """A drawn scene, or in half of the cases a view of a panorama, if there are any; `furnished`: share of scenes with objects."""
    if around is None:
        return background(rng, width, height)
    real = around.places and rng.random() < 0.5
    image = view(rng, around.places, width, height) if real else background(rng, width, height)
    if around.objects and rng.random() < furnished:
        put(rng, image, around.objects, int(rng.integers(1, 7)))
    return image


def _afar(rng: Rng, width: int, height: int, body: Body) -> Camera:
    """The whole body in a quarter to half of the frame's height."""
    tall = 176 * body.size
    scale = uniform(rng, 0.25, 0.5) * height / tall
    free = height - tall * scale
    head = free * uniform(rng, 0.25, 0.85)
    return Camera(
        scale,
        width * uniform(rng, 0.15, 0.85),
        head + 84 * body.size * scale,
        distance=uniform(rng, 400, 800),
        level=uniform(rng, -75, 5),
    )


def framing(rng: Rng, width: int, height: int, body: Body) -> Camera:
    """Camera 1 to 3 m away: whole figure, to the knees, or to the waist."""
    if width > height:
        span = weighted(rng, {uniform(rng, 95, 130): 3, uniform(rng, 130, 185): 4, uniform(rng, 185, 240): 2})
    else:
        span = weighted(
            rng,
            {
                uniform(rng, 88, 112): 1.6,
                uniform(rng, 112, 150): 4,
                uniform(rng, 150, 188): 2.5,
                uniform(rng, 188, 250): 3,
            },
        )
    top = uniform(rng, -14, 12) if span < 150 else uniform(rng, 2, max(4.0, span - 172))
    return camera_on(rng, (width, height), body, span, top, (0.28, 0.72), (140, 340))


def _view(rng: Rng, scene: Scene) -> np.ndarray:
    """A shifted crop of the backdrop, the frame's size."""
    h, w = scene.backdrop.shape[:2]
    x, y = int(rng.integers(0, w - scene.width + 1)), int(rng.integers(0, h - scene.height + 1))
    return scene.backdrop[y : y + scene.height, x : x + scene.width].copy()


def _may_move(scene: Scene, rng: Rng) -> bool:
    """For people with 3D bodies: those in sportswear stand still in half of the cases; and nobody sits whose clothes hang from the
    hips, since they would not follow."""
    if scene.bodies is None:
        return True
    return rng.random() < 0.5 and not any(falls(w.cloth.product) for w in scene.figure.garments)


def render(scene: Scene, rng: Rng, phase: float) -> Frame:
    """One frame of the clip."""
    canvas = Canvas(_view(rng, scene))
    afar = scene.real and rng.random() < AFAR
    partly = scene.active and not afar and rng.random() < PART
    look = _afar if afar else part_of if partly else framing
    camera = look(rng, scene.width, scene.height, scene.figure.body)
    pose = (active_pose if scene.active and _may_move(scene, rng) else random_pose)(rng, phase)
    passing = scene.passer is not None and rng.random() < 0.6
    if passing:
        side = -1 if rng.random() < 0.5 else 1
        nearer = rng.random() < 0.4
        k = uniform(rng, 1.02, 1.2) if nearer else uniform(rng, 0.6, 0.95)
        apart = uniform(rng, 24, 70) * camera.scale
        other = Camera(
            camera.scale * k,
            camera.cx + side * apart,
            camera.cy * k + uniform(rng, 0, 10) * camera.scale,
            camera.distance,
            camera.level,
        )
        walk = random_pose(rng, phase + 1)
        if not nearer:
            scene.draw(canvas, scene.passer, walk, other)
    sk = scene.draw(canvas, scene.figure, pose, camera)
    if passing and nearer:
        scene.draw(canvas, scene.passer, walk, other)
    _prop(canvas, scene, rng, sk, camera)
    if scene.sporty and scene.bodies is None:
        for side in sorted("lr", key=lambda side: sk.depth[f"ankle_{side}"]):
            sneaker(canvas, rng_for(scene.prop_seed), sk.at[f"ankle_{side}"], sk.at[f"toe_{side}"], sk.scale[f"ankle_{side}"])
    sensor = wobble(rng, scene.sensor)
    image = expose(canvas.rgb, sensor, rng)
    return Frame(encode(image, sensor.quality), scene.width, scene.height, annotate(canvas, scene.products))


def _prop(canvas: Canvas, scene: Scene, rng: Rng, sk, camera: Camera) -> None:
    if scene.prop == "none" or rng.random() < 0.4:
        return
    if scene.prop == "pillar":
        pillar(
            canvas,
            scene.prop_colour,
            camera.cx + uniform(rng, -45, 45) * camera.scale,
            uniform(rng, 6, 14) * camera.scale,
        )
    elif scene.prop == "bag":
        side = pick(rng, ("l", "r"))
        bag(canvas, rng_for(scene.prop_seed), sk.at[f"hand_{side}"], sk.scale[f"hand_{side}"])
    else:
        x = camera.cx + uniform(rng, -90, 10) * camera.scale
        front_rail(
            canvas,
            rng_for(scene.prop_seed),
            x,
            x + uniform(rng, 50, 90) * camera.scale,
            camera.cy + uniform(rng, -20, 40) * camera.scale,
            75 * camera.scale,
        )


def annotate(canvas: Canvas, products: dict[int, Product], least: float = LEAST_VISIBLE) -> list[dict]:
    """The visible pixels of each garment, their tight box, and its visible share."""
    out = []
    for instance, product in products.items():
        if instance not in canvas.amodal:
            continue
        mine = canvas.owner == instance
        seen = int(mine.sum())
        share = seen / max(float(canvas.amodal[instance].sum()) + canvas.outside.get(instance, 0.0), 1.0)
        if seen < 30 or share < least:
            continue
        out.append(
            {
                "product": product.id,
                "class": product.class_id,
                "box": list(box_of(mine)),
                "visible": round(min(share, 1.0), 3),
                "mask": mine,
            }
        )
    return out


def empty_frame(rng: Rng, around: Surroundings | None = None) -> Frame:
    """A scene without people."""
    width, height = weighted(rng, SIZES if around is None else REAL_SIZES)
    canvas = Canvas(_backdrop(rng, width, height, around, OBJECTS_ALONE))
    if rng.random() < 0.2:
        front_rail(
            canvas,
            rng,
            uniform(rng, -0.3, 0.5) * width,
            uniform(rng, 0.5, 1.2) * width,
            uniform(rng, 0.2, 0.6) * height,
            uniform(rng, 0.3, 0.7) * height,
        )
    if rng.random() < 0.12:
        pillar(canvas, rng.uniform(60, 235, 3), uniform(rng, 0, width), uniform(rng, 0.05, 0.2) * width)
    sensor = random_sensor(rng, width)
    image = expose(canvas.rgb, sensor, rng)
    return Frame(encode(image, sensor.quality), width, height, [])
