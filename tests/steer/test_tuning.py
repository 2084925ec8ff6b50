import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from recsae_core.data import sources, split
from recsae_core.interpret.dictionaries import random_relu
from recsae_core.recommenders import cases
from recsae_core.recommenders.base import Sets
from recsae_core.recommenders.towers import MF, MFConfig, factors
from recsae_core.steer import bias, methods, tuning
from recsae_core.steer.interventions import before
from recsae_core.steer.tuning import AsFar, Neighbour, changes, matched

ALPHAS = [0.0, 0.5, 1.0, 2.0, 5.0]
NOTHING = methods.Direction(torch.zeros(6))


@pytest.fixture(scope="module")
def world():
    """Lists of an untrained recommender, their targets, a concept, and a dictionary of the users' vectors."""
    data = split.hidden(sources.load("planted", users=80, items=120, length=25, seed=1))
    model = MF(MFConfig(n_items=120, n_users=80, d=6), torch.Generator().manual_seed(0)).eval()
    for p in (model.P, model.Q):
        p.data *= 20
    sets = cases.hidden_sets(data.train, data.test)
    dictionary = random_relu(model.P.detach(), 24, 6, torch.Generator().manual_seed(0))
    return before(model, "user", sets), sets.target[:, 0], torch.from_numpy(data.train.attributes[:, 0]), dictionary


class TestChanges:
    @pytest.mark.parametrize("latents", [[3], [3, 7, 11], list(range(24))])
    def test_a_factor_of_one_is_the_recommender_itself_bit_for_bit(self, world, latents):
        lists, target, items, dictionary = world
        method = methods.Latents(dictionary, latents, "scale")
        assert torch.equal(method(lists, 1.0), lists.scores)
        found = changes(lists, method, [1.0], items, target)
        for before_, after in (found.share, found.ndcg):
            np.testing.assert_array_equal(before_, after)
        assert not found.score.any() and not found.rank.any() and (found.overlap == 1).all()

    def test_a_latent_that_is_silent_on_a_row_leaves_that_row_alone_at_every_factor(self, world):
        lists, _, _, dictionary = world
        silent = dictionary.encode(lists.split.h).dense()[:, 3] == 0
        assert silent.any() and not silent.all()
        for alpha in ALPHAS:
            moved = methods.Latents(dictionary, [3], "scale")(lists, alpha)
            assert torch.equal(moved[silent], lists.scores[silent])
            assert alpha == 1 or (moved[~silent] != lists.scores[~silent]).any(1).all()

    def test_every_number_is_that_of_a_count_by_hand(self, world):
        lists, target, items, dictionary = world
        method = methods.Latents(dictionary, [3, 5], "scale")
        found = changes(lists, method, [4.0], items, target)
        concept = set(items.nonzero()[:, 0].tolist())
        for p, scores in enumerate([lists.scores, method(lists, 4.0)]):
            for n in range(0, len(scores), 7):
                free = [i for i in range(120) if not lists.seen[n, i]]
                own, other = [i for i in free if i in concept], [i for i in free if i not in concept]
                order = sorted(free, key=lambda i: -float(scores[n, i]))
                original = sorted(free, key=lambda i: -float(lists.scores[n, i]))
                for k, depth in enumerate((10, 20)):
                    assert found.share[p, n, k] == pytest.approx(len(concept & set(order[:depth])) / depth)
                assert found.overlap[p, n] == pytest.approx(len(set(order[:10]) & set(original[:10])) / 10)
                place = order[:10].index(int(target[n])) + 1 if int(target[n]) in order[:10] else None
                assert found.ndcg[p, n] == pytest.approx(0 if place is None else 1 / np.log2(place + 1))
                rise = (scores[n] - lists.scores[n]).double().numpy()
                spread = lists.scores[n, free].double().numpy().std()
                assert found.score[p, n] == pytest.approx((rise[own].mean() - rise[other].mean()) / spread, abs=1e-6)
                up = (
                    [original.index(i) - order.index(i) for i in own],
                    [original.index(i) - order.index(i) for i in other],
                )
                assert found.rank[p, n] == pytest.approx((np.mean(up[0]) - np.mean(up[1])) / len(free), abs=1e-9)

    def test_a_planted_concept_goes_up_and_down_with_its_own_latent_and_with_no_other(self):
        """Items are the axes, users sums of two of them: the latent of an axis is the taste for it."""
        g = torch.Generator().manual_seed(0)
        axis = torch.arange(60) % 4
        items = torch.nn.functional.one_hot(axis, 4) + 0.05 * torch.randn(60, 4, generator=g)
        users = torch.rand(50, 4, generator=g) + 0.2
        model = factors(users, items)
        dictionary = random_relu(users, 4, 2, g)
        dictionary.W_enc = dictionary.W_dec = torch.eye(4)
        dictionary.shift = dictionary.offset = dictionary.bias = torch.zeros(4)
        empty = torch.full((50, 1), -1)
        lists = before(model, "user", Sets(cases.of_users(torch.arange(50)), empty, empty))
        target = torch.zeros(50, dtype=torch.int64)
        own = changes(lists, methods.Latents(dictionary, [1], "scale"), ALPHAS, axis == 1, target)
        share = own.share[1:, :, 0].mean(1)
        assert share[0] == 0 and share[-1] > 0.9 and (np.diff(share) >= 0).all()
        assert (own.score[1] < 0).all() and (own.rank[1] <= 0).all() and (own.score[5] > 0).all()
        assert own.rank[1].mean() < -0.2 and own.rank[5].mean() > 0.2
        other = changes(lists, methods.Latents(dictionary, [2], "scale"), ALPHAS, axis == 1, target)
        assert other.share[1, :, 0].mean() > other.share[0, :, 0].mean()  # it gains what another loses

    def test_a_list_on_which_no_item_of_the_concept_is_left_has_no_shift(self, world):
        lists, target, items, _ = world
        seen = lists.seen.clone()
        seen[0] |= items
        found = changes(lists._replace(seen=seen), methods.Rerank(items), [2.0], items, target)
        assert np.isnan(found.score[:, 0]).all() and np.isnan(found.rank[:, 0]).all()
        assert np.isfinite(found.score[:, 1:]).all() and not found.share[:, 0].any()

    @pytest.mark.parametrize("items", [torch.zeros(120), torch.ones(120), torch.ones(3)])
    def test_a_concept_of_no_or_all_items_is_refused(self, world, items):
        lists, target, _, _ = world
        with pytest.raises(ValueError, match="expected some of them, and not all"):
            changes(lists, NOTHING, [1.0], items > 0, target)


