import copy
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core.recommenders import build, load, save
from recsae_core.recommenders.activations import collect
from recsae_core.recommenders.base import Cases
from recsae_core.recommenders.cases import hidden_sets, leave_hidden_out, of_users, pairs_of
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.recommenders.ranking import evaluate_sets
from recsae_core.recommenders.towers import factors

from .contract import N_ITEMS, SplitContract
from .worlds import interactions

N_USERS, D = 12, 6


def tower(name, **options):
    g = torch.Generator().manual_seed(4)
    model = build(name, n_items=N_ITEMS, n_users=N_USERS, d=D, generator=g, **options)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.5 * torch.randn(p.shape, generator=g))
    return model.eval()


def logit(model, user, item):
    """One score, from the definition, in double precision."""
    p, q = model.P[user].detach().numpy().astype(float), model.Q[item].detach().numpy().astype(float)
    if hasattr(model, "b_user"):
        return model.b.item() + model.b_user[user].item() + model.b_item[item].item() + p @ q
    if not hasattr(model, "net"):
        return p @ q
    x, layers = np.concatenate([p, q]), [x for x in model.net if isinstance(x, torch.nn.Linear)]
    for n, layer in enumerate(layers, 1):
        x = layer.weight.detach().numpy().astype(float) @ x + layer.bias.detach().numpy()
        x = np.maximum(x, 0) if n < len(layers) else x
    return x[0]


