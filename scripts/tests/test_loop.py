"""The training loop: schedules, averages, and runs that go on to the bit where they were cut."""

import dataclasses
import json

import drawn
import numpy as np
import pytest
import torch

from seamnet.model.network import Network
from seamnet.train import adapt, aggregation, detector, features, match
from seamnet.train.data import BatchSpec, Pictures
from seamnet.train.loop import Averaging, Draws, Group, Schedule, Stage, run


def plain(steps: int = 12, **others) -> Stage:
    """A line through noisy points; the noise comes from a generator of its own and from torch's."""
    torch.manual_seed(3)
    line, rng = torch.nn.Linear(3, 1), np.random.default_rng(5)
    draws = Draws(lambda: torch.from_numpy(rng.normal(size=(8, 3)).astype(np.float32)), rng)

    def losses(x: torch.Tensor) -> dict[str, torch.Tensor]:
        wanted = x.sum(dim=1, keepdim=True) + 0.1 * torch.randn(len(x), 1)
        return {"square": (line(x) - wanted).square().mean(), "size": line.weight.square().sum()}

    values = dict(
        name="line",
        module=line,
        learns=[Group([line.weight], 0.1), Group([line.bias], 0.02)],
        batches=draws,
        losses=losses,
        weights={"square": 1.0, "size": 0.01},
        schedule=Schedule(steps=steps, warmup=3),
        averaging=Averaging(decay=0.9),
        memory={"draws": draws},
        log_every=4,
    )
    return Stage(**values | others)


def state(stage: Stage) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in stage.module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(v, other[k]) for k, v in one.items())


class Cut(Exception):
    """The power failed."""


def cut_and_resumed(make, out, lines: int) -> dict[str, torch.Tensor]:
    """The weights of a stage that was cut behind its `lines`th log line and begun anew by `make`."""
    said = []

    def report(line: str) -> None:
        said.append(line)
        if len(said) > lines:
            raise Cut

    with pytest.raises(Cut):
        run(make(), out, report, save_every=0)
    stage, resumed = make(), []
    run(stage, out, resumed.append, save_every=0)
    assert "resumed at step" in resumed[0]
    return state(stage)


def test_a_run_is_the_same_each_time_and_where_it_was_cut(tmp_path):
    once, again = plain(), plain()
    run(once, report=lambda _: None)
    run(again, report=lambda _: None)
    assert same(state(once), state(again)) and not same(state(once), state(plain()))
    assert same(state(once), cut_and_resumed(plain, tmp_path, lines=2))
    log = [json.loads(line) for line in (tmp_path / "line.log").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [4, 8, 12, 12]
    assert all(entry["total"] == pytest.approx(entry["square"] + 0.01 * entry["size"], abs=1e-3) for entry in log)


def test_the_loop_is_the_plain_one_written_out():
    stage = plain()
    line, batches = stage.module, stage.batches(0)
    adam = torch.optim.AdamW([{"params": [line.weight], "peak": 0.1}, {"params": [line.bias], "peak": 0.02}], weight_decay=0.0)
    averaged = state(stage)
    for step in range(12):
        for group in adam.param_groups:
            share = 0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / 12))
            group["lr"] = group["peak"] * min(1, (step + 1) / 3) * share
        values = stage.losses(next(batches))
        adam.zero_grad()
        (values["square"] + 0.01 * values["size"]).backward()
        adam.step()
        decay = min(0.9, (2 + step) / (11 + step))
        averaged = {k: decay * averaged[k] + (1 - decay) * v for k, v in state(stage).items()}
    looped = plain()
    run(looped, report=lambda _: None)
    for key, value in state(looped).items():
        assert torch.allclose(value, averaged[key], atol=1e-6), key


