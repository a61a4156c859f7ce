"""The training loop. A stage defines what learns, from which data and how; `run` does the rest: rates, steps, averages, log,
checkpoints."""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long a stage runs, and its learning rate as a share of the peak."""

    steps: int = 1_000_000
    minutes: float = 0.0
    """When > 0 the stage also ends after this time, whichever is first, and the rate falls accordingly."""
    warmup: int = 20
    """Steps in which the rate rises linearly; a "one_cycle" takes a tenth of its steps instead."""
    shape: str = "cosine"
    """"cosine": down to 2 % of the peak. "trapezoid": at the peak until half of the stage, and linearly down to 0. "one_cycle": Smith
    and Topin's, with beta1 opposite to the rate; it uses `steps` only."""

    def __post_init__(self):
        if self.shape not in ("cosine", "trapezoid", "one_cycle"):
            raise ValueError(f'schedule.shape is "{self.shape}"; it can be "cosine", "trapezoid" or "one_cycle"')

    def progress(self, step: int, spent: float) -> float:
        """Finished share of the stage, 0..1, after so many steps and seconds."""
        done = step / self.steps
        if self.minutes > 0:
            done = max(done, spent / (60 * self.minutes))
        return min(done, 1.0)

    def rate(self, peak: float, step: int, done: float) -> float:
        """The learning rate of step `step`, when the share `done` is finished."""
        if self.shape == "one_cycle":
            return self._cycle(step, peak / 25, peak, peak / 25 / 1e4)
        if self.shape == "trapezoid":
            return peak * min(1.0, (step + 1) / self.warmup, 2 * (1 - done))
        return peak * (min(1.0, (step + 1) / self.warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))))

    def beta1(self, step: int) -> float | None:
        """Adam's beta1 at this step, if the schedule changes it."""
        return self._cycle(step, 0.95, 0.85, 0.95) if self.shape == "one_cycle" else None

    def _cycle(self, step: int, first: float, middle: float, last: float) -> float:
        """Along a cosine from `first` to `middle` in a tenth of the steps, and on to `last`."""
        top, end = 0.1 * self.steps - 1, self.steps - 1
        rising = top > 0 and step <= top
        begin, start, stop, length = (0, first, middle, top) if rising else (top, middle, last, end - top)
        return stop + (start - stop) / 2.0 * (math.cos(math.pi * ((step - begin) / length)) + 1)


@dataclass(frozen=True)
class Averaging:
    """The moving average of the weights, which is what a stage leaves."""

    decay: float = 0.998
    """0: the weights themselves."""
    ramp: bool = True
    """The decay of update n is at most (1 + n) / (10 + n), and the average begins at the weights before the stage; else it begins
    at those after the first step."""
    first: int = 1
    """The n of the first update."""
    back: float = 0.0
    """How far the result goes back to the weights before the stage, 0..1."""

    @torch.no_grad()
    def update(self, averaged: State, module: nn.Module, step: int) -> None:
        """Moves the average towards the weights after step `step`, which counts from 1."""
        n = step - 1 + self.first
        decay = min(self.decay, (1 + n) / (10 + n)) if self.ramp else self.decay if step > 1 else 0.0
        for key, now in module.state_dict().items():
            if now.is_floating_point():
                averaged[key].lerp_(now, 1 - decay)
            else:
                averaged[key].copy_(now)

    def result(self, averaged: State, before: State) -> State:
        """The average, taken `back`. Equal weights stay equal to the bit: what did not learn stays as it was."""
        if self.back == 0:
            return averaged
        return {k: torch.lerp(v, before[k], self.back) if v.is_floating_point() else v for k, v in averaged.items()}


@dataclass
class Group:
    """Parameters that learn at one rate."""

    parameters: list[nn.Parameter]
    peak: float
    """Highest learning rate."""


