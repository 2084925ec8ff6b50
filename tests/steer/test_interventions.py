import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsae_core.data import sources, split
from recsae_core.interpret.dictionaries import random_relu
from recsae_core.recommenders import cases, ranking
from recsae_core.recommenders.towers import MF, NCF, MFConfig, NCFConfig
from recsae_core.steer import methods
from recsae_core.steer.edit import edit
from recsae_core.steer.interventions import Bonus, at_quantiles, before, outcomes, places

NOTHING = torch.zeros(120)


@pytest.fixture(scope="module")
def data():
    return split.hidden(sources.load("planted", users=80, items=120, length=25, seed=1))


@pytest.fixture(scope="module", params=[(MF, MFConfig), (NCF, NCFConfig)], ids=["mf", "ncf"])
def world(request, data):
    """An untrained recommender, what is hidden from its test users, and a dictionary of its users' vectors."""
    made, config = request.param
    model = made(config(n_items=120, n_users=80, d=6), torch.Generator().manual_seed(0)).eval()
    for p in (model.P, model.Q):
        p.data *= 20  # far from the origin, so that lists differ
    sets = cases.hidden_sets(data.train, data.test, data.test_users)
    return model, sets, random_relu(model.P.detach(), 12, 4, torch.Generator().manual_seed(0))


class TestOutcomes:
    def test_nothing_changed_is_full_ranking(self, world):
        model, sets, _ = world
        (found,) = outcomes(model, "user", sets, {"nothing": (Bonus(NOTHING), [1.0])}, 12).values()
        np.testing.assert_allclose(found.ndcg[0], ranking.evaluate_sets(model, sets)["ndcg@10"])
        scores = model(sets.cases).detach()
        for n, seen in enumerate(sets.seen):
            open_ = sorted(set(range(120)) - set(seen.tolist()), key=lambda i: -float(scores[n, i]))
            assert found.top[0, n].tolist() == open_[:12]

    def test_a_dose_is_the_edit_finished_by_hand(self, world):
        model, sets, dictionary = world
        method = methods.Latents(dictionary, [3], "set")
        (found,) = outcomes(model, "user", sets, {"m": (method, [0.0, 2.5])}, 5).values()
        stopped = model.before("user", sets.cases)
        scores = stopped.finish(edit(stopped, dictionary, [3], "set", 2.5))
        top = scores.masked_fill(before(model, "user", sets).seen, -torch.inf).topk(5).indices
        np.testing.assert_array_equal(found.top[1], top)
        assert (found.top[0] != found.top[1]).any()

    def test_a_dose_for_each_user_is_that_users_dose(self, world):
        model, sets, dictionary = world
        method = methods.Latents(dictionary, [3], "set")
        which = torch.arange(len(sets)) % 2 == 0
        found = outcomes(model, "user", sets, {"m": (method, [1.0, 3.0, torch.where(which, 1.0, 3.0)])}, 8)["m"]
        np.testing.assert_array_equal(found.top[2], np.where(which[:, None], found.top[0], found.top[1]))

    def test_means_over_the_list_are_those_of_a_count_by_hand(self, world, data):
        model, sets, _ = world
        (found,) = outcomes(model, "user", sets, {"nothing": (Bonus(NOTHING), [1.0])}, 7).values()
        attributes = data.train.attributes
        expected = [np.mean([attributes[i] for i in top], axis=0) for top in found.top[0]]
        np.testing.assert_allclose(found.mean(attributes)[0], expected)
        np.testing.assert_allclose(found.mean(np.arange(120))[0], found.top[0].mean(1))

    def test_a_bonus_moves_what_it_names_and_a_filter_removes_it(self, world, data):
        model, sets, _ = world
        genre = torch.from_numpy(data.train.attributes[:, 0]).float()
        found = outcomes(model, "user", sets, {"m": (Bonus(genre), [-1e6, 0.0, 1e6])}, 5)["m"]
        share = found.mean(genre.numpy()).mean(1)
        assert share[0] == 0 < share[1] < share[2] and share[2] > 0.95

    @pytest.mark.parametrize("depth", [0, 121])
    def test_lists_deeper_than_the_catalogue_are_refused(self, world, depth):
        model, sets, _ = world
        with pytest.raises(ValueError, match=f"depth={depth}: expected 1 <= depth <= 120"):
            outcomes(model, "user", sets, {"nothing": (Bonus(NOTHING), [1.0])}, depth)


class TestPlaces:
    def test_nothing_changed_is_where_the_item_stands(self, world):
        model, sets, _ = world
        found = places(model, sets, 7, Bonus(torch.zeros(1)), [0.0])
        scores = model(sets.cases).detach()
        for n, seen in enumerate(sets.seen):
            others = set(range(120)) - set(seen.tolist()) - {7}
            expected = 1 + sum(bool(scores[n, i] >= scores[n, 7]) for i in others)
            assert found[0, n] == (0 if 7 in seen else expected)

    def test_it_is_the_forward_pass_with_the_items_vector_replaced(self, world):
        model, sets, dictionary = world
        found = places(model, sets, 7, methods.Latents(dictionary, [2], "set"), [4.0])
        stopped = model.before("item", sets.cases)
        mine = torch.arange(120) == 7
        scores = stopped.finish(edit(stopped, dictionary, [2], "set", 4.0, rows=mine))
        scores = scores.masked_fill(before(model, "user", sets).seen, -torch.inf)
        expected = (scores >= scores[:, [7]]).sum(1)
        some = found[0] > 0
        np.testing.assert_array_equal(found[0][some], expected[some])
        assert some.any() and (found[0] != places(model, sets, 7, Bonus(torch.zeros(1)), [0.0])[0]).any()

    def test_a_large_bonus_is_first_for_all_who_have_not_seen_it(self, world):
        model, sets, _ = world
        found = places(model, sets, 7, Bonus(torch.ones(1)), [1e6])
        np.testing.assert_array_equal(found[0], 1 - (sets.seen == 7).any(1).int())


class TestQuantiles:
    z = torch.tensor([0.0, 0, 0, 1, 2, 3, 4])

    def test_they_run_from_nothing_to_the_largest_and_on(self):
        assert at_quantiles(self.z, [-0.5, 0, 0.5, 1, 2]) == [-2.0, 0.0, 2.0, 4.0, 8.0]

    @given(st.lists(st.floats(0.125, 10, width=32), min_size=1, max_size=20), st.integers(0, 9))
    def test_they_rise_and_silent_rows_do_not_matter(self, active, silent):
        z, doses = torch.tensor(active), [-1.0, 0.0, 0.2, 0.7, 1.0, 1.5]
        found = at_quantiles(z, doses)
        assert found == sorted(found)
        assert found == at_quantiles(torch.cat([z, torch.zeros(silent)]), doses)

    def test_a_latent_that_never_fires_has_none(self):
        with pytest.raises(ValueError, match="fires on none of 3 rows"):
            at_quantiles(torch.zeros(3), [1.0])
