"""Recipes: the numbers of a training, from a TOML file; and the stages that go on from a model folder, run in their order.

Without [begin] a recipe has the numbers for training from nothing, a table for each stage:

    [heads]
    lr = 4e-4
    schedule = { minutes = 60, warmup = 30 }
    averaging = { decay = 0.995, back = 0.33 }

With [begin] it makes a model folder out of another, on real people too. `[begin]` names that model folder, `[data.NAME]` the folders
of data with a SHA-256 over all files, `[generate]` what is drawn, `[views]`, `[tagged]`, `[detector]` and `[match]` the numbers
of the stages, `[export]` what the manifest says. Every stage of training logs to `OUT/NAME.log`, held-out figures too;
scripts/plot-run draws it.
"""

import ctypes
import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..folder import manifest, weights
from ..folder.export import export
from ..model import config
from ..model.network import Network
from . import adapt, aggregation, detector, match, views
from .features import Garments
from .loop import Stage, replace_text, run, save_network
from .worn import Tagged, Worn

FROM_NOTHING = {
    "detector": detector.Joint(),
    "heads": detector.Heads(),
    "place": match.Place(),
    "match": match.Match(),
    "adapt": adapt.Adapt(),
    "windows": aggregation.Windows(),
    "attention": aggregation.Attention(),
}
"""The stages from nothing in their order, with the numbers that a recipe omits."""
FROM_FOLDER = {"views": views.Views(), "tagged": Tagged(), "detector": detector.ViewHeads(), "match": match.RealMatch()}
"""The tables of numbers of a recipe that goes on from a model folder, with those that it omits."""
OTHER_TABLES = ("begin", "data", "generate", "export")
"""The other tables of such a recipe."""
REQUIRED = {"begin": ("folder", "descriptor_hash"), "export": ("name", "description", "licence", "provenance")}
"""What these must say."""
SCRIPTS = Path(__file__).resolve().parents[2]
VALIDATION = (7, 20)
"""Of the photos that may be trained on: the first that is left out to see how a run goes, and every how many."""
STEPS = {
    "generate": ("data", "generate"),
    "detector views": ("data", "begin", "generate", "views"),
    "tagged views": ("data", "begin", "views", "tagged"),
    "detector": ("data", "begin", "generate", "views", "tagged", "detector"),
    "match views": ("data", "begin", "generate", "views"),
    "match": ("data", "begin", "generate", "views", "tagged", "detector", "match"),
    "export": ("data", "begin", "generate", "views", "tagged", "detector", "match", "export"),
}
"""The steps from a model folder in their order, and the tables that each depends on: a step is done anew where one of them has changed."""


class RecipeError(ValueError):
    """A recipe, or data, that cannot be used; the message says what and where."""


@dataclass(frozen=True)
class Recipe:
    """A recipe; by default the numbers in the code, from nothing. `recipe[NAME]`: the numbers of a stage."""

    path: Path | None = None
    numbers: dict[str, Any] = field(default_factory=lambda: dict(FROM_NOTHING))
    begin: dict = field(default_factory=dict)
    """Of the model folder to go on from: `folder` and `descriptor_hash`. Empty: from nothing."""
    data: dict[str, dict] = field(default_factory=dict)
    generate: dict = field(default_factory=dict)
    export: dict = field(default_factory=dict)
    digest: str = ""
    """SHA-256 of the file as it was read."""

    @staticmethod
    def read(path: Path) -> "Recipe":
        """Reads a file. RecipeError: not TOML, an unknown name, a missing table or a wrong type."""
        try:
            text = path.read_bytes()
            tables = tomllib.loads(text.decode())
        except (OSError, ValueError) as error:
            raise RecipeError(f"{path}: {'not TOML: ' if isinstance(error, ValueError) else ''}{error}") from None
        onward = "begin" in tables
        if onward and "looks" in tables:
            # The recipe of the shipped weights has this name; its hash is in their manifest.
            tables["views"] = tables.pop("looks")
        defaults = FROM_FOLDER if onward else FROM_NOTHING
        known = [*OTHER_TABLES, *defaults] if onward else [*defaults]
        if unknown := sorted(tables.keys() - known):
            raise RecipeError(f"{path}: unknown {', '.join(unknown)}; there are {', '.join(known)}")
        if onward:
            check_tables(path, tables)
        numbers = {name: filled(value, tables.get(name, {}), f"{path}: {name}") for name, value in defaults.items()}
        others = {name: tables[name] for name in OTHER_TABLES if name in tables}
        return Recipe(path, numbers, digest=hashlib.sha256(text).hexdigest(), **others)

    def __getitem__(self, stage: str) -> Any:
        return self.numbers[stage]

    def changed(self, options: dict[str, dict]) -> "Recipe":
        """The same with other numbers for some stages."""
        return self._each(lambda name, value: filled(value, options.get(name, {}), f"options: {name}"))

    def with_seed(self, seed: int) -> "Recipe":
        """The same with one seed for all stages."""
        return self._each(lambda _, value: dataclasses.replace(value, seed=seed) if hasattr(value, "seed") else value)

    def _each(self, change) -> "Recipe":
        return dataclasses.replace(self, numbers={name: change(name, value) for name, value in self.numbers.items()})

    def digest_of(self, step: str) -> str:
        """SHA-256 of the tables that a step depends on."""
        tables = {name: dataclasses.asdict(self[name]) if name in self.numbers else getattr(self, name) for name in STEPS[step]}
        return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def check_tables(path: Path, tables: dict[str, Any]) -> None:
    """RecipeError: a recipe that goes on from a folder lacks a table, or something in one."""
    if missing := [name for name in (*OTHER_TABLES, *FROM_FOLDER) if name not in tables and name != "tagged"]:
        raise RecipeError(f"{path}: [{missing[0]}] is missing")
    required = [(name, tables[name], keys) for name, keys in REQUIRED.items()]
    required += [(f"data.{name}", table, ("sha256",)) for name, table in tables["data"].items()]
    for name, table, keys in required:
        if absent := [key for key in keys if key not in table]:
            raise RecipeError(f"{path}: [{name}]: {absent[0]} is missing")


