"""What a recommender with one deciding row a case gets from its base class."""

import pytest
import torch

from recsae_core.recommenders import build
from recsae_core.recommenders.base import Recommender, Split, check_histories
from recsae_core.recommenders.cases import from_lists

from .contract import N_ITEMS, ragged


class Bag(Recommender):
    """Scores by the mean embedding of a history; its rows stand in the reverse order of the cases."""

    sites, n_items = {"row": 6, "pair": 6}, N_ITEMS

    def __init__(self):
        super().__init__()
        self.item = torch.nn.Parameter(torch.randn(N_ITEMS, 6, generator=torch.Generator().manual_seed(0)))

    def before(self, site, cases, items=None):
        if site not in self.sites:
            return super().before(site, cases, items)
        history = check_histories(cases, N_ITEMS)
        real = (history >= 0)[..., None]
        h = ((self.item[history.clamp(min=0)] * real).sum(1) / real.sum(1)).detach().flip(0)
        case = torch.arange(len(cases)).flip(0)
        last = torch.ones(len(case), dtype=torch.bool)
        if site == "pair":  # two rows decide together
            h, case, last = h.repeat(2, 1) / 2, case.repeat(2), last.repeat(2)
        weight = self.item.detach() if items is None else self.item.detach()[items]

        def finish(h):
            return torch.zeros(len(cases), h.shape[1], dtype=h.dtype).index_add(0, case, h) @ weight.T

        return Split(h, case, torch.full_like(case, -1), last, finish)

    def forward(self, cases, items=None):
        split = self.before("row", cases, items)
        return split.finish(split.h)


def test_a_tail_of_one_is_what_decides_each_case_in_order():
    model, cases = Bag(), ragged()
    tail = model.tail("row", cases, items=torch.tensor([3, 1]))
    assert torch.equal(tail.case, torch.arange(len(cases))) and tail.last.all()
    torch.testing.assert_close(tail.finish(tail.h), model(cases, torch.tensor([3, 1])))
    h = tail.h.clone().requires_grad_()
    tail.finish(h)[2].sum().backward()
    assert h.grad[2].any() and not h.grad[[i for i in range(len(cases)) if i != 2]].any()


def test_what_is_no_tail_is_refused():
    with pytest.raises(ValueError, match="positions=2: Bag decides one list a case: expected 1"):
        Bag().tail("row", ragged(), 2)
    with pytest.raises(ValueError, match="site 'pair': no single row decides a case's list: use before"):
        Bag().tail("pair", ragged())
    with pytest.raises(ValueError, match="site 'nowhere': Bag has row, pair"):
        Bag().tail("nowhere", ragged())
    with pytest.raises(ValueError, match="site 'row': MostPopular has no site"):
        build("most-popular", n_items=N_ITEMS).tail("row", from_lists([[1]]))
    tail = Bag().tail("row", ragged())
    with pytest.raises(ValueError, match="h has shape"):
        tail.finish(tail.h[1:])
