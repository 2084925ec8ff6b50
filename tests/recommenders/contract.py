"""What must hold for every recommender, and for every site of those that have one.

A subclass supplies a fixture ``model``; ``cases`` are ragged and may be replaced by what the model reads.
"""

import copy
import dataclasses

import pytest
import torch

from recsae_core import recommenders
from recsae_core.recommenders.activations import collect
from recsae_core.recommenders.base import Cases
from recsae_core.recommenders.cases import from_lists

N_ITEMS = 30


class Toy:
    """A dictionary that reconstructs badly: an edit that forgot the error would show."""

    def __init__(self, d: int, m: int = 7) -> None:
        g = torch.Generator().manual_seed(5)
        self.directions = torch.randn(m, d, generator=g)

    def encode(self, x):
        return torch.relu(x @ self.directions.T)

    def decode(self, z):
        return z @ self.directions


def ragged(seed: int = 0, n: int = 9, longest: int = 12) -> Cases:
    g = torch.Generator().manual_seed(seed)
    lengths = [1, longest, *torch.randint(1, longest + 1, (n - 2,), generator=g).tolist()]
    return from_lists([torch.randint(0, N_ITEMS, (t,), generator=g).tolist() for t in lengths])


def assert_same_scores(a, b):
    """The same scores to float32's precision, and the same ranking."""
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    assert torch.equal(a.argsort(dim=1, stable=True), b.argsort(dim=1, stable=True))


def assert_first_law(model, site, cases, items=None):
    split = model.before(site, cases, items)
    assert_same_scores(split.finish(split.h), model(cases, items))


