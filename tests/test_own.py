"""Data and editions of one's own: known to the commands, trained, run, and never in the book's files."""

import json
import os
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from project import make, use

from recsae_book import artifacts, editions, own, recipes
from recsae_book.commands import main
from recsae_core import paths
from recsae_core.data import planted

ARTIFACTS = """
datasets:
  planted: {source: planted}
  planted-hidden: {source: planted, split: {rule: hidden}}
  planted-recsae: {source: planted, split: {rule: last-two}}
recipes:
  planted/knn: {kind: recommender, model: item-knn, config: {neighbours: 400}}
  planted/transformer:
    kind: recommender
    committed: half
    model: transformer
    config: {d: 8, length: 20, heads: 1, layers: 1}
    fit: {epochs: 30, batch: 64}
  planted/sae:
    kind: sae
    parent: planted/transformer
    site: block0
    preset: topk
    sae: {m: 16, k: 4}
    train: {rows: 400000}
  planted-hidden/popular: {kind: recommender, model: most-popular}
"""

READS = """# %% tags=["parameters"]
dataset: str = "planted"
more: list = ["planted-hidden/popular", "planted/none"]

# %%
from recsae_book import artifacts, results

sae = artifacts.get(f"{dataset}/sae")
parts = artifacts.parts(dataset)
print(sae.m, parts.train.n_items, artifacts.get(more[0]).n_items)
results.write("03_reads", {"toy/own/m": results.Result(value=sae.m, unit="latents", n=1, better="none")})
"""

PROFILES = """
planted:
  parameters: {dataset: planted}
  notebooks:
    02_second: {artifacts: [planted/knn]}
    03_reads: {artifacts: [planted/sae, {name: planted/sae, seed: 1, parent: planted/transformer}]}
published:
  notebooks: {}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    made = make(tmp_path / "checkout")
    for name, text in {
        "book/artifacts.yml": ARTIFACTS,
        "book/profiles.yml": PROFILES,
        "notebooks/03_reads.py": READS,
    }.items():
        (made / name).write_text(text)
    artifacts.interactions.cache_clear(), artifacts.parts.cache_clear()
    yield use(made, monkeypatch)
    artifacts.interactions.cache_clear(), artifacts.parts.cache_clear()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two files with columns of other names."""
    folder = tmp_path_factory.mktemp("tables")
    inter, _ = planted.generate(planted.World(users=150, items=120, length=20, genres=12))
    names, ids = np.array(inter.attribute_names), inter.items["id"].to_numpy()
    pd.DataFrame({"userId": inter.user, "item": ids[inter.item], "time": inter.time}).to_csv(
        folder / "r.csv", index=False
    )
    genres = ["|".join(names[row]) for row in inter.attributes]
    pd.DataFrame({"id": ids, "title": inter.items["title"], "attributes": genres}).to_csv(folder / "i.csv", index=False)
    return folder


def add(tables, *more):
    files = ["--interactions", str(tables / "r.csv"), "--items", str(tables / "i.csv")]
    return main(["add", "mine", *files, "--column", "user=userId", *more])


def test_two_tables_and_one_command_later_a_notebook_trains_and_runs_on_them(root, tables, capsys):
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert add(tables, "--trial") == 0
    said = capsys.readouterr().out
    assert "150 users with 120 items" in said and "python -m recsae_core edition mine" in said
    assert paths.root() == root / "cache/own/root" and recipes.dataset("mine").source == "csv"
    assert main(["run", "03_reads", "--edition", "mine", "--no-html", "--out", str(root / "out")]) == 0
    done = nbformat.read(root / "out/03_reads.ipynb", as_version=4)
    assert [o.text for cell in done.cells for o in cell.get("outputs", [])] == ["16 120 120\n"]
    assert done.metadata["book"]["parameters"] == {"dataset": "mine", "more": ["mine-hidden/popular", "mine/none"]}
    assert json.loads((root / "out/results/03_reads.json").read_text())["toy/own/m"]["value"] == 16
    assert sorted(path.name[:14] for path in (root / "cache/artifacts/mine").iterdir()) == [
        "sae-s0-" + artifacts.find("mine/sae").name[7:14],
        "transformer-s0",
    ]
    assert {path: path.read_bytes() for path in before} == before, "nothing of the checkout may change"


