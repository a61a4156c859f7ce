"""Shop pictures of photographed products: as taken, cut out on a studio background, worn by a model."""

from __future__ import annotations

import cv2
import numpy as np

from . import cut
from .body import MANNEQUIN, Camera, Pose, random_body
from .camera import encode
from .canvas import Canvas, Light
from .clip import Frame, annotate, dressed
from .flat import box_of, finish, ground
from .photo_cut import PhotoProduct
from .products import Product
from .util import Rng, pick, uniform, weighted
from .worn import Figure, draw_figure


def shop_pictures(product: PhotoProduct, rng: Rng, mates: list[Product]) -> list[Frame]:
    """Two pictures. `mates`: what a model may wear with the product."""
    first = pick(rng, ("taken", "cut", "cut"))
    second = weighted(rng, {"model": 5, "taken" if first == "cut" else "cut": 5})
    make = {"taken": as_taken, "cut": cut_out, "model": lambda p, r: on_model(p, r, mates)}
    return [make[kind](product, rng) for kind in (first, second)]


def shop_frame(rng: Rng, image: np.ndarray, garments: list[dict]) -> Frame:
    """A shop's picture, encoded."""
    image = np.clip(image, 0, 255).astype(np.uint8)
    return Frame(encode(image, int(rng.integers(75, 95))), image.shape[1], image.shape[0], garments)


def whole(product: Product, box, mask: np.ndarray) -> dict:
    """The annotation of a fully visible garment."""
    box = [float(v) for v in box]
    return {"product": product.id, "class": product.class_id, "box": box, "visible": 1.0, "mask": mask}


def as_taken(product: PhotoProduct, rng: Rng) -> Frame:
    """The photo itself, cropped anywhere outside the garment."""
    photo = product.photo()
    h, w = photo.mask.shape
    x0, y0, x1, y1 = (int(v) for v in box_of(photo.mask > 0))
    left, top = int(x0 * uniform(rng, 0, 0.95)), int(y0 * uniform(rng, 0, 0.95))
    right, low = x1 + int((w - x1) * uniform(rng, 0.05, 1)), y1 + int((h - y1) * uniform(rng, 0.05, 1))
    part = photo.image[top:low, left:right]
    scale = uniform(rng, 240, 350) / max(part.shape[:2])
    size = max(48, round(part.shape[1] * scale)), max(48, round(part.shape[0] * scale))
    image = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    kx, ky = size[0] / part.shape[1], size[1] / part.shape[0]
    box = (x0 - left) * kx, (y0 - top) * ky, (x1 - left) * kx, (y1 - top) * ky
    mask = cv2.resize(photo.mask[top:low, left:right], size, interpolation=cv2.INTER_NEAREST) > 0
    return shop_frame(rng, image, [whole(product, box, mask)])


def cut_out(product: PhotoProduct, rng: Rng) -> Frame:
    """The garment alone on a studio background, with a soft shadow."""
    width, height = int(uniform(rng, 208, 304)), int(uniform(rng, 272, 352))
    photo = product.photo()
    x0, y0, x1, y1 = box_of(photo.mask > 0)
    scale = uniform(rng, 0.74, 0.94) * min(width / (x1 - x0), height / (y1 - y0))
    move = cv2.getRotationMatrix2D(((x0 + x1) / 2, (y0 + y1) / 2), float(rng.normal(0, 1.5)), scale)
    shift = uniform(rng, -0.02, 0.02) * width, uniform(rng, -0.02, 0.02) * height
    move[:, 2] += (width / 2 - (x0 + x1) / 2 + shift[0], height / 2 - (y0 + y1) / 2 + shift[1])
    # The mask's edge is uncertain by a pixel or two; a little less is cleaner.
    inner = cv2.GaussianBlur(cv2.erode(photo.mask, np.ones((3, 3), np.uint8)), (0, 0), 0.8)
    alpha = cv2.warpAffine(inner, move, (width, height), flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    rgb = cv2.warpAffine(photo.cloth, move, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    canvas = Canvas(ground(rng, width, height))
    canvas.blend((0, 0, width, height), rgb.astype(np.float32) * uniform(rng, 0.95, 1.12), alpha, 1)
    shot = finish(canvas, rng, scale * photo.shape.width / 46)
    return shop_frame(rng, shot.image, [whole(product, shot.box, shot.mask)])


def _mate(rng: Rng, product: Product, mates: list[Product]) -> list[Product]:
    """All garments of the model including the product, from the skin outwards."""
    want = {"upper": "lower", "outer": "lower", "lower": "upper"}.get(product.kind)
    fitting = [p for p in mates if p.kind == want]
    if not fitting:
        return [product]
    mate = pick(rng, fitting)
    return [mate, product] if product.kind != "lower" else [product, mate]


def on_model(product: PhotoProduct, rng: Rng, mates: list[Product]) -> Frame:
    """A figure in the product before a studio background, framed so that the product is the larger garment."""
    wears = _mate(rng, product, mates)
    for tries in range(3):
        canvas = _model(product, wears, rng, tight=tries * 0.4)
        listed = {1 + i: p for i, p in enumerate(wears)}
        shot = finish(canvas, rng, 2.0)
        garments = annotate(canvas, listed)
        garments.sort(key=lambda g: g["product"] != product.id)
        area = [(g["box"][2] - g["box"][0]) * (g["box"][3] - g["box"][1]) for g in garments]
        if garments and garments[0]["product"] == product.id and area[0] >= max(area):
            return shop_frame(rng, shot.image, garments)
    return cut_out(product, rng)


def _model(product: PhotoProduct, wears: list[Product], rng: Rng, tight: float) -> Canvas:
    width, height = int(uniform(rng, 208, 304)), int(uniform(rng, 288, 352))
    low = cut.trunk_end(product) if not product.has_legs else cut.HIP_V + product.length
    first = -30.0 if product.kind != "lower" else cut.trunk_top(product) - uniform(rng, 4, 45) * (1 - tight)
    last = low + uniform(rng, 4, 34) * (1 - tight)
    scale = min(height / (last - first), width / uniform(rng, 54, 66))
    camera = Camera(scale, width / 2, (cut.HIP_V - first) * scale + (height - (last - first) * scale) / 2, 320, -20)
    pose = Pose(
        yaw=uniform(rng, -0.5, 0.5),
        arm_out=(uniform(rng, 0.12, 0.3), uniform(rng, 0.12, 0.3)),
        spread=(uniform(rng, 0.02, 0.12), uniform(rng, 0.02, 0.12)),
        fore=(uniform(rng, 0.1, 0.4), uniform(rng, 0.1, 0.4)),
        fore_out=(0.05, 0.05),
        head=uniform(rng, -0.3, 0.3),
    )
    body = MANNEQUIN if len(wears) == 1 and product.kind == "lower" else random_body(rng)
    light = Light(x=uniform(rng, -0.45, 0.45), z=0.9, ambient=0.54, direct=0.52, crease=uniform(rng, 0.16, 0.28))
    canvas = Canvas(ground(rng, width, height))
    figure: Figure = dressed(rng, body, wears, 1, max(2.5, scale * 1.1))
    draw_figure(canvas, figure, pose, camera, light)
    return canvas
