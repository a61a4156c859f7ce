"""A picture, or the part of it around a box, as the network's input (section 1).

There are two methods:

- `reference`: as published. Short side to a target, long side below another, size
  floor(side * scale), bilinear without antialias, zeros to a multiple of 32.
- `letterbox`: ours. A fixed input of H x W, the picture at the top left, zeros (after
  normalisation) to the right and below.

The letterbox exactly, in integers, for a picture of h x w:

1. The tighter axis decides: if H * w <= W * h the new size is (H, max(1, w * H // h)), else
   (max(1, h * W // w), W). That is floor(side * scale) without float rounding.
2. With the prefilter "box", when the picture is more than twice as large as the input on the deciding axis
   (h > 2 H, or w > 2 W), it is first reduced by k = h // H (or w // W): the u8 picture is
   padded at the right and bottom by repeating its last column and row to multiples of k; each
   k x k block becomes (sum + k * k // 2) // (k * k), per channel, u8 again. Its size is now
   ceil(h / k) x ceil(w / k).
3. Bilinear, align_corners = false, no antialias: output pixel i reads at
   max(0, (i + 0.5) * (in / out) - 0.5) on each axis, in / out being the sizes before and
   after this step; float32; neighbours beyond the last pixel repeat it.
4. value / 255, minus mean, over std; then zeros to the right and below.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from .config import MEAN, STD

MOST_ZOOM = 2.0
"""A crop stretches the picture's own pixels by no more than this."""


def read(path: str | Path) -> np.ndarray:
    """A picture file as h x w x 3 u8 RGB. FileNotFoundError: missing or not a picture."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(f"{path}: missing or not a picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def normalise(picture: torch.Tensor) -> torch.Tensor:
    """1 x 3 x h x w of 0..255 -> the same, normalised."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    std = torch.tensor(STD).view(1, 3, 1, 1)
    return (picture / 255 - mean) / std


def _tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()


def _resize(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(picture.shape[-2:]) == size:
        return picture
    return F.interpolate(picture, size=size, mode="bilinear", align_corners=False)


def fitted_size(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a picture of `size` inside a letterbox `box`."""
    (h, w), (box_h, box_w) = size, box
    if box_h * w <= box_w * h:
        return box_h, max(1, w * box_h // h)
    return max(1, h * box_w // w), box_w


def reduction(size: tuple[int, int], box: tuple[int, int]) -> int:
    """The integer k by which the prefilter "box" first reduces; 1: it does not."""
    (h, w), (box_h, box_w) = size, box
    side, target = (h, box_h) if box_h * w <= box_w * h else (w, box_w)
    return side // target if side > 2 * target else 1


def box_reduce(picture: np.ndarray, k: int) -> np.ndarray:
    """h x w x 3 u8 -> ceil(h / k) x ceil(w / k) x 3 u8, block means rounded half up."""
    if k == 1:
        return picture
    h, w = picture.shape[:2]
    padded = np.pad(picture, ((0, -h % k), (0, -w % k), (0, 0)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // k, k, padded.shape[1] // k, k, 3)
    total = blocks.sum(axis=(1, 3), dtype=np.uint32)
    return ((total + k * k // 2) // (k * k)).astype(np.uint8)


def letterbox(
    picture: np.ndarray, box: tuple[int, int], prefilter: str = "none"
) -> tuple[torch.Tensor, tuple[int, int]]:
    """h x w x 3 u8 RGB -> (1 x 3 x H x W normalised, size of the picture inside it)."""
    source = picture.shape[:2]
    size = fitted_size(source, box)
    if prefilter == "box":
        picture = box_reduce(picture, reduction(source, box))
    out = torch.zeros(1, 3, *box)
    out[:, :, : size[0], : size[1]] = normalise(_resize(_tensor(picture), size))
    return out, size


def reference(
    picture: np.ndarray, short: int = 800, long: int = 1333, multiple: int = 32
) -> tuple[torch.Tensor, tuple[int, int]]:
    """The published method: (1 x 3 x H x W, size before padding)."""
    h, w = picture.shape[:2]
    scale = min(short / min(h, w), long / max(h, w))
    size = int(h * scale), int(w * scale)
    resized = normalise(_resize(_tensor(picture), size))
    return F.pad(resized, (0, -size[1] % multiple, 0, -size[0] % multiple)), size


def crop_around(box, source: tuple[int, int], input_size: tuple[int, int], fill: float) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the part of a picture of `source` (height, width) around `box`, as the program cuts it."""
    ratio = input_size[1] / input_size[0]
    height = max((box[3] - box[1]) / fill, (box[2] - box[0]) / fill / ratio, input_size[0] / MOST_ZOOM)

    def span(centre: float, length: float, limit: int) -> tuple[int, int]:
        length = int(min(max(round(length), 1), max(limit, 1)))
        start = int(min(max(round(centre - length / 2), 0), limit - length))
        return start, start + length

    x0, x1 = span((box[0] + box[2]) / 2, height * ratio, source[1])
    y0, y1 = span((box[1] + box[3]) / 2, height, source[0])
    return x0, y0, x1, y1
