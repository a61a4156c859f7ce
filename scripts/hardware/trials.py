"""The trials of the mirror, one function each. A trial that fails raises `Trouble`."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .machine import Machine, Trouble
from .screen import Screen

CAMERA = "/dev/video0"
DRIVER = "/sys/bus/platform/drivers/vivid"
IMPORT = (
    "su -s /bin/sh vetrina -c 'vetrina catalogue import /var/lib/vetrina/new.csv --images /usr/share/vetrina/demo"
    " --db /var/lib/vetrina/catalogue.db --model /usr/share/vetrina/models/tiny'"
)

OLD_AGAIN = "cd /var/lib/vetrina; rm -f catalogue.db*; cp -p old.db catalogue.db; sync"
HOLD = "hold"
"""On the kernel's command line: the mirror does not start. An emulated processor is too slow for it and an import."""


@dataclass
class Mirror:
    """The mirror in its machine, with the operations of the trials."""

    machine: Machine
    pictures: Path
    rotate: int
    patience: float
    mark: int = 0
    """Position in the log up to which it has been read."""
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def seen(self) -> Screen:
        return self.machine.screen().turned_back(self.rotate)

    def keep(self, name: str) -> None:
        """Saves the screen as a picture, to look at."""
        screen = self.machine.screen()
        (self.pictures / f"{name}.png").write_bytes(screen.png())

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        until = time.monotonic() + self.patience
        while not happened():
            if time.monotonic() > until:
                self.keep("trouble")
                raise Trouble(f"did not happen within {self.patience:.0f} s: {what}\n{self.machine.log()[-3000:]}")
            time.sleep(0.1)

    def logs(self, words: str) -> None:
        """Waits for `words` in the log after the mark."""
        self.wait(f"the log says {words!r}", lambda: words in self.machine.log()[self.mark :])
        self.mark = self.machine.log().index(words, self.mark) + len(words)

    def status(self) -> dict:
        return json.loads(self.machine.run("wget -q -O - http://127.0.0.1:8080/status.json", self.patience))

    def count(self, name: str) -> int:
        return self.status()["counters"][name]

    def do(self, command: str) -> None:
        """Runs a command in the machine; earlier lines of the log do not count as its effect."""
        self.mark = len(self.machine.log())
        self.machine.run(command, self.patience)

    def control(self, *names: str, value: int = 1) -> None:
        """Sets controls of the camera in sequence; the effects of all of them are after the mark."""
        self.do(" && ".join(f"control {CAMERA} '{name}' {value}" for name in names))

    def is_live(self) -> bool:
        """Whether the panel shows the camera's picture, mirrored and moving: vivid writes the time into it."""
        before = self.seen()
        if not before.shows_camera():
            return False
        time.sleep(0.3)
        return self.seen().rgb != before.rgb

    def lives(self) -> None:
        self.wait("the camera's picture is on the panel, mirrored, and moves", self.is_live)
        self.wait("the status has no reasons", lambda: self.status()["reasons"] == [])


def picture(mirror: Mirror) -> None:
    """The camera's picture is on the panel, mirrored, with the status line."""
    mirror.logs("running")
    mirror.lives()
    mirror.keep("mirror")
    seen = mirror.seen()
    if seen.shows_camera(mirrored=False):
        raise Trouble("the picture is not mirrored")
    if seen.light(0.9, 1.0) < 100:
        raise Trouble("there is no status line at the bottom")


def recognition(mirror: Mirror) -> None:
    """Frames are recognised, one after the other."""
    before = mirror.count("frames_recognised")
    mirror.wait("ten frames are recognised", lambda: mirror.count("frames_recognised") >= before + 10)


def never_stuck(mirror: Mirror) -> None:
    """In all trials before, no stage was stuck, and none failed."""
    status = mirror.status()["counters"]
    if "is stuck" in mirror.machine.log() or status["recognition_faults"] or status["stage_restarts"]:
        raise Trouble(f"a stage was stuck or failed: {status}\n{mirror.machine.log()[-3000:]}")


def disconnect(mirror: Mirror) -> None:
    """The driver reports that the camera is disconnected; it returns when it is released."""
    mirror.control("Disconnect")
    mirror.logs("the camera is away")
    mirror.lives()


def unplug(mirror: Mirror) -> None:
    """The camera is unplugged, and plugged in again."""
    mirror.do(f"echo vivid.0 > {DRIVER}/unbind")
    mirror.logs("the camera is away")
    mirror.wait("the screen shows no old picture", lambda: not mirror.seen().shows_camera())
    mirror.keep("unplugged")
    if not any("camera" in reason for reason in mirror.status()["reasons"]):
        raise Trouble("the status does not say that the camera is away")
    mirror.do(f"echo vivid.0 > {DRIVER}/bind")
    mirror.lives()


