"""The stages of training on drawn rectangles: losses fall, what should rest stays, figures come out."""

import dataclasses
import json

import drawn
import numpy as np
import pytest
import torch

from seamnet.check import evaluate
from seamnet.folder import weights

from seamnet.model.detection import level_anchors, pool_boxes, propose
from seamnet.model.network import PALETTE, Network
from seamnet.train import adapt, aggregation, detector, features, losses, match
from seamnet.train.data import BatchSpec, Pictures
from seamnet.train.loop import Averaging, Schedule, run

TINY = detector.Joint(lr=2e-3, body_lr=1e-3, frozen_blocks=2, batch=BatchSpec(2, 4, 1))


def train_aggregation(network: Network, clips: adapt.ClipFeatures, windows: aggregation.Windows, attention: aggregation.Attention) -> None:
    """Both stages of the aggregation."""
    draws = aggregation.WindowDraws(network, clips, windows)
    run(aggregation.windows(network, clips, draws), report=lambda _: None)
    run(aggregation.attention(network, clips, draws, attention), report=lambda _: None)


def test_training_learns_resumes_and_measures(compact, tmp_path, monkeypatch):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    lines = []
    network = Network(dataclasses.replace(compact.config, score=0.0))
    for steps in (8, 24):
        numbers = dataclasses.replace(TINY, schedule=Schedule(steps=steps, warmup=2))
        stage = dataclasses.replace(detector.joint(network, pictures, numbers), log_every=1)
        run(stage, tmp_path / "run", lines.append)
    assert any(line.startswith("detector: resumed at step 8") for line in lines)
    log = [json.loads(line) for line in (tmp_path / "run" / "detector.log").read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(1, 25)) and log[0]["stage"] == "detector"
    total = [entry["total"] for entry in log]
    assert np.mean(total[-5:]) < 0.8 * np.mean(total[:3])

    detector.fit_appearance(network, pictures, 1)
    for workers in (1, 2):
        features.build_garments(network, pictures, 3, tmp_path / f"rois-{workers}", workers)
    garments, same = (features.Garments.open(tmp_path / f"rois-{workers}") for workers in (1, 2))
    assert np.array_equal(garments.features, same.features) and garments.street == same.street
    colours = features.COLOURS
    assert any(p % colours for p in garments.products()), "no clip has a twin in another colour"
    plain = {product: worn for product, worn in garments.street.items() if product % colours == 0}
    assert garments.noisy.keys() == plain.keys() and garments.noisy == same.noisy
    for product, worn in plain.items():
        rows, noisy = ([row for clip in sorted(them) for row in them[clip]] for them in (worn, garments.noisy[product]))
        assert len(rows) == len(noisy) and not np.array_equal(garments.features[rows], garments.features[noisy])
    with monkeypatch.context() as other, pytest.raises(ValueError, match="made from other data"):
        other.setattr(features, "garment_versions", lambda *_: [features.Version(0)])
        features.build_garments(network, pictures, 3, tmp_path / "rois-1")
    head = network.roi_heads.match_predictor
    run(match.place(head, garments, match.Place(schedule=Schedule(steps=3, warmup=2))), report=lines.append)
    where = {k: v.clone() for k, v in head.where.state_dict().items()}
    match.init_match_head(head, garments, 1, 0.2, 0.03)
    lines.clear()
    run(match.match(head, garments, match.Match(schedule=Schedule(steps=30, warmup=2), products=4)), report=lines.append)
    assert all(torch.equal(v, where[k]) for k, v in head.where.state_dict().items())
    assert len(lines) == 2 and bool((head.score_weights()[0] < 0).all())

    monkeypatch.setattr(adapt, "LEAST_SCORE", 0.0)
    monkeypatch.setattr(adapt, "MOST_BOXES", 100)
    seen = adapt.collect(network, pictures, 3)
    assert seen.features.shape[1:] == (network.config.channels + network.config.extra, 14, 14)
    assert all(len(frames) <= 3 for frames in seen.street.values())
    both = adapt.join([adapt.pooled(network, part) for part in (seen, adapt.annotated(garments))])
    assert len(both.features) == len(seen.features) + len(garments.features)
    before = network.roi_heads.match_predictor.linear[0].weight.clone()
    numbers = adapt.Adapt(schedule=Schedule(steps=4, shape="one_cycle"), products=4, refresh=2)
    run(adapt.adapt(network, both, numbers), report=lines.append)
    assert not torch.equal(before, network.roi_heads.match_predictor.linear[0].weight)
    aggregation.copy_head(network)
    windows = aggregation.Windows(schedule=Schedule(steps=4), products=4, others=6)
    train_aggregation(network, both, windows, aggregation.Attention(schedule=Schedule(steps=4), block_back=0.5))
    aggregator = network.roi_heads.temporal_aggregator
    assert bool(aggregator.newnlb.W.weight.any()) and bool(aggregator.attention_scorer.weight.any())
    shared = network.roi_heads.match_predictor.conv_seq.state_dict()
    assert all(torch.equal(v, shared[k]) for k, v in aggregator.conv_seq.state_dict().items())
    torch.save({"model_state_dict": network.state_dict()}, tmp_path / "final.pth")
    weights.load(network, tmp_path / "final.pth")
    figures = evaluate.evaluate(network, pictures, clips=1)
    assert 0 <= figures["ap50"] <= 1 and figures["garments"] == 6


