import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array
from sklearn.metrics import roc_auc_score

from recsae_core.interpret import confidence as cf

GENRES = 6


class World:
    """Cases whose recommended items have one genre each; latent g fires where the item has genre g."""

    def __init__(self, seed, n=3000, items=300, noise=0.0, spurious=10):
        rng = np.random.default_rng(seed)
        self.genre = rng.integers(GENRES, size=items)
        self.popularity = rng.zipf(1.5, items).clip(max=5000)
        self.user, self.item = rng.integers(400, size=n), rng.integers(items, size=n)
        true = np.eye(GENRES, dtype=bool)[self.genre[self.item]]
        flipped = true ^ (rng.random(true.shape) < noise)
        random = rng.random((n, spurious)) < 1 / GENRES
        z = np.hstack([flipped, random]) * rng.uniform(0.5, 2, (n, GENRES + spurious))
        self.z, self.m = csc_array(z), z.shape[1]
        self.scores = np.zeros((self.m, items))
        self.scores[:, :] = np.eye(GENRES)[self.genre].T[np.arange(self.m) % GENRES]
        self.half = rng.random(items) < 0.5

    def trials(self, marked, generator, **options):
        rows = np.flatnonzero((self.half[self.item] == marked) & ((self.user < 200) == marked))
        return cf.trials(self.z[rows], self.user[rows], self.item[rows], self.popularity, generator, **options)

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