def damaged(mirror: Mirror) -> None:
    """Damaged frames are dropped and counted."""
    before = mirror.count("frames_corrupt")
    for _ in range(3):
        mirror.control("Inject V4L2_BUF_FLAG_ERROR")
        time.sleep(0.5)
    mirror.wait("they are counted", lambda: mirror.count("frames_corrupt") > before)
    mirror.lives()


def dropped(mirror: Mirror) -> None:
    """Most frames are lost, then all, then none."""
    mirror.control("Percentage of Dropped Buffers", value=80)
    mirror.lives()
    mirror.control("Percentage of Dropped Buffers", value=100)
    # From the status: an earlier gap may have logged the same words already, and they are logged once.
    mirror.wait("the status says so", lambda: any("gives no frames" in reason for reason in mirror.status()["reasons"]))
    mirror.control("Percentage of Dropped Buffers", value=0)
    mirror.lives()


def broken_stream(mirror: Mirror) -> None:
    """The stream fails with EIO, and so does the start of a new one."""
    for also in ("REQBUFS", "QBUF", "STREAMON"):
        # Together: an error of QBUF alone may end the running stream.
        mirror.control(f"Inject VIDIOC_{also} Error", "Inject Fatal Streaming Error")
        mirror.logs("the camera is away")
        mirror.logs("info: camera v4l2")
        mirror.lives()


def wrapped(mirror: Mirror) -> None:
    """The driver's sequence numbers and timestamps wrap around."""
    reconnects = mirror.count("camera_reconnects")
    for name in ("Wrap Sequence Number", "Wrap Timestamp"):
        mirror.control(name)
        # They take effect with the next stream.
        mirror.control("Inject Fatal Streaming Error")
        mirror.logs("the camera is away")
        mirror.lives()
        frames = mirror.count("frames")
        mirror.wait("frames go on coming", lambda: mirror.count("frames") > frames + 20)
        mirror.control(name, value=0)
    if mirror.count("camera_reconnects") > reconnects + 2:
        raise Trouble("a wrap broke the stream")


def screen_unplugged(mirror: Mirror) -> None:
    """The screen is unplugged, and plugged in again."""
    connector = mirror.machine.run("ls -d /sys/class/drm/card0-*").split()[0]
    mirror.do(f"echo off > {connector}/status")
    mirror.logs("no screen is plugged in")
    mirror.wait("the status says so", lambda: any("screen" in reason for reason in mirror.status()["reasons"]))
    mirror.do(f"echo on > {connector}/status")
    mirror.lives()


def killed(mirror: Mirror) -> None:
    """The program is killed; after its restart everything is there."""
    mirror.do("kill -9 $(pidof vetrina)")
    mirror.logs("the mirror ended with 137")
    mirror.logs("running")
    mirror.lives()


def ended(mirror: Mirror) -> None:
    """SIGTERM ends it cleanly."""
    mirror.do("kill -TERM $(pidof vetrina)")
    mirror.logs("stopped")
    mirror.logs("the mirror ended with 0")
    mirror.logs("running")
    mirror.lives()


def products(mirror: Mirror) -> int:
    """Checks the catalogue; returns its number of products."""
    place = "--db /var/lib/vetrina/catalogue.db"
    mirror.machine.run(f"vetrina catalogue check {place} --model /usr/share/vetrina/models/tiny", mirror.patience)
    return len(json.loads(mirror.machine.run(f"vetrina catalogue list {place} --json", mirror.patience)))


def power_cut(mirror: Mirror, old: int, new: int, cuts: int) -> str:
    """The power fails during an import: the catalogue is the old one or the new one."""
    machine = mirror.machine
    again(mirror, HOLD)
    begun = time.monotonic()
    machine.run(IMPORT, mirror.patience)
    took = time.monotonic() - begun
    again(mirror, HOLD)
    if products(mirror) != new:
        raise Trouble("a finished import is lost")
    found = []
    for _ in range(cuts):
        machine.run(OLD_AGAIN)
        machine.run(f"{IMPORT} > /tmp/import.log 2>&1 & true")
        time.sleep(mirror.chance.uniform(0.1, 1.1) * took)
        again(mirror, HOLD)
        found.append(products(mirror))
        if found[-1] not in (old, new):
            raise Trouble(f"the catalogue has {found[-1]} products, neither {old} nor {new}")
    again(mirror)
    mirror.logs("running")
    mirror.lives()
    times = f"{found.count(old)} times the old, {found.count(new)} times the new"
    return f"An import takes {took:.1f} s; {cuts} cuts: {times}"


def again(mirror: Mirror, words: str = "") -> None:
    """The power fails, and comes back."""
    mirror.machine.cut_power()
    mirror.machine.start(words)
    mirror.machine.wait_for_boot(mirror.patience)
    mirror.mark = 0


TRIALS = (
    picture, recognition, disconnect, unplug, damaged, dropped, broken_stream, wrapped, screen_unplugged, recognition,
    never_stuck, killed, ended,
)  # fmt: skip