class Towers(SplitContract):
    """What both models owe; at the item sites, what the contract says of one row a case is said of the items."""

    @pytest.fixture(params=["user", "item", "user+item"])
    def site(self, request):
        return request.param

    @pytest.fixture
    def cases(self):
        return of_users(torch.tensor([3, 0, 11, 3, 7]))

    def test_scores_are_what_the_definition_says(self, model, cases):
        expected = [[logit(model, u, i) for i in range(N_ITEMS)] for u in cases.user.tolist()]
        np.testing.assert_allclose(model(cases).detach(), expected, atol=1e-5)

    def test_users_come_before_items(self, model, site, cases):
        items = torch.tensor([5, 2, 2])
        split, n, c = model.before(site, cases, items), 5 * (site != "item"), 3 * (site != "user")
        assert split.case.tolist() == [0, 1, 2, 3, 4][:n] + [-1] * c and split.last.tolist() == [True] * n + [False] * c
        assert split.item.tolist() == [-1] * n + [5, 2, 2][:c]
        assert torch.equal(split.h, torch.cat([model.P[cases.user][:n], model.Q[items][:c]]))

    def test_an_edit_of_one_row_moves_its_own_scores_alone(self, model, cases):
        split, items = model.before("user+item", cases), torch.arange(N_ITEMS)
        for row in (1, 5 + 4):
            h = split.h.clone()
            h[row] += 1.0
            moved = split.finish(h) != split.finish(split.h)
            mine = torch.zeros_like(moved)
            mine[(row, items) if row < 5 else (slice(None), row - 5)] = True
            assert moved[mine].any() and not moved[~mine].any()

    def test_pairs_are_the_diagonal_of_all_pairs(self, model):
        users, items = torch.tensor([3, 0, 11, 3]), torch.tensor([9, 29, 0, 9])
        split = model.paired(users, items)
        whole = model.before("user+item", of_users(users), items)
        for name in ("h", "case", "item", "last"):
            assert torch.equal(getattr(split, name), getattr(whole, name))
        edited = split.h + 0.1 * torch.randn(split.h.shape, generator=torch.Generator().manual_seed(0))
        for h in (split.h, edited):
            torch.testing.assert_close(split.finish(h)[:, 0], whole.finish(h).diagonal(), rtol=1e-6, atol=1e-6)
        assert split.finish(split.h).shape == (4, 1)

    def test_the_gradient_reaches_both_towers(self, model, cases):
        users, items = torch.tensor([3, 0, 11]), torch.tensor([9, 29, 0])
        for split in (model.paired(users, items), model.before("user+item", of_users(users), items)):
            h = split.h.clone().requires_grad_()
            split.finish(h).square().sum().backward()
            assert (h.grad.abs().sum(1) > 0).all() and all(p.grad is None for p in model.parameters())

    def test_memory_is_asked_for_in_parts_without_a_trace(self, model, cases, monkeypatch):
        split, scores = model.before("user+item", cases), model(cases)
        whole = split.finish(split.h)
        monkeypatch.setattr("recsae_core.recommenders.towers.PAIRS", 2 * N_ITEMS)
        torch.testing.assert_close(split.finish(split.h), whole, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(model(cases), scores, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("user", [-1, N_USERS])
    def test_refuses_users_it_does_not_have(self, model, cases, user):
        unknown = Cases(torch.tensor([0, user]), cases.history[:2])
        for ask in (model, lambda c: model.before("user", c), lambda c: model.paired(c.user, c.user)):
            with pytest.raises(ValueError, match=r"users holds .* expected 0 to 11"):
                ask(unknown)

    def test_refuses_pairs_that_are_none(self, model):
        with pytest.raises(ValueError, match="2 users and 1 items"):
            model.paired(torch.tensor([0, 1]), torch.tensor([0]))
        with pytest.raises(ValueError, match="items holds ids from 30 to 30: expected 0 to 29"):
            model.paired(torch.tensor([0]), torch.tensor([N_ITEMS]))

    def test_collected_rows_do_not_depend_on_the_batch(self, model, site, cases):
        if site == "user":
            return super().test_collected_rows_do_not_depend_on_the_batch(model, site, cases)
        rows = collect(model, site, cases)
        assert torch.equal(rows.h[rows.case < 0], model.Q) and rows.item[rows.case < 0].tolist() == [*range(N_ITEMS)]

    def test_a_tail_of_one_is_the_last_row(self, model, site, cases):
        if site != "item":
            return super().test_a_tail_of_one_is_the_last_row(model, site, cases)
        with pytest.raises(ValueError, match="site 'item': no single row decides a case's list"):
            model.tail(site, cases)

    def test_a_tail_is_frozen_and_differentiable(self, model, site, cases):
        if site != "item":
            return super().test_a_tail_is_frozen_and_differentiable(model, site, cases)

    def test_negatives_want_to_know_who_took_what(self, model, cases):
        with pytest.raises(ValueError, match="expected a call of begin"):
            model.loss(Cases(cases.user, cases.user[:, None]), torch.Generator())

    def test_the_loss_is_the_mean_over_pairs(self, model, monkeypatch):
        model.config = dataclasses.replace(model.config, negatives=2, l2=0.3)
        drawn = torch.tensor([[4, 4], [9, 0], [1, 2]])
        monkeypatch.setattr(type(model), "negatives", lambda self, users, k, g: drawn)
        users, items = torch.tensor([3, 3, 0]), torch.tensor([[7], [8], [7]])
        expected = []
        for u, positive, others in zip(users.tolist(), items.tolist(), drawn.tolist(), strict=True):
            for i, sign in ((positive[0], 1), *((i, -1) for i in others)):
                size = (model.P[u].square().sum() + model.Q[i].square().sum()).item()
                expected.append(np.logaddexp(0, -sign * logit(model, u, i)) + 0.15 * size)
        found = model.loss(Cases(users, items), torch.Generator())
        assert found.item() == pytest.approx(np.mean(expected), rel=1e-5)


class TestMF(Towers):
    @pytest.fixture
    def model(self):
        return tower("mf")


class TestNCF(Towers):
    @pytest.fixture(params=[(64, 32, 16), (5,)])
    def model(self, request):
        return tower("ncf", hidden=request.param)

    def test_one_net_reads_both_vectors_side_by_side(self, model, cases):
        both = torch.cat([model.P[[3]], model.Q[[9]]], 1)
        torch.testing.assert_close(model.net(both)[0, 0], model(cases)[0, 9])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 8), max_size=8), min_size=1, max_size=6).filter(any),
    st.integers(1, 5),
    st.integers(0, 9999),
)
def test_negatives_are_never_positives(taken, k, seed):
    inter = interactions([sorted(items) * 2 for items in taken], 9)  # what is taken twice counts once
    model = build("mf", n_items=9, n_users=len(taken), d=2)
    model.begin(pairs_of(inter))
    users = torch.arange(len(taken)).repeat(50)
    drawn = model.negatives(users, k, torch.Generator().manual_seed(seed))
    assert drawn.shape == (len(users), k) and drawn.min() >= 0 and drawn.max() < 9
    assert all(not taken[u] & set(row) for u, row in zip(users.tolist(), drawn.tolist(), strict=True))


