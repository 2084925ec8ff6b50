import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import pearsonr, rankdata
from sklearn.metrics import f1_score, roc_auc_score

from recsae_core.interpret import alignment as al
from recsae_core.interpret.statistics import item_halves

from .worlds import Given, world

KINDS = {
    "sparse": lambda x: x.relu(),
    "signed": lambda x: x,
    "ties": lambda x: (2 * x).round().relu(),
    "signed ties": lambda x: (2 * x).round(),
    "negative": lambda x: -x.abs() - 0.1,
    "constant": lambda x: torch.where(torch.arange(x.shape[1]) % 2 == 0, 0.1, x.relu()),
    "dead": lambda x: torch.where(torch.arange(x.shape[1]) % 2 == 0, 0.0, x.relu()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_equals_scipy_and_scikit_learn(kind):
    h, item, attributes = world()
    z = KINDS[kind](h)
    found = al.align(Given(z.shape[1]), z, item, attributes, batch=77)
    y, v = attributes[item.numpy()], z.double().numpy()
    for j in range(v.shape[1]):
        fired = v[:, j] > 0
        assert found.fire_rate[j] == pytest.approx(fired.mean())
        for a in range(y.shape[1]):
            expected = 0.0 if np.ptp(v[:, j]) == 0 else pearsonr(v[:, j], y[:, a]).statistic
            assert found.r[j, a] == pytest.approx(expected, abs=1e-9)
            assert found.auc[j, a] == pytest.approx(roc_auc_score(y[:, a], v[:, j]), abs=1e-12)
            assert found.precision[j, a] == pytest.approx(y[fired, a].mean() if fired.any() else 0)
            assert found.recall[j, a] == pytest.approx(fired[y[:, a]].mean())
            assert found.mean_active[j, a] == pytest.approx(v[y[:, a], j].mean())


def test_sparse_and_dense_codes_and_batches_agree():
    h, item, attributes = world()
    z = h.abs()
    top = torch.zeros_like(z).scatter(1, z.topk(3).indices, z.topk(3).values)
    dense = al.align(Given(8), top, item, attributes)
    sparse = al.align(Given(8, keep=3), z, item, attributes, batch=13)
    for name in ("r", "auc", "precision", "recall", "mean_active", "fire_rate", "sum_z", "sum_zz"):
        np.testing.assert_allclose(getattr(sparse, name), getattr(dense, name), rtol=1e-12)


def test_what_stands_under_a_zero_of_a_sparse_code_means_nothing():
    h, item, attributes = world()
    z = h.relu()  # many rows have fewer than 6 positive entries, so that their codes are padded
    assert ((z > 0).sum(1) < 6).any()
    sparse = al.align(Given(8, keep=8), z, item, attributes)
    np.testing.assert_allclose(sparse.auc, al.align(Given(8), z, item, attributes).auc)


def test_on_items_equals_a_pass_over_the_rows_of_those_items():
    h, item, attributes = world()
    found = al.align(Given(8), h.relu(), item, attributes)
    mask = np.arange(len(attributes)) % 3 == 0
    rows = torch.from_numpy(mask)[item]
    again = al.align(Given(8), h.relu()[rows], item[rows], attributes)
    np.testing.assert_allclose(found.on_items(mask), again.r, atol=1e-12)


def test_item_weights_count_rows_as_often():
    h, item, attributes = world()
    weight = np.random.default_rng(1).integers(0, 3, len(attributes))
    times = torch.from_numpy(weight)[item]
    found = al.align(Given(8), h, item, attributes).on_items(weight.astype(float))
    again = al.align(Given(8), h.repeat_interleave(times, 0), item.repeat_interleave(times), attributes)
    np.testing.assert_allclose(found, again.r, atol=1e-12)


def test_an_attribute_that_does_not_vary_is_undefined_and_left_out_of_the_mean():
    h, item, attributes = world()
    attributes = np.column_stack([attributes, np.zeros(len(attributes), bool), np.ones(len(attributes), bool)])
    found = al.align(Given(8), h, item, attributes)
    assert np.isnan(found.r[:, -2:]).all() and np.isnan(found.auc[:, -2:]).all()
    assert al.mean_max_correlation(found) == pytest.approx(found.r[:, :-2].max(0).mean())
    held = al.held_out_max(found, item_halves(found.count, 3, np.random.default_rng(0)))
    assert np.isnan(held[:, -2:]).all() and np.isfinite(held[:, :-2]).all()


@pytest.mark.parametrize("offset", [100.0, -100.0])
def test_a_large_mean_costs_no_accuracy(offset):
    h, item, attributes = world()
    shifted = h.double() + offset
    found = al.align(Given(8), shifted, item, attributes)
    expected = pearsonr(shifted[:, 0].numpy(), attributes[item.numpy(), 0]).statistic
    assert found.r[0, 0] == pytest.approx(expected, abs=1e-8)


def test_the_mean_maximum_is_signed():
    h, item, attributes = world()
    z = torch.cat([-torch.from_numpy(attributes)[item].float(), h[:, :1] * 0], 1)
    found = al.align(Given(6), z, item, attributes)
    assert np.allclose(np.diag(found.r), -1)
    assert al.mean_max_correlation(found) < 0.5


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, st.integers(0, 40), elements=st.sampled_from([-2.0, -0.5, 0.25, 0.5, 3.0])))
def test_midranks_equal_scipy(v):
    np.testing.assert_array_equal(al.midranks(v), rankdata(v))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.integers(1, 50))
