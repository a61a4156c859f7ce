"""The demo's clips: a person enters, comes to the mirror, turns, is occluded for a while, leaves."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from .body import Body, Camera, Pose, walking
from .camera import Sensor, encode, expose
from .canvas import Canvas, Light
from .clip import annotate
from .garment import Worn
from .scenery import background, front_rail, pillar
from .shop import DEMO_SEED, Article
from .texture import dress_up
from .util import rng_for, smoothstep
from .worn import Figure, draw_figure

WIDTH, HEIGHT, FPS, FRAMES = 540, 960, 15, 120
LARGEST = 4_000_000
"""Bytes a clip may take."""

FOCAL = 1080.0
"""Focal length in px; the lens is 128 cm above the floor and looks straight ahead."""
LENS, HORIZON = 128.0, 0.385
WALL = 560.0
"""Distance of the back wall in cm."""

Track = tuple[tuple[float, float], ...]
"""Keyframes (second, value)."""


@dataclass(frozen=True)
class Part:
    """One person of a clip: looks, clothes (feed ids from the skin outwards) and movement."""

    body: Body
    wears: tuple[str, ...]
    x: Track
    """Across, in cm from the picture's middle."""
    distance: Track
    yaw: Track
    left: Track = ((0, 0.0),)
    """0 = the left arm swings, 1 = its gesture."""
    gesture: tuple[float, float, float, float] = (-0.15, 0.7, 0.35, -0.7)


@dataclass(frozen=True)
class Play:
    """A clip: a scene, its light and its people; the first part is the shopper."""

    number: int
    parts: tuple[Part, ...]
    light: Light
    sensor: Sensor
    scene: int
    pillar: tuple[float, float, tuple[int, int, int]] | None = None
    """(x, half-width) in cm at 150 cm, colour."""
    rail: tuple[float, float, float] | None = None
    """(left, right, top) of a clothes rail in front, as shares of the picture."""


def value(track: Track, t: float) -> float:
    """A keyframed value with eased motion between keys."""
    if t <= track[0][0]:
        return track[0][1]
    for (t0, a), (t1, b) in zip(track, track[1:]):
        if t <= t1:
            return a + (b - a) * float(smoothstep(t0, t1, t))
    return track[-1][1]


def camera_at(x: float, distance: float, body: Body) -> Camera:
    scale = FOCAL / distance
    hips = 92.0 * body.size
    return Camera(scale, WIDTH / 2 + x * scale, HEIGHT * HORIZON + (LENS - hips) * scale, distance, -(LENS - hips))


def pose_at(part: Part, t: float) -> Pose:
    """Steps follow the distance walked; arms follow the steps or their gesture."""
    walked, speed, last = 0.0, 0.0, None
    for u in np.arange(0.0, t + 1e-6, 1 / 30):
        here = np.array([value(part.x, u), value(part.distance, u)])
        if last is not None:
            speed = float(np.linalg.norm(here - last)) * 30
            walked += speed / 30
        last = here
    stride = 0.42 * min(1.0, speed / 90)
    phase = walked / 68 * math.pi
    pose = walking(phase, stride, yaw=value(part.yaw, t))
    sway = 0.018 * math.sin(t * 1.7)
    g, k = part.gesture, value(part.left, t)
    blend = lambda a, b: a + (b - a) * k
    return replace(
        pose,
        roll=pose.roll + sway,
        head=-0.35 * pose.yaw * (abs(pose.yaw) < 1.2),
        spread=(0.05 + 0.04 * (1 - stride / 0.42), 0.05 + 0.04 * (1 - stride / 0.42)),
        arm=(blend(pose.arm[0], g[0]), pose.arm[1]),
        arm_out=(blend(0.15, g[1]), 0.15 + sway),
        fore=(blend(pose.fore[0], g[2]), pose.fore[1]),
        fore_out=(blend(0.07, g[3]), 0.07),
    )


@dataclass
class Set:
    """State of a play while it is drawn."""

    backdrop: np.ndarray
    figures: list[Figure]
    products: dict[int, object] = field(default_factory=dict)
    skus: dict[int, str] = field(default_factory=dict)


