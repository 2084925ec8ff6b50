import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from recsae_core.interpret import confidence as cf
from recsae_core.interpret.statistics import wilson

GENRES = 6


class World:
    """Cases whose recommended items have one genre each; latent g fires where the item has genre g, others anyhow."""

    def __init__(self, seed, n=3000, items=300, noise=0.0, spurious=10):
        rng = np.random.default_rng(seed)
        self.genre = rng.integers(GENRES, size=items)
        self.popularity = rng.zipf(1.5, items).clip(max=5000)
        self.user, self.item = rng.integers(400, size=n), rng.integers(items, size=n)
        true = np.eye(GENRES, dtype=bool)[self.genre[self.item]]
        flipped = np.where(rng.random(true.shape) < noise, rng.random(true.shape) < 1 / GENRES, true)
        random = rng.random((n, spurious)) < 1 / GENRES
        self.z = csc_array(np.hstack([flipped, random]) * rng.uniform(0.5, 2, (n, GENRES + spurious)))
        self.m = self.z.shape[1]
        self.scores = np.eye(GENRES)[self.genre].T[np.arange(self.m) % GENRES]
        self.half = rng.random(items) < 0.5

    def trials(self, marked, generator, z=None, **options):
        rows = np.flatnonzero((self.half[self.item] == marked) & ((self.user < 200) == marked))
        z = (self.z if z is None else z)[rows]
        return cf.trials(z, self.user[rows], self.item[rows], self.popularity, generator, **options)

    def confidence(self, seed=0, **options):
        g = np.random.default_rng(seed)
        construct, verify = self.trials(True, g, **options), self.trials(False, g, **options)
        return cf.confidence(self.scores, construct, verify, np.ones(self.m, dtype=bool))


@pytest.mark.parametrize("mode", ["top", "any"])
def test_a_perfect_detector_is_confident_and_a_random_latent_is_not(mode):
    found = World(0).confidence(mode=mode)
    assert (found.balanced.value[:GENRES] == 1).all() and (found.auroc[:GENRES] == 1).all()
    assert found.confident().tolist() == [True] * GENRES + [False] * 10
    assert found.balanced.value[GENRES:].mean() == pytest.approx(0.5, abs=0.06)
    assert (found.precision.value[:GENRES] == 1).all()


def test_descriptions_of_other_latents_fail():
    world = World(1)
    world.scores = np.roll(world.scores, 1, axis=0)
    found = world.confidence()
    assert not found.confident().any() and (found.auroc[:GENRES] < 0.6).all()


def test_permuted_activations_keep_rate_and_strength_and_lose_the_meaning():
    world = World(2)
    world.z, before = cf.permuted(world.z, np.random.default_rng(0)), world.z
    assert (np.diff(world.z.indptr) == np.diff(before.indptr)).all()
    np.testing.assert_allclose(np.sort(world.z[:, [3]].data), np.sort(before[:, [3]].data))
    found = world.confidence()
    assert not found.confident().any()
    assert found.balanced.value.mean() == pytest.approx(0.5, abs=0.06)


def test_noise_in_the_latents_lowers_confidence_and_not_below_a_coin():
    rates = [World(3, noise=noise).confidence(mode="any").balanced.value[:GENRES].mean() for noise in (0, 0.3, 1)]
    assert rates[0] == 1 and 0.6 < rates[1] < 0.95 and rates[2] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("mode", ["top", "any"])
def test_trials_are_active_and_silent_cases_of_other_users_and_items_each_once(mode):
    world = World(4)
    g = np.random.default_rng(0)
    found = cf.trials(world.z, world.user, world.item, world.popularity, g, mode=mode, most=8, caliper=20.0)
    dense = world.z.toarray()
    assert (dense[found.row[found.active], found.latent[found.active]] > 0).all()
    assert (dense[found.row[~found.active], found.latent[~found.active]] == 0).all()
    assert (found.item == world.item[found.row]).all()
    for latent in range(world.m):
        mine = found.latent == latent
        rows = found.row[mine]
        assert len(np.unique(rows)) == len(rows) == 16
        active = found.row[mine & found.active]
        assert len(np.unique(world.user[active])) == len(np.unique(world.item[active])) == 8
        if mode == "top":
            assert dense[active, latent].min() >= np.quantile(dense[:, latent][dense[:, latent] > 0], 0.9)