def test_the_match_head_learns_where_the_garment_is(compact):
    rng = np.random.default_rng(0)
    count, channels = 60, compact.config.channels + compact.config.extra
    shares = np.zeros((count, 14, 14), np.uint8)
    for row, edge in enumerate(rng.integers(3, 11, size=count)):
        shares[row, :, :edge] = 255
    rois = rng.normal(size=(count, channels, 14, 14)).astype(np.float16)
    rois[:, :4] += (shares[:, None] > 0) * np.float16(2)
    garments = features.Garments(rois, shares)
    for row in range(0, count, 2):
        garments.shop[row], garments.street[row][0], garments.label[row] = [row], [row + 1], 1
    head = compact.roi_heads.match_predictor
    run(match.place(head, garments, match.Place(schedule=Schedule(steps=60, warmup=5), batch=30)), report=lambda _: None)
    with torch.no_grad():
        right = (head.where(garments.read(range(count)))[:, 0] > 0) == (garments.covered(range(count)) > 0.5)
        assert right.float().mean() > 0.95
        # What lies beside the garment changes nothing of what is pooled over it.
        rois_in = garments.read([0])
        outside = garments.covered([0])[0] < 0.5
        other = rois_in.clone()
        other[:, -1, outside] += 3.0
        pooled = [head.features(x)[:, head.spatial + PALETTE :] for x in (rois_in, other)]
        plain = (other - rois_in).mean(dim=(2, 3))[0, -1]
        moved = (pooled[1] - pooled[0])[0, : 4 * channels].view(channels, 4)[-1].abs()
        assert float(moved.max()) < 0.2 * float(plain)


def heads_numbers(steps: int, **others) -> detector.Heads:
    """Numbers for a few steps of the detector's heads."""
    return detector.Heads(schedule=Schedule(steps=steps, warmup=30), lr=2e-3, street=2, shop=1, empty=1, **others)