def build(play: Play, articles: dict[str, Article]) -> Set:
    horizon = HORIZON + LENS * FOCAL / WALL / HEIGHT
    backdrop = background(rng_for(DEMO_SEED, 200, play.scene), WIDTH, HEIGHT, "shop", horizon)
    stage = Set(cv2.GaussianBlur(backdrop, (0, 0), 2.0), [])
    number = 1
    for part in play.parts:
        garments = []
        beneath = any(articles[sku].product.kind in ("upper", "dress") for sku in part.wears)
        for k, sku in enumerate(part.wears):
            product = articles[sku].product
            garments.append(Worn(dress_up(product, 8.0, open=beneath), number, fold=(number * 2 + k) % 6))
            stage.products[number], stage.skus[number] = product, sku
            number += 1
        stage.figures.append(Figure(part.body, garments))
    return stage


def draw(play: Play, stage: Set, frame: int) -> tuple[np.ndarray, list[dict]]:
    """One frame (RGB uint8) and its visible garments."""
    t = frame / FPS
    canvas = Canvas(stage.backdrop.copy())
    order = sorted(range(len(play.parts)), key=lambda i: -value(play.parts[i].distance, t))
    for i in order:
        part = play.parts[i]
        camera = camera_at(value(part.x, t), value(part.distance, t), part.body)
        if -120 < camera.cx < WIDTH + 120:
            draw_figure(canvas, stage.figures[i], pose_at(part, t), camera, play.light)
    if play.pillar:
        x, half, colour = play.pillar
        pillar(canvas, np.asarray(colour, np.float32), WIDTH / 2 + x * FOCAL / 150, half * FOCAL / 150)
    if play.rail:
        left, right, top = play.rail
        front_rail(canvas, rng_for(DEMO_SEED, 300, 21), left * WIDTH, right * WIDTH, top * HEIGHT, 0.55 * HEIGHT)
    image = expose(canvas.rgb, play.sensor, rng_for(DEMO_SEED, 400, play.number, frame))
    owners = {
        sku: i for i, figure in enumerate(stage.figures) for sku in (stage.skus[g.instance] for g in figure.garments)
    }
    boxes = []
    for instance, product in stage.products.items():
        for g in annotate(canvas, {instance: product}, least=0.02):
            sku = stage.skus[instance]
            boxes.append(
                {
                    "id": sku,
                    "person": owners[sku] + 1,
                    "class": g["class"],
                    "box": [int(v) for v in g["box"]],
                    "visible": g["visible"],
                }
            )
    return image, boxes


def record(play: Play, articles: dict[str, Article], out: Path) -> dict:
    """Writes clips/N.mjpg and returns the clip's truth."""
    stage = build(play, articles)
    images, truth = [], []
    for frame in range(FRAMES):
        image, boxes = draw(play, stage, frame)
        images.append(image)
        truth.append({"frame": frame, "boxes": boxes})
    for quality in (88, 85, 82, 79, 76, 72, 68, 62, 55):
        data = [encode(image, quality) for image in images]
        if sum(map(len, data)) <= LARGEST:
            break
    (out / "clips").mkdir(parents=True, exist_ok=True)
    (out / "clips" / f"{play.number}.mjpg").write_bytes(b"".join(data))
    return {
        "clip": f"clips/{play.number}.mjpg",
        "fps": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "worn": list(play.parts[0].wears),
        "passers": [sku for part in play.parts[1:] for sku in part.wears],
        "frames": truth,
    }


def write_truth(out: Path, clips: list[dict]) -> None:
    """demo/truth.json, one line a frame."""
    text = ['{"clips": [']
    for n, clip in enumerate(clips):
        head = {k: v for k, v in clip.items() if k != "frames"}
        lines = ",\n".join(json.dumps(f) for f in clip["frames"])
        text.append(json.dumps(head)[:-1] + ', "frames": [\n' + lines + "\n]}" + ("," if n + 1 < len(clips) else ""))
    (out / "truth.json").write_text("\n".join(text) + "\n]}\n")
