from dataclasses import replace

import numpy as np
import planted_acceptance as acceptance
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core.data import sources, split
from recsae_core.data.planted import GENRES, World, generate

SMALL = World(users=300, items=200, length=20)


@pytest.fixture(scope="module")
def small():
    return generate(SMALL)


def test_the_default_world_has_the_size_of_the_planted_edition():
    inter, truth = generate(World())
    assert (inter.n_users, inter.n_items) == (2_000, 600)
    assert 90_000 < len(inter) < 110_000
    parts = split.seqrec(inter)
    assert parts.test.n_users == 200
    assert all(len(part.items) == 600 for part in (parts.train, parts.sae, parts.test))
    assert len(parts.train) + len(parts.sae) + len(parts.test) > 0.98 * len(inter)  # the cut in time costs little
    assert len(truth.taste) == len(inter)


def test_same_seed_same_world_other_seed_another(small):
    again, truth = generate(SMALL)
    for name in ("user", "item", "time", "attributes"):
        assert np.array_equal(getattr(again, name), getattr(small[0], name)), name
    assert again.items.equals(small[0].items)
    assert np.array_equal(truth.taste, small[1].taste)
    other, _ = generate(replace(SMALL, seed=1))
    assert len(other) != len(again) or not np.array_equal(other.item, again.item)


