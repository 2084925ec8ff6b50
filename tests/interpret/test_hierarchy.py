import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy, spearmanr

from recsae_core.interpret import hierarchy
from recsae_core.interpret.hierarchy import Prefix, breadth, rank_correlation, tree
from recsae_core.sae.autoencoder import SAE, SAEConfig
from recsae_core.sae.base import Dictionary
from recsae_core.sae.metrics import reconstruction


def sae(m: int = 12, **options) -> SAE:
    made = SAE(SAEConfig(d=6, m=m, **options), torch.Generator().manual_seed(0))
    return made.eval().prepare(rows(50))


def rows(n: int = 40, d: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


class TestPrefix:
    @pytest.mark.parametrize("options", [{}, {"sparsifier": "topk", "k": 3}], ids=["relu", "topk"])
    def test_it_decodes_what_the_inner_dictionary_decodes_from_its_first_latents(self, options):
        inner, x = sae(**options), rows()
        one = Prefix(inner, 5)
        assert isinstance(one, Dictionary) and (one.d, one.m) == (6, 5)
        z = inner.encode(x)
        assert torch.equal(one.encode(x).dense(), z.dense()[:, :5])
        torch.testing.assert_close(one.decode(one.encode(x)), inner.decode(z, 5))
        torch.testing.assert_close(one.decode(one.encode(x), 2), inner.decode(z, 2))

    def test_the_whole_prefix_is_the_dictionary(self):
        inner, x = sae(), rows()
        assert reconstruction(Prefix(inner, 12), x).fvu == pytest.approx(reconstruction(inner, x).fvu, rel=1e-6)

    @pytest.mark.parametrize("prefix", [0, 13])
    def test_a_prefix_that_is_none_is_refused(self, prefix):
        with pytest.raises(ValueError, match=f"prefix={prefix}: expected 1 <= prefix <= m=12"):
            Prefix(sae(), prefix)


class TestBreadth:
    attributes = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0], [0, 0, 0]], bool)
    popularity = np.array([50, 40, 30, 20, 10])

    def found(self, *columns, top=3) -> hierarchy.Breadth:
        items = torch.tensor(columns, dtype=torch.float32).T
        return breadth(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]]), items, self.attributes, self.popularity, top)

    def test_a_latent_of_one_tag_has_no_entropy_and_one_of_two_a_bit(self):
        found = self.found([2, 1, 0, 0, 0], [1, 0, 0, 1, 0])
        np.testing.assert_allclose(found.entropy, [0, 1], atol=1e-12)
        np.testing.assert_allclose(found.audience, [2 / 3, 0])

    def test_weights_are_activations_divided_among_the_tags_of_an_item(self):
        found = self.found([3, 0, 2, 0, 0], [0, 0, 1, 3, 0])
        expected = [entropy([3, 1, 1], base=2), entropy([3.5, 0.5], base=2)]
        np.testing.assert_allclose(found.entropy, expected)

    def test_items_on_which_nothing_fires_are_not_looked_at(self):
        found = self.found([1, 0, 0, 0, 0], [0, 0, 0, 0, 1], top=5)
        np.testing.assert_allclose(found.popularity, [1.0, 0.2])
        assert found.entropy[0] == 0 and np.isnan(found.entropy[1])  # the last item has no tag

    def test_a_latent_that_never_fires_has_no_breadth_but_an_audience_of_none(self):
        found = self.found([1, 1, 1, 1, 1], [0, 0, 0, 0, 0])
        assert np.isnan(found.entropy[1]) and np.isnan(found.popularity[1]) and found.audience[1] == 0

    @pytest.mark.parametrize("top", [0, 6])
    def test_more_items_than_there_are_is_refused(self, top):
        with pytest.raises(ValueError, match=f"top={top}: expected 1 <= top <= 5"):
            self.found([1, 1, 1, 1, 1], [0, 0, 0, 0, 0], top=top)