class RecommenderContract:
    """The model's side of the contract; every test runs in evaluation mode."""

    @pytest.fixture
    def cases(self):
        return ragged()

    def test_scores_have_a_row_a_case_and_a_column_an_item(self, model, cases):
        scores = model(cases)
        assert scores.shape == (len(cases), N_ITEMS) and scores.isfinite().all()
        items = torch.tensor([4, 0, 4, 29])
        torch.testing.assert_close(model(cases, items), scores[:, items], rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("item", [-1, N_ITEMS])
    def test_refuses_items_it_does_not_have(self, model, cases, item):
        with pytest.raises(ValueError, match=r"items holds .* expected 0 to 29"):
            model(cases, torch.tensor([0, item]))

    def test_batching_and_padding_do_not_matter(self, model, cases):
        whole = model(cases)
        one_by_one = torch.cat([model(cases[i : i + 1]) for i in range(len(cases))])
        torch.testing.assert_close(one_by_one, whole, rtol=1e-5, atol=1e-5)
        wider = dataclasses.replace(cases, history=torch.nn.functional.pad(cases.history, (0, 5), value=-1))
        torch.testing.assert_close(model(wider), whole, rtol=1e-6, atol=1e-6)

    def test_saved_and_loaded_it_scores_bit_equal(self, model, cases, tmp_path):
        recommenders.save(model, tmp_path / "model")
        state = torch.get_rng_state()
        loaded = recommenders.load(tmp_path / "model")
        assert torch.equal(torch.get_rng_state(), state), "loading must not draw from the global generator"
        assert type(loaded) is type(model) and loaded.config == model.config and not loaded.training
        assert torch.equal(loaded(cases), model(cases))

    def test_writes_to_no_input(self, model, cases):
        before = copy.deepcopy(cases)
        model(cases)
        for site in model.sites:
            split = model.before(site, cases)
            h = split.h.clone()
            split.finish(h)
            assert torch.equal(h, split.h)
        assert torch.equal(cases.history, before.history) and torch.equal(cases.user, before.user)

    def test_a_site_it_lacks_is_refused_by_name(self, model, cases):
        with pytest.raises(ValueError, match="site 'nowhere'"):
            model.before("nowhere", cases)


class SplitContract(RecommenderContract):
    """The contract at a site: a subclass also supplies a fixture ``site``."""

    def test_first_law(self, model, site, cases):
        assert_first_law(model, site, cases)
        assert_first_law(model, site, cases, torch.tensor([7, 3, 3]))

    def test_second_law(self, model, site, cases):
        split = model.before(site, cases)
        toy = Toy(split.h.shape[1])
        z = toy.encode(split.h)
        assert not torch.allclose(toy.decode(z), split.h, atol=0.01), "the toy must not reconstruct"
        edited = split.h + (toy.decode(z + 0.0) - toy.decode(z))
        assert torch.equal(split.finish(edited), split.finish(split.h))

    def test_an_edit_reaches_the_scores(self, model, site, cases):
        split = model.before(site, cases)
        assert not torch.allclose(split.finish(split.h + 1e-2 * torch.randn_like(split.h)), split.finish(split.h))

    def test_rows_name_their_case_and_item(self, model, site, cases):
        split = model.before(site, cases)
        assert split.h.shape[1] == model.sites[site] and split.h.isfinite().all() and not split.h.requires_grad
        assert len(split.h) == len(split.case) == len(split.item) == len(split.last)
        if (split.case >= 0).any():
            assert torch.equal(split.case[split.last].sort().values, torch.arange(len(cases)))

    def test_finish_is_frozen_and_differentiable(self, model, site, cases):
        split = model.before(site, cases)
        h = split.h.clone().requires_grad_()
        split.finish(h).square().sum().backward()
        assert all(p.grad is None and p.requires_grad for p in model.parameters())
        exact = copy.deepcopy(model).double().before(site, cases)
        way = torch.randn(h.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        start = exact.h.clone().requires_grad_()
        (slope,) = torch.autograd.grad(exact.finish(start).square().sum(), start)
        ends = [exact.finish(exact.h + step * way).square().sum() for step in (1e-6, -1e-6)]
        torch.testing.assert_close((slope * way).sum(), (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-6)

    def test_finish_wants_a_row_a_unit(self, model, site, cases):
        split = model.before(site, cases)
        for wrong in (split.h[:-1], torch.cat([split.h, split.h[:1]]), split.h[:, :-1]):
            with pytest.raises(ValueError, match="h has shape"):
                split.finish(wrong)

    def test_a_model_in_training_is_read_without_dropout(self, model, site, cases):
        quiet = model.before(site, cases)
        model.train()
        try:
            loud = model.before(site, cases)
            assert model.training
            assert torch.equal(loud.h, quiet.h) and torch.equal(loud.finish(loud.h), quiet.finish(quiet.h))
        finally:
            model.eval()

    def test_collected_rows_do_not_depend_on_the_batch(self, model, site, cases):
        whole, parts = collect(model, site, cases), collect(model, site, cases, batch=2)
        torch.testing.assert_close(parts.h, whole.h, rtol=1e-5, atol=1e-5)
        for name in ("case", "item", "last"):
            assert torch.equal(getattr(parts, name), getattr(whole, name))

    def test_a_tail_of_one_is_the_last_row(self, model, site, cases):
        split, tail = model.before(site, cases), model.tail(site, cases)
        rows = split.last.nonzero()[:, 0]
        rows = rows[split.case[rows].argsort()]
        for name in ("case", "item", "last"):
            assert torch.equal(getattr(tail, name), getattr(split, name)[rows])
        torch.testing.assert_close(tail.h, split.h[rows], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(tail.finish(tail.h), model(cases), rtol=1e-5, atol=1e-5)
        noise = torch.randn(tail.h.shape, generator=torch.Generator().manual_seed(3))
        edited = split.h.index_add(0, rows, noise)
        torch.testing.assert_close(tail.finish(tail.h + noise), split.finish(edited), rtol=1e-5, atol=1e-5)

    def test_a_tail_is_frozen_and_differentiable(self, model, site, cases):
        exact = copy.deepcopy(model).double()
        tail = exact.tail(site, cases)
        h = tail.h.clone().requires_grad_()
        assert not tail.h.requires_grad
        tail.finish(h).square().sum().backward()
        assert all(p.grad is None and p.requires_grad for p in exact.parameters())
        way = torch.randn(h.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        ends = [tail.finish(tail.h + step * way).square().sum() for step in (1e-6, -1e-6)]
        torch.testing.assert_close((h.grad * way).sum(), (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="h has shape"):
            tail.finish(tail.h[:-1])
