"""Real wear into a model folder by one recipe, stage by stage; an unfinished run goes on.

Such a recipe is a TOML file. `[begin]` names the model folder whose weights it goes on from, `[data.NAME]` its folders with a SHA-256
over all files, `[generate]` what is drawn, `[looks]`, `[detector]` and `[match]` the numbers of the stages. Every stage logs
to `OUT/NAME.log`, the detector's held-out figures too, from which scripts/plot-run draws.
"""

import dataclasses
import hashlib
import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch

from ..folder import manifest, weights
from ..folder.export import export
from ..model import config
from ..model.network import Network
from . import detector_heads, looks, real_match, tagged
from .loop import Stage, run
from .recipe import filled
from .worn import Worn

SCRIPTS = Path(__file__).resolve().parents[2]
VALIDATION = (7, 20)
"""Of the photos that may be trained on: the first that is left out to see how a run goes, and every how many."""
STAGES = {
    "generate": ("data", "generate"),
    "detector looks": ("data", "begin", "generate", "looks"),
    "tagged looks": ("data", "begin", "tagged"),
    "detector": ("data", "begin", "generate", "looks", "tagged", "detector"),
    "match looks": ("data", "begin", "generate", "looks"),
    "match": ("data", "begin", "generate", "looks", "tagged", "detector", "match"),
    "export": ("data", "begin", "generate", "looks", "tagged", "detector", "match", "export"),
}
"""The stages in their order, and the tables that each depends on: a stage is done anew where one of them has changed."""


class RecipeError(ValueError):
    """A recipe, or data, that cannot be used; the message says what and where."""


@dataclass(frozen=True)
class Recipe:
    """A recipe file."""

    path: Path
    begin: dict
    data: dict[str, dict]
    generate: dict
    looks: looks.Spec
    tagged: tagged.Tagged
    detector: detector_heads.RealHeads
    match: real_match.RealMatch
    export: dict

    @staticmethod
    def read(path: Path) -> "Recipe":
        """Refuses what it does not know, by name."""
        try:
            given = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"{path}: {error}") from None
        known = {field.name for field in dataclasses.fields(Recipe)} - {"path"}
        for name in given.keys() - known:
            raise RecipeError(f"{path}: [{name}] is not a part of a recipe; known: {', '.join(sorted(known))}")
        given.setdefault("tagged", {})
        for name in known - given.keys():
            raise RecipeError(f"{path}: [{name}] is missing")
        kinds = {"looks": looks.Spec(), "tagged": tagged.Tagged(), "detector": detector_heads.RealHeads(), "match": real_match.RealMatch()}
        for name, default in kinds.items():
            given[name] = filled(default, given[name], f"{path}: [{name}]")
        return Recipe(path, **given)

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return manifest.sha256(self.path)

    def digest_of(self, stage: str) -> str:
        """SHA-256 of the tables that a stage depends on."""
        tables = {name: getattr(self, name) for name in STAGES[stage]}
        plain = {name: dataclasses.asdict(t) if dataclasses.is_dataclass(t) else t for name, t in tables.items()}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def is_real(path: Path) -> bool:
    """Whether a recipe file goes on from a model folder."""
    try:
        return "begin" in tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return False


def folder_digest(folder: Path) -> str:
    """SHA-256 over names and contents of all files below a folder."""
    if not folder.is_dir():
        raise RecipeError(f"{folder}: not a folder")
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()} {manifest.sha256(path)}\n".encode())
    return whole.hexdigest()


