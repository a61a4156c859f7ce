"""Training data: pictures, masks, augmentation, batches, stored features."""

import dataclasses
import itertools

import drawn
import numpy as np
import pytest
import torch

from seamnet.model.network import Network
from seamnet.train import augment, features
from seamnet.train.data import BatchSpec, Pictures, batch, numbered_batches


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
    with pytest.raises(FileNotFoundError, match="generate the set again"):
        pictures.sample(0, (96, 64), None, masks=True)


def test_batches_are_the_same_whoever_makes_them(tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))

    def some(first: int, loaders: int, count: int) -> list[torch.Tensor]:
        made = numbered_batches(lambda rng: batch(pictures, BatchSpec(2, 2, 1), (128, 64), rng), (3, 0), first, loaders)
        return [torch.stack([sample.image for sample in samples]) for samples in itertools.islice(made, count)]

    one, other, resumed = some(0, 0, 4), some(0, 2, 4), some(2, 0, 2)
    assert all(map(torch.equal, one, other)) and all(map(torch.equal, one[2:], resumed))
    assert not torch.equal(one[0], one[1][: len(one[0])])


def test_a_closer_cut_keeps_boxes_on_their_garments():
    rng = np.random.default_rng(2)
    picture = np.zeros((120, 80, 3), np.uint8)
    picture[30:70, 20:50] = 255
    for _ in range(40):
        cut, (box,) = augment.closer(picture, np.array([[20, 30, 50, 70]], np.float32), rng)
        ys, xs = np.nonzero(cut[..., 0] > 127)
        assert np.abs(box - [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).max() <= 2


def test_stored_features_stand_for_pictures(compact, tmp_path):
    pictures = Pictures(drawn.write(tmp_path / "data"))
    network = Network(dataclasses.replace(compact.config)).eval()
    blocks = 2
    for workers in (1, 2):
        features.build_pictures(network, pictures, blocks, features.Variants(), 5, tmp_path / f"store-{workers}", workers)
    one, two = (features.PictureFeatures(tmp_path / f"store-{w}", features.SlotSpec(2, 4, 1)) for w in (1, 2))
    assert one.slots == two.slots and np.array_equal(one.features, two.features)
    kinds = [slot["kind"] for slot in one.slots]
    shop = sum(image["kind"] == "shop" for image in pictures.images)
    assert kinds.count("shop") == shop + -(-shop // 4)

    images = torch.randn(2, 3, *network.config.input_size)
    body = network.backbone.body
    for whole, split in zip(body(images), body.finish(body.begin(images, blocks), blocks)):
        assert torch.equal(whole, split)

    def again(variants: features.Variants = features.Variants()) -> None:
        features.build_pictures(network, pictures, blocks, variants, 5, tmp_path / "store-1", 1)

    again()
    with pytest.raises(ValueError, match="store-1: made from other data or by other weights; remove the folder"):
        again(features.Variants(street=2))
    body.blocks[blocks - 1].project.weight.data += 0.1
    with pytest.raises(ValueError, match="other weights"):
        again()


def test_recoloured_products_keep_their_grey():
    picture = np.array([[[200, 30, 30], [90, 90, 90]]], np.uint8)
    assert np.array_equal(augment.recoloured(picture, 0), picture)
    other = augment.recoloured(picture, 2)
    assert other[0, 0].argmax() == 1 and np.array_equal(other[0, 1], picture[0, 1])


def test_published_noise_has_its_strengths_and_half_the_resolution(monkeypatch):
    monkeypatch.setattr(augment, "in_another_light", lambda picture, rng: picture.astype(np.float32))
    grey = np.full((64, 48, 3), 128, np.uint8)
    noisy = [augment.in_published_noise(grey, np.random.default_rng(seed)) for seed in range(200)]
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


def test_a_file_that_grows_by_lines_loses_the_half_line_of_a_killed_run(tmp_path):
    path = tmp_path / "views.jsonl"
    assert features.whole_lines(path) == []
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a"')
    assert features.whole_lines(path) == ['{"a": 1}', '{"a": 2}'] and path.read_bytes().endswith(b"2}\n")
    path.write_bytes(b'{"a"')
    assert features.whole_lines(path) == [] and path.read_bytes() == b""
