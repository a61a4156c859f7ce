"""A stand-in data set: plain rectangles as garments, written as scripts/generate would."""

import json
from pathlib import Path

import cv2
import numpy as np


def write(root: Path, products: int = 6, clips: int = 6, frames: int = 3) -> Path:
    """Each product is a colour; a street frame holds two of them; shop pictures hold one."""
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    colours = rng.integers(0, 256, size=(products + 1, 3))
    images = []

    def picture(name, kind, clip, frame, shown):
        canvas = np.full((128, 64, 3), 120 if kind != "shop" else 240, np.uint8)
        places, garments = np.zeros((128, 64), np.uint8), []
        for slot, product in enumerate(shown):
            x, y = (int(v) for v in rng.integers(2, 14, size=2))
            box = [x, y + slot * 60, x + 40, y + slot * 60 + 48]
            cv2.rectangle(canvas, box[:2], (box[2] - 1, box[3] - 1), colours[product].tolist(), -1)
            cv2.rectangle(places, box[:2], (box[2] - 1, box[3] - 1), slot + 1, -1)
            garments.append({"product": product, "class": 1 + product % 13, "box": box, "visible": 1.0})
        cv2.imwrite(str(root / "images" / name), canvas)
        cv2.imwrite(str(root / "masks" / name), places)
        entry = {"file": f"images/{name}", "mask": f"masks/{name}", "kind": kind, "clip": clip, "frame": frame}
        images.append(entry | {"width": 64, "height": 128, "garments": garments})

    for p in range(1, products + 1):
        picture(f"p{p}.png", "shop", None, None, [p])
    for c in range(clips):
        for f in range(frames):
            picture(f"c{c}-{f}.png", "street", c, f, [1 + c % products, 1 + (c + 2) % products])
    picture("e.png", "empty", None, None, [])
    (root / "annotations.json").write_text(json.dumps({"classes": [], "images": images}))
    return root