def filled(value: Any, table: dict[str, Any], place: str) -> Any:
    """A copy of a dataclass with the fields in `table` replaced; `place` names the table in errors."""
    if not isinstance(table, dict):
        raise RecipeError(f"{place} = {table!r}, expected a table")
    kinds = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if unknown := sorted(table.keys() - kinds.keys()):
        raise RecipeError(f"{place}: unknown {', '.join(unknown)}; there are {', '.join(kinds)}")
    changed = {}
    for name, given in table.items():
        old = kinds[name]
        if dataclasses.is_dataclass(old) and isinstance(given, dict):
            changed[name] = filled(old, given, f"{place}: {name}")
        elif type(given) is type(old) or (isinstance(old, float) and type(given) is int):
            changed[name] = type(old)(given)
        else:
            raise RecipeError(f"{place}: {name} = {given!r}, expected a value like {old!r}")
    return dataclasses.replace(value, **changed)


def origin(numbers: Any, *inputs: Path | str) -> str:
    """A hash of a stage's inputs: its numbers except how long it runs, files by their contents, and names."""
    plain = dataclasses.asdict(numbers)
    plain["schedule"] = {k: v for k, v in plain["schedule"].items() if k not in ("steps", "minutes")}
    out = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for given in inputs:
        path = Path(given)
        out.update(path.read_bytes() if path.is_file() else str(given).encode())
    return out.hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 over names and contents of all files below a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()} {manifest.sha256(path)}\n".encode())
    return whole.hexdigest()


def check_folders(recipe: Recipe, folders: dict[str, Path]) -> None:
    """RecipeError: a folder of the recipe's data is not named, not there, or holds something else."""
    if unknown := sorted(folders.keys() - recipe.data.keys() - {"begin"}):
        raise RecipeError(f"--folder {unknown[0]}: {recipe.path} has no such data; it has {', '.join(sorted(recipe.data))} and begin")
    if missing := sorted(recipe.data.keys() - folders.keys()):
        raise RecipeError(f"{recipe.path}: needs the folder of {missing[0]}: --folder {missing[0]}=DIR")
    for name, folder in folders.items():
        if not folder.is_dir():
            raise RecipeError(f"--folder {name}={folder}: not a folder")
    for name, wanted in recipe.data.items():
        if (found := folder_digest(folders[name])) != wanted["sha256"]:
            raise RecipeError(
                f"{folders[name]}: is not the {name} of {recipe.path}: the SHA-256 of its files is {found}, not {wanted['sha256']}; "
                f"to train on other data, copy the recipe and name their hash in [data.{name}]"
            )


