import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from recsae_core.interpret import purity as pu
from recsae_core.interpret.statistics import item_halves

ITEMS, LATENTS, ATTRIBUTES = 60, 6, 4


def codes(seed: int = 0, silent: float = 0.5, items: int = ITEMS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((items, LATENTS)) < silent, 0, rng.random((items, LATENTS)))


def labels(seed: int = 1, items: int = ITEMS) -> np.ndarray:
    return np.random.default_rng(seed).random((items, ATTRIBUTES)) < [0.5, 0.3, 0.2, 0.1]


def halves(splits: int = 5, items: int = ITEMS) -> np.ndarray:
    return item_halves(np.arange(items), splits, np.random.default_rng(0))


small = hnp.arrays(np.float64, (12, 3), elements=st.sampled_from([-1.0, 0.0, 0.0, 0.5, 1.0, 2.0]))


class TestTop:
    @given(small, st.integers(1, 12))
    def test_holds_the_strongest_active_items_once_and_then_nothing(self, z, k):
        for latent, found in enumerate(pu.top(z, k)):
            kept = found[found >= 0]
            active = np.sort(z[z[:, latent] != 0, latent])[::-1]
            assert len(set(kept)) == len(kept) == min(k, len(active))
            assert (found[len(kept) :] == -1).all()
            np.testing.assert_array_equal(z[kept, latent], active[: len(kept)])

    @given(small, hnp.arrays(bool, 12), st.integers(1, 12))
    def test_within_some_items_is_the_ranking_of_those_alone(self, z, within, k):
        if k > within.sum():
            with pytest.raises(ValueError, match=rf"K={k}: expected 1 <= K <= {within.sum()}, the number of items"):
                pu.top(z, k, within)
            return
        places = np.append(np.flatnonzero(within), -1)
        np.testing.assert_array_equal(pu.top(z, k, within), places[pu.top(z[within], k)])

    def test_items_on_which_a_latent_is_silent_are_misses_not_the_first_of_the_catalogue(self):
        z, everything = np.zeros((20, 2)), np.ones((20, 1), dtype=bool)
        z[[3, 5], 0] = 1, 2
        assert pu.top(z, 4)[0].tolist() == [5, 3, -1, -1]
        assert pu.purity(pu.top(z, 4), everything).tolist() == [[0.5], [0.0]]


