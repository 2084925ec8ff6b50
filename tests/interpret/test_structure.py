import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from recsae_core.interpret import structure


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TestMatching:
    def test_a_permutation_is_found_whatever_the_lengths(self):
        one, order = random(40, 6), torch.randperm(40, generator=torch.Generator().manual_seed(1))
        partner, cosine = structure.matched(one, 3 * one[order])
        assert (order.numpy()[partner] == np.arange(40)).all()
        np.testing.assert_allclose(cosine, 1, atol=1e-6)

    def test_it_is_one_to_one_and_symmetric(self):
        one, other = random(30, 5), random(30, 5, seed=1)
        there, cosine = structure.matched(one, other)
        back, again = structure.matched(other, one)
        assert sorted(there) == list(range(30)) and (back[there] == np.arange(30)).all()
        np.testing.assert_allclose(again[there], cosine, atol=1e-6)

    def test_rows_left_over_have_no_partner(self):
        partner, cosine = structure.matched(random(5, 4), random(3, 4, seed=1))
        assert (partner == -1).sum() == 2 and (cosine[partner == -1] == 0).all()

    def test_an_opposite_direction_is_no_match(self):
        assert structure.matched(torch.eye(3)[:1], -torch.eye(3)[:1])[1][0] == pytest.approx(-1)

    def test_widths_must_agree(self):
        with pytest.raises(ValueError, match="rows of width 4 and 5"):
            structure.matched(random(3, 4), random(3, 5))


def test_nested_pairs():
    parent, child = np.array([1, 1, 1, 1, 1, 1, 0, 0], bool), np.array([1, 1, 1, 0, 0, 0, 1, 0], bool)
    twin = parent.copy()  # as large as its twin: neither is the other's child
    attributes = np.column_stack([parent, child, twin, np.zeros(8, bool)])
    assert structure.nested(attributes) == [(0, 1), (2, 1)]
    assert structure.nested(attributes, 0.8) == []
    with pytest.raises(ValueError, match=r"least=0.0: expected 0 < least <= 1"):
        structure.nested(attributes, 0.0)


class TestAbsorption:
    parent = np.array([1] * 6 + [0] * 4, bool)
    child = np.array([1] * 3 + [0] * 7, bool)

    def test_a_latent_that_leaves_the_child_to_another_is_absorbed(self):
        z_parent, z_child = (self.parent & ~self.child).astype(float), self.child.astype(float)
        assert structure.absorption(z_parent, z_child, self.parent, self.child) == (1, 0)

    def test_a_latent_that_fires_on_all_of_its_rows_is_not(self):
        z = self.parent.astype(float)
        assert structure.absorption(z, self.child.astype(float), self.parent, self.child) == (0, 0)

    def test_silence_without_a_child_that_fires_is_none(self):
        assert structure.absorption(np.zeros(10), np.zeros(10), self.parent, self.child) == (0, 1)

    def test_a_child_outside_its_parent_leaves_nothing_to_say(self):
        found = structure.absorption(np.ones(10), np.ones(10), self.parent, ~self.parent)
        assert np.isnan(found[0]) and found[1] == 0


class TestSparseProbes:
    label = np.random.default_rng(0).random((600, 2)) < 0.4
    split = np.random.default_rng(1).random(600) < 0.5  # one concept in one latent, the other split over two

    def codes(self):
        one, two = self.label[:, 0], self.label[:, 1]
        noise = np.random.default_rng(2).random((600, 5)) < 0.2
        z = np.column_stack([one, two & self.split, two & ~self.split, noise])
        return torch.from_numpy(z).double()

    def r(self, z):
        return np.corrcoef(z.T, self.label.T)[: z.shape[1], z.shape[1] :]

    def test_a_concept_in_two_latents_takes_two(self):
        z = self.codes()
        found = structure.sparse_probe_auc(z, self.label, z, self.label, self.r(z), [1, 2, 8])
        assert found[0, 0] == pytest.approx(1) and 0.7 < found[0, 1] < 0.8
        np.testing.assert_allclose(found[1:], 1)

    def test_auc_equals_scikit_learn_on_other_rows(self):
        z = random(600, 8).double() + torch.from_numpy(self.label[:, :1])
        fit, rest = slice(0, 300), slice(300, 600)
        r = np.corrcoef(z[fit].T, self.label[fit].T)[:8, 8:]
        found = structure.sparse_probe_auc(z[fit], self.label[fit], z[rest], self.label[rest], r, [3])
        for a in range(2):
            top = np.argsort(-np.abs(r[:, a]))[:3]
            design = np.column_stack([z[fit][:, top], np.ones(300)])
            w = np.linalg.lstsq(design, self.label[fit, a].astype(float), rcond=None)[0]
            assert found[0, a] == pytest.approx(
                roc_auc_score(self.label[rest, a], z[rest].numpy()[:, top] @ w[:3]), abs=1e-6
            )

    def test_the_number_of_latents_is_checked(self):
        z = self.codes()
        with pytest.raises(ValueError, match="k=9: expected 1 <= k <= m=8"):
            structure.sparse_probe_auc(z, self.label, z, self.label, self.r(z), [9])
