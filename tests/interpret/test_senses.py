import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from recsae_core.interpret import alignment as al
from recsae_core.interpret import senses
from recsae_core.interpret.probes import held_out_probe
from recsae_core.interpret.statistics import item_halves

from .worlds import Given, world


@st.composite
def histories(draw):
    return draw(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=14), min_size=1, max_size=5))


def flat(lists):
    case = torch.tensor([c for c, one in enumerate(lists) for _ in one])
    return case, torch.tensor([i for one in lists for i in one])


@settings(max_examples=50, deadline=None)
@given(histories(), st.integers(1, 12))
def test_next_item_and_share_follow_their_definitions(lists, window):
    case, item = flat(lists)
    target = torch.arange(len(lists)) + 6
    expected = [i for c, one in enumerate(lists) for i in [*one[1:], c + 6]]
    assert senses.next_items(case, item, target).tolist() == expected
    attributes = np.random.default_rng(0).random((6, 3)) < 0.5
    share = senses.history_share(case, item, attributes, window)
    naive = [attributes[one[max(0, t + 1 - window) : t + 1]].mean(0) for one in lists for t in range(len(one))]
    np.testing.assert_allclose(share, naive, atol=1e-12)


def test_marked_rows_lie_a_deviation_above_the_mean():
    share = np.random.default_rng(0).random((500, 2)) ** 3
    expected = [(v - v.mean()) / v.std() > 1 for v in share.T]
    np.testing.assert_array_equal(senses.marked_share(share), np.transpose(expected))


@pytest.fixture(scope="module")
def made():
    """Sparse codes, labels that are numbers, yes or no of them, halves of the rows."""
    h, item, _ = world()
    z = (2 * h).round().relu()
    label = h.numpy().astype(np.float64)[:, :3] + np.random.default_rng(3).standard_normal((len(h), 3))
    halves = item_halves(np.bincount(item), 4, np.random.default_rng(1))[:, item.numpy()]
    return z, al.nonzero(Given(8), z), label, label > 0.5, halves


def test_correlations_equal_scipy_on_all_rows_and_on_both_halves(made):
    z, codes, label, _, halves = made
    found, v = senses.align_labels(codes, label, halves), z.numpy().astype(np.float64)
    for j in range(8):
        for a in range(3):
            assert found.r[j, a] == pytest.approx(pearsonr(v[:, j], label[:, a]).statistic, abs=1e-9)
            for s, half in enumerate(halves):
                assert found.chosen[s, j, a] == pytest.approx(pearsonr(v[half, j], label[half, a]).statistic, abs=1e-9)
                assert found.scored[s, j, a] == pytest.approx(
                    pearsonr(v[~half, j], label[~half, a]).statistic, abs=1e-9
                )


def test_item_labels_give_what_align_gives():
    h, item, attributes = world()
    halves = item_halves(np.bincount(item), 5, np.random.default_rng(0))
    for dictionary, x in ((Given(8), h), (Given(8, keep=2), h.abs())):  # dense and sparse codes
        whole = al.align(dictionary, x, item, attributes)
        rows = attributes[item.numpy()].astype(float), halves[:, item.numpy()]
        found = senses.align_labels(al.nonzero(dictionary, x), *rows)
        np.testing.assert_allclose(found.r, whole.r, atol=1e-12)
        np.testing.assert_allclose(found.held_out, al.held_out_max(whole, halves), atol=1e-12)


def test_scores_equal_scipy_and_scikit_learn(made):
    z, codes, label, present, halves = made
    aligned = senses.align_labels(codes, label, halves)
    found = senses.held_out_scores(codes, label, present, halves, aligned.latents)
    np.testing.assert_allclose(found.r, aligned.held_out, atol=1e-12)
    for s, half in enumerate(halves):
        for a, j in enumerate(aligned.latents[s]):
            v, y = z[~half, int(j)].numpy(), present[~half, a]
            assert aligned.chosen[s, j, a] == aligned.chosen[s, :, a].max()
            assert found.auc[s, a] == pytest.approx(roc_auc_score(y, v))
            assert found.precision[s, a] == pytest.approx(precision_score(y, v > 0, zero_division=0))
            assert found.recall[s, a] == pytest.approx(recall_score(y, v > 0))


def test_a_label_without_variation_is_undefined(made):
    _, codes, label, present, halves = made
    label, present = label.copy(), present.copy()
    label[:, 1], present[:, 1] = 0.1, False
    found = senses.align_labels(codes, label, halves)
    assert np.isnan(found.r[:, 1]).all() and np.isnan(found.held_out[:, 1]).all()
    assert np.isfinite(found.held_out[:, [0, 2]]).all()
    scores = senses.held_out_scores(codes, label, present, halves, found.latents)
    assert all(np.isnan(part[:, 1]).all() and np.isfinite(part[:, 0]).all() for part in scores)


def test_setting_and_feature_are_chosen_on_the_marked_rows(made):
    _, codes, label, _, halves = made
    good = senses.align_labels(codes, label, halves)
    noise = np.random.default_rng(0).permutation(codes.toarray())
    poor = senses.align_labels(type(codes)(noise), label, halves)
    r, names = senses.held_out_best({"poor": poor, "good": good})
    assert names == ["good"] * 4
    np.testing.assert_array_equal(r, good.held_out)
    lucky = poor._replace(scored=np.ones_like(poor.scored))  # brilliant where it may not be looked at
    assert senses.held_out_best({"lucky": lucky, "good": good})[1] == names


@pytest.mark.parametrize("kind", ["least_squares", "logistic"])
def test_a_probe_is_scored_on_rows_that_it_has_not_seen(kind):
    h, item, attributes = world(rows=3000)
    label = attributes[item.numpy()]
    halves = item_halves(np.bincount(item), 3, np.random.default_rng(1))[:, item.numpy()]
    own = held_out_probe(h, label.astype(float), halves, h, label.astype(float), label, halves, kind)
    assert own.r.shape == (3, 5) and (own.r > 0.4).all() and (own.auc > 0.7).all()
    wrong = label.copy()
    wrong[~halves[0]] = ~wrong[~halves[0]]  # labels of rows that are scored have no say
    again = held_out_probe(h, wrong.astype(float), halves[:1], h, label.astype(float), label, halves[:1], kind)
    np.testing.assert_array_equal(again.auc[0], own.auc[0])


def test_a_logistic_probe_is_right_more_often_than_not_where_it_fires():
    h, item, attributes = world(rows=3000)
    label, everywhere = attributes[item.numpy()], np.ones((1, 3000), bool)
    found = held_out_probe(h, label.astype(float), everywhere, h, label.astype(float), label, ~everywhere, "logistic")
    assert (found.precision > 0.6).all()


def test_bad_input_is_named(made):
    _, codes, label, _, halves = made
    case, item = flat([[1, 2], [0]])
    with pytest.raises(ValueError, match="target has 3 items: expected 2"):
        senses.next_items(case, item, torch.arange(3))
    with pytest.raises(ValueError, match="window=0: expected at least 1"):
        senses.history_share(case, item, np.ones((3, 1), bool), 0)
    with pytest.raises(ValueError, match="label has 599 rows, halves 600: expected 600"):
        senses.align_labels(codes, label[1:], halves)