@settings(max_examples=15, deadline=None)
@given(
    users=st.integers(1, 60),
    items=st.integers(100, 250),
    genres=st.integers(12, len(GENRES)),
    per_user=st.integers(2, 5),
    length=st.integers(5, 25),
    zipf=st.floats(0, 2),
    follow=st.floats(0, 6),
    session=st.floats(1, 30),
    drift=st.floats(0, 1),
    noise=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_what_holds_in_every_world(users, items, genres, per_user, length, zipf, follow, session, drift, noise, seed):
    world = World(
        users=users, items=items, genres=genres, tastes_per_user=per_user, length=length,
        zipf=zipf, follow=follow, session=session, drift=drift, noise=noise, seed=seed,
    )  # fmt: skip
    inter, truth = generate(world)
    assert inter.attributes.shape == (items, genres) and inter.attributes.any(1).all()
    assert (inter.attributes.mean(0) > 0).all()
    assert inter.items["title"].is_unique
    pairs = inter.user.astype(np.int64) * items + inter.item
    assert len(np.unique(pairs)) == len(inter), "a user took an item twice"
    assert (np.diff(inter.time)[np.diff(inter.user) == 0] > 0).all()
    assert np.bincount(inter.user, minlength=users).min() >= 5
    assert (truth.user_tastes[truth.user] == truth.taste[:, None]).any(1).all(), "a taste that the user does not have"
    rows = np.random.default_rng(seed).choice(len(inter), 20)
    chance = truth.oracle(rows)
    assert np.allclose(chance.sum(1), 1) and (chance >= 0).all()
    assert (chance[np.arange(20), inter.item[rows]] > 0).all()
    for row, p in zip(rows, chance, strict=True):
        taken = inter.item[(inter.user == inter.user[row]) & (np.arange(len(inter)) < row)]
        assert (p[taken] == 0).all()


@pytest.mark.parametrize("items", [200, 600])
def test_genres_are_nested_correlated_and_two_are_rare(items):
    inter, _ = generate(World(users=50, items=items))
    has = {name: inter.attributes[:, inter.attribute(name)] for name in inter.attribute_names}
    nested = [g for g in GENRES if g.parent and g.name in has]
    assert len(nested) >= 4
    for genre in nested:
        assert not (has[genre.name] & ~has[genre.parent]).any()
        assert has[genre.name].sum() < has[genre.parent].sum()
    share = inter.attributes.mean(0)
    assert ((0 < share) & (share < 0.02)).sum() == 2
    if items == 600:
        assert np.corrcoef(has["Riddle"], has["Ghost"])[0, 1] > 0.15


def test_popularity_falls_like_zipf():
    inter, truth = generate(World(users=1_000, zipf=1.0, focus=0.0, follow=0.0, noise=0.0))
    # a user's first choice is not yet bent by what is taken
    first = np.flatnonzero(np.diff(inter.user, prepend=-1))
    rank = (-truth.popularity).argsort().argsort()[inter.item[first]] + 1
    harmonic = np.cumsum(1 / np.arange(1, 601))
    for top in (10, 100):
        assert (rank <= top).mean() == pytest.approx(harmonic[top - 1] / harmonic[-1], abs=0.05)


def test_oracle_is_calibrated(small):
    inter, truth = small
    rows = np.arange(len(inter))
    chance = truth.oracle(rows)
    chosen = chance[rows, inter.item]
    # its mean log-likelihood is what its own entropy says it should be
    log = np.log(np.where(chance > 0, chance, 1))
    entropy = -(chance * log).sum(1)
    spread = np.sqrt(((chance * log**2).sum(1) - entropy**2).mean() / len(rows))
    assert abs(-np.log(chosen).mean() - entropy.mean()) < 4 * spread
    # and a probability is a frequency, genre by genre
    expected, found = chance @ inter.attributes, inter.attributes[inter.item]
    error = np.sqrt((expected * (1 - expected)).sum(0))
    assert (np.abs(expected.sum(0) - found.sum(0)) < 4 * error).all()


def test_oracle_knows_more_than_popularity_and_the_order(small):
    inter, truth = small
    rows = np.flatnonzero(np.diff(inter.user, prepend=-1) == 0)
    chosen = np.log(truth.oracle(rows)[np.arange(len(rows)), inter.item[rows]]).mean()
    assert chosen > np.log(truth.popularity[inter.item[rows]]).mean() + 0.5
    blind = replace(truth, world=replace(SMALL, noise=0.05), alike=np.ones_like(truth.alike))
    assert chosen > np.log(blind.oracle(rows)[np.arange(len(rows)), inter.item[rows]]).mean() + 0.1


def test_wishes_are_how_often_tastes_are_at_work(small):
    inter, truth = small
    rows = np.arange(len(inter))
    wishes = truth.wishes(rows)
    assert np.allclose(wishes.sum(1), 1)
    at_work = truth.user_tastes[truth.user] == truth.taste[:, None]
    error = np.sqrt((wishes * (1 - wishes)).sum(0))
    assert (np.abs(wishes.sum(0) - at_work.sum(0)) < 4 * error).all()


def test_users_drift_and_whims_are_as_many_as_asked():
    truth = generate(World(users=400, drift=1.0, noise=0.2))[1]
    place, length = truth._place, truth._length[truth.user]
    later = (truth.user_tastes[truth.user, 2:] == truth.taste[:, None]).any(1)
    assert not later[place == 0].any()
    # a taste that holds on makes the drift lag a little behind
    assert later[place >= 0.9 * length].mean() > 0.7
    assert truth.whim.mean() == pytest.approx(0.2, abs=0.02)
    still = generate(World(users=100, drift=0.0))[1]
    assert not (still.user_tastes[still.user, 2:] == still.taste[:, None]).any()


def test_rows_that_are_not_there_are_refused(small):
    inter, truth = small
    with pytest.raises(ValueError, match=f"expected 0 to {len(inter) - 1}"):
        truth.oracle(np.array([len(inter)]))
    with pytest.raises(ValueError, match="rows from -1"):
        truth.wishes(np.array([-1]))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("users", 0, "users=0: expected at least 1"),
        ("items", 50, "items=50: expected 100 to 20,000"),
        ("genres", 11, "genres=11: expected 12 to 16"),
        ("genres", 17, "genres=17: expected 12 to 16"),
        ("tastes", 13, "tastes=13: expected at least one a genre, 16"),
        ("tastes_per_user", 1, "tastes_per_user=1: expected 2 to tastes=32"),
        ("length", 151, "length=151: expected 5 to a quarter of the items, 150"),
        ("zipf", -0.1, "zipf=-0.1: expected 0 to 3"),
        ("focus", float("nan"), "focus=nan: expected 0 to 20"),
        ("follow", 21.0, "follow=21.0: expected 0 to 20"),
        ("session", 0.5, "session=0.5: expected at least 1"),
        ("drift", 1.1, "drift=1.1: expected 0 to 1"),
        ("noise", -1.0, "noise=-1.0: expected 0 to 1"),
        ("years", 0.0, "years=0.0: expected more than 0"),
        ("seed", -1, "seed=-1: expected at least 0"),
    ],
)
def test_impossible_worlds_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        World(**{field: value})


def test_load_takes_the_fields_of_the_world(small):
    assert np.array_equal(sources.load("planted", users=300, items=200, length=20).item, small[0].item)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_planted_edition_is_hard_enough_to_mean_something(seed):
    trial = acceptance.train(World(seed=seed), seed)
    found = acceptance.recommendation(trial)
    f1 = {name: float(values.mean()) for name, values in acceptance.concepts(trial, seed).items()}
    print(seed, trial.report.best_epoch, found, f1)
    assert found["popular"] <= 0.6
    assert 0.7 <= found["transformer"] <= 0.95
    assert found["lost_by_shuffling"] >= 0.1
    few, right, many = (f1[f"sae-{k}"] for k in acceptance.KS)
    assert 0.6 <= right <= 0.95
    assert f1["random"] < max(f1["neurons"], right) < f1["probe"]
    assert max(few, many, f1["untrained"]) <= right - 0.15