class TestHeldOut:
    def test_is_the_purity_of_both_halves_for_each_k(self):
        z, a, marked = codes(), labels(), halves()
        found = pu.held_out(z, a, marked, [3, 10])
        for (k, size), (s, half) in itertools.product(enumerate([3, 10]), enumerate(marked)):
            np.testing.assert_allclose(found.chosen[k, s], pu.purity(pu.top(z, size, half), a))
            np.testing.assert_allclose(found.scored[k, s], pu.purity(pu.top(z, size, ~half), a))
            np.testing.assert_allclose(found.base[s], a[~half].mean(0))

    def test_the_scoring_half_has_no_say_in_the_latent(self):
        z, a, marked = codes(), labels(), halves(1)
        before = pu.held_out(z, a, marked, [5]).latents
        changed = a.copy()
        changed[~marked[0]] = np.random.default_rng(9).random((int((~marked[0]).sum()), ATTRIBUTES)) < 0.5
        np.testing.assert_array_equal(pu.held_out(z, changed, marked, [5]).latents, before)

    def test_meaningless_labels_have_purity_in_sample_and_none_held_out(self):
        a, marked = labels(items=400), halves(10, 400)
        found = [pu.held_out(codes(seed, 0, 400), a, marked, [10]) for seed in range(20)]
        in_sample = np.mean([one.chosen.max(2) for one in found])
        held = np.mean([one.held_out for one in found])
        assert held == pytest.approx(a.mean(), abs=0.02) and in_sample > a.mean() + 0.1

    def test_a_latent_that_is_the_attribute_is_found_and_pure(self):
        z, a = codes(), labels()
        z[:, 2] = a[:, 1] * (1 + np.random.default_rng(0).random(ITEMS))
        found = pu.held_out(z, a, halves(), [5])
        assert (found.latents[0, :, 1] == 2).all()
        assert (found.held_out[0, :, 1] == np.minimum(1, found.base[:, 1] * ITEMS / 2 / 5)).all()

    def test_equals_are_told_apart_by_the_last_k(self):
        z = np.zeros((40, 2))
        z[:, 0], z[:, 1] = np.arange(40, 0, -1), np.arange(40, 0, -1)
        a = np.zeros((40, 1), dtype=bool)
        a[:12] = True
        z[4:12, 0] = 0.5  # the first latent knows four of the twelve, the second all
        half = np.arange(40)[None] % 2 == 0
        found = pu.held_out(z, a, half, [2, 6])
        assert found.chosen[0, 0, :, 0].tolist() == [1, 1]
        assert found.latents[:, 0, 0].tolist() == [1, 1]

    def test_one_to_one_gives_every_attribute_its_own_latent(self):
        z, a = np.zeros((40, 2)), np.zeros((40, 2), dtype=bool)
        a[:20, 0], a[:16, 1] = True, True
        z[:20, 0] = np.arange(20, 0, -1)  # serves both attributes best
        z[16:36, 1] = np.arange(20, 0, -1)
        found = pu.held_out(z, a, np.arange(40)[None] % 2 == 0, [5])
        assert found.latents[0, 0].tolist() == [0, 0]
        assert found.one_to_one[0, 0].tolist() == [pytest.approx(0.4), 1.0]
        alone = pu.held_out(z[:, :1], a, np.arange(40)[None] % 2 == 0, [5])
        assert sorted(alone.one_to_one[0, 0]) == [0, 1]


class TestChance:
    def test_the_exact_test_is_the_law_of_shuffled_labels(self):
        rng, z, a = np.random.default_rng(3), codes(silent=0.9), labels()
        found = pu.top(z, 10)
        hits = pu.purity(found, a)
        draws = np.array([pu.purity(found, rng.permutation(a)) for _ in range(5000)])
        np.testing.assert_allclose(pu.enrichment(found, a), (draws >= hits - 1e-9).mean(0), atol=0.03)
        assert (found < 0).any()  # latents with fewer than K items are tested for those they have

    def test_the_exact_test_counts_the_items_of_the_half_only(self):
        z, a, half = codes(), labels(), halves(1)[0]
        np.testing.assert_allclose(
            pu.enrichment(pu.top(z, 5, half), a, half), pu.enrichment(pu.top(z[half], 5), a[half])
        )

    def test_a_silent_latent_and_an_attribute_that_nobody_has_are_no_surprise(self):
        p = pu.enrichment(pu.top(np.zeros((20, 2)), 5), labels(items=20))
        assert (p == 1).all()
        assert (pu.enrichment(pu.top(codes(), 5), np.zeros((ITEMS, 2), dtype=bool)) == 1).all()

    def test_meaningless_latents_hardly_survive_and_a_true_one_does(self):
        a, marked = labels(items=400), halves(20, 400)
        z = codes(5, 0, 400)
        noise = pu.labelled(z, a, marked, 10)
        assert (noise.q < 0.05).any(1).mean() <= 0.2 and (noise.q >= noise.p).all()
        z[:, 4] = a[:, 2] + 0.1 * z[:, 4]
        found = pu.labelled(z, a, marked, 10)
        assert (found.label[:, 4] == 2).all() and (found.q[:, 4] < 0.001).all() and (found.purity[:, 4] == 1).all()

    def test_the_largest_of_many_meaningless_purities_is_what_the_null_says(self):
        z, a, rng = codes(0, 0, 300), labels(items=300), np.random.default_rng(0)
        null = pu.permuted_maxima(pu.top(z, 10), a, 200, rng)
        again = pu.permuted_maxima(pu.top(codes(7, 0, 300), 10), a, 200, rng)
        assert null.shape == (200, ATTRIBUTES)
        np.testing.assert_allclose(null.mean(0), again.mean(0), atol=0.05)
        assert (null.mean(0) > a.mean(0) + 0.05).all()


