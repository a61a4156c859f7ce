"""Recipes: the numbers of the stages, from a file."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import drawn
import pytest
import torch

from seamnet.folder import weights
from seamnet.model import config
from seamnet.model.network import Network
from seamnet.train import recipe
from seamnet.train.loop import Schedule


def test_a_recipe_changes_what_it_names_and_nothing_else(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("[heads]\nlr = 1\nthaw = true\naveraging = { back = 0.33 }\n[detector.batch]\nproducts = 2\n")
    read, plain = recipe.read(path), recipe.Recipe()
    averaging = dataclasses.replace(plain.heads.averaging, back=0.33)
    assert read.heads == dataclasses.replace(plain.heads, lr=1.0, thaw=True, averaging=averaging)
    assert type(read.heads.lr) is float and read.detector.batch.products == 2
    assert read.match == plain.match and read.detector.schedule == plain.detector.schedule
    assert read.with_seed(9).adapt.seed == 9 and read.with_seed(9).heads.thaw


@pytest.mark.parametrize(
    "text,error",
    (
        ("[head]\n", "unknown head; there are detector, heads"),
        ("[heads]\nrate = 1.0\n", "heads: unknown rate; there are seed"),
        ("[heads.schedule]\nsteps = 1.5\n", "schedule: steps = 1.5, expected a value like 1000000"),
        ("[heads]\nschedule = 3\n", "schedule = 3"),
        ("[adapt.schedule]\nshape = 'linear'\n", "shape"),
        ("[heads\n", "not TOML"),
    ),
)
def test_a_wrong_recipe_is_told_where(tmp_path, text, error):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=error):
        recipe.read(path)


def test_a_stages_origin_is_its_numbers_and_inputs_but_not_how_long_it_runs(tmp_path):
    numbers, file = recipe.Recipe().heads, tmp_path / "a"
    file.write_bytes(b"1")
    first = recipe.origin(numbers, file)
    assert first == recipe.origin(dataclasses.replace(numbers, schedule=Schedule(steps=7, warmup=30)), file)
    assert first != recipe.origin(dataclasses.replace(numbers, lr=1.0), file)
    file.write_bytes(b"2")
    assert first != recipe.origin(numbers, file)


def test_the_command_names_a_fault_in_one_line(tmp_path):
    (tmp_path / "bad.toml").write_text("[nothing]\n")
    command = [sys.executable, Path(__file__).parents[1] / "train", drawn.write(tmp_path / "data"), "--out", tmp_path / "run"]
    done = subprocess.run([*command, "--recipe", tmp_path / "bad.toml"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "unknown nothing" in done.stderr


STAGES = ("detector", "heads", "place", "match", "adapt", "windows", "attention")
TINY = "".join(f"[{stage}]\nschedule = {{ steps = 2 }}\n" for stage in STAGES)
TINY = TINY.replace("[heads]\n", "[heads]\nstreet = 1\nshop = 1\nempty = 1\n")
TINY = TINY.replace("[detector]\n", "[detector]\nbatch = { products = 1, shop = 2 }\n")


def test_the_command_trains_from_nothing_and_goes_on_where_it_was(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    command = [sys.executable, Path(__file__).parents[1] / "train", drawn.write(tmp_path / "data"), "--out", tmp_path / "run"]
    command += ["--recipe", tmp_path / "tiny.toml", "--device", "cpu", "--loaders", "0"]
    subprocess.run(command, check=True, capture_output=True)
    logs = [json.loads((tmp_path / f"run/{stage}.log").read_text()) for stage in STAGES]
    assert [(entry["stage"], entry["step"]) for entry in logs] == [(stage, 2) for stage in STAGES]
    weights.load(Network(config.COMPACT), tmp_path / "run/final.pth")
    first = torch.load(tmp_path / "run/final.pth")["model_state_dict"]
    again = subprocess.run([*command, "--from", "adapt"], check=True, capture_output=True, text=True)
    assert again.stdout.count("resumed at step 2") == 3
    second = torch.load(tmp_path / "run/final.pth")["model_state_dict"]
    assert all(torch.equal(v, second[k]) for k, v in first.items())
    (tmp_path / "tiny.toml").write_text(TINY + "missed = 0.5\n")
    refused = subprocess.run([*command, "--from", "adapt"], capture_output=True, text=True)
    assert refused.returncode == 1 and "stage attention had other inputs or numbers there" in refused.stderr
