"""The virtual machine: QEMU, its monitor (QMP), its screen, and a shell on a console."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from .screen import Screen

END = "<<end "


class Trouble(Exception):
    """A trial failed."""


@dataclass(frozen=True)
class Hardware:
    """Hardware of the machine."""

    qemu: str = "qemu-system-x86_64"
    accel: str = "tcg,thread=multi"
    console: str = "ttyS0"
    panel: tuple[int, int] = (640, 480)
    card: str = "VGA,vgamem_mb=64,edid=on,xres={0},yres={1}"
    more: tuple[str, ...] = ("-cpu", "Nehalem")
    """A processor without AVX and FMA, which QEMU emulates lane by lane: a network would take many times as long."""


AMD64 = Hardware()
ARM64 = Hardware(
    qemu="qemu-system-aarch64",
    console="ttyAMA0",
    card="virtio-gpu-pci,edid=off,xres={0},yres={1}",
    more=("-machine", "virt", "-cpu", "cortex-a76"),
)


@dataclass
class Machine:
    """One running machine. Its disk persists."""

    work: Path
    kernel: Path
    initramfs: Path
    disk: Path
    hardware: Hardware = field(default_factory=Hardware)

    def start(self, words: str = "") -> None:
        """Switches it on; `words` are appended to the kernel's command line."""
        for name in ("qmp", "shell"):
            (self.work / name).unlink(missing_ok=True)
        hardware = self.hardware
        boot = f"console={hardware.console} quiet loglevel=4 panic=-1 vt.global_cursor_default=0 consoleblank=0 {words}"
        command = [
            hardware.qemu, "-accel", hardware.accel, *hardware.more,
            "-m", "1024", "-smp", "1", "-nodefaults", "-no-reboot", "-display", "none",
            "-device", hardware.card.format(*hardware.panel),
            "-kernel", str(self.kernel), "-initrd", str(self.initramfs),
            "-append", boot,
            "-drive", f"file={self.disk},format=raw,if=virtio",
            "-serial", f"file:{self.work / 'console.log'}",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=shell,path={self.work / 'shell'},server=on,wait=off",
            "-device", "virtconsole,chardev=shell",
            "-qmp", f"unix:{self.work / 'qmp'},server=on,wait=off",
        ]  # fmt: skip
        log = (self.work / "qemu.log").open("w")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.qmp = Line(self.work / "qmp")
        self.qmp.read_until(b"\n")  # the greeting
        self.ask("qmp_capabilities")
        self.shell = Line(self.work / "shell")

    def ask(self, command: str, **arguments) -> dict:
        """Sends a command to QEMU's monitor; returns its result."""
        self.qmp.send(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self.qmp.read_until(b"\n"))
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Trouble(f"{command}: {answer['error']['desc']}")

    def screen(self) -> Screen:
        path = self.work / "screen.ppm"
        self.ask("screendump", filename=str(path))
        return Screen.read(path.read_bytes())

    def run(self, command: str, patience: float = 60) -> str:
        """Runs a command in the machine; returns its output. Trouble: it failed."""
        self.shell.send(f"{{ {command}; }} < /dev/null 2>&1; echo '{END}'$?")
        text = self.shell.read_until(END.encode(), patience).decode(errors="replace")
        code = self.shell.read_until(b"\n", patience).decode().strip()
        text = text.removesuffix(END).strip()
        if code != "0":
            raise Trouble(f"{command!r} ends with {code}: {text}")
        return text

    def log(self) -> str:
        return (self.work / "console.log").read_text(errors="replace")

    def wait_for_boot(self, patience: float) -> None:
        until = time.monotonic() + patience
        while "the mirror's computer is up" not in self.log():
            if self.process.poll() is not None or time.monotonic() > until:
                raise Trouble(f"the machine does not boot:\n{self.log()[-2000:]}\n{(self.work / 'qemu.log').read_text()}")
            time.sleep(0.1)

    def cut_power(self) -> None:
        """Cuts the power: data in memory does not reach the disk."""
        self.process.kill()
        self.process.wait()


class Line:
    """A connection that is read up to a mark, with a timeout."""

    def __init__(self, path: Path):
        self.socket = socket.socket(socket.AF_UNIX)
        until = time.monotonic() + 10
        while True:
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        self.bytes = b""

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\n")

    def read_until(self, mark: bytes, patience: float = 30) -> bytes:
        until = time.monotonic() + patience
        while mark not in self.bytes:
            left = until - time.monotonic()
            if left <= 0:
                raise Trouble(f"no answer within {patience:.0f} s; received: {self.bytes[-500:]!r}")
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                continue
            if not more:
                raise Trouble("the machine has exited")
            self.bytes += more
        head, _, self.bytes = self.bytes.partition(mark)
        return head + mark
