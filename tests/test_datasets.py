"""The notebooks take another dataset by a parameter: a small table in the form of MovieLens 20M stands in for it."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from project import ROOT

from recsae_book import artifacts, notebooks, recipes
from recsae_core.data import planted

ARTIFACTS = """
datasets:
  ml-20m: {source: ml-20m}
recipes:
  ml-20m/most-popular: &popular {kind: recommender, model: most-popular}
  ml-20m/item-knn: &knn {kind: recommender, model: item-knn, config: {neighbours: 20}}
  ml-20m/item-knn-recency: {kind: recommender, model: item-knn, config: {neighbours: 20, decay: 0.4}}
  ml-20m/ease: {kind: recommender, model: ease, config: {l2: 30.0}}
  ml-20m/transformer: &transformer
    kind: recommender
    model: transformer
    config: {d: 8, layers: 2, heads: 1, length: 12}
    fit: {epochs: 2, batch: 64}
  ml-20m/untrained: {<<: *transformer, fit: {epochs: 0}}
  ml-20m/sasrec-bce: &sasrec {kind: recommender, model: sasrec, config: {d: 8, length: 12}, fit: {epochs: 2}}
  ml-20m/sasrec-ce: {<<: *sasrec, config: {d: 8, length: 12, loss: ce}}
  ml-20m/sae-512:
    kind: sae
    parent: ml-20m/transformer
    site: block0
    preset: seqrec-reference
    sae: {m: 32}
    train: {rows: 20000, warmup: 2000}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with tiny recipes, and ``data/ml-20m`` with ratings and movies as in the official archive."""
    root = tmp_path_factory.mktemp("other")
    world, _ = planted.generate(planted.World(users=300, items=150, length=20))
    (root / "book").mkdir()
    (root / "book/artifacts.yml").write_text(ARTIFACTS)
    folder = root / "files" / "ml-20m"
    folder.mkdir(parents=True)
    rating = np.random.default_rng(0).integers(1, 11, len(world)) / 2
    columns = {"userId": world.user + 1, "movieId": world.item * 7 + 3, "rating": rating, "timestamp": world.time}
    pd.DataFrame(columns).to_csv(folder / "ratings.csv", index=False)
    label = [list(np.array(world.attribute_names)[row]) for row in world.attributes]
    label = ["|".join([*said, "IMAX"] if i % 5 == 0 else said) for i, said in enumerate(label)]
    label[1] = "(no genres listed)"
    movies = {"movieId": np.arange(150) * 7 + 3, "title": world.items["title"] + ", The (1990)", "genres": label}
    pd.DataFrame(movies).to_csv(folder / "movies.csv", index=False)
    (root / "data").symlink_to(ROOT / "data")
    return root


def point_to(root, monkeypatch):
    for name, folder in {"ROOT": root, "DATA": root / "files", "CACHE": root / "cache"}.items():
        monkeypatch.setenv(f"RECSAE_{name}", str(folder))
    for found in (artifacts.interactions, artifacts.parts):
        found.cache_clear()


def test_a_table_in_the_form_of_movielens_20m_is_read_by_name(root, monkeypatch):
    point_to(root, monkeypatch)
    assert artifacts.at_hand("ml-20m")
    parts = artifacts.parts("ml-20m")
    assert "IMAX" in parts.train.attribute_names
    assert not any("no genres" in name for name in parts.train.attribute_names)
    bare = parts.train.items["id"].to_numpy() == 10
    assert parts.train.attributes[bare].sum() == 0
    artifacts.interactions.cache_clear(), artifacts.parts.cache_clear()


def test_every_recipe_of_the_book_resolves():
    assert {"ml-20m/sae-512", "ml-25m/sae-512", "music4all/sae-512"} <= recipes.book().recipes.keys()
    assert len({recipes.fingerprint(name) for name in recipes.book().recipes}) > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01_data", "02_recommender", "04_genre_heatmap", "05_controls"])
def test_notebooks_take_another_dataset_by_a_parameter(root, name):
    book = notebooks.parse(ROOT / "notebooks" / f"{name}.py")
    tiny = {"dataset": "ml-20m", "sae": "sae-512", "length": 12, "seeds": [0, 1], "splits": 3, "random_draws": 1}
    given = {key: value for key, value in tiny.items() if key in notebooks.parameters(book)}
    script = root / f"{name}.py"
    script.write_text(notebooks.script(book, given, skip=()))
    variables = {"RECSAE_ROOT": root, "RECSAE_DATA": root / "files", "RECSAE_CACHE": root / "cache"}
    variables |= {"RECSAE_RESULTS": root / "results", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    environment = {k: v for k, v in os.environ.items() if k != "RECSAE_NO_TRAIN"}
    environment |= {k: str(v) for k, v in variables.items()}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((root / "results" / f"{name}.json").read_text())