def test_silent_cases_are_as_popular_unless_they_are_to_be_easy():
    world = World(5)
    dense = world.z.toarray()
    popular = world.popularity[world.item] > np.median(world.popularity)
    dense[:, 0] = np.random.default_rng(0).random(len(popular)) < np.where(popular, 0.7, 0.1)
    gaps = []
    near = cf.trials(csc_array(dense), world.user, world.item, world.popularity, np.random.default_rng(0))
    pairs = np.log1p(world.popularity[near.item]).reshape(2, -1)  # the active cases, then theirs
    assert np.abs(pairs[0] - pairs[1]).max() <= 0.25
    for easy in (False, True):
        g = np.random.default_rng(0)
        found = cf.trials(csc_array(dense), world.user, world.item, world.popularity, g, easy=easy)
        size, mine = np.log1p(world.popularity[found.item]), found.latent == 1
        gaps.append(abs(size[mine & found.active].mean() - size[mine & ~found.active].mean()))
        log_pop = np.log1p(world.popularity) * np.ones((world.m, 1))
        known = cf.confidence(log_pop, found, found, np.ones(world.m, dtype=bool))
        gaps.append(known.balanced.value[0])
    assert gaps[0] < 0.1 and gaps[3] > gaps[1] + 0.2 and gaps[1] < 0.6  # what is easy is told from popularity alone


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 40))
def test_thresholds_are_the_best_and_auroc_is_scikit_learns(seed, m, n):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-2, 4, (m, 12)).astype(float)
    latent, item = rng.integers(m, size=n), rng.integers(12, size=n)
    trials = cf.Trials(latent, np.arange(n), item, rng.random(n) < 0.5, m)
    cuts, found = cf.thresholds(scores, trials), cf.confidence(scores, trials, trials, np.ones(m, dtype=bool))
    for j in range(m):
        active, score = trials.active[latent == j], scores[j, item[latent == j]]
        if active.all() or not active.any():
            assert cuts[j] == np.inf and found.auroc[j] == 0.5 and found.true_pos[j] == 0
            continue
        rates = [((score > c)[active].mean() + (score <= c)[~active].mean()) / 2 for c in np.arange(-3.5, 4)]
        assert found.balanced.value[j] == pytest.approx(max(rates))
        assert found.tpr.value[j] == pytest.approx((score > cuts[j])[active].mean())
        assert found.auroc[j] == pytest.approx(roc_auc_score(active, score))


def test_what_cannot_be_judged_is_no_success():
    world = World(6)
    dense = world.z.toarray()
    dense[:, 0] = 0  # never fires
    dense[:, 1] = 1  # is never silent
    dense[:, 2] = 0
    dense[np.flatnonzero(world.genre[world.item] == 2)[:6], 2] = 1  # hardly ever fires
    world.z = csc_array(dense)
    g = np.random.default_rng(0)
    construct, verify = world.trials(True, g), world.trials(False, g)
    described = np.arange(world.m) != 3
    found = cf.confidence(world.scores, construct, verify, described)
    assert found.n_pos[0] == 0 and found.n_neg[1] == 0 and found.n_pos[2] < 5
    assert not found.enough[:4].any() and not found.confident()[:4].any() and found.confident()[4:6].all()
    assert found.auroc[[0, 1, 3]].tolist() == [0.5] * 3
    assert (found.tpr.low[0], found.tpr.high[0]) == (0, 1)


def test_a_rate_near_zero_is_not_made_good_by_the_other():
    counts = np.full(3, 10)
    true_pos, true_neg = np.array([6, 4, 10]), np.array([10, 10, 6])
    found = cf.Confidence(counts, counts, true_pos, true_neg, np.full(3, 0.9), np.full(3, True), 5)
    assert found.confident(bar=0.7).tolist() == [True, False, True] and found.confident().tolist() == [
        True,
        False,
        True,
    ]
    assert found.precision.value == pytest.approx([1, 1, 10 / 14])
    assert (found.balanced.low < found.balanced.value).all() and (found.balanced.high > found.balanced.value).all()


@given(st.integers(0, 60), st.integers(0, 60))
def test_wilson_is_scipys(successes, misses):
    found = wilson(np.array([successes]), np.array([successes + misses]))
    if successes + misses:
        theirs = binomtest(successes, successes + misses).proportion_ci(method="wilson")
        assert [one[0] for one in found] == pytest.approx([successes / (successes + misses), *theirs], abs=1e-9)
    else:
        assert [one[0] for one in found] == [0, 0, 1]


def test_balanced_accuracy_is_covered_as_often_as_said():
    rng = np.random.default_rng(0)
    tpr, tnr, n = 0.85, 0.7, np.full(4000, 20)
    none = np.full(4000, 0.5)
    one = cf.Confidence(n, n, rng.binomial(20, tpr, 4000), rng.binomial(20, tnr, 4000), none, none > 0, 5).balanced
    assert 0.93 <= ((one.low <= (tpr + tnr) / 2) & (one.high >= (tpr + tnr) / 2)).mean() <= 0.98


def test_bad_input_is_refused():
    world, g = World(7), np.random.default_rng(0)
    with pytest.raises(ValueError, match="mode='best': expected 'top' or 'any'"):
        world.trials(True, g, mode="best")
    with pytest.raises(ValueError, match="expected"):
        cf.trials(world.z[:10], world.user, world.item, world.popularity, g)
    trials, all_ = world.trials(True, g), np.ones(world.m, dtype=bool)
    with pytest.raises(ValueError, match="expected finite ones"):
        cf.confidence(np.full_like(world.scores, np.nan), trials, trials, all_)
    with pytest.raises(ValueError, match="successes: expected"):
        wilson(np.array([3]), np.array([2]))
