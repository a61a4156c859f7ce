"""Recipes: the numbers of the stages, from a file."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import drawn
import pytest
import torch

from seamnet.folder import weights
from seamnet.model import config
from seamnet.model.network import Network
from seamnet.train.loop import Schedule
from seamnet.train.recipe import FROM_FOLDER, Recipe, RecipeError, check_folders, folder_digest, origin


def test_a_recipe_changes_what_it_names_and_nothing_else(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("[heads]\nlr = 1\nthaw = true\naveraging = { back = 0.33 }\n[detector.batch]\nproducts = 2\n")
    read, plain = Recipe.read(path), Recipe()
    averaging = dataclasses.replace(plain["heads"].averaging, back=0.33)
    assert read["heads"] == dataclasses.replace(plain["heads"], lr=1.0, thaw=True, averaging=averaging)
    assert type(read["heads"].lr) is float and read["detector"].batch.products == 2
    assert read["match"] == plain["match"] and read["detector"].schedule == plain["detector"].schedule
    assert read.with_seed(9)["adapt"].seed == 9 and read.with_seed(9)["heads"].thaw


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
        Recipe.read(path)


def test_a_stages_origin_is_its_numbers_and_inputs_but_not_how_long_it_runs(tmp_path):
    numbers, file = Recipe()["heads"], tmp_path / "a"
    file.write_bytes(b"1")
    first = origin(numbers, file)
    assert first == origin(dataclasses.replace(numbers, schedule=Schedule(steps=7, warmup=30)), file)
    assert first != origin(dataclasses.replace(numbers, lr=1.0), file)
    file.write_bytes(b"2")
    assert first != origin(numbers, file)


def test_the_command_names_a_fault_in_one_line(tmp_path):
    (tmp_path / "bad.toml").write_text("[nothing]\n")
    command = [sys.executable, Path(__file__).parents[1] / "train", drawn.write(tmp_path / "data"), "--out", tmp_path / "run"]
    done = subprocess.run([*command, "--recipe", tmp_path / "bad.toml"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "unknown nothing" in done.stderr


ONWARD = """
[begin]
folder = "models/compact"
descriptor_hash = "0"
[data.worn]
sha256 = "0"
[generate]
[looks]
whole = 3
[detector]
[match]
[export]
name = "a"
description = ""
licence = ""
provenance = ""
"""


def test_a_recipe_goes_on_from_a_folder_and_has_views_under_their_older_name(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(ONWARD)
    read = Recipe.read(path)
    assert read["views"].whole == 3 and read["detector"] == FROM_FOLDER["detector"] and read.begin["folder"] == "models/compact"
    path.write_text(ONWARD.replace("[looks]", "[views]"))
    assert Recipe.read(path).digest_of("export") == read.digest_of("export") and Recipe.read(path).digest != read.digest


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "recipes").glob("*.toml")), ids=lambda path: path.name)
def test_the_projects_recipes_are_read(path):
    assert Recipe.read(path).export["name"] == "compact"


@pytest.mark.parametrize(
    "old,new,error",
    (
        ("[export]", "[exports]", "unknown exports; there are begin, data, generate, export, views"),
        ("[generate]\n", "", r"\[generate\] is missing"),
        ('folder = "models/compact"\n', "", r"\[begin\]: folder is missing"),
        ('sha256 = "0"\n', "", r"\[data.worn\]: sha256 is missing"),
        ("[detector]\n", "[detector]\nbatches = 3\n", "detector: unknown batches; there are seed"),
        ("[match]\n", "", r"\[match\] is missing"),
    ),
)
def test_a_wrong_recipe_from_a_folder_is_told_where(tmp_path, old, new, error):
    path = tmp_path / "recipe.toml"
    path.write_text(ONWARD.replace(old, new))
    with pytest.raises(RecipeError, match=error):
        Recipe.read(path)


def test_data_that_are_not_the_recipes_are_named_with_the_cure(tmp_path):
    path, folder = tmp_path / "recipe.toml", tmp_path / "worn"
    path.write_text(ONWARD)
    recipe = Recipe.read(path)
    for folders, error in (
        ({}, "needs the folder of worn: --folder worn=DIR"),
        ({"worn": folder, "wron": folder}, "--folder wron: .* has no such data; it has worn and begin"),
        ({"worn": folder}, "worn: not a folder"),
    ):
        with pytest.raises(RecipeError, match=error):
            check_folders(recipe, folders)
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    found = f"SHA-256 of its files is {folder_digest(folder)}, not 0; to train on other data"
    with pytest.raises(RecipeError, match=f"is not the worn of .*{found}"):
        check_folders(recipe, {"worn": folder})
    path.write_text(ONWARD.replace('sha256 = "0"', f'sha256 = "{folder_digest(folder)}"'))
    check_folders(Recipe.read(path), {"worn": folder})


def test_the_command_refuses_options_that_do_nothing(tmp_path):
    (tmp_path / "recipe.toml").write_text(ONWARD)
    command = [sys.executable, Path(__file__).parents[1] / "train", "--out", tmp_path / "run"]
    onward = ["--recipe", tmp_path / "recipe.toml"]
    for options, error in (
        ([], "name the folder with annotations.json"),
        ([*onward, "--minutes", "3"], "minutes: .* has .begin.; all that it needs is in it"),
        ([*onward, "--folder", "worn"], "--folder worn: expected NAME=DIR"),
        (["--recipe", tmp_path / "none.toml"], "none.toml: .*No such file"),
    ):
        done = subprocess.run([*command, *options], capture_output=True, text=True)
        assert done.returncode in (1, 2) and re.search(error, done.stderr.splitlines()[-1]), done.stderr


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
