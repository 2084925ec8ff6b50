import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core.recommenders import build
from recsae_core.recommenders.base import Cases, Holdout
from recsae_core.recommenders.cases import from_lists, leave_last_out
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.recommenders.last import LastSASRec
from recsae_core.recommenders.ranking import evaluate

from .contract import N_ITEMS, SplitContract, assert_first_law, assert_same_scores
from .worlds import cyclic


def make(**changes):
    config = {"n_items": N_ITEMS, "d": 16, "length": 8} | changes
    model = build("sasrec-last", generator=torch.Generator().manual_seed(1), **config).eval()
    for p in model.parameters():  # away from the small initial weights, so that every part matters
        p.data += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(2))
    return model


class TestLastSASRec(SplitContract):
    @pytest.fixture
    def model(self):
        return make()

    @pytest.fixture
    def site(self):
        return "final"

    def test_one_row_a_case_which_names_its_last_item(self, model, cases):
        split = model.before("final", cases)
        assert split.case.tolist() == [*range(len(cases))] and split.last.all()
        assert split.item.tolist() == [[i for i in row if i >= 0][-1] for row in cases.history.tolist()]
        assert model.probe == "final"

    def test_the_law_catches_a_layer_that_forgets_a_position(self, model, cases, monkeypatch):
        honest = LastSASRec._last
        monkeypatch.setattr(LastSASRec, "_last", lambda self, history: honest(self, history.clone().fill_(3)))
        with pytest.raises(AssertionError):
            assert_first_law(model, "final", cases)


def by_hand(model, history):
    """The state of the last position, as the formulas say, in NumPy."""
    w = {name: t.detach().double().numpy() for name, t in model.state_dict().items()}
    items = np.array(history[-model.config.length :])
    x = w["item.weight"][items] + w["position.weight"][np.arange(len(items))[::-1]]  # the last item has position 0

    def norm(x, name):
        scaled = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    query = w["query.weight"] @ x[-1] + w["query.bias"]
    keys, values = x @ w["key.weight"].T, x @ w["value.weight"].T + w["value.bias"]
    weight = np.exp(keys @ query / np.sqrt(len(query)))
    y = norm(weight / weight.sum() @ values + x[-1], "norm1")
    wide = np.maximum(w["wide.weight"] @ y + w["wide.bias"], 0)
    return norm(w["narrow.weight"] @ wide + w["narrow.bias"] + y, "norm2")


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    length=st.integers(1, 12),
    seed=st.integers(0, 999),
)
def test_first_law_and_the_formulas_at_any_lengths(lengths, length, seed):
    g = torch.Generator().manual_seed(seed)
    histories = [torch.randint(0, N_ITEMS, (t,), generator=g).tolist() for t in lengths]
    model, cases = make(length=length), from_lists(histories)
    expected = np.stack([by_hand(model, history) for history in histories])
    np.testing.assert_allclose(model.before("final", cases).h, expected, atol=2e-4)
    assert_same_scores(model.double().before("final", cases).finish(model.before("final", cases).h), model(cases))


def test_positions_are_counted_from_the_end():
    model = make()
    a, b = (model.before("final", from_lists([history])).h for history in ([3, 1, 4], [9, 3, 1, 4]))
    assert not torch.allclose(a, b, atol=1e-3)
    with torch.no_grad():
        model.position.weight[3:] = 7.0
    assert torch.equal(a, model.before("final", from_lists([[3, 1, 4]])).h)
    assert not torch.equal(b, model.before("final", from_lists([[9, 3, 1, 4]])).h)


def training_cases():
    return Cases(torch.tensor([0, 0, 4]), torch.tensor([[3, -1, -1], [3, 1, -1], [2, 9, 5]]))[1:]


def test_the_loss_is_that_of_the_last_item_alone(monkeypatch):
    model, batch = make(), training_cases()
    model.begin(batch)
    drawn = torch.tensor([[7], [8]])
    monkeypatch.setattr(type(model._taken), "draw", lambda self, users, k, g: drawn)
    scores = model(from_lists([[3], [2, 9]]))
    expected = np.logaddexp(0, (scores[[0, 1], [7, 8]] - scores[[0, 1], [1, 5]]).detach().numpy()).mean()
    loss = model.loss(batch, torch.Generator())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    changed = copy.deepcopy(batch)
    changed.history[1, 0] = 6
    assert model.loss(changed, torch.Generator()).item() != loss.item()


def test_negatives_are_nowhere_in_the_users_histories():
    model, batch = make(n_items=10), training_cases()
    model.begin(batch)
    drawn = model._taken.draw(torch.tensor([0, 4]).repeat(200), 2, torch.Generator().manual_seed(0))
    assert set(drawn[::2].flatten().tolist()) == {0, 2, 4, 5, 6, 7, 8, 9}
    assert set(drawn[1::2].flatten().tolist()) == {0, 1, 3, 4, 6, 7, 8}


def test_training_wants_users_and_a_beginning():
    model = make()
    with pytest.raises(ValueError, match="expected a call of begin"):
        model.loss(training_cases(), torch.Generator())
    with pytest.raises(ValueError, match="a training case has no user"):
        model.begin(from_lists([[1, 2]]))


@pytest.mark.parametrize("name", ["n_items", "d", "length", "negatives"])
def test_sizes_are_positive(name):
    with pytest.raises(ValueError, match=f"{name}=0: expected at least 1"):
        build("sasrec-last", **({"n_items": 3} | {name: 0}))


def test_the_order_of_a_circle_is_found():
    inter = cyclic(150, 20)
    held = leave_last_out(inter, 5)
    target = held.target[:, None]
    length = held.cases.length[:, None]
    history = torch.nn.functional.pad(held.cases.history, (0, 1), value=-1).scatter(1, length, target)
    shorter = Cases(held.cases.user, history.scatter(1, length, -1))
    train = Cases(shorter.user, shorter.history)[shorter.length > 1]
    valid = Holdout(held.cases, held.target, held.seen)
    model = build("sasrec-last", n_items=20, d=16, length=5, generator=torch.Generator().manual_seed(0))
    before = evaluate(model.eval(), valid)["ndcg@10"].mean()
    fit(model, train, valid, FitConfig(epochs=60, batch=32, lr=0.01, weight_decay=1e-6), seed=0, progress=False)
    assert evaluate(model, valid)["ndcg@10"].mean() > 2 * before