@dataclass
class Stage:
    """One stage of training, ready to run."""

    name: str
    """Of its log and checkpoint files."""
    module: nn.Module
    """The part that learns, on its device and in its mode. It is averaged and saved."""
    learns: list[Group]
    batches: Callable[[int], Iterator[Any]]
    """Batches from this number on. A generator with a state of its own ignores the number and belongs into `memory`."""
    losses: Callable[[Any], dict[str, torch.Tensor]]
    """The losses of a batch by name."""
    weights: dict[str, float]
    """The weight of each loss in the sum."""
    schedule: Schedule
    averaging: Averaging
    weight_decay: float = 0.0
    clip: float = 0.0
    """Maximum norm of the gradient; 0: no limit."""
    constrain: Callable[[], None] | None = None
    """Projects weights onto their bounds after each step."""
    finish: Callable[[], None] | None = None
    """Applied to the averaged weights at the end."""
    memory: dict[str, Any] = field(default_factory=dict)
    """Further state for resuming, objects with `state_dict` and `load_state_dict`: banks, generators."""
    random: torch.Tensor = field(default_factory=torch.get_rng_state)
    """State of torch's random generator at the begin of the stage: that of its construction."""
    log_every: int = 20
    """Steps between log lines; a line has the means of the losses since the last one."""
    measure: Callable[[], dict[str, float]] | None = None
    """Figures of `module` on held-out data; it is called with the weights that the stage would leave."""
    measure_every: int = 0
    """Steps between measurements; 0: only at the end."""