def die_with_parent() -> None:
    """In a child process: a killed run leaves no process behind that writes into its folder (PR_SET_PDEATHSIG, Linux)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Run:
    """A recipe that goes on from a model folder, at work in the folder `out`. `folders`: where its data lie, by name."""

    def __init__(self, recipe: Recipe, folders: dict[str, Path], out: Path):
        self.recipe, self.folders, self.out = recipe, folders, out
        check_folders(recipe, folders)
        self.begin = folders.get("begin", Path(recipe.begin["folder"]))
        told = manifest.read_manifest(self.begin)["descriptor_hash"]
        if told != recipe.begin["descriptor_hash"]:
            raise RecipeError(
                f"{self.begin}: its weights have the descriptor_hash {told}, {recipe.path} goes on from "
                f"{recipe.begin['descriptor_hash']}; name the folder with those: --folder begin=DIR"
            )
        out.mkdir(parents=True, exist_ok=True)
        self.worn = Worn(folders["worn"])
        self.validation = frozenset(self.worn.training[VALIDATION[0] :: VALIDATION[1]])

    def run(self) -> None:
        """The steps that are not done yet, in order. A step that is done leaves a mark with the hash of its tables."""
        for step in STEPS:
            mark, digest = self.out / f"{step.replace(' ', '-')}.done", self.recipe.digest_of(step)
            if mark.exists() and mark.read_text() != digest:
                raise RecipeError(f"{self.out}: {step} was made with other numbers; name another --out, or remove it and {mark}")
            if not mark.exists():
                getattr(self, step.replace(" ", "_"))()
                replace_text(mark, digest)

    def report(self, line: str) -> None:
        print(line, flush=True)

    def train(self, stage: Stage, step: str) -> None:
        """A stage of training, resumed where there is a checkpoint of it."""
        run(stage, self.out, self.report, origin=self.recipe.digest_of(step))

    def network(self, checkpoint: Path) -> Network:
        network = Network(config.COMPACT)
        weights.load(network, checkpoint)
        return network

    def sources(self) -> views.Sources:
        may_be_skirt = self.recipe["views"].dress_may_be_skirt
        return views.Sources(self.folders["worn"], [self.out / "generated"], self.folders["backgrounds"], may_be_skirt)

    def generate(self) -> None:
        """Generates people, shop pictures and empty scenes; without photos of garments all of them are drawn."""
        command = [sys.executable, str(SCRIPTS / "generate"), str(self.out / "generated")]
        options = {"photos": "garments", "backgrounds": "backgrounds", "objects": "objects"} if "garments" in self.folders else {}
        for option, name in options.items():
            if name in self.folders:
                command += [f"--{option}", str(self.folders[name])]
        for key, value in self.recipe.generate.items():
            command += [f"--{key.replace('_', '-')}", str(value)]
        if subprocess.run(command, check=False, preexec_fn=die_with_parent).returncode:
            raise RecipeError(f"{self.recipe.path}: [generate]: scripts/generate failed, see above")

    def trunk(self, network: Network | None = None) -> views.RestingTrunk | views.LearningTrunk:
        """The trunk that views are stored with; one that learns is `network`'s."""
        if self.recipe["views"].begun:
            return views.LearningTrunk(network or self.network(self.begin).eval())
        return views.RestingTrunk(self.begin)

    def detector_views(self) -> None:
        """What the trunk makes of views of real and generated people."""
        views.build_detector(self.out / "views-detector", self.sources(), self.recipe["views"], self.trunk(), self.report)

    def tagged_views(self) -> None:
        """What the trunk makes of views of photos that have tags alone."""
        if self.recipe["tagged"].views:
            views.build_tagged(self.out / "views-tagged", self.worn, self.recipe["tagged"], self.begin, self.trunk(), self.report)

    def detector(self) -> None:
        """The detector's heads on views; measured on photos that are left out (`val_`), and on those that are for measuring alone."""
        network = self.network(self.begin)
        folders = [self.out / "views-detector"] + [self.out / "views-tagged"] * bool(self.recipe["tagged"].views)
        stored = views.StoredViews(folders, self.recipe["views"].begun, self.validation)
        held = {"val_": sorted(self.validation), "": self.worn.held_out}
        measures = {name: detector.HeldOut(self.worn, photos, self.trunk(network)) for name, photos in held.items()}

        def figures() -> dict:
            return {name + key: value for name, measure in measures.items() for key, value in measure(network).items()}

        self.train(detector.view_heads(network, stored, self.recipe["detector"], figures), "detector")
        save_network(network, self.out / "detector.pth")

    def match_views(self) -> None:
        """RoIs of real and generated garments, for the match heads."""
        if self.recipe["match"].schedule.steps:
            views.build_match(self.out / "views-match", self.sources(), self.recipe["views"], self.begin, self.report)

    def match(self) -> None:
        """The match heads on real garments; with `schedule = { steps = 0 }` they stay as they were."""
        network = self.network(self.out / "detector.pth")
        if self.recipe["match"].schedule.steps:
            garments, strangers = (Garments.of_views(self.out / "views-match", self.validation, only) for only in (False, True))
            match.fit(network, garments, strangers, self.recipe["match"], lambda stage: self.train(stage, "match"), self.report)
        save_network(network, self.out / "match.pth")

    def export(self) -> None:
        """A model folder whose manifest names the recipe."""
        network = self.network(self.out / "match.pth").eval()
        told = dict(self.recipe.export)
        told["provenance"] += f"; recipe {self.recipe.path.name}, sha256 {self.recipe.digest}"
        begin = manifest.read_manifest(self.begin)
        open_set = begin.get("open_set", {}).get("logit")
        worn_offset = told.pop("worn_offset", begin["aggregation"].get("worn_offset"))
        export(network, self.out / "model", told, "f16", False, open_set, worn_offset)
        self.report(f"wrote {self.out / 'model'}")