def test_average_precision_is_scikit_learns_where_nothing_is_silent():
    z, y = np.random.default_rng(0).normal(size=(80, ATTRIBUTES)), labels(items=80)
    theirs = [average_precision_score(y[:, j], z[:, j]) for j in range(ATTRIBUTES)]
    np.testing.assert_allclose(pu.average_precision(z, y), theirs)


def test_average_precision_finds_nothing_among_the_silent_items():
    z, y = np.array([[3.0], [2], [0], [0]]), np.array([[True], [False], [True], [True]])
    assert pu.average_precision(z, y).tolist() == [pytest.approx(1 / 3)]
    assert np.isnan(pu.average_precision(z, np.zeros((4, 1), dtype=bool)))


class TestMonosemanticity:
    def theirs(self, z: np.ndarray, x: np.ndarray, k: int) -> np.ndarray:
        """The authors' loop over pairs (2511.18024, code), one neuron at a time."""
        out, cosine = [], cosine_similarity(x)
        for column in z.T:
            w = (column - column.min()) / max(np.ptp(column), 1e-12)
            best = np.argsort(-w)[:k]
            total = weight = 0.0
            for i, j in itertools.permutations(best, 2):
                total, weight = total + w[i] * w[j] * cosine[i, j], weight + w[i] * w[j]
            out.append(total / weight if weight else 0.0)
        return np.array(out)

    def test_is_the_authors_weighted_mean_over_pairs(self):
        x = np.random.default_rng(2).normal(size=(ITEMS, 5))
        for z in (codes(), codes() - 0.4):
            np.testing.assert_allclose(pu.monosemanticity(z, x, 10), self.theirs(z, x, 10), atol=1e-9)

    def test_is_one_for_a_latent_of_equal_items_and_zero_for_a_silent_one(self):
        x = np.random.default_rng(2).normal(size=(20, 5))
        x[:4] = x[0] * np.array([[1], [2], [3], [4]])
        z = np.zeros((20, 3))
        z[:4, 0] = 1, 2, 3, 4
        z[5, 2] = 1
        np.testing.assert_allclose(pu.monosemanticity(z, x), [1, 0, 0], atol=1e-9)

    def test_above_chance_is_zero_on_average_for_random_items(self):
        a = labels(items=500).astype(float)
        z = np.random.default_rng(0).random((500, 400))
        assert pu.monosemanticity(z, a, above_chance=True).mean() == pytest.approx(0, abs=0.02)
        assert pu.monosemanticity(z, a).mean() > 0.1


def test_cohens_d_is_a_difference_in_standard_deviations():
    rng = np.random.default_rng(0)
    one, other = rng.normal(1, 2, size=(20_000, 2)), rng.normal(0, 2, size=(10_000, 2))
    one[:, 1] = other[:, 1] = 3
    np.testing.assert_allclose(pu.cohens_d(one, other), [0.5, 0], atol=0.03)
    np.testing.assert_allclose(pu.cohens_d(one, other), -pu.cohens_d(other, one))


def test_bad_input_is_named():
    z, a = codes(), labels()
    with pytest.raises(ValueError, match=r"K=61: expected 1 <= K <= 60, the number of items"):
        pu.top(z, 61)
    with pytest.raises(ValueError, match=r"K=31: expected 1 <= K <= 30"):
        pu.held_out(z, a, halves(), [10, 31])
    with pytest.raises(ValueError, match=r"K=0: expected 1"):
        pu.labelled(z, a, halves(), 0)
    z[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"z holds 1 values that are NaN"):
        pu.held_out(z, a, halves(), [10])
    with pytest.raises(ValueError, match=r"groups of 1 and 5 rows"):
        pu.cohens_d(z[:1], z[:5])
