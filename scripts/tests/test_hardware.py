"""What the hardware loop takes for a mirror's picture."""

import io
import re

import numpy as np
import pytest
from conftest import SCRIPTS
from hardware import guest
from hardware.screen import Screen
from PIL import Image

COLOURS = {
    "white": (190, 190, 190), "yellow": (190, 190, 0), "cyan": (0, 190, 190), "green": (0, 190, 0),
    "magenta": (190, 0, 190), "red": (190, 0, 0), "blue": (0, 0, 190), "black": (0, 0, 0),
}  # fmt: skip


def bars(names=tuple(COLOURS), light=1.0) -> np.ndarray:
    """A test picture, 96 rows high, in the middle of a dark panel."""
    panel = np.full((160, 400, 3), 12, np.uint8)
    for i, name in enumerate(names):
        panel[32:128, 40 + 40 * i : 80 + 40 * i] = np.array(COLOURS[name]) * light
    return panel


def screen(picture: np.ndarray) -> Screen:
    height, width, _ = picture.shape
    return Screen.read(f"P6\n{width} {height}\n255\n".encode() + picture.tobytes())


@pytest.mark.parametrize("light", [1.0, 0.4])
def test_the_cameras_picture_is_known_and_which_way_round_it_is(light):
    plain, mirrored = screen(bars(light=light)), screen(bars(light=light)[:, ::-1])
    assert mirrored.shows_camera() and not mirrored.shows_camera(mirrored=False)
    assert plain.shows_camera(mirrored=False) and not plain.shows_camera()


def test_what_is_no_test_picture_is_none():
    assert not screen(np.full((64, 64, 3), 30, np.uint8)).shows_camera()
    assert not screen(bars(("white", "blue", "yellow", "red", "green"))).shows_camera()


def test_a_screen_on_its_side_is_turned_back():
    seen = bars()[:, ::-1]
    for quarters in range(4):
        # numpy turns counter-clockwise, the mirror clockwise.
        shown = screen(np.ascontiguousarray(np.rot90(seen, -quarters)))
        assert shown.turned_back(90 * quarters).rgb == seen.tobytes()


def test_light_text_is_counted_where_it_stands():
    picture = np.full((100, 50, 3), 12, np.uint8)
    picture[95, 10:30] = 220
    assert screen(picture).light(0.9, 1.0) == 20
    assert screen(picture).light(0.0, 0.9) == 0


def test_white_space_in_the_first_pixels_is_kept_and_a_picture_is_a_png():
    picture = np.full((2, 2, 3), ord(" "), np.uint8)
    read = screen(picture)
    assert read.rgb == picture.tobytes()
    assert np.array_equal(np.array(Image.open(io.BytesIO(read.png()))), picture)
    with pytest.raises(ValueError):
        Screen.read(b"GIF89a")


def test_the_trials_wait_for_words_that_the_program_has():
    trials = (SCRIPTS / "hardware/trials.py").read_text()
    program = "".join(path.read_text() for path in (SCRIPTS.parent / "src").rglob("*.rs")) + guest.INIT
    composed = {"info: camera v4l2", "the mirror ended with 137", "the mirror ended with 0"}
    logged = set(re.findall(r'\.logs\("([^"]+)"\)', trials)) - composed
    names = set(re.findall(r'count\("(\w+)"\)', trials)) | set(re.findall(r'status\["(\w+)"\]', trials))
    assert len(logged) >= 4 and len(names) >= 6
    for words in (*logged, *names, 'info!("camera {', "is stuck", "gives no frames", "the mirror ended with", "v4l2"):
        assert words in program, f"{words!r}, which a trial waits for, is nowhere in the program"