class TestNulls:
    @pytest.mark.parametrize("alpha", ALPHAS)
    def test_a_direction_goes_as_far_as_the_latent(self, world, alpha):
        lists, _, _, dictionary = world
        inner, vector = methods.Latents(dictionary, [3], "scale"), torch.arange(1.0, 7.0)
        mine, its = AsFar(inner, vector).rows(lists, alpha), inner.rows(lists, alpha)
        h = lists.split.h
        torch.testing.assert_close((mine - h).norm(dim=1), (its - h).norm(dim=1), atol=1e-5, rtol=1e-5)
        along = (mine - h) @ vector
        assert (along * (alpha - 1) >= 0).all() and (alpha != 1 or torch.equal(mine, h))

    def test_a_neighbour_is_one_other_active_latent_and_the_same_at_every_dose(self, world):
        lists, _, _, dictionary = world
        z = dictionary.encode(lists.split.h).dense()
        null = Neighbour(dictionary, (3, 5))
        off, twice = (null.rows(lists, dose) - lists.split.h for dose in (0.0, 2.0))
        torch.testing.assert_close(off, -twice, atol=1e-5, rtol=1e-4)
        assert torch.equal(null.rows(lists, 1.0), lists.split.h)
        for n in range(len(z)):
            free = [j for j in z[n].nonzero()[:, 0].tolist() if j not in (3, 5)]
            steps = [-z[n, j] * dictionary.W_dec[j] for j in free]
            assert any(torch.allclose(off[n], step, atol=1e-5) for step in steps) or (not free and not off[n].any())

    def test_another_seed_draws_other_neighbours_and_the_same_seed_the_same(self, world):
        lists, _, _, dictionary = world
        rows = [Neighbour(dictionary, (3,), seed).rows(lists._replace(kept={}), 0.0) for seed in (0, 0, 1)]
        assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])

    def test_a_row_without_another_latent_stays(self, world):
        lists, _, _, dictionary = world
        null = Neighbour(dictionary, tuple(range(24)))
        assert torch.equal(null.rows(lists, 0.0), lists.split.h)

    def test_matched_latents_are_the_most_alike_and_none_twice(self):
        g = torch.Generator().manual_seed(0)
        rate = torch.logspace(-2, -0.3, 40)
        z = (torch.rand(4000, 40, generator=g) < rate) * (1 + rate)
        z[:, 39] = 0  # dead
        drawn = matched(z, list(range(10, 20)), {9, 8}, np.random.default_rng(0), near=3)
        assert len(set(drawn)) == 10 and not set(drawn) & {8, 9, *range(10, 20), 39}
        assert matched(z, [0], [], np.random.default_rng(0), near=1)[0] in (1, 2, 3)
        assert matched(z, [38], [], np.random.default_rng(0), near=1)[0] in (35, 36, 37)

    def test_a_dead_latent_and_too_few_living_ones_are_refused(self):
        z = torch.eye(3)[:, :2]
        with pytest.raises(ValueError, match="latent 2 fires on none of 3 rows"):
            matched(torch.cat([z, 0 * z], 1), [2], [], np.random.default_rng(0))
        with pytest.raises(ValueError, match="none of 2 living latents is left"):
            matched(z, [0], [1], np.random.default_rng(0))


