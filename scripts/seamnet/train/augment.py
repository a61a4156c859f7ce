"""Augmentation of training pictures: light, colour, crop, noise; and of boxes, as a detector would place them."""

import cv2
import numpy as np
import torch


def jitter(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small changes of exposure, contrast, white balance and noise: a garment's colour identifies it."""
    x = picture.astype(np.float32)
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.96, 1.04, size=3)
    x = (x - 128) * rng.uniform(0.9, 1.1) + 128
    x = x * gain.astype(np.float32) + rng.uniform(-8, 8)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(2, 10), size=x.shape).astype(np.float32)
    return np.clip(x, 0, 255)


def in_another_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Large changes of exposure, gamma, contrast, white balance and saturation: as between a studio and the street."""
    x = np.power(picture.astype(np.float32) / 255, np.exp(rng.uniform(-0.25, 0.25)))
    gain = rng.uniform(0.72, 1.28) * rng.uniform(0.93, 1.07, size=3)
    x = (x - 0.5) * rng.uniform(0.8, 1.15) + 0.5
    x = x * gain.astype(np.float32) + rng.uniform(-0.05, 0.05)
    grey = x.mean(axis=2, keepdims=True)
    x = (grey + (x - grey) * rng.uniform(0.7, 1.2)).astype(np.float32) * 255
    if rng.random() < 0.25:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(2, 9), size=x.shape)
    return np.clip(x, 0, 255).astype(np.float32)


def in_published_noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`in_another_light` plus the published test's noise (section 9), strong in one frame of four, at half the resolution."""
    x = in_another_light(picture, rng)
    x = np.clip(x + rng.normal(0, 255 * (0.25 if rng.random() < 0.25 else 0.05), size=x.shape), 0, 255).astype(np.float32)
    h, w = x.shape[:2]
    return cv2.resize(x, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_LINEAR)


def any_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`in_another_light`; sometimes with haze, at low resolution, without colour, or strongly compressed."""
    picture = in_another_light(picture, rng)
    if rng.random() < 0.2:
        picture = picture * (clear := rng.uniform(0.35, 0.9)) + (1 - clear) * rng.uniform(60, 230)
    if rng.random() < 0.2:
        h, w = picture.shape[:2]
        coarse = rng.uniform(1.2, 3.0)
        small = cv2.resize(picture, (max(8, int(w / coarse)), max(8, int(h / coarse))), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        picture = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture.astype(np.uint8), quality)[1], cv2.IMREAD_COLOR)
    return picture.astype(np.float32)


def closer(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Crops every second picture around a garment, to no less than half; makes one in four slightly wider or narrower."""
    height, width = picture.shape[:2]
    if rng.random() < 0.5:
        zoom = float(np.exp(rng.uniform(0, np.log(2))))
        h, w = int(height / zoom), int(width / zoom)
        box = boxes[rng.integers(len(boxes))] if len(boxes) else np.array([0, 0, width, height])
        x = int(np.clip((box[0] + box[2]) / 2 - w * rng.uniform(0.25, 0.75), 0, width - w))
        y = int(np.clip((box[1] + box[3]) / 2 - h * rng.uniform(0.25, 0.75), 0, height - h))
        picture = np.ascontiguousarray(picture[y : y + h, x : x + w])
        boxes = np.clip(boxes - np.array([x, y, x, y]), 0, np.array([w, h, w, h]))
    if rng.random() < 0.25:
        stretch = float(np.exp(rng.uniform(-0.2, 0.2)))
        picture = cv2.resize(picture, (max(8, int(picture.shape[1] * stretch)), picture.shape[0]))
        boxes = boxes * np.array([stretch, 1, stretch, 1])
    return picture, boxes.astype(np.float32)


def recoloured(picture: np.ndarray, colour: int) -> np.ndarray:
    """h x w x 3 RGB with all hues rotated by `colour` sixths; even ones are more saturated. 0: unchanged."""
    if colour == 0:
        return picture
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 30 * colour) % 180
    if colour % 2 == 0:
        saturation = hsv[..., 1].astype(int)
        hsv[..., 1] = np.clip(saturation * 1.4 + 25 * (saturation > 20), 0, 255).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def jitter_boxes(boxes: torch.Tensor, amount: float, generator: torch.Generator | None = None) -> torch.Tensor:
    """Boxes with every side moved by up to `amount` of the box."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + sides * (torch.rand(boxes.shape, generator=generator, device=boxes.device) * 2 - 1) * amount