class TestRankCorrelation:
    @given(st.integers(0, 1000))
    def test_it_is_scipys(self, seed):
        g = np.random.default_rng(seed)
        level, value = g.integers(0, 3, 30), g.integers(0, 5, 30).astype(float)
        value[:2], level[:2] = [0, 9], [0, 2]
        found, chance = rank_correlation(level, value, g, 50)
        assert found == pytest.approx(spearmanr(level, value).statistic, abs=1e-9)
        assert len(chance) == 50 and abs(chance).max() <= 1 + 1e-9

    def test_chance_is_as_wide_as_theory_says(self):
        g = np.random.default_rng(0)
        _, chance = rank_correlation(np.arange(101), g.random(101), g, 4000)
        np.testing.assert_allclose(np.quantile(chance, [0.025, 0.975]), [-0.196, 0.196], rtol=0.1)

    def test_a_latent_without_a_value_is_left_out(self):
        level, value = np.array([0, 0, 1, 1, 2, 2]), np.array([1.0, 2, 3, np.nan, 5, 6])
        found, _ = rank_correlation(level, value, np.random.default_rng(0))
        assert found == pytest.approx(spearmanr(level, value, nan_policy="omit").statistic)

    @pytest.mark.parametrize("value", [[1.0, np.nan, 2.0, np.nan], [1.0, 1.0, 1.0, 1.0]])
    def test_what_does_not_vary_has_no_correlation(self, value):
        with pytest.raises(ValueError, match="expected 3 or more on which level and value vary"):
            rank_correlation(np.array([0, 0, 1, 1]), np.array(value), np.random.default_rng(0))


class TestTree:
    level = np.array([0, 0, 0, 1, 1, 2])

    def world(self) -> tuple[np.ndarray, torch.Tensor]:
        """Latent 3 is a part of 0, latent 5 one of 3, latent 4 is by itself, latent 1 is nearly always on."""
        g = np.random.default_rng(0)
        fires = g.random((2000, 6)) < 0.2
        fires[:, 1] = g.random(2000) < 0.95
        fires[:, 3] = fires[:, 0] & (g.random(2000) < 0.5)
        fires[:, 5] = fires[:, 3] & (g.random(2000) < 0.5)
        return fires, torch.ones(6, 3)

    def test_a_planted_chain_is_found_and_nothing_else(self):
        fires, W_dec = self.world()
        found = tree(fires, W_dec, self.level)
        assert found.parent.tolist() == [-1, -1, -1, 0, -1, 3]  # 5 fires with 0 as with 3: the narrower
        np.testing.assert_allclose(found.share[[3, 5]], 1)
        np.testing.assert_allclose(found.excess[[3, 5]], 1)
        np.testing.assert_allclose(found.cosine[3:], 1, atol=1e-6)
        assert np.isnan(found.share[:3]).all() and abs(found.excess[4]) < 0.2

    def test_rows_shuffled_one_latent_at_a_time_have_no_tree(self):
        fires, W_dec = self.world()
        found = tree(np.random.default_rng(1).permuted(fires, axis=0), W_dec, self.level)
        assert (found.parent == -1).all() and np.nanmax(np.abs(found.excess)) < 0.2

    def test_numbers_are_those_of_a_count_by_hand(self):
        fires, _ = self.world()
        fires[:300, 3] = fires[:300, 2]
        found = tree(fires, rows(6, 3, 4).abs(), self.level, least=0.01)
        for child, parent in ((c, p) for c, p in enumerate(found.parent) if p >= 0):
            share = fires[fires[:, child], parent].mean()
            rate = fires[:, parent].mean()
            assert found.share[child] == pytest.approx(share)
            assert found.excess[child] == pytest.approx((share - rate) / (1 - rate))
            assert self.level[parent] < self.level[child] and rate > fires[:, child].mean()

    def test_a_parent_that_points_away_is_none(self):
        fires, W_dec = self.world()
        W_dec[0] = -1
        assert tree(fires, W_dec, self.level).parent.tolist() == [-1, -1, -1, -1, -1, 3]

    def test_a_latent_that_never_or_always_fires_has_no_part_in_it(self):
        fires, W_dec = self.world()
        fires[:, 0], fires[:, 5] = True, False
        found = tree(fires, W_dec, self.level)
        assert (found.parent == -1).all() and np.isnan(found.share[5])

    @pytest.mark.parametrize("least", [0.0, 1.5])
    def test_a_threshold_that_is_none_is_refused(self, least):
        with pytest.raises(ValueError, match=f"least={least}: expected 0 < least <= 1"):
            tree(*self.world(), self.level, least)
