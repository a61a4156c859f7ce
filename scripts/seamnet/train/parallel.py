"""Work on many pictures, over several processes, with its progress on stderr."""

import functools
import multiprocessing
import sys
import time
from collections.abc import Iterator

import cv2
import torch

_JOB = None


def _start(job) -> None:
    global _JOB
    _JOB = job
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _run(work, chunk):
    return work(_JOB, chunk)


def spread(work, job, tasks: list, workers: int, what: str, at_once: int = 8) -> Iterator:
    """What `work(job, chunk)` gives for each chunk of `tasks`, in order. `work` is a function of a module.

    `job` goes to every process once, by fork. `what` the pictures are: "stored".
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