def test_one_cycle_and_its_average_are_torchs(compact):
    stage = plain(30, schedule=Schedule(steps=30, shape="one_cycle"), averaging=Averaging(decay=0.9, ramp=False))
    line, batches = stage.module, stage.batches(0)
    adam = torch.optim.AdamW([{"params": [line.weight]}, {"params": [line.bias]}], weight_decay=0.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, [0.1, 0.02], total_steps=30, pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(line, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    for _ in range(30):
        values = stage.losses(next(batches))
        adam.zero_grad()
        (values["square"] + 0.01 * values["size"]).backward()
        adam.step()
        cycle.step()
        average.update_parameters(line)
    looped = plain(30, schedule=stage.schedule, averaging=stage.averaging)
    run(looped, report=lambda _: None)
    assert same(state(looped), dict(average.module.state_dict()))


def test_a_result_goes_part_of_the_way_back():
    ends = []
    for back in (0.0, 0.25, 1.0):
        stage = plain(averaging=Averaging(decay=0.9, back=back))
        before = state(stage)
        run(stage, report=lambda _: None)
        ends.append(state(stage))
    assert same(ends[2], before)
    for key in before:
        assert torch.allclose(ends[1][key], 0.75 * ends[0][key] + 0.25 * before[key], atol=1e-6)


def test_a_measure_is_taken_of_the_averaged_weights_and_changes_nothing(tmp_path):
    measured = plain(log_every=100, measure_every=5)

    def measure() -> dict[str, float]:
        torch.randn(7)
        measured.module.eval()
        return {"slope": float(measured.module.weight.mean())}

    measured.measure = measure
    run(measured, tmp_path, lambda _: None)
    other = plain()
    run(other, report=lambda _: None)
    assert same(state(measured), state(other)) and measured.module.training
    log = [json.loads(line) for line in (tmp_path / "line.log").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [5, 10, 12]
    assert log[-1]["slope"] == pytest.approx(float(measured.module.weight.detach().mean()), abs=1e-4)


def test_a_loss_that_is_not_finite_ends_the_stage_and_leaves_the_last_good_checkpoint(tmp_path):
    def broken() -> Stage:
        stage = plain()
        inner, calls = stage.losses, []

        def losses(x):
            calls.append(1)
            values = inner(x)
            return values | {"square": values["square"] * float("nan")} if len(calls) > 5 else values

        stage.losses = losses
        return stage

    with pytest.raises(FloatingPointError, match="line, by step 8: a loss is not finite"):
        run(broken(), tmp_path, lambda _: None, save_every=0)
    stage, lines = plain(), []
    run(stage, tmp_path, lines.append)
    assert "resumed at step 4" in lines[0]
    whole = plain()
    run(whole, report=lambda _: None)
    assert same(state(stage), state(whole))


def test_a_checkpoint_of_another_origin_is_refused(tmp_path):
    run(plain(), tmp_path, lambda _: None, origin="a")
    with pytest.raises(ValueError, match=r"line.resume: stage line had other inputs or numbers there; remove the file"):
        run(plain(), tmp_path, lambda _: None, origin="b")


def test_a_schedule_ends_with_its_minutes():
    schedule = Schedule(steps=1000, minutes=2.0, warmup=1)
    assert schedule.progress(10, 60.0) == 0.5 and schedule.progress(900, 60.0) == 0.9 and schedule.progress(0, 500.0) == 1
    assert schedule.rate(1.0, 5, 1.0) == pytest.approx(0.02) and schedule.rate(1.0, 5, 0.5) == pytest.approx(0.51)
    with pytest.raises(ValueError, match="shape"):
        Schedule(shape="linear")


def test_a_trapezoid_rises_stays_and_falls_to_nothing():
    schedule = Schedule(steps=100, warmup=20, shape="trapezoid")
    rates = [schedule.rate(2.0, step, schedule.progress(step, 0.0)) for step in (0, 9, 19, 50, 75, 99)]
    assert rates == pytest.approx([0.1, 1.0, 2.0, 2.0, 1.0, 0.04])
    assert schedule.beta1(5) is None and schedule.rate(2.0, 100, 1.0) == 0.0


@pytest.fixture
def learner(compact, tmp_path, monkeypatch):
    """A network, its pictures, its garments' features and its clips."""
    monkeypatch.setattr(adapt, "LEAST_SCORE", 0.0)
    monkeypatch.setattr(adapt, "MOST_BOXES", 100)
    network = Network(dataclasses.replace(compact.config, score=0.0)).eval()
    network.load_state_dict(compact.state_dict())
    pictures = Pictures(drawn.write(tmp_path / "data"))
    detector.fit_appearance(network, pictures, 1)
    features.build_garments(network, pictures, 3, tmp_path / "garments")
    garments = features.Garments.open(tmp_path / "garments")
    clips = adapt.pooled(network, adapt.annotated(garments))
    begun = {k: v.clone() for k, v in network.state_dict().items()}

    def fresh() -> Network:
        copy = Network(network.config).eval()
        copy.load_state_dict(begun)
        return copy

    return fresh, pictures, garments, clips


def windows_stage(network: Network, clips: adapt.ClipFeatures, attention: bool) -> Stage:
    """The aggregation's first stage, or its second behind an untrained first."""
    aggregation.copy_head(network)
    draws = aggregation.WindowDraws(network, clips, aggregation.Windows(schedule=Schedule(steps=6), products=4, others=6))
    if not attention:
        return aggregation.windows(network, clips, draws)
    aggregation.init_block(network.roi_heads.temporal_aggregator)
    return aggregation.attention(network, clips, draws, aggregation.Attention(schedule=Schedule(steps=6)))


@pytest.mark.parametrize("name", ("detector", "heads", "place", "match", "adapt", "windows", "attention"))
def test_every_stage_goes_on_to_the_bit_where_it_was_cut(learner, tmp_path, name):
    fresh, pictures, garments, clips = learner
    six = Schedule(steps=6, warmup=2)

    def make() -> Stage:
        network = fresh()
        head = network.roi_heads.match_predictor
        stage = {
            "detector": lambda: detector.joint(network, pictures, detector.Joint(schedule=six, bank=5, batch=BatchSpec(2, 4, 1))),
            "heads": lambda: detector.heads(network, [pictures], detector.Heads(schedule=six, street=2, shop=1, empty=1)),
            "place": lambda: match.place(head, garments, match.Place(schedule=six, batch=20)),
            "match": lambda: match.match(head, garments, match.Match(schedule=six, products=4, bank=5)),
            "adapt": lambda: adapt.adapt(
                network, clips, adapt.Adapt(schedule=Schedule(steps=6, shape="one_cycle"), products=4, refresh=2)
            ),
            "windows": lambda: windows_stage(network, clips, attention=False),
            "attention": lambda: windows_stage(network, clips, attention=True),
        }[name]()
        assert stage.name == name
        return dataclasses.replace(stage, log_every=3)

    whole = make()
    before = state(whole)
    run(whole, report=lambda _: None)
    assert not same(state(whole), before)
    assert same(state(whole), cut_and_resumed(make, tmp_path / "run", lines=1))
