"""The published implementation's answers (skipped where they are not at hand)."""

import dataclasses

import pytest

from seamnet.check import agreement
from seamnet.folder import export, weights
from seamnet.folder.runtime import Folder
from seamnet.model import config
from seamnet.model.network import Network


def test_preprocess_is_the_published_one(parity_cases):
    for row in agreement.check_preprocess(parity_cases):
        assert row.ok, str(row)


@pytest.mark.slow
def test_full_network_agrees(parity_cases, tmp_path):
    network = Network(dataclasses.replace(config.FULL, input_size=(320, 320))).eval()
    weights.load(network, agreement.write_checkpoint(parity_cases, tmp_path / "parity.pth"))
    head = dict(name="parity", description="", licence="", provenance="")
    folder = Folder(export.export(network, tmp_path / "model", head))
    failed = [str(row) for row in agreement.check_all(parity_cases, network, folder) if not row.ok]
    assert not failed, "\n".join(failed)
