"""The measurement of adaptation to a shop: what it enrols, how it ranks, and that it learns."""

import copy

import torch
from seamnet.check import learning
from seamnet.check.learning import Numbers, Search, Shop

WIDTH = 4


def head_of(compact):
    """A head whose embedding is its features, on a line: the score is minus the squared distance."""
    head = copy.deepcopy(compact.roi_heads.temporal_aggregator).eval().requires_grad_(False)
    size = head.linear[0].out_features
    head.linear[0] = torch.nn.Linear(WIDTH, size)
    torch.nn.init.eye_(head.linear[0].weight)
    torch.nn.init.zeros_(head.linear[0].bias)
    head.linear[1] = torch.nn.BatchNorm1d(size).eval()
    head.linear[1].weight.data.fill_((1 + head.linear[1].eps) ** 0.5)
    for layer in (head.last, head.attention_scorer):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    head.last.weight.data[1] = -1.0
    return head.requires_grad_(False)


def test_an_enrolment_wants_the_whole_garment_but_not_its_lower_end():
    assert learning.whole([10, 10, 60, 100], (100, 100))
    assert not learning.whole([0, 10, 60, 90], (100, 100)) and not learning.whole([10, 0.2, 60, 90], (100, 100))


def test_views_are_the_surest_and_then_the_least_alike(compact):
    head = head_of(compact)
    views = head.last_layer(torch.tensor([[0.1], [0.0], [5.0], [9.0]]) * torch.eye(WIDTH)[0])
    assert learning.spread(head, views, 3) == [0, 3, 2]
    assert learning.spread(head, views, 9) == [0, 3, 2, 1]


def test_worn_views_count_as_in_the_program(compact):
    # Two products at 0 and 2; the second was worn, and looks then like 1.4 (src/evaluation/worn.rs has the same case).
    features = torch.tensor([0.0, 2.0, 1.4, 0.8])[:, None] * torch.eye(WIDTH)[0]
    shop = Shop(features, [1, 1, 1, 1], [1.0] * 4, {1: 0, 2: 1}, {}, {}, {1: [[3]]})
    search = Search(shop, head_of(compact), {2: [2]})
    assert search.ranks([]).tolist() == [1]
    assert search.ranks([2], offset=0.0).tolist() == [2]
    assert search.ranks([2], offset=-0.5).tolist() == [1]
    assert search.ranks([2], offset=0.0, only=[1]).tolist() == [1]
    below = Shop(features, [8, 1, 1, 1], [1.0] * 4, {1: 0, 2: 1}, {}, {}, {1: [[3]]})
    assert Search(below, head_of(compact), {}).ranks([]).tolist() == [3], "trousers are not searched for a shirt"


def test_what_differs_between_studio_and_mirror_is_learned_and_can_be_taken_back(compact):
    torch.manual_seed(1)
    looks = torch.randn(60, 2)
    # The last two values are others each time, and large: they say nothing of the product.
    studio = torch.cat([looks, 3 * torch.randn(60, 2)], dim=1)
    worn = torch.cat([looks[:, None].expand(-1, 9, -1), 3 * torch.randn(60, 9, 2)], dim=2)
    shop = Shop(torch.cat([studio, worn.flatten(0, 1)]), [1] * 600, [1.0] * 600, {p: p for p in range(60)})
    rows = {p: list(range(60 + 9 * p, 69 + 9 * p)) for p in range(60)}
    shop.queries.update({p: [[rows[p][8]]] for p in range(30, 60)})
    old = head_of(compact)
    new = learning.adapt(shop, old, {p: rows[p][:8] for p in range(30)}, Numbers(steps=150, lr=0.05), 1)
    before, after = (Search(shop, head, {}).ranks([]).float().log().mean() for head in (old, new))
    assert after < before - 0.5, "products that were not worn are found better, too"
    back = learning.between(new, old, 1.0)
    assert all(torch.equal(p, q) for p, q in zip(back.parameters(), old.parameters()))


def test_an_interval_counts_products_and_not_queries():
    values = torch.tensor([1.0, 1.0, 0.0, 0.0])
    mean, low, high = learning.interval(values, torch.tensor([1, 1, 2, 2]))
    assert (mean, low, high) == (0.5, 0.0, 1.0)
    assert learning.interval(torch.ones(4), torch.arange(4)) == (1.0, 1.0, 1.0)
