"""Processing of many pictures in several processes, and folders for the results."""

import functools
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

_JOB = None


def _start(job) -> None:
    global _JOB
    _JOB = job
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _run(work, chunk):
    return work(_JOB, chunk)


def over_pictures(work, job, tasks: list, workers: int, what: str, at_once: int = 8) -> Iterator:
    """Yields `work(job, chunk)` for each chunk of `tasks`, in order, with progress on stderr.

    `work` is a function of a module; `job` is passed to every process once, by fork. `what`: the verb of the progress line.
    """
    chunks = [tasks[at : at + at_once] for at in range(0, len(tasks), at_once)]
    pool = multiprocessing.get_context("fork").Pool(workers, _start, (job,)) if workers > 1 else None
    if pool is None:
        _start(job)
    call = functools.partial(_run, work)
    count, begun = 0, time.monotonic()
    for n, made in enumerate(pool.imap(call, chunks) if pool else map(call, chunks)):
        yield made
        count += len(chunks[n])
        if n % 20 == 0 or n == len(chunks) - 1:
            pace = count / (time.monotonic() - begun)
            print(f"\r{what} {count} of {len(tasks)} pictures, {pace:.0f}/s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if pool:
        pool.close()
        pool.join()


def digest(state: dict[str, torch.Tensor], *plan: Any) -> str:
    """A hash of weights and of a plan (JSON values)."""
    out = hashlib.sha256(json.dumps(plan).encode())
    for name, value in state.items():
        out.update(name.encode())
        out.update(value.detach().cpu().contiguous().numpy().tobytes())
    return out.hexdigest()


class Store:
    """A folder of arrays and an index. The index is written last: without it the folder is incomplete."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._index = self.folder / "index.json"

    def complete(self, source: str) -> bool:
        """Whether it is complete, from `source` (a `digest`). ValueError: from another source."""
        if not self._index.exists():
            return False
        if json.loads(self._index.read_text())["source"] != source:
            raise ValueError(f"{self.folder}: made from other data or by other weights; remove the folder or name another")
        return True

    def create(self, **arrays: tuple[type, tuple[int, ...]]) -> None:
        """Creates arrays of these types and shapes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, (kind, shape) in arrays.items():
            np.lib.format.open_memmap(self.folder / f"{name}.npy", mode="w+", dtype=kind, shape=shape).flush()

    def array(self, name: str, mode: str = "r") -> np.ndarray:
        """A memory map: "r" to read, "r+" to write, "c" to change in memory alone."""
        return np.load(self.folder / f"{name}.npy", mmap_mode=mode)

    def finish(self, source: str, rows: list[dict]) -> None:
        """Writes the index: the source of the arrays, and the annotations of their rows."""
        temporary = self._index.with_suffix(".tmp")
        temporary.write_text(json.dumps({"source": source, "rows": rows}))
        temporary.replace(self._index)

    @property
    def index(self) -> dict:
        """`source` and `rows`. FileNotFoundError: not complete."""
        return json.loads(self._index.read_text())
