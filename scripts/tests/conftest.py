"""What the tests share: a small compact network, and the folder of published answers."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from seamnet.model import config  # noqa: E402
from seamnet.model.network import Network  # noqa: E402
from seamnet.train import detector  # noqa: E402


@pytest.fixture(autouse=True)
def quiet_machine():
    """One thread, one seed."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def compact() -> Network:
    """The compact network on a small input, random weights."""
    small = dataclasses.replace(config.COMPACT, input_size=(128, 64), keep=20, per_level=50)
    network = Network(small).eval()
    detector.init_heads(network)
    return network


@pytest.fixture
def parity_cases() -> Path:
    """The published answers; VETRINA_SHARED names the folder that holds parity/."""
    shared = Path(os.environ.get("VETRINA_SHARED", SCRIPTS.parents[1] / "shared"))
    if not (shared / "parity").is_dir():
        pytest.skip(f"{shared / 'parity'} is not there (VETRINA_SHARED names its parent)")
    return shared / "parity"
