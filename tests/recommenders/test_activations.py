import pytest
import torch

from recsae_core.recommenders import build
from recsae_core.recommenders.activations import Probed
from recsae_core.recommenders.cases import from_lists, of_users


def towers():
    return build("bprmf", n_items=6, n_users=40, d=4, generator=torch.Generator().manual_seed(1))


def read():
    return from_lists([[1, 2], [3], [4, 5, 0]] * 10)


@pytest.mark.parametrize(
    ("model", "cases"),
    [(towers(), of_users(torch.arange(30))), (build("sasrec-last", n_items=6, d=4), read())],
)
def test_each_pass_holds_every_row_once_with_its_own_way_to_scores(model, cases):
    rows = Probed(model, model.probe, cases, torch.Generator().manual_seed(0), 8)
    first, again = list(rows), list(rows)
    assert [len(stop.h) for stop in first] == [8, 8, 8, 6] and not torch.equal(first[0].h, again[0].h)
    for stops in (first, again):
        h = torch.cat([stop.h for stop in stops])
        assert torch.equal(h.sort(0).values, rows.h.sort(0).values)
    scores = model(cases)
    for stop in again:  # out of order: a stop must not take another's cases
        place = (stop.h[:, None] == rows.h).all(2).int().argmax(1)
        torch.testing.assert_close(stop.finish(stop.h), scores[place], rtol=1e-5, atol=1e-6)
        h = stop.h.clone().requires_grad_()
        stop.finish(h).sum().backward()
        assert h.grad.abs().sum() > 0 and all(p.grad is None for p in model.parameters())


def test_only_what_is_asked_for_is_read_again(monkeypatch):
    model = towers()
    rows = Probed(model, "user", of_users(torch.arange(30)), torch.Generator(), 10)
    asked, before = [], type(model).before
    monkeypatch.setattr(type(model), "before", lambda *given: (asked.append(1), before(*given))[1])
    stops = list(rows)
    assert not asked
    for _ in range(3):
        stops[1].finish(stops[1].h)
    assert len(asked) == 1


def test_items_are_no_cases():
    with pytest.raises(ValueError, match="site 'item': expected a site with one row a case"):
        Probed(towers(), "item", of_users(torch.arange(3)), torch.Generator(), 2)