def test_symmetries(seed, factor, batch):
    h, item, attributes = world(rows=60, items=12, seed=seed)
    z = (h * 2).round().relu()
    base = al.align(Given(8), z, item, attributes)
    g = torch.Generator().manual_seed(seed)
    rows, latents = torch.randperm(60, generator=g), torch.randperm(8, generator=g)
    moved = al.align(Given(8), z[rows][:, latents], item[rows], attributes, batch=batch)
    scaled = al.align(Given(8), z * factor, item, attributes)
    negated = al.align(Given(8), -z, item, attributes)
    for name, mirror in (("r", 0.0), ("auc", 1.0)):
        value = getattr(base, name)
        np.testing.assert_allclose(getattr(moved, name), value[latents.numpy()], atol=1e-9)
        np.testing.assert_allclose(getattr(scaled, name), value, atol=1e-6)
        np.testing.assert_allclose(getattr(negated, name), mirror - value, atol=1e-9)


def test_held_out_max_chooses_on_one_half_and_scores_on_the_other():
    h, item, attributes = world()
    found = al.align(Given(8), h, item, attributes)
    half = np.arange(len(attributes)) % 2 == 0
    held = al.held_out_max(found, half[None])
    best = found.on_items(half).argmax(0)
    np.testing.assert_allclose(held[0], found.on_items(~half)[best, np.arange(5)])


def test_held_out_selection_takes_the_luck_out_of_a_maximum():
    rng = np.random.default_rng(0)
    attributes = rng.random((60, 6)) < 0.4
    item = torch.from_numpy(np.repeat(np.arange(60), 10))
    noise = torch.randn(60, 300, generator=torch.Generator().manual_seed(0))[item]  # a value an item, no meaning
    found = al.align(Given(300), noise, item, attributes)
    held = al.held_out_max(found, item_halves(found.count, 20, rng))
    assert al.mean_max_correlation(found) > 0.25
    assert abs(held.mean()) < 0.08


@pytest.mark.parametrize("kind", ["sparse", "signed", "ties", "signed ties", "negative"])
def test_concept_f1_equals_a_search_by_hand(kind):
    h, item, attributes = world(rows=60, d=3, items=16, attributes=2)
    z = KINDS[kind](h)
    halves = item_halves(np.bincount(item), 2, np.random.default_rng(0))
    expected = []
    for half in halves:
        choose = half[item.numpy()]
        y, v = attributes[item.numpy()], z.numpy()
        for a in range(2):
            best = (0.0, None)
            for j in range(3):
                signed = v[:, j].min() < 0
                for t in np.unique(v[choose, j]):
                    if t == 0 and not signed:
                        continue
                    says, true = v[choose, j] >= t, y[choose, a]
                    score = 2 * (says & true).sum() / (says.sum() + true.sum())
                    if score > best[0] + 1e-12:
                        best = (score, f1_score(y[~choose, a], v[~choose, j] >= t))
            expected.append(best)
    found = al.concept_f1(Given(3), z, item, attributes, halves)
    np.testing.assert_allclose(found, np.array([e[1] for e in expected]).reshape(2, 2).mean(0), atol=1e-9)


def test_concept_f1_of_the_label_is_1_and_of_silence_is_0():
    _, item, attributes = world()
    halves = item_halves(np.bincount(item), 5, np.random.default_rng(0))
    label = torch.from_numpy(attributes)[item].float()
    assert np.allclose(al.concept_f1(Given(5), label, item, attributes, halves), 1)
    assert np.allclose(al.concept_f1(Given(5), label * 0, item, attributes, halves), 0)


def test_bad_input_is_named():
    h, item, attributes = world()
    with pytest.raises(ValueError, match=r"item holds ids from 0 to 39: expected 0 to 19"):
        al.align(Given(8), h, item, attributes[:20])
    with pytest.raises(ValueError, match=r"expected floats of shape \(n, 9\)"):
        al.align(Given(9), h, item, attributes)
    h[3, 2] = torch.nan
    with pytest.raises(ValueError, match="1 values that are NaN"):
        al.align(Given(8), h, item, attributes)