class Run:
    """A recipe at work in a folder. `folders`: where its data lie, by name."""

    def __init__(self, recipe: Recipe, folders: dict[str, Path], out: Path, check: bool = True):
        self.recipe, self.folders, self.out = recipe, folders, out
        for name in recipe.data.keys() - folders.keys():
            raise RecipeError(f"{recipe.path}: needs the folder of {name}: --folder {name}=DIR")
        for name, wanted in recipe.data.items():
            if check and folder_digest(folders[name]) != wanted["sha256"]:
                raise RecipeError(f"{folders[name]}: is not the {name} of {recipe.path}: its SHA-256 differs ({folder_digest(folders[name])})")
        self.begin = folders.get("begin", Path(recipe.begin["folder"]))
        told = manifest.read_manifest(self.begin)["descriptor_hash"]
        if check and told != recipe.begin["descriptor_hash"]:
            raise RecipeError(f"{self.begin}: holds the weights {told}, the recipe goes on from {recipe.begin['descriptor_hash']}")
        out.mkdir(parents=True, exist_ok=True)
        self.worn = Worn(folders["worn"])
        self.validation = frozenset(self.worn.training[VALIDATION[0] :: VALIDATION[1]])

    def train(self, stage: Stage, part: str) -> None:
        """A stage of training, a part of the recipe's stage `part`, resumed where there is a checkpoint of it."""
        run(stage, self.out, self.report, origin=self.recipe.digest_of(part))

    def report(self, line: str) -> None:
        print(line, flush=True)

    def sources(self) -> looks.Sources:
        may_be_skirt = self.recipe.looks.dress_may_be_skirt
        return looks.Sources(self.folders["worn"], [self.out / "generated"], self.folders["backgrounds"], may_be_skirt)

    def run(self, last: str = "export") -> None:
        """The stages up to `last` that are not done yet, in order."""
        for stage in STAGES:
            done = self.out / f"{stage.replace(' ', '-')}.done"
            digest = self.recipe.digest_of(stage)
            if done.exists() and done.read_text() != digest:
                raise RecipeError(f"{self.out}: {stage} was made with other numbers; name another --out, or remove it and {done}")
            if not done.exists():
                getattr(self, stage.replace(" ", "_"))()
                done.write_text(digest)
            if stage == last:
                return

    def generate(self) -> None:
        """Draws the generated people."""
        options = {"photos": "garments", "backgrounds": "backgrounds", "objects": "objects"}
        command = [sys.executable, str(SCRIPTS / "generate"), str(self.out / "generated")]
        for option, name in options.items():
            if name in self.folders:
                command += [f"--{option}", str(self.folders[name])]
        for key, value in self.recipe.generate.items():
            command += [f"--{key.replace('_', '-')}", str(value)]
        if subprocess.run(command, check=False).returncode:
            raise RecipeError("scripts/generate failed")

    def detector_looks(self) -> None:
        looks.build_detector(self.out / "looks-detector", self.sources(), self.recipe.looks, self.begin, self.report)

    def tagged_looks(self) -> None:
        if self.recipe.tagged.views:
            tagged.build(self.out / "looks-tagged", self.worn, self.recipe.tagged, self.begin, self.report)

    def match_looks(self) -> None:
        if not self.recipe.match.schedule.steps:
            return
        looks.build_match(self.out / "looks-match", self.sources(), self.recipe.looks, self.begin, self.report)

    def network(self, checkpoint: Path) -> Network:
        network = Network(config.COMPACT)
        weights.load(network, checkpoint)
        return network

    def detector(self) -> None:
        """Learns on looks; held out: photos of the training set that are left out, and those that are for measuring alone."""
        network = self.network(self.begin)
        folders = [self.out / "looks-detector"] + [self.out / "looks-tagged"] * bool(self.recipe.tagged.views)
        kept = detector_heads.Looks(folders, self.validation)
        held = {"val_": sorted(self.validation), "": self.worn.held_out}
        measures = {name: detector_heads.HeldOut(self.worn, photos, self.begin) for name, photos in held.items()}

        def figures() -> dict:
            return {name + key: value for name, measure in measures.items() for key, value in measure(network).items()}

        self.train(detector_heads.real_heads(network, kept, self.recipe.detector, figures), "detector")
        torch.save({"model_state_dict": network.state_dict()}, self.out / "detector.pth")

    def match(self) -> None:
        """Learns from identities; with `schedule = { steps = 0 }` the heads stay as they were."""
        network = self.network(self.out / "detector.pth")
        if not self.recipe.match.schedule.steps:
            torch.save({"model_state_dict": network.state_dict()}, self.out / "match.pth")
            return
        rows = real_match.Rows(self.out / "looks-match", self.validation)
        strangers = real_match.Rows(self.out / "looks-match", self.validation, only=True)
        real_match.fit(network, rows, strangers, self.recipe.match, lambda stage: self.train(stage, "match"), self.report)
        torch.save({"model_state_dict": network.state_dict()}, self.out / "match.pth")

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