class Progress:
    """A running stage: its optimiser, averaged weights and step."""

    def __init__(self, stage: Stage):
        self.stage = stage
        self.step, self.spent = 0, 0.0
        groups = [{"params": group.parameters, "peak": group.peak} for group in stage.learns]
        self.optimiser = torch.optim.AdamW(groups, lr=stage.learns[0].peak, weight_decay=stage.weight_decay)
        self.before = _copy(stage.module.state_dict())
        self.averaged = _copy(self.before)

    @property
    def done(self) -> float:
        """Finished share of the stage, 0..1."""
        return self.stage.schedule.progress(self.step, self.spent)

    def update(self, batch: Any) -> dict[str, torch.Tensor]:
        """One step; its losses and their sum."""
        stage, schedule = self.stage, self.stage.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.rate(group["peak"], self.step, self.done)
            if (beta1 := schedule.beta1(self.step)) is not None:
                group["betas"] = (beta1, group["betas"][1])
        values = stage.losses(batch)
        total = sum(stage.weights[name] * value for name, value in values.items())
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self._share()
        if stage.clip:
            torch.nn.utils.clip_grad_norm_([p for group in stage.learns for p in group.parameters], stage.clip)
        self.optimiser.step()
        if stage.constrain:
            stage.constrain()
        self.step += 1
        stage.averaging.update(self.averaged, stage.module, self.step)
        return {name: value.detach() for name, value in values.items()} | {"total": total.detach()}

    def _share(self) -> None:
        """Averages gradients over the processes of a run, and the time spent, so that all end together."""
        if not dist.is_initialized():
            return
        gradients = [p.grad for group in self.stage.learns for p in group.parameters if p.grad is not None]
        joined = torch.cat([*(g.flatten() for g in gradients), torch.tensor([self.spent], device=gradients[0].device)])
        dist.all_reduce(joined)
        joined /= dist.get_world_size()
        for gradient, part in zip(gradients, joined[:-1].split([g.numel() for g in gradients])):
            gradient.copy_(part.view_as(gradient))
        self.spent = float(joined[-1])

    def figures(self) -> dict[str, float]:
        """Measures the weights that the stage would leave now; this does not affect training."""
        module, modes = self.stage.module, {m: m.training for m in self.stage.module.modules()}
        present, random = _copy(module.state_dict()), torch.get_rng_state()
        module.load_state_dict(self.result())
        try:
            with torch.no_grad():
                return self.stage.measure()
        finally:
            module.load_state_dict(present)
            torch.set_rng_state(random)
            for part, training in modes.items():
                part.training = training

    def result(self) -> State:
        """The weights that the stage would leave now."""
        return self.stage.averaging.result(self.averaged, self.before)

    def save(self, path: Path, origin: str) -> None:
        """Writes the state for resuming; replaces the old file atomically. `model_state_dict` is the average of `module`."""
        state = {
            "model_state_dict": self.averaged,
            "present": self.stage.module.state_dict(),
            "before": self.before,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "memory": {name: part.state_dict() for name, part in self.stage.memory.items()},
            "random": torch.get_rng_state(),
            "origin": origin,
        }
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def resume(self, path: Path, origin: str) -> torch.Tensor:
        """Restores the state of `save`; returns the state of torch's random generator, to be set when the first batch is there."""
        state = torch.load(path, map_location=next(self.stage.module.parameters()).device, weights_only=True)
        if state["origin"] != origin:
            name = self.stage.name
            raise ValueError(f"{path}: stage {name} had other inputs or numbers there; remove the file, or choose another folder")
        self.stage.module.load_state_dict(state["present"])
        self.averaged, self.before = state["model_state_dict"], state["before"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent = state["step"], state["spent"]
        for name, part in self.stage.memory.items():
            part.load_state_dict(state["memory"][name])
        return state["random"].cpu()


class Log:
    """Means of the losses since the last line: to a file as JSON, one object a line, and to `report` as text."""

    def __init__(self, stage: Stage, file: Path | None, report: Callable[[str], None]):
        self.stage, self.file, self.report = stage, file, report
        self.sums: dict[str, torch.Tensor] = {}
        self.count = 0

    def add(self, values: dict[str, torch.Tensor]) -> None:
        """Adds the losses of one step, without waiting for the device."""
        self.sums = {name: self.sums.get(name, 0) + value for name, value in values.items()}
        self.count += 1

    def line(self, progress: Progress, figures: dict[str, float]) -> None:
        """Writes one line. FloatingPointError: a loss since the last one was not finite."""
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        if not all(map(math.isfinite, means.values())):
            raise FloatingPointError(f"{self.stage.name}, by step {progress.step}: a loss is not finite: {means}")
        numbers = {name: round(value, 4) for name, value in (means | figures).items()}
        entry = {"stage": self.stage.name, "step": progress.step, "seconds": round(progress.spent)} | numbers
        if self.file:
            with self.file.open("a") as log:
                log.write(json.dumps(entry) + "\n")
        text = " ".join(f"{name} {value}" for name, value in entry.items() if name != "stage")
        self.report(f"{self.stage.name}: {text}")


def run(
    stage: Stage, out: Path | None = None, report: Callable[[str], None] = print, save_every: float = 120.0, origin: str = ""
) -> Progress:
    """Runs a stage and leaves its averaged weights in `stage.module`.

    Writes into the folder `out`, if any, the log `NAME.log` and, every `save_every` seconds and at the end, the checkpoint
    `NAME.resume`. A stage with a checkpoint is resumed. `origin` identifies the stage's inputs: a checkpoint of another origin is
    refused.
    """
    if out:
        out.mkdir(parents=True, exist_ok=True)
    first = not dist.is_initialized() or dist.get_rank() == 0
    path = out / f"{stage.name}.resume" if out else None
    progress, random = Progress(stage), None
    torch.set_rng_state(stage.random)
    if path and path.exists():
        random = progress.resume(path, origin)
        report(f"{stage.name}: resumed at step {progress.step} from {path}")
    log = Log(stage, out / f"{stage.name}.log" if out else None, report)
    saved = clock = time.monotonic()
    batches = stage.batches(progress.step)
    while progress.done < 1:
        batch = next(batches)
        if random is not None:
            # Not earlier: a data loader draws from the generator when it starts.
            torch.set_rng_state(random)
            random = None
        log.add(progress.update(batch))
        progress.spent += time.monotonic() - clock
        clock = time.monotonic()
        ended = progress.done >= 1
        measured = stage.measure and (ended or (stage.measure_every and progress.step % stage.measure_every == 0))
        if first and (ended or measured or progress.step % stage.log_every == 0):
            log.line(progress, progress.figures() if measured else {})
            clock = time.monotonic()
            if path and (ended or clock - saved > save_every):
                progress.save(path, origin)
                saved = clock
    stage.module.load_state_dict(progress.result())
    if stage.finish:
        stage.finish()
    return progress


class Draws:
    """Endless batches from `draw()`, which uses the generators `rngs`."""

    def __init__(self, draw: Callable[[], Any], *rngs: Any):
        self.draw, self.rngs = draw, rngs

    def __call__(self, _: int) -> Iterator[Any]:
        while True:
            yield self.draw()

    def state_dict(self) -> dict:
        return {"generators": [rng.bit_generator.state for rng in self.rngs]}

    def load_state_dict(self, state: dict) -> None:
        for rng, one in zip(self.rngs, state["generators"]):
            rng.bit_generator.state = one


def save_network(network: nn.Module, path: Path) -> None:
    """The weights as a checkpoint, complete or not at all."""
    torch.save({"model_state_dict": network.state_dict()}, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def replace_text(path: Path, text: str) -> None:
    """Writes a file, complete or not at all."""
    path.with_suffix(".tmp").write_text(text)
    path.with_suffix(".tmp").replace(path)


def _copy(state: Iterable) -> State:
    return {k: v.clone() for k, v in state.items()}
