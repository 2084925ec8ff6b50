import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array
from scipy.spatial.distance import jaccard
from sklearn.metrics.pairwise import cosine_similarity

from recsae_core.interpret import coherence

seeds = st.integers(0, 10_000)


def sparse(seed: int, rows: int = 60, m: int = 9, share: float = 0.4) -> csc_array:
    rng = np.random.default_rng(seed)
    return csc_array(np.where(rng.random((rows, m)) < share, rng.random((rows, m)).round(1), 0))


def pairs(row: np.ndarray) -> list[tuple[int, int]]:
    real = row[row >= 0]
    return [(a, b) for i, a in enumerate(real) for b in real[i + 1 :]]


class TestStrongest:
    @given(seeds)
    def test_it_is_what_a_plain_loop_finds(self, seed):
        z = sparse(seed)
        dense = z.toarray()
        item = np.random.default_rng(seed).integers(0, 6, len(dense))
        for apart in (None, item):
            found = coherence.strongest(z, 4, apart=apart)
            for j, column in enumerate(dense.T):
                expected, seen = [], set()
                for row in sorted(np.flatnonzero(column > 0), key=lambda r: (-column[r], r)):
                    if apart is None or item[row] not in seen:
                        expected.append(row)
                        seen.add(item[row])
                assert found[j].tolist() == (expected + [-1] * 4)[:4]

    def test_a_latent_that_never_fires_has_no_row(self):
        z = csc_array(np.array([[0, 1.0], [0, 2.0], [0, 0]]))
        assert coherence.strongest(z, 3).tolist() == [[-1, -1, -1], [1, 0, -1]]
        assert coherence.strongest(z, 2, apart=np.array([5, 5, 5])).tolist() == [[-1, -1], [1, -1]]

    def test_stored_zeros_and_negative_values_are_no_activations(self):
        z = csc_array(np.array([[1.0], [2.0], [3.0]]))
        z.data[:] = [0, -2, 3]
        assert coherence.strongest(z, 2).tolist() == [[2, -1]]

    def test_t_is_checked(self):
        with pytest.raises(ValueError, match="t=0: expected at least 1"):
            coherence.strongest(sparse(0), 0)


class TestPublishedCases:
    @given(seeds)
    def test_they_are_among_the_ten_strongest_of_level_five(self, seed):
        z, g = sparse(seed, rows=200), np.random.default_rng(seed)
        rows, dense = coherence.published_cases(z, g), z.toarray()
        edges = np.quantile(dense[dense > 0], np.arange(0.1, 1, 0.1))
        best = coherence.strongest(z, 10)
        for j, row in enumerate(rows):
            real = row[row >= 0]
            assert set(real) <= set(best[j]) and len(set(real)) == len(real)
            assert (np.digitize(dense[real, j], edges) + 1 >= 5).all()

    def test_a_weak_latent_has_none_and_a_strong_one_other_ones_each_time(self):
        z = csc_array(np.column_stack([1.0 * (np.arange(40) < 20), np.linspace(2, 3, 40)]))
        one, other = (coherence.published_cases(z, np.random.default_rng(s)) for s in (0, 1))
        assert (one[0] == -1).all() and set(one[1]) != set(other[1])
        assert set(one[1]) | set(other[1]) <= set(range(30, 40))

    def test_no_more_are_shown_than_there_are(self):
        with pytest.raises(ValueError, match="shown=11: expected 1 <= shown <= pool=10"):
            coherence.published_cases(sparse(0), np.random.default_rng(0), shown=11)


