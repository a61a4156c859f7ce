"""A tiny training run on drawn rectangles: losses fall, checkpoints resume, figures come out."""

import dataclasses
import itertools
import json

import drawn
import numpy as np
import pytest
import torch

from seamnet.check import evaluate
from seamnet.folder import weights
from seamnet.model import heads
from seamnet.model.network import Network, level_anchors, pool_boxes, propose
from seamnet.train import adapt, data, detector, garment_features, losses, picture_features, refine, window
from seamnet.train import match as matching
from seamnet.train.data import BatchSpec, Pictures, Sample, batch, draws

TINY = detector.Recipe(steps=24, warmup=2, lr=2e-3, body_lr=1e-3, frozen_blocks=2, batch=BatchSpec(2, 4, 1))


def test_training_learns_resumes_and_measures(compact, tmp_path, monkeypatch):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    lines = []
    network = Network(dataclasses.replace(compact.config, score=0.0))
    detector.train(network, pictures, dataclasses.replace(TINY, steps=8), tmp_path / "run", report=lines.append)
    trainer = detector.train(network, pictures, TINY, tmp_path / "run", report=lines.append)
    assert trainer.step_number == 24 and any("resumed at step 8" in line for line in lines)
    log = [json.loads(line) for line in (tmp_path / "run" / "detector-0.log").read_text().splitlines()]
    total = [entry["total"] for entry in log]
    assert np.mean(total[-5:]) < 0.8 * np.mean(total[:3])

    matching.fit_appearance(network, pictures, 1)
    for workers in (1, 2):
        garment_features.build(network, pictures, 3, tmp_path / f"rois-{workers}", workers)
    garments, same = (garment_features.Garments.open(tmp_path / f"rois-{workers}") for workers in (1, 2))
    assert np.array_equal(garments.features, same.features) and garments.street == same.street
    assert any(p % garment_features.COLOURS for p in garments.products()), "no clip has a twin in another colour"
    plain = {product: clips for product, clips in garments.street.items() if product % garment_features.COLOURS == 0}
    assert garments.noisy.keys() == plain.keys() and garments.noisy == same.noisy
    for product, clips in plain.items():
        rows, noisy = ([row for clip in sorted(them) for row in them[clip]] for them in (clips, garments.noisy[product]))
        assert len(rows) == len(noisy) and not np.array_equal(garments.features[rows], garments.features[noisy])
    with monkeypatch.context() as other, pytest.raises(ValueError, match="made from other data"):
        other.setattr(garment_features, "plan", lambda *_: [garment_features.Task(0)])
        garment_features.build(network, pictures, 3, tmp_path / "rois-1")
    head = network.roi_heads.match_predictor
    recipe = matching.Recipe(steps=30, where_steps=3, products=4, warmup=2)
    matching.learn_where(head, garments, recipe, report=lines.append)
    where = {k: v.clone() for k, v in head.where.state_dict().items()}
    matching.begin(head, garments, recipe)
    lines.clear()
    matching.fit(head, garments, recipe, report=lines.append)
    assert all(torch.equal(v, where[k]) for k, v in head.where.state_dict().items())
    assert len(lines) == 1 and bool((head.score_weights()[0] < 0).all())

    monkeypatch.setattr(adapt, "LEAST_SCORE", 0.0)
    monkeypatch.setattr(adapt, "MOST_BOXES", 100)
    seen = adapt.collect(network, pictures, 3)
    assert seen.features.shape[1:] == (network.config.channels + network.config.extra, 14, 14)
    assert all(len(frames) <= 3 for frames in seen.street.values())
    both = adapt.join([adapt.reduce(network, part) for part in (seen, adapt.annotated(garments))])
    assert len(both.features) == len(seen.features) + len(garments.features)
    before = network.roi_heads.match_predictor.linear[0].weight.clone()
    adapt.fit(network, both, adapt.Recipe(steps=4, products=4, refresh=2), report=lines.append)
    assert not torch.equal(before, network.roi_heads.match_predictor.linear[0].weight)
    adapt.begin(network)
    window.fit(network, both, window.Recipe(steps=4, attention_steps=4, products=4, others=6, block_back=0.5), lines.append)
    aggregator = network.roi_heads.temporal_aggregator
    assert bool(aggregator.newnlb.W.weight.any()) and bool(aggregator.attention_scorer.weight.any())
    shared = network.roi_heads.match_predictor.conv_seq.state_dict()
    assert all(torch.equal(v, shared[k]) for k, v in aggregator.conv_seq.state_dict().items())
    torch.save({"model_state_dict": network.state_dict()}, tmp_path / "final.pth")
    weights.load(network, tmp_path / "final.pth")
    figures = evaluate.evaluate(network, pictures, clips=1)
    assert 0 <= figures["ap50"] <= 1 and figures["garments"] == 6