def test_recipes_are_fitted_to_the_data_and_an_edition_replaces_the_datasets(root, tables):
    assert add(tables) == 0
    assert recipes.recipe("mine/knn").config == {"neighbours": 60}
    assert (
        recipes.recipe("mine/transformer").fit["epochs"] == 30 and recipes.recipe("mine/transformer").committed is None
    )
    assert recipes.recipe("mine/sae").parent == "mine/transformer"
    first, second = editions.jobs("mine")
    assert (first.name, [one["name"] for one in first.artifacts]) == ("02_second", ["planted/knn"])  # it reads no data
    assert second.parameters == {"dataset": "mine", "more": ["mine-hidden/popular", "mine/none"]}
    assert [(one["name"], one.get("parent")) for one in second.artifacts] == [
        ("mine/sae", None),
        ("mine/sae", "mine/transformer"),
    ]
    text = (root / "cache/own/artifacts.yml").read_text()
    assert "&" not in text, "plain YAML, to be read and edited"
    assert yaml.safe_load(text)["datasets"]["mine-recsae"]["split"] == {"rule": "last-two"}


def test_added_again_it_is_replaced_and_removed_it_is_gone(root, tables, capsys):
    assert add(tables) == 0 and add(tables, "--trial") == 0
    assert recipes.recipe("mine/transformer").fit["epochs"] == 2
    assert recipes.recipe("mine/sae").train["rows"] == 20_000
    assert main(["add", "mine", "--remove"]) == 0
    os.environ["RECSAE_ROOT"] = str(root)
    own.enter()
    assert "mine" not in recipes.book().datasets
    assert main(["add", "mine", "--remove"]) == 2
    assert "'mine': not one of your own, which are (none)" in capsys.readouterr().err


def test_what_cannot_be_read_is_named_with_file_and_column(root, tables, tmp_path, capsys):
    assert main(["add", "mine", "--interactions", str(tables / "r.csv")]) == 2
    assert "r.csv, line 1: column 'user' is missing, the header has: userId, item, time" in capsys.readouterr().err
    (tmp_path / "i.csv").write_text("id,title\n1,One\n")
    shutil.copy(tables / "r.csv", tmp_path)
    assert add(tmp_path) == 2
    assert "i.csv, line 1: column 'attributes' is missing" in capsys.readouterr().err
    assert main(["add", "planted", "--interactions", str(tables / "r.csv")]) == 2
    assert (
        "name 'planted': expected small letters, digits and hyphens, and none of planted, planted-hidden"
        in capsys.readouterr().err
    )
    assert main(["add", "mine"]) == 2
    assert "expected --interactions FILE" in capsys.readouterr().err
    assert not (root / "cache/own").exists()


def test_data_without_times_have_no_edition_of_what_needs_them(root, tables, tmp_path, capsys):
    pd.read_csv(tables / "r.csv").drop(columns="time").to_csv(tmp_path / "r.csv", index=False)
    shutil.copy(tables / "i.csv", tmp_path)
    assert add(tmp_path) == 0
    assert (
        "mine is left out, the pages that read it cannot run: the interactions have no timestamps"
        in capsys.readouterr().out
    )
    assert "mine-hidden" in recipes.book().datasets and "mine" not in recipes.book().datasets
    assert [job.name for job in editions.jobs("mine")] == ["02_second"]


def test_an_edition_in_a_file_of_its_own(root, capsys):
    file = root / "mine.yml"
    file.write_text("other:\n  like: planted\n  leave: [02_second]\n  parameters: {dataset: planted-hidden}\n")
    own.enter(file)
    assert [(job.name, job.parameters) for job in editions.jobs("other")] == [
        ("03_reads", {"dataset": "planted-hidden"})
    ]
    os.environ["RECSAE_ROOT"] = str(root)
    file.write_text("planted: {}\n")
    assert main(["edition", "planted", "--profile", str(file)]) == 2
    assert "planted: the book has that already; take another name" in capsys.readouterr().err
    file.write_text("other: {like: third}\n")
    assert main(["edition", "other", "--profile", str(file)]) == 2
    assert "edition 'third': expected one of planted, published, other" in capsys.readouterr().err
    file.write_text("other: {like: other}\n")
    assert main(["edition", "other", "--profile", str(file)]) == 2
    assert "expected an edition that is like no other" in capsys.readouterr().err
