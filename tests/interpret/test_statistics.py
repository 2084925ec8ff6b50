import numpy as np
import pytest
from scipy import stats

from recsae_core.interpret import statistics as st


def test_halves_are_halves_of_the_same_popularity():
    popularity = np.random.default_rng(0).zipf(1.4, 501)
    halves = st.item_halves(popularity, 20, np.random.default_rng(1))
    assert halves.shape == (20, 501) and np.isin(halves.sum(1), (250, 251)).all()
    order = np.argsort(-popularity, kind="stable")
    top = order[:100]
    assert (np.abs(halves[:, top].sum(1) - 50) <= 1).all()
    assert len(np.unique(halves, axis=0)) == 20
    assert (np.abs(halves.mean(0) - 0.5) < 0.5).all()  # no item is always on one side


def test_halves_are_seeded():
    one, two = (st.item_halves(np.arange(30), 3, np.random.default_rng(4)) for _ in range(2))
    assert (one == two).all()


def test_bootstrap_of_a_mean_equals_scipy():
    values = np.random.default_rng(0).exponential(size=(300, 2))
    found = st.bootstrap_mean(values, np.random.default_rng(1), draws=4000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", axis=0).confidence_interval
    np.testing.assert_allclose(found.value, values.mean(0))
    np.testing.assert_allclose(found.low, theirs.low, atol=0.02)
    np.testing.assert_allclose(found.high, theirs.high, atol=0.02)


def test_clusters_of_equal_rows_widen_the_interval():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(50), 20)
    values = rng.standard_normal(50)[user]
    alone = st.bootstrap_mean(values, rng)
    together = st.bootstrap_mean(values, rng, cluster=user)
    assert together.value == alone.value
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(20**0.5, rel=0.15)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        user = rng.integers(0, 40, 200)
        values = 1 + rng.standard_normal(40)[user] + rng.standard_normal(200)
        _, low, high = st.bootstrap_mean(values, rng, cluster=user, draws=300)
        inside += low <= 1 <= high
    assert 0.87 <= inside / 200 <= 0.99


def test_mean_over_seeds_equals_scipy():
    values = np.array([0.1, 0.3, 0.25])
    found = st.mean_over_seeds(values)
    theirs = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert found == pytest.approx((values.mean(), *theirs))


def test_bad_input_is_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="1 seed: expected at least 2"):
        st.mean_over_seeds(np.array([0.5]))
    with pytest.raises(ValueError, match="splits=0"):
        st.item_halves(np.arange(4), 0, rng)
    with pytest.raises(ValueError, match="level=95"):
        st.bootstrap_mean(np.zeros(4), rng, level=95.0)
    with pytest.raises(ValueError, match="at least 2 units"):
        st.bootstrap_mean(np.zeros(1), rng)
