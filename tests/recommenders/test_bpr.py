import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core.recommenders import build, load, save
from recsae_core.recommenders.base import Cases
from recsae_core.recommenders.bpr import _Walk
from recsae_core.recommenders.cases import hidden_sets, leave_hidden_out, of_users, pairs_of
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.recommenders.negatives import bpr
from recsae_core.recommenders.ranking import evaluate_sets

from .contract import N_ITEMS, assert_first_law, assert_same_scores
from .test_towers import N_USERS, Towers, logit, planted, tower


def random_pairs(seed=0, n=60, users=N_USERS, items=N_ITEMS):
    g = torch.Generator().manual_seed(seed)
    pairs = torch.stack([torch.randint(users, (n,), generator=g), torch.randint(items, (n,), generator=g)])
    pairs = torch.cat([pairs, pairs[:, :5]], 1)  # what is taken twice is one edge
    return Cases(pairs[0], pairs[1][:, None])


def dense_walk(model, train):
    """Mean of the layers, by the matrix as the paper writes it."""
    u, i = model.config.n_users, model.n_items
    R = torch.zeros(u, i, dtype=torch.float64)
    R[train.user, train.history[:, 0]] = 1.0
    A = torch.zeros(u + i, u + i, dtype=torch.float64)
    A[:u, u:], A[u:, :u] = R, R.T
    scale = torch.where(A.sum(1) > 0, A.sum(1), 1.0).rsqrt()
    A = scale[:, None] * A * scale
    x = torch.cat([model.P, model.Q]).double()
    layers = [x]
    for _ in range(model.config.layers):
        layers.append(A @ layers[-1])
    return torch.stack(layers).mean(0).split([u, i])


class Ranked(Towers):
    """The loss of both models; the rest they owe as towers."""

    def test_the_loss_is_the_mean_over_pairs(self, model, monkeypatch):
        model.config = dataclasses.replace(model.config, negatives=2, l2=0.3)
        drawn = torch.tensor([[4, 4], [9, 0], [1, 2]])
        monkeypatch.setattr(type(model), "negatives", lambda self, users, k, g: drawn)
        users, items = torch.tensor([3, 3, 0]), torch.tensor([[7], [8], [7]])
        lost, size = [], []
        for u, positive, others in zip(users.tolist(), items[:, 0].tolist(), drawn.tolist(), strict=True):
            lost += [np.logaddexp(0, logit(model, u, j) - logit(model, u, positive)) for j in others]
            size += [model.P[u].square().sum().item() + model.Q[j].square().sum().item() for j in (positive, *others)]
        found = model.loss(Cases(users, items), torch.Generator())
        assert found.item() == pytest.approx(np.mean(lost) + 0.15 * np.mean(size), rel=1e-5)


class TestBPRMF(Ranked):
    @pytest.fixture
    def model(self):
        return tower("bprmf")

    def test_the_probe_is_the_user(self, model):
        assert model.probe == "user"


class TestLightGCN(Ranked):
    """As it is kept: the walk is over."""

    @pytest.fixture
    def model(self):
        model = tower("lightgcn")
        model.begin(random_pairs())
        return model.trained()


@settings(max_examples=30, deadline=None)
@given(layers=st.integers(0, 4), n=st.integers(1, 80), seed=st.integers(0, 999))
def test_the_walk_is_that_of_the_dense_matrix(layers, n, seed):
    model, train = tower("lightgcn", layers=layers), random_pairs(seed, n)
    model.begin(train)
    for found, expected in zip(model.vectors(), dense_walk(model, train), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_takes_the_same_walk():
    model = tower("lightgcn").double()
    model.begin(random_pairs())
    model.vectors()
    x = torch.cat([model.P, model.Q]).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: _Walk.apply(x, model.graph, 3), x)
    case = Cases(torch.tensor([3, 0]), torch.tensor([[7], [2]]))
    model.loss(case, torch.Generator().manual_seed(0)).backward()
    found = model.P.grad.clone(), model.Q.grad.clone()
    others = model.negatives(case.user, 1, torch.Generator().manual_seed(0))
    p, q = dense_walk(model, random_pairs())
    items = torch.cat([case.history, others], 1)
    expected = torch.autograd.grad(bpr((p[case.user][:, None] * q[items]).sum(2)), (model.P, model.Q))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert (found[0].abs().sum(1) > 0).sum() > 2, "users who share an item move as well"


@pytest.mark.parametrize("site", ["user", "item", "user+item"])
def test_a_model_that_still_walks_stops_after_the_walk(site):
    model, cases = tower("lightgcn"), of_users(torch.tensor([3, 0, 11]))
    model.begin(random_pairs())
    assert_first_law(model, site, cases)
    assert_same_scores(model.trained()(cases), model(cases))
    vectors = torch.cat(model.vectors())
    assert (model.before(site, cases).h[:, None] == vectors).all(2).any(1).all()


def test_what_is_kept_knows_no_graph(tmp_path):
    model, cases = tower("lightgcn"), of_users(torch.arange(N_USERS))
    model.begin(random_pairs())
    kept = model.trained()
    save(kept, tmp_path / "kept")
    again = load(tmp_path / "kept")
    assert again.config.layers == 0 and again.graph is None and torch.equal(again(cases), kept(cases))
    assert set(kept.state_dict()) == {"P", "Q"} and not kept.training
    assert kept.trained()(cases).equal(kept(cases))
    with pytest.raises(ValueError, match="layers=3, but no graph: expected a call of begin"):
        tower("lightgcn")(cases)


def test_others_keep_what_was_trained():
    model = tower("bprmf").train()
    assert model.trained() is model and not model.training


def test_layers_are_not_negative():
    with pytest.raises(ValueError, match="layers=-1: expected at least 0"):
        build("lightgcn", n_items=3, n_users=2, layers=-1)


@pytest.mark.parametrize(("name", "lr"), [("bprmf", 0.02), ("lightgcn", 0.02)])
def test_planted_vectors_are_found(name, lr, tmp_path):
    train, valid, test = planted()
    model = build(name, n_items=train.n_items, n_users=train.n_users, d=8)
    config = FitConfig(epochs=20, batch=512, lr=lr, patience=4, weight_decay=1e-6)
    fit(model, pairs_of(train), leave_hidden_out(train, valid), config, seed=0, progress=False)
    sets = hidden_sets(train, test)
    popular = build("most-popular", n_items=train.n_items).learn(train)
    least = evaluate_sets(popular, hidden_sets(train, test, histories=True), (10,)).mean()["ndcg@10"]
    found = evaluate_sets(model, sets, (10,)).mean()["ndcg@10"]
    assert found > 1.5 * least
    assert evaluate_sets(model.trained(), sets, (10,)).mean()["ndcg@10"] == pytest.approx(found, abs=1e-6)


def test_the_loss_of_ranking_by_hand():
    scores = torch.tensor([[2.0, 1.0, 4.0], [0.0, 0.0, 0.0]])
    expected = (np.log1p(np.exp(-1)) + np.log1p(np.exp(2)) + 2 * np.log(2)) / 4
    assert bpr(scores).item() == pytest.approx(expected)