def test_a_garments_mask_goes_where_its_box_goes(tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    for index, image in enumerate(pictures.images):
        if not image["garments"]:
            continue
        sample = pictures.sample(index, (96, 64), np.random.default_rng(index), masks=True)
        assert len(sample.masks) == len(sample.boxes)
        for mask, box in zip(sample.masks, sample.boxes):
            rows, cols = torch.nonzero(mask, as_tuple=True)
            tight = torch.tensor([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1])
            assert bool(((tight - box).abs() <= 1).all()), (image["file"], tight, box)
    (tmp_path / "data" / pictures.images[0]["mask"]).unlink()
    with pytest.raises(FileNotFoundError, match="draw the set again"):
        pictures.sample(0, (96, 64), None, masks=True)


def test_the_match_head_learns_where_the_garment_is(compact):
    rng = np.random.default_rng(0)
    count, channels = 60, compact.config.channels + compact.config.extra
    shares = np.zeros((count, 14, 14), np.uint8)
    for row, edge in enumerate(rng.integers(3, 11, size=count)):
        shares[row, :, :edge] = 255
    features = rng.normal(size=(count, channels, 14, 14)).astype(np.float16)
    features[:, :4] += (shares[:, None] > 0) * np.float16(2)
    garments = garment_features.Garments(features, shares)
    for row in range(0, count, 2):
        garments.shop[row], garments.street[row][0], garments.label[row] = [row], [row + 1], 1
    head = compact.roi_heads.match_predictor
    matching.learn_where(head, garments, matching.Recipe(where_steps=60, where_batch=30, warmup=5), lambda _: None)
    with torch.no_grad():
        right = (head.where(garments.read(range(count)))[:, 0] > 0) == (garments.covered(range(count)) > 0.5)
        assert right.float().mean() > 0.95
        # What lies beside the garment changes nothing of what is pooled over it.
        rois_in = garments.read([0])
        outside = garments.covered([0])[0] < 0.5
        other = rois_in.clone()
        other[:, -1, outside] += 3.0
        pooled = [head.features(x)[:, head.spatial + heads.PALETTE :] for x in (rois_in, other)]
        plain = (other - rois_in).mean(dim=(2, 3))[0, -1]
        moved = (pooled[1] - pooled[0])[0, : 4 * channels].view(channels, 4)[-1].abs()
        assert float(moved.max()) < 0.2 * float(plain)


def test_a_thawed_trunk_learns_behind_its_frozen_blocks_and_goes_part_of_the_way_back(compact, tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    ends = []
    before = {k: v.clone() for k, v in compact.state_dict().items()}
    for back in (0.0, 0.5):
        network = Network(compact.config)
        network.load_state_dict(before)
        recipe = refine.Recipe(steps=3, lr=2e-3, street=2, shop=1, empty=1, thaw=True, back=back)
        refine.fit(network, [pictures], recipe, lambda _: None)
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
    detector.start(network)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    lines = []
    refine.fit(network, [pictures, pictures], refine.Recipe(steps=30, lr=2e-3, street=2, shop=1, empty=1), lines.append)
    after = network.state_dict()
    changed = {k.split(".")[0 if k.startswith("rpn") else 1] for k, v in after.items() if not torch.equal(v, before[k])}
    assert changed == {"rpn", "box_head", "box_predictor"}
    assert float(lines[-1].split("class ")[1].split()[0]) < 0.8 * np.log(14), "no better than chance"


def test_batches_are_the_same_whoever_makes_them(tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))

    def some(first: int, loaders: int, count: int) -> list[torch.Tensor]:
        made = draws(lambda rng: batch(pictures, BatchSpec(2, 2, 1), (128, 64), rng), (3, 0), first, loaders)
        return [torch.stack([sample.image for sample in samples]) for samples in itertools.islice(made, count)]

    one, other, resumed = some(0, 0, 4), some(0, 2, 4), some(2, 0, 2)
    assert all(map(torch.equal, one, other)) and all(map(torch.equal, one[2:], resumed))
    assert not torch.equal(one[0], one[1][: len(one[0])])


def test_proposals_of_a_batch_are_those_of_each_picture(compact):
    sizes = [(128, 64), (90, 64), (128, 31)]
    _, objectness, deltas = compact.trunk(torch.randn(3, 3, 128, 64))
    deltas = [t * 20 for t in deltas]
    anchors = level_anchors(compact.config, (128, 64), [t.shape[-2:] for t in objectness])
    found, valid = detector.proposals_of(compact, torch.tensor(sizes), objectness, deltas, anchors, 15)
    for i, size in enumerate(sizes):
        alone, _ = propose(compact.config, (128, 64), size, [t[i : i + 1] for t in objectness], [t[i : i + 1] for t in deltas])
        assert torch.allclose(found[i][valid[i]], alone[: int(valid[i].sum())], atol=1e-4) and int(valid[i].sum()) == 15


def test_boxes_are_assigned_to_garments_that_show(compact):
    def sample(boxes: list, visible: list) -> Sample:
        n, placed = len(boxes), torch.tensor(boxes).float().reshape(-1, 4)
        return Sample(None, (100, 100), placed, torch.arange(1, n + 1), torch.arange(n), torch.tensor(visible), False)

    truth = losses.Truth.of([sample([[0, 0, 40, 40], [60, 60, 90, 90]], [1.0, 0.1]), sample([], [])])
    candidates = torch.tensor([[0, 0, 40, 38], [0, 0, 20, 40], [60, 60, 90, 80], [0, 60, 20, 90]]).float().expand(2, 4, 4)
    status, nearest = losses.assign(candidates, truth, 0.6, 0.3, rescue=False)
    assert status.tolist() == [[1, -1, -1, 0], [0, 0, 0, 0]] and nearest[0, 0] == 0
    rois, labels, targets, image = losses.box_targets(candidates, torch.ones(2, 4, dtype=torch.bool), truth, 8)
    # The garment itself is a candidate, too, and half a garment is neither: at 0.5 it is one.
    assert sorted(zip(image.tolist(), labels.tolist())) == [(0, 0), (0, 1), (0, 1), *[(1, 0)] * 4]
    assert bool((targets[labels > 0] == torch.tensor([0.0, 0, 40, 40])).all())
    positive, negative = losses.draw(torch.tensor([[1, 1, 1, 0, 0, 0, 0, -1]]), 4, 0.5)
    assert positive.sum() == 2 and negative.sum() == 2 and not bool((positive & negative)[0, 7])


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


def test_a_closer_cut_keeps_boxes_on_their_garments():
    rng = np.random.default_rng(2)
    picture = np.zeros((120, 80, 3), np.uint8)
    picture[30:70, 20:50] = 255
    for _ in range(40):
        cut, (box,) = refine.closer(picture, np.array([[20, 30, 50, 70]], np.float32), rng)
        ys, xs = np.nonzero(cut[..., 0] > 127)
        assert np.abs(box - [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).max() <= 2


def test_stored_features_stand_for_pictures(compact, tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    network = Network(dataclasses.replace(compact.config)).eval()
    blocks = TINY.frozen_blocks
    for workers in (1, 2):
        picture_features.build(network, pictures, blocks, picture_features.Variants(), 5, tmp_path / f"store-{workers}", workers)
    one, two = (picture_features.Stored(tmp_path / f"store-{w}", picture_features.SlotSpec(2, 4, 1)) for w in (1, 2))
    assert one.slots == two.slots and np.array_equal(one.features, two.features)
    kinds = [slot["kind"] for slot in one.slots]
    shop = sum(image["kind"] == "shop" for image in pictures.images)
    assert kinds.count("shop") == shop + -(-shop // 4)

    images = torch.randn(2, 3, *network.config.input_size)
    body = network.backbone.body
    for whole, split in zip(body(images), body.finish(body.begin(images, blocks), blocks)):
        assert torch.equal(whole, split)

    recipe = dataclasses.replace(TINY, steps=3)
    trainer = detector.train(network, one, recipe, tmp_path / "run", report=lambda _: None)
    assert trainer.step_number == 3
    with pytest.raises(ValueError, match="stored from other data"):
        picture_features.build(network, pictures, blocks, picture_features.Variants(street=2), 5, tmp_path / "store-1", 1)


def test_discriminant_finds_what_differs_between_products():
    generator = torch.Generator().manual_seed(1)
    owners = torch.arange(40).repeat_interleave(5)
    products = torch.randn(40, 1, generator=generator).repeat_interleave(5, dim=0)
    x = torch.randn(200, 6, generator=generator).double()
    x[:, 4:5] += 10 * products
    weight, bias, gain = matching.discriminant(x, owners, 3, 0.05)
    seen = x.float() @ weight.T + bias
    assert weight[0].abs().argmax() == 4 and gain[0] > 10 > 3 > gain[1]
    assert torch.allclose(seen.mean(dim=0), torch.zeros(3), atol=1e-4)
    assert torch.allclose(seen.var(dim=0, unbiased=False), torch.ones(3), atol=0.1)


def test_recoloured_products_keep_their_grey():
    picture = np.array([[[200, 30, 30], [90, 90, 90]]], np.uint8)
    assert np.array_equal(garment_features.recoloured(picture, 0), picture)
    other = garment_features.recoloured(picture, 2)
    assert other[0, 0].argmax() == 1 and np.array_equal(other[0, 1], picture[0, 1])


def test_weak_choice_takes_the_best_box_of_each_frame():
    logits = torch.tensor([[0.0, 9], [5, 9], [1, 9], [9, 0], [9, 1], [9, 2]])
    frames = [[[10, 11], [12]], [[13, 14, 15]]]
    assert adapt.weak_choice(logits, frames) == [[1, 2], [5]]


def test_a_folded_norm_and_an_even_block_compute_the_same(compact):
    torch.manual_seed(3)
    head = Network(compact.config).roi_heads.temporal_aggregator.eval()
    head.linear[1].running_mean.normal_()
    head.linear[1].running_var.uniform_(0.5, 2)
    x = torch.randn(7, head.linear[0].in_features)
    before = head.last_layer(x)
    window.fold(head)
    assert torch.allclose(head.last_layer(x), before, atol=1e-4)
    window.even_block(head)
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
    seen = adapt.Seen(features, shop, street)
    torch.nn.init.normal_(head.last.weight, std=0.01, generator=generator)
    matching.keep_distance(head)
    network.eval()
    adapt.begin(network)

    @torch.no_grad()
    def first() -> float:
        aggregator = network.roi_heads.temporal_aggregator
        embeddings = aggregator.last_layer(features)
        queries = torch.stack([aggregator.aggregate(embeddings[60 + 8 * p : 68 + 8 * p])[0] for p in range(60)])
        return float((aggregator.pair_logits(queries, embeddings[:60]).argmax(1) == torch.arange(60)).float().mean())

    before = first()
    begun = head.linear[0].weight[:, 0] / torch.sqrt(head.linear[1].running_var + head.linear[1].eps) * head.linear[1].weight
    window.fit(network, seen, window.Recipe(steps=60, attention_steps=30, products=30, others=60, back=0.0), lambda _: None)
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

    def belief(seen: adapt.Seen) -> float:
        """Attention to the broken frames of a window in which they are half."""
        network = Network(compact.config)
        network.load_state_dict(compact.state_dict())
        head = network.roi_heads.match_predictor
        torch.nn.init.constant_(head.last.weight[0], 0.01)
        torch.nn.init.constant_(head.last.weight[1], -0.01)
        network.eval()
        adapt.begin(network)
        recipe = window.Recipe(steps=10, attention_steps=150, products=30, others=60, attention_lr=1e-2)
        window.fit(network, seen, recipe, lambda _: None)
        with torch.no_grad():
            embeddings = network.roi_heads.temporal_aggregator.last_layer(broken.flatten(0, 1)).view(products, frames, -1)
            return float(network.roi_heads.temporal_aggregator.aggregate(embeddings)[1][:, ::2].sum(dim=1).mean())

    assert belief(adapt.Seen(features, shop, street, noisy)) < 0.05 < 0.3 < belief(adapt.Seen(features, shop, street))


def test_published_noise_has_its_strengths_and_half_the_resolution(monkeypatch):
    monkeypatch.setattr(data, "in_another_light", lambda picture, rng: picture.astype(np.float32))
    grey = np.full((64, 48, 3), 128, np.uint8)
    noisy = [data.in_published_noise(grey, np.random.default_rng(seed)) for seed in range(200)]
    assert all(picture.shape == (32, 24, 3) and 0 <= picture.min() and picture.max() <= 255 for picture in noisy)
    # A pixel is the mean of four: half their deviation.
    deviations = np.array([2 * picture.std() / 255 for picture in noisy])
    strong = deviations > 0.15
    assert 0.15 < strong.mean() < 0.35
    assert np.allclose(deviations[~strong], 0.05, atol=0.01) and np.allclose(deviations[strong], 0.25, atol=0.03)


def test_augmented_boxes_stay_in_the_picture(tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    rng = np.random.default_rng(3)
    for index in range(len(pictures.images)):
        sample = pictures.sample(index, (128, 64), rng)
        if len(sample.boxes):
            assert float(sample.boxes[:, 2].max()) <= sample.size[1]
            assert float(sample.boxes[:, 3].max()) <= sample.size[0]
        outside = sample.image.clone()
        outside[:, : sample.size[0], : sample.size[1]] = 0
        assert float(outside.abs().max()) == 0


def test_rank_loss_prefers_the_right_order():
    same = torch.tensor([[True, False], [False, True]])
    good, bad = torch.tensor([[4.0, -4], [-4, 4]]), torch.tensor([[-4.0, 4], [4, -4]])
    assert losses.rank_loss(good, same) < 0.01 < losses.rank_loss(bad, same)
    assert losses.pair_loss(good, same) < losses.pair_loss(bad, same)


def test_average_precision():
    assert evaluate.average_precision([0.9, 0.8, 0.7], [True, False, True], 2) == 0.5 + 0.5 * 2 / 3


def test_confusion_counts_what_each_class_is_told_to_be():
    told = [(1, 1), (1, 1), (1, 1), (1, 2), (2, 2)]
    assert evaluate.confusion(told, ("shirt", "vest")) == {"shirt": {"shirt": 0.75, "vest": 0.25}, "vest": {"vest": 1.0}}


def test_open_set_threshold_lies_between_own_and_others():
    found = evaluate.open_set([3.0, 4.0, 5.0, 6.0], [-2.0, -1.0, 0.0, 3.5])
    assert 0.0 < found["logit"] <= 4.0
    assert found["wrong_rejections"] <= 0.25 and found["wrong_acceptances"] <= 0.25
    rejected = [row[1] for row in found["curve"]]
    assert rejected == sorted(rejected)
