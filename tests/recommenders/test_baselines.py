import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import cosine_similarity

from recsae_core.recommenders import build
from recsae_core.recommenders.baselines import MostPopular, MostPopularConfig
from recsae_core.recommenders.cases import from_lists

from .contract import N_ITEMS, RecommenderContract
from .worlds import interactions


def world():
    rng = np.random.default_rng(0)
    weight = 1 / np.arange(1, N_ITEMS)  # the last item is taken by nobody
    histories = [rng.choice(N_ITEMS - 1, size=rng.integers(1, 9), p=weight / weight.sum()).tolist() for _ in range(60)]
    return interactions(histories, N_ITEMS)


class TestMostPopular(RecommenderContract):
    @pytest.fixture
    def model(self):
        return build("most-popular", n_items=N_ITEMS).learn(world())

    def test_it_counts(self, model, cases):
        items = world().item.tolist()
        assert model(cases)[3].tolist() == [items.count(i) for i in range(N_ITEMS)]


class TestItemKNN(RecommenderContract):
    @pytest.fixture
    def model(self):
        return build("item-knn", n_items=N_ITEMS, neighbours=N_ITEMS).learn(world())

    @pytest.mark.parametrize("rows", [7, 512])
    @pytest.mark.parametrize(("shrinkage", "decay"), [(0.0, 1.0), (2.5, 0.7)])
    @pytest.mark.parametrize("neighbours", [3, N_ITEMS])
    def test_it_sums_the_cosines_of_the_nearest(self, cases, shrinkage, decay, neighbours, rows, monkeypatch):
        monkeypatch.setattr("recsae_core.recommenders.baselines.ROWS", rows)
        inter, options = world(), {"neighbours": neighbours, "shrinkage": shrinkage, "decay": decay}
        model = build("item-knn", n_items=N_ITEMS, **options).learn(inter)
        taken = np.zeros((inter.n_users, N_ITEMS))
        taken[inter.user, inter.item] = 1
        alike = cosine_similarity(taken.T)
        norm = np.sqrt(np.outer(taken.sum(0), taken.sum(0)))
        alike = np.divide(alike * norm, norm + shrinkage, out=np.zeros_like(alike), where=norm > 0)
        np.fill_diagonal(alike, 0)
        for item in range(N_ITEMS):
            alike[item, np.argsort(-alike[item], kind="stable")[neighbours:]] = 0
        histories = [h[h >= 0].numpy() for h in cases.history]
        expected = [decay ** np.arange(len(h))[::-1] @ alike[h] for h in histories]
        np.testing.assert_allclose(model(cases).numpy(), np.array(expected), atol=1e-5)

    def test_an_empty_history_is_refused(self, model):
        with pytest.raises(ValueError, match="case 0 is empty"):
            model(from_lists([[]]))


class TestEASE(RecommenderContract):
    @pytest.fixture
    def model(self):
        return build("ease", n_items=N_ITEMS, l2=2.0).learn(world())

    def test_it_is_the_ridge_regression_of_each_item_on_the_others(self, model):
        inter = world()
        taken = np.zeros((inter.n_users, N_ITEMS))
        taken[inter.user, inter.item] = 1
        for item in range(N_ITEMS):
            others = np.arange(N_ITEMS) != item
            ridge = Ridge(alpha=2.0, fit_intercept=False).fit(taken[:, others], taken[:, item])
            np.testing.assert_allclose(model.weight[others, item], ridge.coef_, atol=1e-5)
        assert not model.weight.diagonal().any()

    def test_it_reads_a_set(self, model):
        sets = from_lists([[3, 1, 4], [4, 3, 3, 1]])
        torch.testing.assert_close(*model(sets))
        torch.testing.assert_close(model(sets)[0], model.weight[[1, 3, 4]].sum(0))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("most-popular", {"n_items": 0}, "n_items=0"),
        ("item-knn", {"n_items": 5, "neighbours": 6}, "neighbours=6: expected 1 <= neighbours <= n_items=5"),
        ("item-knn", {"n_items": 5, "neighbours": 5, "shrinkage": -1.0}, "shrinkage=-1"),
        ("item-knn", {"n_items": 5, "neighbours": 5, "decay": 0.0}, "decay=0.0: expected 0 < decay <= 1"),
        ("ease", {"n_items": 5, "l2": 0.0}, "l2=0.0: expected a positive number"),
        ("item-knn", {"n_items": 5, "neighbors": 5}, "item-knn: .*neighbors"),
        ("itemknn", {"n_items": 5}, "'itemknn': expected one of transformer, sasrec, most-popular, item-knn, ease"),
    ],
)
def test_bad_options_are_refused_by_name(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


@pytest.mark.parametrize("name", ["most-popular", "item-knn", "ease"])
def test_another_vocabulary_is_refused(name):
    with pytest.raises(ValueError, match="the interactions have 30 items: expected n_items=120"):
        build(name, n_items=120).learn(world())


def test_what_was_saved_by_another_version_is_refused(tmp_path):
    from recsae_core import storage
    from recsae_core.recommenders import load, save

    class Stranger(MostPopular):
        pass

    with pytest.raises(ValueError, match="Stranger: expected one of"):
        save(Stranger(MostPopularConfig(3)), tmp_path / "stranger")
    storage.save(tmp_path / "old", {"w": torch.zeros(1)}, {"recommender": "most-popular", "config": {"n_items": 3}})
    with pytest.raises(ValueError, match="not a recommender of this version"):
        load(tmp_path / "old")
