import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core.recommenders import build
from recsae_core.recommenders.cases import from_lists
from recsae_core.recommenders.softmax import linear_cross_entropy
from recsae_core.recommenders.transformer import Transformer, TransformerConfig

from .contract import N_ITEMS, SplitContract, assert_first_law, ragged

CONFIG = {"n_items": N_ITEMS, "d": 16, "layers": 3, "heads": 2, "length": 12, "dropout": 0.5}


def make(**changes):
    model = build("transformer", generator=torch.Generator().manual_seed(1), **{**CONFIG, **changes}).eval()
    for p in model.parameters():  # away from the small initial weights, so that every block matters
        p.data += 0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(2))
    return model


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture(params=["block0", "block1", "block2", "final"])
def site(request):
    return request.param


class TestTransformer(SplitContract):
    def test_rows_are_the_real_positions_in_order(self, model, site, cases):
        split = model.before(site, cases)
        assert torch.equal(split.item, cases.history[cases.history >= 0])
        assert torch.equal(split.case, torch.repeat_interleave(torch.arange(len(cases)), cases.length))
        assert torch.equal(split.last.nonzero()[:, 0], cases.length.cumsum(0) - 1)

    def test_the_law_catches_a_finish_that_is_one_position_off(self, model, site, cases, monkeypatch):
        honest = Transformer.before

        def shifted(self, *arguments):
            split = honest(self, *arguments)
            object.__setattr__(split, "finish", lambda h, finish=split.finish: finish(h.roll(1, 0)))
            return split

        monkeypatch.setattr(Transformer, "before", shifted)
        with pytest.raises(AssertionError):
            assert_first_law(model, site, cases)

    def test_rows_see_what_came_before_and_not_what_comes_after(self, model, site):
        short, long = from_lists([[3, 1, 4]]), from_lists([[3, 1, 4, 1, 5]])
        a, b = model.before(site, short).h, model.before(site, long).h
        torch.testing.assert_close(a, b[:3], rtol=1e-5, atol=1e-5)
        assert not torch.allclose(a[2], model.before(site, from_lists([[3, 2, 4]])).h[2], atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 15), min_size=1, max_size=6),
    site=st.sampled_from(["block0", "block2", "final"]),
    seed=st.integers(0, 99),
)
def test_first_law_at_any_lengths(lengths, site, seed):
    g = torch.Generator().manual_seed(seed)
    histories = [torch.randint(0, N_ITEMS, (t,), generator=g).tolist() for t in lengths]
    assert_first_law(make(), site, from_lists(histories))


def test_of_a_long_history_the_last_items_count(model):
    history = list(range(20))
    torch.testing.assert_close(model(from_lists([history])), model(from_lists([history[-12:]])))
    assert torch.equal(model.before("block0", from_lists([history])).item, torch.arange(8, 20))


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([[-1, -1]], "case 0 is empty"),
        ([[1, 2], [-1, -1]], "case 1 is empty"),
        ([[1, N_ITEMS]], "expected -1 to 29"),
        ([[1, -2]], "expected -1 to 29"),
        ([[1, 2, 3], [1, -1, 2]], "case 1 has an item after padding"),
    ],
)
def test_bad_histories_are_refused(model, history, message):
    cases = from_lists(history)
    for use in (model, lambda c: model.before("final", c)):
        with pytest.raises(ValueError, match=message):
            use(cases)


@pytest.mark.parametrize(
    "change", [{"n_items": 0}, {"heads": 3}, {"d": 0}, {"layers": 0}, {"length": 0}, {"dropout": 1.0}]
)
def test_bad_sizes_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change)) + "="):
        TransformerConfig(**{**CONFIG, **change})


def test_loss_is_the_mean_cross_entropy_of_every_next_item(model):
    cases = ragged(longest=13)
    cases = cases[cases.length >= 2]
    total, count = 0.0, 0
    for history in cases.history:
        history = history[history >= 0].tolist()
        for t in range(1, len(history)):
            total += F.cross_entropy(model(from_lists([history[:t]])), torch.tensor(history[t : t + 1])).item()
            count += 1
    assert model.loss(cases, torch.Generator()).item() == pytest.approx(total / count, rel=1e-5)


def test_loss_needs_a_next_item(model):
    with pytest.raises(ValueError, match="no next item"):
        model.loss(from_lists([[3]]), torch.Generator())


def test_grouping_by_length_changes_neither_loss_nor_gradient(monkeypatch):
    cases, gradients = ragged(n=40, longest=13), []
    for group in (3, 1000):
        monkeypatch.setattr("recsae_core.recommenders.transformer.GROUP", group)
        model = make()
        model.loss(cases, torch.Generator()).backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_dropout_acts_in_training_only():
    model, cases = make(), ragged()
    assert torch.equal(model(cases), model(cases))
    model.train()
    assert not torch.allclose(model(cases), model(cases))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 30), c=st.integers(1, 9), chunk=st.integers(1, 40), scale=st.sampled_from([0.1, 1.0, 300.0]))
def test_softmax_in_chunks_equals_torch(n, c, chunk, scale):
    g = torch.Generator().manual_seed(n * 100 + c)
    x = (scale * torch.randn(n, 4, generator=g, dtype=torch.float64)).requires_grad_()
    weight = torch.randn(c, 4, generator=g, dtype=torch.float64).requires_grad_()
    target = torch.randint(0, c, (n,), generator=g)
    ours, theirs = linear_cross_entropy(x, weight, target, chunk), F.cross_entropy(x @ weight.T, target)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(*(torch.autograd.grad(3 * loss, (x, weight)) for loss in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b)
