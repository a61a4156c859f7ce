"""Losses: which box is a garment, and in which order products should come."""

import torch

from seamnet.train import losses
from seamnet.train.data import Sample


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


def test_rank_loss_prefers_the_right_order():
    same = torch.tensor([[True, False], [False, True]])
    good, bad = torch.tensor([[4.0, -4], [-4, 4]]), torch.tensor([[-4.0, 4], [4, -4]])
    assert losses.rank_loss(good, same) < 0.01 < losses.rank_loss(bad, same)
    assert losses.pair_loss(good, same) < losses.pair_loss(bad, same)


def test_the_bank_holds_the_last_picture_of_each_product_and_drops_the_oldest():
    bank = losses.Bank(3, 1)
    bank.add(torch.tensor([[1.0], [2.0], [1.5]]), torch.tensor([1, 2, 1]))
    assert bank.products.tolist() == [2, 1] and bank.embeddings.flatten().tolist() == [2.0, 1.5]
    bank.add(torch.tensor([[3.0], [2.5], [4.0]]), torch.tensor([3, 2, 4]))
    assert bank.products.tolist() == [3, 2, 4] and bank.embeddings.flatten().tolist() == [3.0, 2.5, 4.0]
    again = losses.Bank(3, 1)
    again.load_state_dict(bank.state_dict())
    assert torch.equal(again.products, bank.products)
