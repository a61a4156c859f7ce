"""The GPU's RoIAlign as it is shipped: its PTX, run here instruction by instruction, gives what torchvision gives."""

import operator
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import SCRIPTS
from torchvision.ops import roi_align

PTX = SCRIPTS.parent / "src/network/tensorrt/roi_align.ptx"
FORMATS = {"u64": "<Q", "u32": "<i", "s32": "<i", "f32": "<f"}
COMPARE = {"lt": operator.lt, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "geu": lambda a, b: not a < b}


def f32(value: float) -> float:
    """Rounded to 32 bits."""
    return float(np.float32(value))


OPERATIONS = {
    "add.f32": lambda a, b: f32(a + b),
    "sub.f32": lambda a, b: f32(a - b),
    "mul.f32": lambda a, b: f32(a * b),
    "div.rn.f32": lambda a, b: f32(a / b),
    "max.f32": max,
    "fma.rn.f32": lambda a, b, c: f32(a * b + c),
    "mad.lo.s32": lambda a, b, c: a * b + c,
    "cvt.rn.f32.s32": f32,
    "cvt.rzi.s32.f32": int,
    "or.pred": lambda a, b: a or b,
    **dict.fromkeys(("add.s32", "add.s64"), operator.add),
    **dict.fromkeys(("mul.lo.s32", "mul.lo.s64", "mul.wide.s32", "mul.wide.u32"), operator.mul),
    **dict.fromkeys(("shl.b32", "shl.b64"), operator.lshift),
    **dict.fromkeys(("selp.b32", "selp.u32", "selp.f32"), lambda a, b, p: a if p else b),
    **dict.fromkeys(("mov.u32", "mov.f32", "cvta.to.global.u64", "cvt.s64.s32"), lambda a: a),
}


class Kernel:
    """A kernel that one thread after the other runs, on memory that is a `bytearray`."""

    def __init__(self, text: str):
        body = re.sub(r"//.*", "", text[text.index("\n{") + 2 : text.rindex("}")])
        self.code, self.labels = [], {}
        for label, line in re.findall(r"(\$\w+):|([^;:]+);", body):
            if label:
                self.labels[label] = len(self.code)
            elif not line.strip().startswith("."):
                guard, rest = re.fullmatch(r"\s*(?:@(%p\d+)\s+)?(.*)", line, re.S).groups()
                self.code.append((guard, *self.split(rest)))

    @staticmethod
    def split(text: str) -> tuple[str, list[str]]:
        """`add.s32 %r1, %r2, {%r3, %r4}` -> its name and operands."""
        name, *rest = text.strip().split(None, 1)
        return name, re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", rest[0]) if rest else []

    def run(self, memory: bytearray, parameters: list[int], block: tuple[int, int], thread: tuple[int, int]) -> None:
        """One thread."""
        registers: dict = {"%ctaid.x": block[0], "%ctaid.y": block[1], "%tid.x": thread[0], "%tid.y": thread[1]}

        def value(text: str):
            if text.startswith("0f"):
                return struct.unpack(">f", bytes.fromhex(text[2:]))[0]
            return registers[text] if text.startswith("%") else int(text)

        def address(text: str) -> int:
            base, _, offset = text.strip("[]").partition("+")
            return registers[base] + int(offset or 0)

        at = 0
        while at < len(self.code):
            guard, name, operands = self.code[at]
            at += 1
            if guard and not registers[guard]:
                continue
            kind = name.rsplit(".", 1)[-1]
            if name in ("bra", "bra.uni"):
                at = self.labels[operands[0]]
            elif name == "ret":
                return
            elif name.startswith("ld.param"):
                registers[operands[0]] = parameters[int(operands[1].strip("[]").rsplit("_", 1)[1])]
            elif name.startswith("ld.global"):
                place = address(operands[1])
                for register in re.findall(r"%\w+", operands[0]):
                    (registers[register],) = struct.unpack_from(FORMATS[kind], memory, place)
                    place += struct.calcsize(FORMATS[kind])
            elif name.startswith("st.global"):
                struct.pack_into(FORMATS[kind], memory, address(operands[0]), value(operands[1]))
            elif name.startswith("setp"):
                registers[operands[0]] = COMPARE[name.split(".")[1]](*map(value, operands[1:]))
            else:
                registers[operands[0]] = OPERATIONS[name](*map(value, operands[1:]))


def test_the_ptx_is_roi_align():
    channels, side, samples, padded = 35, 3, 2, 3
    scale, boxes = 0.125, torch.tensor([[10.0, 4, 90, 70], [60, 50, 95.5, 79.5]])
    feature = torch.randn(1, channels, 10, 12)
    wanted = roi_align(feature, [boxes], side, scale, samples).permute(0, 2, 3, 1)
    rois = b""
    for x1, y1, x2, y2 in (boxes * scale).tolist():
        bins = [max(x2 - x1, 1) / side, max(y2 - y1, 1) / side]
        rois += struct.pack("<Qii4f", 256, 10, 12, x1, y1, *bins)
    plane = feature.numpy().tobytes()
    out = 256 + len(plane)
    memory = bytearray(rois.ljust(256, b"\0") + plane + b"\xff" * (4 * padded * side * side * channels))
    kernel = Kernel(PTX.read_text())
    for roi in range(padded):
        for group in range(-(-channels // 32)):
            for thread in np.ndindex(32, side):
                kernel.run(memory, [0, len(boxes), channels, side, samples, out], (roi, group), thread)
    found = torch.frombuffer(memory, dtype=torch.float32, offset=out).view(padded, side, side, channels)
    assert float((found[:2] - wanted).abs().max()) < 1e-5
    assert not found[2].any()


def test_the_ptx_is_what_its_source_gives():
    done = subprocess.run([sys.executable, SCRIPTS / "compile-kernel", "--check"], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stderr