class TestSimilarity:
    @given(seeds)
    def test_cosines_are_those_of_scikit_learn(self, seed):
        x = np.random.default_rng(seed).standard_normal((60, 5))
        rows = coherence.strongest(sparse(seed, share=0.05), 4)
        table = cosine_similarity(x)
        expected = [np.mean([table[p] for p in pairs(row)]) if len(pairs(row)) else np.nan for row in rows]
        np.testing.assert_allclose(coherence.within(x, rows), expected, atol=1e-12)

    @given(seeds)
    def test_overlaps_are_those_of_scipy(self, seed):
        label = np.random.default_rng(seed).random((60, 4)) < 0.4
        rows = coherence.strongest(sparse(seed, share=0.1), 3)
        for row, found in zip(rows, coherence.within(label, rows), strict=True):
            some = [1 - jaccard(label[a], label[b]) for a, b in pairs(row) if label[a].any() or label[b].any()]
            assert found == pytest.approx(np.mean(some)) if some else np.isnan(found)

    @given(seeds)
    def test_between_is_the_mean_over_pairs_of_different_latents(self, seed):
        x = np.random.default_rng(seed).standard_normal((60, 5)) + 1
        rows, table = coherence.strongest(sparse(seed), 3), cosine_similarity(x)
        lists = [row[row >= 0] for row in rows]
        every = [table[a, b] for i, p in enumerate(lists) for j, q in enumerate(lists) if i != j for a in p for b in q]
        assert coherence.between(x, rows) == pytest.approx(np.mean(every))

    def test_one_direction_is_perfectly_alike_and_one_row_says_nothing(self):
        x = np.arange(1.0, 7)[:, None] * [[1, 2]]
        found = coherence.within(x, np.array([[0, 3, 5], [2, -1, -1], [-1, -1, -1]]))
        assert found[0] == pytest.approx(1) and np.isnan(found[1:]).all()
        assert np.isnan(coherence.between(x, np.array([[0, 1], [-1, -1]])))

    def test_a_row_of_zeros_is_like_nothing(self):
        x = np.array([[1.0, 0], [0, 0], [1, 1]])
        assert coherence.within(x, np.array([[0, 1, 2]]))[0] == pytest.approx(2**-0.5)


class TestPermutation:
    @given(seeds, st.booleans())
    def test_the_same_rows_are_dealt_out(self, seed, ranked):
        rows = coherence.strongest(sparse(seed, share=0.06), 4)
        dealt = coherence.permuted(rows, np.random.default_rng(seed), ranked=ranked)
        assert ((dealt < 0) == (rows < 0)).all()
        assert sorted(dealt.ravel()) == sorted(rows.ravel())
        if ranked:
            assert (np.sort(dealt, 0) == np.sort(rows, 0)).all()

    def test_it_takes_away_what_a_latent_has_in_common(self):
        rng = np.random.default_rng(0)
        x = np.repeat(np.eye(20), 5, 0) + 0.05 * rng.standard_normal((100, 20))
        rows = np.arange(100).reshape(20, 5)
        for ranked in (True, False):
            null = coherence.within(x, coherence.permuted(rows, rng, ranked=ranked)).mean()
            assert null < 0.1 < 0.9 < coherence.within(x, rows).mean()
            assert null == pytest.approx(coherence.between(x, rows), abs=0.06)


class TestRepeats:
    lists = np.array([[1, 1, 1], [2, 3, 2], [4, 5, 6], [3, 2, 2], [7, 7, -1], [8, 9, -1], [1, -1, -1], [-1, -1, -1]])

    def test_lists_are_counted(self):
        found = coherence.repeats(self.lists, popular=2)
        assert found.lists == 6  # a single case repeats nothing
        assert found.distinct.tolist() == [2, 3, 1]
        assert found.repeat_share == pytest.approx(4 / 6)
        assert found.identical_share == pytest.approx(2 / 6)
        assert found.popular_share == pytest.approx((4 + 3) / 16)

    def test_the_order_of_a_list_says_nothing(self):
        again = coherence.repeats(self.lists[:, ::-1], popular=2)
        assert [np.asarray(v).tolist() for v in again] == [
            np.asarray(v).tolist() for v in coherence.repeats(self.lists, popular=2)
        ]

    def test_without_lists_there_is_nothing_to_count(self):
        with pytest.raises(ValueError, match="no latent has two cases"):
            coherence.repeats(np.array([[1, -1], [-1, -1]]))