class TestBias:
    def test_the_long_tail_is_what_the_smallest_head_leaves(self):
        np.testing.assert_array_equal(bias.long_tail(np.array([1, 80, 3, 10, 6])), [True, False, True, True, True])
        np.testing.assert_array_equal(bias.long_tail(np.array([1, 79, 3, 11, 6])), [True, False, True, False, True])

    @given(nps.arrays(np.int64, st.integers(2, 30), elements=st.integers(0, 50)), st.floats(0.1, 0.9))
    def test_the_head_holds_its_share_and_would_not_without_its_last_item(self, count, head):
        count[0] += 1
        tail = bias.long_tail(count, head)
        inside, wanted = count[~tail], head * count.sum()
        assert inside.sum() >= wanted > inside.sum() - inside.min()
        assert not tail.any() or count[tail].max() <= inside.min()

    @pytest.mark.parametrize("head", [0.0, 1.0, -1.0])
    def test_a_head_that_is_no_share_is_refused(self, head):
        with pytest.raises(ValueError, match=f"head={head}: expected a share between 0 and 1"):
            bias.long_tail(np.ones(3, dtype=int), head)

    @given(nps.arrays(np.int64, (6, 4), elements=st.integers(0, 11)))
    def test_gini_is_the_mean_difference_over_twice_the_mean(self, top):
        count = np.bincount(top.ravel(), minlength=12)
        mean_difference = np.abs(count[:, None] - count).mean()
        assert bias.gini(top, 12) == pytest.approx(mean_difference / (2 * count.mean()))

    def test_gini_of_equal_counts_is_zero_and_of_a_single_item_nearly_one(self):
        assert bias.gini(np.arange(20).reshape(4, 5), 20) == 0
        assert bias.gini(np.zeros((4, 5), dtype=int), 20) == pytest.approx(0.95)

    def test_latents_that_go_with_a_property_fade_and_the_others_grow(self, world):
        lists, _, _, dictionary = world
        code = dictionary.encode(lists.split.h)
        method = methods.Latents(dictionary, [3, 5], bias.against(np.array([0.4, -0.2])))
        z = code.dense()
        for dose, factors_ in ((0.0, (1, 1)), (0.5, (0.5, 1.5)), (1.0, (0, 2)), (3.0, (0, 4))):
            wanted = z.clone()
            wanted[:, 3] *= factors_[0]
            wanted[:, 5] *= factors_[1]
            step = dictionary.decode(code.with_dense(wanted)) - dictionary.decode(code.with_dense(z))
            torch.testing.assert_close(method.rows(lists, dose), lists.split.h + step, atol=1e-4, rtol=1e-4)

    def test_a_direction_taken_out_is_level_and_all_else_is_as_it_was(self, world):
        lists, centre, vector = world[0], torch.full((6,), 0.3), torch.tensor([3.0, 4.0, 0, 0, 0, 0])
        h, unit = lists.split.h, vector / 5
        gone = bias.Without(vector, centre).rows(lists, 1.0)
        torch.testing.assert_close(gone @ unit, (centre @ unit).expand(len(h)), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(gone - (gone @ unit)[:, None] * unit, h - (h @ unit)[:, None] * unit)
        assert torch.equal(bias.Without(vector, centre).rows(lists, 0.0), h)


def test_all_are_methods(world):
    inner = methods.Latents(world[3], [0], "scale")
    for one in (AsFar(inner, torch.ones(6)), Neighbour(world[3], (0,)), bias.Without(torch.ones(6), torch.zeros(6))):
        assert isinstance(one, methods.Method)
        assert one(world[0], tuning.DEPTHS[0]).shape == world[0].scores.shape
