"""The part of a picture around a box, as the program cuts it for a closer look."""

MOST_ZOOM = 2.0
"""A closer look stretches the picture's own pixels by no more than this."""
GIVEN_FILL = 0.6
"""Share of the input that a garment fills in the look that it is embedded from."""


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