def test_a_thawed_trunk_learns_behind_its_frozen_blocks_and_goes_part_of_the_way_back(compact, tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    ends = []
    before = {k: v.clone() for k, v in compact.state_dict().items()}
    for back in (0.0, 0.5):
        network = Network(compact.config)
        network.load_state_dict(before)
        averaging = Averaging(decay=0.995, back=back)
        run(detector.heads(network, [pictures], heads_numbers(3, averaging=averaging, thaw=True)), report=lambda _: None)
        ends.append(network.state_dict())
    changed = {k for k, v in ends[0].items() if not torch.equal(v, before[k])}
    assert any(k.startswith("backbone.fpn") for k in changed) and "backbone.body.blocks.6.project.weight" in changed
    still = ("backbone.body.stem", "backbone.body.blocks.5", "appearance", "roi_heads.match", "roi_heads.temporal")
    assert not any(k.startswith(still) for k in changed)
    for k in changed:
        assert torch.allclose(ends[1][k], (ends[0][k] + before[k]) / 2, atol=1e-6), k


def test_heads_learn_and_what_the_match_heads_see_stays(compact, tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    network = Network(compact.config)
    detector.init_heads(network)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    lines = []
    run(detector.heads(network, [pictures, pictures], heads_numbers(30)), report=lines.append)
    after = network.state_dict()
    changed = {k.split(".")[0 if k.startswith("rpn") else 1] for k, v in after.items() if not torch.equal(v, before[k])}
    assert changed == {"rpn", "box_head", "box_predictor"}
    assert float(lines[-1].split("class ")[1].split()[0]) < 0.8 * np.log(14), "no better than chance"


def test_proposals_of_a_batch_are_those_of_each_picture(compact):
    sizes = [(128, 64), (90, 64), (128, 31)]
    _, objectness, deltas = compact.trunk(torch.randn(3, 3, 128, 64))
    deltas = [t * 20 for t in deltas]
    anchors = level_anchors(compact.config, (128, 64), [t.shape[-2:] for t in objectness])
    found, valid = detector.proposals_of(compact, torch.tensor(sizes), objectness, deltas, anchors, 15)
    for i, size in enumerate(sizes):
        alone, _ = propose(compact.config, (128, 64), size, [t[i : i + 1] for t in objectness], [t[i : i + 1] for t in deltas])
        assert torch.allclose(found[i][valid[i]], alone[: int(valid[i].sum())], atol=1e-4) and int(valid[i].sum()) == 15


def test_context_counts_nothing_at_first_and_is_of_the_box_before_it(compact):
    network = compact
    compact = Network(dataclasses.replace(compact.config, context=0.0)).eval()
    compact.load_state_dict(network.state_dict(), strict=False)
    levels = compact.trunk(torch.randn(1, 3, 128, 64))[0]
    rois = torch.tensor([[10.0, 20, 30, 60], [0, 0, 64, 100]])
    plain, both = (pool_boxes(n.config, levels, rois, (128, 64)) for n in (compact, network))
    assert torch.equal(both[::2], plain)
    grown = torch.tensor([[0.0, 0, 40, 80], [-32, -50, 96, 150]])
    assert torch.allclose(both[1::2], pool_boxes(compact.config, levels, grown, (128, 64)))
    assert all(map(torch.equal, network.box(both), compact.box(plain)))
    torch.nn.init.normal_(network.roi_heads.box_head.fc6_context.weight)
    assert not torch.equal(network.box(both)[0], compact.box(plain)[0])


def test_discriminant_finds_what_differs_between_products():
    generator = torch.Generator().manual_seed(1)
    owners = torch.arange(40).repeat_interleave(5)
    products = torch.randn(40, 1, generator=generator).repeat_interleave(5, dim=0)
    x = torch.randn(200, 6, generator=generator).double()
    x[:, 4:5] += 10 * products
    weight, bias, gain = match.discriminant(x, owners, 3, 0.05)
    seen = x.float() @ weight.T + bias
    assert weight[0].abs().argmax() == 4 and gain[0] > 10 > 3 > gain[1]
    assert torch.allclose(seen.mean(dim=0), torch.zeros(3), atol=1e-4)
    assert torch.allclose(seen.var(dim=0, unbiased=False), torch.ones(3), atol=0.1)


def test_weak_choice_takes_the_best_box_of_each_frame():
    logits = torch.tensor([[0.0, 9], [5, 9], [1, 9], [9, 0], [9, 1], [9, 2]])
    frames = [[[10, 11], [12]], [[13, 14, 15]]]
    assert adapt.most_alike(logits, frames) == [[1, 2], [5]]


def test_a_folded_norm_and_an_even_block_compute_the_same(compact):
    torch.manual_seed(3)
    head = Network(compact.config).roi_heads.temporal_aggregator.eval()
    head.linear[1].running_mean.normal_()
    head.linear[1].running_var.uniform_(0.5, 2)
    x = torch.randn(7, head.linear[0].in_features)
    before = head.last_layer(x)
    aggregation.fold_batch_norm(head)
    assert torch.allclose(head.last_layer(x), before, atol=1e-4)
    aggregation.init_block(head)
    torch.nn.init.zeros_(head.attention_scorer.weight)
    assert torch.allclose(head.aggregate(before)[0], before.mean(dim=0), atol=1e-4)
    # With f = 1 the block is a linear map of the mean.
    torch.nn.init.normal_(head.newnlb.W.weight)
    expected = head.newnlb.W.weight[:, :, 0] @ (head.newnlb.g.weight[:, :, 0] @ before.mean(0) + head.newnlb.g.bias)
    assert torch.allclose(head.newnlb(before) - before, expected.expand(7, -1), atol=1e-3)


def test_windows_teach_to_look_past_what_changes_from_frame_to_frame(compact):
    generator = torch.Generator().manual_seed(4)
    network = Network(compact.config)
    head = network.roi_heads.match_predictor
    width = head.linear[0].in_features
    kinds = torch.randn(60, width, generator=generator)
    kinds[:, width // 2 :] = 0
    noise = torch.randn(60, 8, width, generator=generator) * 25
    noise[..., : width // 2] *= 0.03
    features = torch.cat([kinds, (kinds[:, None] + noise).flatten(0, 1)])
    features[:, 0] *= 1e-6  # hardly ever there: nothing is learnt of it
    shop = {p: [p] for p in range(60)}
    street = {(p, p): [[60 + 8 * p + k] for k in range(8)] for p in range(60)}
    seen = adapt.ClipFeatures(features, shop, street)
    torch.nn.init.normal_(head.last.weight, std=0.01, generator=generator)
    losses.constrain_distance(head)
    network.eval()
    aggregation.copy_head(network)

    @torch.no_grad()
    def first() -> float:
        aggregator = network.roi_heads.temporal_aggregator
        embeddings = aggregator.last_layer(features)
        queries = torch.stack([aggregator.aggregate(embeddings[60 + 8 * p : 68 + 8 * p])[0] for p in range(60)])
        return float((aggregator.pair_logits(queries, embeddings[:60]).argmax(1) == torch.arange(60)).float().mean())

    before = first()
    begun = head.linear[0].weight[:, 0] / torch.sqrt(head.linear[1].running_var + head.linear[1].eps) * head.linear[1].weight
    windows = aggregation.Windows(schedule=Schedule(steps=60), averaging=Averaging(decay=0.98), products=30, others=60)
    train_aggregation(network, seen, windows, aggregation.Attention(schedule=Schedule(steps=30)))
    assert first() > max(before + 0.1, 0.5), before
    assert torch.allclose(network.roi_heads.temporal_aggregator.linear[0].weight[:, 0], begun, atol=1e-5)


def test_noisy_windows_teach_not_to_believe_broken_frames(compact):
    generator = torch.Generator().manual_seed(5)
    width, products, frames = compact.roi_heads.match_predictor.linear[0].in_features, 60, 8
    kinds = torch.randn(products, width, generator=generator)
    worn = kinds[:, None] + 0.3 * torch.randn(products, frames, width, generator=generator)
    broken = worn.clone()
    # Every second frame shows nothing of the garment, and all of those look alike.
    broken[:, ::2] = torch.randn(products, frames // 2, width, generator=generator) + torch.randn(width, generator=generator)
    features = torch.cat([kinds, worn.flatten(0, 1), broken.flatten(0, 1)])
    shop = {p: [p] for p in range(products)}
    street, noisy = (
        {(p, p): [[first + frames * p + k] for k in range(frames)] for p in range(products)}
        for first in (products, products * (1 + frames))
    )

    def belief(seen: adapt.ClipFeatures) -> float:
        """Attention to the broken frames of a window in which they are half."""
        network = Network(compact.config)
        network.load_state_dict(compact.state_dict())
        head = network.roi_heads.match_predictor
        torch.nn.init.constant_(head.last.weight[0], 0.01)
        torch.nn.init.constant_(head.last.weight[1], -0.01)
        network.eval()
        aggregation.copy_head(network)
        windows = aggregation.Windows(schedule=Schedule(steps=10), products=30, others=60)
        train_aggregation(network, seen, windows, aggregation.Attention(schedule=Schedule(steps=150), lr=1e-2))
        with torch.no_grad():
            embeddings = network.roi_heads.temporal_aggregator.last_layer(broken.flatten(0, 1)).view(products, frames, -1)
            return float(network.roi_heads.temporal_aggregator.aggregate(embeddings)[1][:, ::2].sum(dim=1).mean())

    plain, noisy_too = adapt.ClipFeatures(features, shop, street), adapt.ClipFeatures(features, shop, street, noisy)
    assert belief(noisy_too) < 0.05 < 0.3 < belief(plain)