def test_all_other_items_are_equally_likely_negatives():
    model = build("mf", n_items=9, n_users=3, d=2)
    model.begin(pairs_of(interactions([[0, 4, 8], [], [5]], 9)))
    g = torch.Generator().manual_seed(0)
    for user, free in enumerate(([1, 2, 3, 5, 6, 7], range(9), [0, 1, 2, 3, 4, 6, 7, 8])):
        count = torch.bincount(model.negatives(torch.full((4000,), user), 3, g).flatten(), minlength=9) / 12000
        assert count.nonzero()[:, 0].tolist() == [*free]
        torch.testing.assert_close(count[[*free]], torch.full((len(free),), 1 / len(free)), atol=0.02, rtol=0)


def test_who_took_everything_leaves_nothing_to_draw():
    with pytest.raises(ValueError, match="user 1 took all 3 items"):
        build("mf", n_items=3, n_users=2).begin(pairs_of(interactions([[0], [0, 1, 2]], 3)))


def planted(seed=0, users=300, items=120, d=4, each=20):
    """Every user takes the items of highest logit plus noise, of vectors of rank ``d``."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((users, d)) @ rng.standard_normal((d, items)) * 1.5 + rng.standard_normal(items)
    noisy = scores + rng.gumbel(size=scores.shape)
    order = rng.permuted(np.argsort(-noisy, axis=1)[:, :each], axis=1)
    return [interactions(part.tolist(), items) for part in (order[:, 6:], order[:, 5:6], order[:, :5])]


@pytest.mark.parametrize(("name", "lr", "factor"), [("mf", 0.05, 1.5), ("ncf", 0.02, 1.25)])
def test_planted_vectors_are_found_by_the_loop_that_trains_all(name, lr, factor, tmp_path):
    train, valid, test = planted()
    sizes, sets = {"n_items": train.n_items, "n_users": train.n_users}, hidden_sets(train, test, histories=True)
    model = build(name, **sizes, d=8, negatives=2, l2=0.02 if name == "mf" else 0.0)
    config = FitConfig(epochs=25, batch=256, lr=lr, patience=6)
    report = fit(model, pairs_of(train), leave_hidden_out(train, valid), config, seed=0, progress=False)
    popular = evaluate_sets(build("most-popular", n_items=train.n_items).learn(train), sets, (10,)).mean()
    found = evaluate_sets(model, sets, (10,)).mean()
    assert found["ndcg@10"] > factor * popular["ndcg@10"] and found["percentile"] < popular["percentile"]
    assert report.history[-1]["loss"] < report.history[0]["loss"]
    save(model, tmp_path / name)
    assert torch.equal(load(tmp_path / name)(sets.cases), model(sets.cases))
    for closed, options in (("item-knn", {"neighbours": 20}), ("ease", {"l2": 30.0})):  # these read the history
        other = build(closed, n_items=train.n_items, **options).learn(train)
        assert evaluate_sets(other, sets, (10,)).mean()["ndcg@10"] > popular["ndcg@10"]


def test_a_run_belongs_to_its_users(tmp_path):
    train, valid, _ = planted(users=30)
    pairs, held = pairs_of(train), leave_hidden_out(train, valid)
    model = build("mf", n_items=train.n_items, n_users=train.n_users)
    state, config = tmp_path / "state", FitConfig(epochs=1)
    fit(copy.deepcopy(model), pairs, held, config, seed=0, resume=state, progress=False)
    other = Cases(pairs.user.roll(1), pairs.history)
    with pytest.raises(ValueError, match="another data"):
        fit(model, other, held, config, seed=0, resume=state, progress=False)


def test_the_loss_falls_along_its_gradient_on_every_parameter():
    for name in ("mf", "ncf"):
        model = tower(name, l2=0.1)
        model.begin(Cases(torch.tensor([0, 1]), torch.tensor([[2], [3]])))
        model.loss(Cases(torch.tensor([0, 1]), torch.tensor([[2], [3]])), torch.Generator().manual_seed(0)).backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_anybodys_vectors_are_a_recommender():
    rng = np.random.default_rng(0)
    p, q, b, c = (
        rng.standard_normal((4, 3)),
        rng.standard_normal((5, 3)),
        rng.standard_normal(4),
        rng.standard_normal(5),
    )
    cases = of_users(torch.tensor([2, 0]))
    np.testing.assert_allclose(factors(p, q)(cases).detach(), (p @ q.T)[[2, 0]], rtol=1e-5, atol=1e-6)
    biased = (p @ q.T + b[:, None] + c)[[2, 0]]
    for kind in (np.asarray, torch.from_numpy, np.ndarray.tolist):
        model = factors(*map(kind, (p, q, b, c)))
        np.testing.assert_allclose(model(cases).detach(), biased, rtol=1e-5, atol=1e-6)
    assert not model.training and model.config.d == 3
    p[0] = 9.0
    np.testing.assert_allclose(model(cases).detach(), biased, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"users": np.full((4, 3), np.nan)}, "users holds 12 values that are NaN or infinite"),
        ({"items": np.array([[1.0, np.inf, 0.0]])}, "items holds 1 values that are NaN or infinite"),
        ({"users": np.ones((4, 2))}, r"users has shape \(4, 2\): expected \(4, 3\)"),
        ({"items": np.ones(3)}, r"items has shape \(3,\): expected \(3, 3\)"),
        ({"user_bias": np.ones(5)}, r"user_bias has shape \(5,\): expected \(4,\)"),
        ({"item_bias": np.ones((5, 1))}, r"item_bias has shape \(5, 1\): expected \(5,\)"),
        ({"items": np.ones((0, 3))}, "n_items=0: expected at least 1"),
    ],
)
def test_vectors_that_do_not_go_together_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        factors(**{"users": np.ones((4, 3)), "items": np.ones((5, 3)), **changed})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mf", {}, "mf: missing .*n_users"),
        ("mf", {"n_users": 0}, "n_users=0: expected at least 1"),
        ("mf", {"n_users": 2, "l2": -1.0}, "l2=-1.0: expected at least 0"),
        ("mf", {"n_users": 2, "l2": float("nan")}, "l2=nan"),
        ("mf", {"n_users": 2, "negatives": 0}, "negatives=0"),
        ("mf", {"n_users": 2, "hidden": [3]}, "mf: .*hidden"),
        ("ncf", {"n_users": 2, "hidden": []}, r"hidden=\(\): expected one width"),
        ("ncf", {"n_users": 2, "hidden": [4, 0]}, r"hidden=\(4, 0\)"),
    ],
)
def test_bad_options_are_refused_by_name(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, n_items=5, **options)


def test_models_without_users_pass_their_number_over():
    assert build("most-popular", n_items=5, n_users=3).config == build("most-popular", n_items=5).config


def test_the_initial_weights_follow_the_generator_and_leave_the_global_one_alone():
    state = torch.get_rng_state()
    for name in ("mf", "ncf"):
        a, b, c = (
            build(name, n_items=5, n_users=3, generator=torch.Generator().manual_seed(seed)).state_dict()
            for seed in (1, 1, 2)
        )
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert any(not torch.equal(a[key], c[key]) for key in a if key != "b")
        assert all(not torch.equal(a[key], c[key]) for key in a if not key.startswith("b"))
    assert torch.equal(torch.get_rng_state(), state)
