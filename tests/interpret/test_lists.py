import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from recsae_core.interpret.lists import kendall_tau, overlap, rbo, top


def pair(n=40, k=7, items=12, seed=0):
    """Random lists of ``k`` of ``items`` items, two a user."""
    g = np.random.default_rng(seed)
    return tuple(np.argsort(g.random((n, items)), 1)[:, :k] for _ in range(2))


def tau_of_paper(a, b):
    """The authors' rule, one user at a time: scipy's tau-b over the union, absent items at ``len + 1``."""
    union = list(dict.fromkeys([*a, *b]))
    ranks = [[list(x).index(i) + 1 if i in x else len(x) + 1 for i in union] for x in (a, b)]
    return kendalltau(*ranks).statistic


def tau_of_common(a, b):
    both = [i for i in a if i in b]
    ranks = [[list(x).index(i) for i in both] for x in (a, b)]
    return kendalltau(*ranks).statistic if len(both) > 1 else np.nan


def rbo_of_paper(a, b, p):
    return sum((1 - p) * p**d * len({*a[: d + 1]} & {*b[: d + 1]}) / (d + 1) for d in range(len(a)))


class TestTop:
    def test_the_best_unseen_items_come_first(self):
        scores = torch.tensor([[0.1, 0.9, 0.5, 0.3], [4.0, 3.0, 2.0, 1.0]])
        seen = torch.tensor([[1, -1], [3, 0]])
        assert top(scores, seen, 2).tolist() == [[2, 3], [1, 2]]
        assert top(scores, None, 3).tolist() == [[1, 2, 3], [0, 1, 2]]

    def test_where_too_few_are_unseen_the_list_ends(self):
        assert top(torch.rand(1, 3), torch.tensor([[0, 2]]), 3).tolist() == [[1, -1, -1]]

    def test_scores_stay_as_they_are(self):
        scores = torch.rand(3, 5)
        before = scores.clone()
        top(scores, torch.tensor([[0], [1], [2]]), 2)
        assert torch.equal(scores, before)

    @pytest.mark.parametrize("depth", [0, 6])
    def test_a_list_deeper_than_the_catalogue_is_refused(self, depth):
        with pytest.raises(ValueError, match=f"depth={depth}: expected 1 to 5 items"):
            top(torch.rand(2, 5), None, depth)

    def test_scores_that_are_no_numbers_are_refused(self):
        with pytest.raises(ValueError, match="1 of 4 scores are NaN"):
            top(torch.tensor([[1.0, float("nan")], [0.0, 1.0]]), None, 1)


class TestRBO:
    def test_published_values(self):
        one, other = np.array([[1, 2, 3, 4, 5]]), np.array([[2, 3, 4, 1, 5]])
        assert rbo(one, other, 0.9, extrapolated=True)[0] == pytest.approx(0.828)  # the library rankmeasures
        # Webber et al. 2010, section 4.3: at p = .9 the first 10 ranks have 86% of the weight, at .98 the first 50
        for p, depth in ((0.9, 10), (0.98, 50)):
            a, b = np.arange(2000), np.arange(2000)
            b[depth:] += 5000
            assert rbo(a[None], b[None], p)[0] == pytest.approx(0.86, abs=0.01)

    @pytest.mark.parametrize(("k", "want"), [(30, 0.9576), (29, 0.9529)])
    def test_equal_lists_end_below_one_unless_extrapolated(self, k, want):
        a = np.arange(k)[None]
        assert rbo(a, a)[0] == pytest.approx(want, abs=5e-5)
        assert rbo(a, a, extrapolated=True)[0] == pytest.approx(1)

    @settings(deadline=None, max_examples=30)
    @given(st.integers(1, 9), st.integers(0, 1000), st.floats(0.05, 0.99))
    def test_it_is_the_sum_that_the_authors_write(self, k, seed, p):
        a, b = pair(6, k, seed=seed)
        np.testing.assert_allclose(rbo(a, b, p), [rbo_of_paper(x, y, p) for x, y in zip(a, b, strict=True)])

    @settings(deadline=None, max_examples=20)
    @given(st.integers(1, 9), st.integers(0, 1000))
    def test_extrapolated_it_is_what_agreement_that_goes_on_as_at_the_end_would_give(self, k, seed):
        a, b = pair(6, k, seed=seed)
        share = overlap(a, b)
        further = sum((1 - 0.9) * 0.9**d * share for d in range(k, 400))
        np.testing.assert_allclose(rbo(a, b, 0.9, extrapolated=True), rbo(a, b, 0.9) + further)

    def test_a_weight_outside_of_the_unit_interval_is_refused(self):
        with pytest.raises(ValueError, match=r"p=1\.0: expected a number between 0 and 1"):
            rbo(*pair(), p=1.0)


class TestTau:
    @settings(deadline=None, max_examples=30)
    @given(st.integers(2, 9), st.integers(9, 30), st.integers(0, 1000))
    def test_it_is_scipys(self, k, items, seed):
        a, b = pair(6, k, items, seed)
        want = [tau_of_paper(x, y) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(kendall_tau(a, b), want, atol=1e-12)
        want = [tau_of_common(x, y) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(kendall_tau(a, b, common=True), want, atol=1e-12)

    @pytest.mark.parametrize(("k", "want"), [(30, -0.6742), (29, -0.6744)])
    def test_lists_without_a_common_item_have_the_floor_of_the_paper(self, k, want):
        a = np.arange(k)[None]
        assert kendall_tau(a, a + 100)[0] == pytest.approx(want, abs=5e-5)
        assert np.isnan(kendall_tau(a, a + 100, common=True)[0])

    def test_equal_and_reversed_lists_are_the_ends(self):
        a, _ = pair()
        for common in (False, True):
            np.testing.assert_allclose(kendall_tau(a, a, common), 1)
            np.testing.assert_allclose(kendall_tau(a, a[:, ::-1], common), -1)

    def test_one_common_item_is_too_few_for_an_order(self):
        a, b = np.array([[0, 1, 2], [0, 1, 2]]), np.array([[9, 8, 1], [9, 1, 0]])
        assert np.isnan(kendall_tau(a, b, common=True)).tolist() == [True, False]


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 9), st.integers(0, 1000))
def test_measures_are_symmetric_and_do_not_depend_on_what_items_are_called(k, seed):
    a, b = pair(8, k, seed=seed)
    names = np.random.default_rng(seed + 1).permutation(12) + 50
    for measure in (overlap, rbo, kendall_tau):
        np.testing.assert_allclose(measure(a, b), measure(b, a))
        np.testing.assert_allclose(measure(a, b), measure(names[a], names[b]))


@pytest.mark.parametrize("pad", [1, 4])
def test_padding_is_no_item(pad):
    a, b = pair(20, 6, 9)
    a[:, -pad:] = b[:, -pad:] = -1
    np.testing.assert_allclose(overlap(a, b) * 6, [len({*x} & {*y} - {-1}) for x, y in zip(a, b, strict=True)])
    assert (rbo(a, b) < rbo(a, a)).any()
    far = np.where(a < 0, a, a + 100)
    assert (overlap(a, far) == 0).all()
    assert (kendall_tau(a, far) < 0).all()
    assert not kendall_tau(a, a).max() > 1


@pytest.mark.parametrize("measure", [overlap, rbo, kendall_tau])
def test_lists_of_other_shapes_are_refused(measure):
    a, _ = pair(5, 4)
    for wrong in (a[:, :3], a[:4]):
        with pytest.raises(ValueError, match=r"lists of shape \(5, 4\) and .*: expected the same shape"):
            measure(a, wrong)
