"""Contents of the virtual machine: a Debian kernel, busybox, the package, a camera driver, and a disk with a catalogue."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MODULES = ("vivid", "virtio_pci", "virtio_blk", "virtio_console", "ext4")
SHELL = "hvc0"

INIT = r"""#!/bin/sh
# The first process: what systemd and udev do on a real mirror, in short.
export PATH=/bin:/usr/bin LANG=C.UTF-8
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /tmp /run/vetrina /var/lib/vetrina
while read module; do insmod /modules/$module; done < /modules/order
insmod /modules/vivid.ko n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0
ip link set lo up
mount -t ext4 /dev/vda /var/lib/vetrina
chown -R vetrina:vetrina /var/lib/vetrina /run/vetrina
mdev -d; mdev -s
# The trials search the log for the mirror's lines; the kernel's would break them in two.
dmesg -n 1
# Line by line: an interactive shell would print prompts.
setsid sh -c 'exec < /dev/SHELL > /dev/SHELL; stty raw -echo; touch /tmp/ready; while read -r line; do eval "$line"; done' &
until [ -e /tmp/ready ]; do sleep 0.1; done
echo "the mirror's computer is up"
grep -qw hold /proc/cmdline && exec sleep 100000
while :; do
    su -s /bin/sh vetrina -c 'exec vetrina run --config /etc/vetrina.toml'
    echo "the mirror ended with $?"
    sleep 0.5
done
"""

CONTROL = r"""
/* Sets a control of a camera by its name: control /dev/video0 Disconnect 1. Exits with 1 on failure. */
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
int main(int count, char **words) {
    if (count != 4) return 2;
    int camera = open(words[1], O_RDWR | O_NONBLOCK);
    struct v4l2_queryctrl known = {.id = V4L2_CTRL_FLAG_NEXT_CTRL};
    while (ioctl(camera, VIDIOC_QUERYCTRL, &known) == 0) {
        if (strcmp((char *)known.name, words[2]) == 0) {
            struct v4l2_control control = {.id = known.id, .value = atoi(words[3])};
            return ioctl(camera, VIDIOC_S_CTRL, &control) < 0;
        }
        known.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
    }
    return 1;
}
"""

CONFIG = """
[shop]
name = "Bottega"
[camera]
width = 320
height = 240
rate = 5
[screen]
panel = "kms"
rotate = {rotate}
rate = 5
[model]
folder = "/usr/share/vetrina/models/tiny"
workers = 1
[catalogue]
file = "/var/lib/vetrina/catalogue.db"
[watchdog]
stall_seconds = 60
"""


class Missing(Exception):
    """A requirement is missing and not available."""


@dataclass(frozen=True)
class Parts:
    """Source of the guest's programs, and its display card."""

    arch: str
    """Debian's name of it."""
    card: str
    """The module of the screen's card."""
    foreign: str = ""
    """Prefix of the cross compiler and its tools, if this machine has another architecture."""

    def apt(self, folder: Path) -> list[str]:
        """Options of apt for the other architecture's packages that leave this machine's state unchanged."""
        if not self.foreign:
            return []
        options = [f"APT::Architecture={self.arch}", f"APT::Architectures::={self.arch}"]
        options += [f"Dir::State::lists={folder / 'lists'}", f"Dir::Cache={folder}", "Dir::State::status=/dev/null"]
        return [word for option in options for word in ("-o", option)]

    def busybox(self, work: Path) -> Path:
        if not self.foreign:
            return Path(need("busybox", "busybox-static"))
        folder = work / "busybox"
        if not (folder / "bin/busybox").exists():
            run("dpkg-deb", "-x", download(self, folder, "busybox-static"), folder)
        return folder / "bin/busybox"

    def libraries(self, program: Path, root: Path) -> None:
        """Copies the shared libraries of a program to where its loader searches for them."""
        if self.foreign:
            library = Path("/usr") / self.foreign.removesuffix("-") / "lib"
            loader = re.findall(r"interpreter: /lib/(\S+)\]", run("readelf", "-l", program))
            needed = re.findall(r"\(NEEDED\).*\[(\S+)\]", run("readelf", "-d", program))
            found = {library / name: f"lib/{name}" for name in (*loader, *needed)}
        else:
            paths = re.findall(r"(?:=> )?(/\S+) \(0x", run("ldd", program))
            found = {Path(path): path.lstrip("/") for path in paths}
        for path, place in found.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / place)


AMD64 = Parts("amd64", "bochs")
ARM64 = Parts("arm64", "virtio_gpu", "aarch64-linux-gnu-")


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    folder: Path
    version: str

    @property
    def image(self) -> Path:
        return self.folder / "boot" / f"vmlinuz-{self.version}"


