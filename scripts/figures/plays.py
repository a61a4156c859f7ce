"""The three clips of the demo shop, as keyframes."""

from __future__ import annotations

from .body import Body
from .camera import Sensor
from .canvas import Light
from .stage import Part, Play

ANNA = Body(
    size=0.98,
    shoulders=0.95,
    waist=0.93,
    hips=1.0,
    limbs=0.94,
    skin=(226, 180, 148),
    hair=(72, 46, 32),
    hair_style="bob",
    shoe=(238, 236, 232),
)
OMAR = Body(
    size=1.04,
    shoulders=1.10,
    waist=1.08,
    hips=0.98,
    limbs=1.05,
    skin=(150, 104, 76),
    hair=(34, 28, 26),
    hair_style="short",
    shoe=(112, 78, 54),
)
MEI = Body(
    size=0.96,
    shoulders=0.94,
    waist=0.92,
    hips=0.97,
    limbs=0.92,
    skin=(236, 198, 168),
    hair=(30, 26, 28),
    hair_style="long",
    shoe=(46, 42, 42),
)
LENA = Body(
    size=1.0,
    shoulders=0.97,
    waist=0.98,
    hips=1.04,
    limbs=0.98,
    skin=(112, 76, 56),
    hair=(36, 28, 26),
    hair_style="bun",
    shoe=(150, 40, 44),
)

PLAYS = (
    Play(  # a pillar
        number=1,
        scene=16,
        light=Light(x=-0.4, z=0.92, ambient=0.55, direct=0.55, crease=0.27),
        sensor=Sensor(gain=(1.03, 1.0, 0.96), vignette=0.12, noise=1.0, defocus=0.0),
        pillar=(25, 8.5, (206, 200, 190)),
        parts=(
            Part(
                ANNA,
                ("V143", "V101"),
                x=((0.0, -190), (0.6, -175), (2.4, 0), (3.9, 4), (5.0, 40), (5.7, 43), (6.4, 20), (7.9, -150)),
                distance=((0.6, 400), (2.4, 232), (4.1, 222), (5.4, 235), (6.3, 260), (7.9, 300)),
                yaw=(
                    (0.6, 0.95),
                    (2.0, 0.25),
                    (2.6, 0.0),
                    (3.3, -0.75),
                    (4.0, 0.6),
                    (4.6, 0.85),
                    (5.6, 0.3),
                    (6.2, -1.1),
                    (7.9, -1.35),
                ),
                left=((2.4, 0.0), (2.9, 1.0), (3.7, 1.0), (4.2, 0.0)),
            ),
        ),
    ),
    Play(  # somebody passes in front
        number=2,
        scene=4,
        light=Light(x=0.35, z=0.94, ambient=0.6, direct=0.5, crease=0.25),
        sensor=Sensor(gain=(0.98, 1.0, 1.03), vignette=0.15, noise=1.0),
        parts=(
            Part(
                OMAR,
                ("V146", "V127"),
                x=((0.6, 205), (2.2, 8), (6.2, -6), (7.8, 190)),
                distance=((0.6, 380), (2.3, 240), (5.0, 228), (6.2, 245), (7.8, 320)),
                yaw=(
                    (0.6, -1.0),
                    (1.9, -0.3),
                    (2.5, 0.0),
                    (3.4, 0.8),
                    (4.2, 0.15),
                    (5.3, -0.7),
                    (6.0, 0.5),
                    (6.6, 1.2),
                    (7.8, 1.35),
                ),
            ),
            Part(
                LENA,
                ("V166",),
                x=((3.6, -150), (6.0, 150)),
                distance=((3.6, 172), (6.0, 178)),
                yaw=((3.6, 1.4), (6.0, 1.4)),
            ),
        ),
    ),
    Play(  # a clothes rail, a turn right round
        number=3,
        scene=0,
        light=Light(x=-0.2, z=0.98, ambient=0.58, direct=0.5, crease=0.26),
        sensor=Sensor(gain=(1.02, 1.0, 0.98), vignette=0.1, noise=1.0),
        rail=(0.63, 1.14, 0.5),
        parts=(
            Part(
                MEI,
                ("V151", "V131"),
                x=((0.6, -185), (2.3, -6), (4.6, -2), (5.4, 44), (6.2, 48), (7.9, 170)),
                distance=((0.6, 370), (2.3, 236), (4.8, 226), (6.2, 240), (7.9, 300)),
                yaw=(
                    (0.6, 1.0),
                    (2.0, 0.2),
                    (2.6, 0.0),
                    (4.5, 6.2832),
                    (4.9, 6.4),
                    (5.4, 6.9),
                    (6.0, 6.45),
                    (6.8, 7.4),
                    (7.9, 7.6),
                ),
            ),
        ),
    ),
)
