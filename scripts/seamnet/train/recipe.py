"""The numbers of every stage, from code or from a TOML file with one table for each stage.

    [heads]
    lr = 4e-4
    schedule = { minutes = 60, warmup = 30 }
    averaging = { decay = 0.995, back = 0.33 }
"""

import dataclasses
import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import adapt as adaptation
from . import detector as detection
from . import match as matching


@dataclass(frozen=True)
class Recipe:
    """Stages in their order. Numbers that a file omits have the defaults in the code."""

    detector: detection.Joint = detection.Joint()
    heads: detection.Heads = detection.Heads()
    place: matching.Place = matching.Place()
    match: matching.Match = matching.Match()
    adapt: adaptation.Adapt = adaptation.Adapt()
    windows: adaptation.Windows = adaptation.Windows()
    attention: adaptation.Attention = adaptation.Attention()

    def with_seed(self, seed: int) -> "Recipe":
        """The same with one seed for all stages."""
        stages = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Recipe(**{k: dataclasses.replace(v, seed=seed) if hasattr(v, "seed") else v for k, v in stages.items()})


def read(path: Path) -> Recipe:
    """Reads a recipe file. ValueError: not TOML, an unknown name or a wrong type."""
    try:
        table = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML: {error}") from error
    return filled(Recipe(), table, str(path))


def filled(value: Any, table: dict[str, Any], place: str) -> Any:
    """A copy of a dataclass with the fields in `table` replaced; `place` names the table in errors."""
    kinds = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if unknown := sorted(table.keys() - kinds.keys()):
        raise ValueError(f"{place}: unknown {', '.join(unknown)}; there are {', '.join(kinds)}")
    changed = {}
    for name, given in table.items():
        old = kinds[name]
        if dataclasses.is_dataclass(old) and isinstance(given, dict):
            changed[name] = filled(old, given, f"{place}: {name}")
        elif type(given) is type(old) or (isinstance(old, float) and type(given) is int):
            changed[name] = type(old)(given)
        else:
            raise ValueError(f"{place}: {name} = {given!r}, expected a value like {old!r}")
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