def need(program: str, package: str) -> str:
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise Missing(f"{program} is missing (apt-get install --no-install-recommends {package})")
    return path


def run(*command, **options) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def kernel(parts: Parts, folder: Path) -> Kernel:
    """Debian's kernel, downloaded once and never installed."""
    package = next(folder.glob("linux-image-*.deb"), None) or download(parts, folder, f"linux-image-{parts.arch}")
    unpacked = folder / "k"
    if not unpacked.exists():
        run("dpkg-deb", "-x", package, folder / "part")
        (folder / "part").rename(unpacked)
    version = next((unpacked / "lib/modules").iterdir()).name
    run(need("depmod", "kmod"), "-b", unpacked, version)
    return Kernel(unpacked, version)


def download(parts: Parts, folder: Path, name: str) -> Path:
    """A package from apt into `folder`. A kernel's name stands for the newest kernel."""
    (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
    apt = parts.apt(folder)
    try:
        if apt:
            run(need("apt-get", "apt"), *apt, "update")
        depends = run(need("apt-cache", "apt"), *apt, "depends", name)
        newest = re.search(r"Depends: (linux-image-\S+)", depends)
        run("apt-get", *apt, "download", newest.group(1) if newest else name, cwd=folder)
        return next(folder.glob("*.deb"))
    except (RuntimeError, StopIteration) as error:
        raise Missing(f"{name} is not available from apt ({error})") from error


def modules(parts: Parts, kernel: Kernel, root: Path) -> None:
    """The drivers and their load order; `vivid` itself is loaded last, with its settings."""
    target = root / "modules"
    target.mkdir()
    order = []
    for name in (*MODULES, parts.card):
        wanted = run(need("modprobe", "kmod"), "-d", kernel.folder, "-S", kernel.version, "--show-depends", name)
        for line in wanted.splitlines():
            word, _, path = line.partition(" ")
            path = Path(path.split(" ")[0])
            plain = path.name.removesuffix(".xz")
            if word != "insmod" or plain in order:
                continue
            order.append(plain)
            data = path.read_bytes()
            (target / plain).write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)
    (target / "order").write_text("".join(f"{name}\n" for name in order if name != "vivid.ko"))


def initramfs(parts: Parts, work: Path, kernel: Kernel, contents: Path, model: Path, rotate: int) -> Path:
    """Everything except the catalogue, as one archive."""
    root = work / "root"
    shutil.rmtree(root, ignore_errors=True)
    # The emulated processor is too slow for the shipped network and has no use for the demo's clips.
    left_out = shutil.ignore_patterns("models", "clips")
    shutil.copytree(contents, root, ignore=left_out)
    for name in ("bin", "dev", "proc", "sys", "etc"):
        (root / name).mkdir(exist_ok=True)
    shutil.copytree(model, root / "usr/share/vetrina/models/tiny")
    parts.libraries(root / "usr/bin/vetrina", root)
    modules(parts, kernel, root)
    shutil.copy(parts.busybox(work), root / "bin/busybox")
    for applet in run(need("busybox", "busybox-static"), "--list").split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    control = work / "control.c"
    control.write_text(CONTROL)
    compiler = need(f"{parts.foreign}gcc", f"gcc-{parts.foreign}".rstrip("-"))
    run(compiler, "-static", "-O1", "-o", root / "bin/control", control)
    (root / "init").write_text(INIT.replace("SHELL", SHELL))
    (root / "init").chmod(0o755)
    etc = {
        "passwd": "root:x:0:0::/:/bin/sh\nvetrina:x:900:900::/var/lib/vetrina:/bin/false\n",
        "group": "root:x:0:\nvideo:x:44:vetrina\nvetrina:x:900:\n",
        "mdev.conf": "video[0-9]+ root:video 660\ndri/card[0-9]+ root:video 660\nnull root:root 666\n",
        "vetrina.toml": CONFIG.format(rotate=rotate),
    }
    for name, text in etc.items():
        (root / "etc" / name).write_text(text)
    archive = work / "initramfs"
    with archive.open("wb") as out:
        names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
        pack = [need("cpio", "cpio"), "-0", "-o", "-H", "newc", "-R", "0:0", "--quiet"]
        subprocess.run(pack, cwd=root, input=names, stdout=out, check=True)
    return archive


def disk(work: Path, files: Path) -> Path:
    """An ext4 disk with `files` on it."""
    image = work / "disk"
    image.unlink(missing_ok=True)
    run(need("mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-d", files, image, "96M")
    return image
