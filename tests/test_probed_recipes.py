"""Recommenders of three families and their autoencoders, from recipes."""

import numpy as np
import pytest
import torch
from project import kill_at_second_save, make, use

from recsae_book import artifacts, training
from recsae_core import storage
from recsae_core.recommenders import cases
from recsae_core.recommenders.ranking import evaluate

RECIPES = """
  three/bprmf: &three
    kind: recommender
    model: bprmf
    config: {d: 8}
    fit: {epochs: 2, batch: 256, lr: 0.01, weight_decay: 1.0e-6}
  three/lightgcn: {<<: *three, model: lightgcn}
  three/sasrec: {<<: *three, model: sasrec-last}
  three/sae-bprmf: &three-sae
    kind: sae
    parent: three/bprmf
    site: user
    preset: recsae
    sae: {m: 16, k: 4}
    train: {rows: 2000}
  three/sae-lightgcn: {<<: *three-sae, parent: three/lightgcn}
  three/sae-sasrec: {<<: *three-sae, parent: three/sasrec, site: final}
"""
WORLD = "  three: {source: planted, options: {users: 150, items: 100, length: 20}, split: {rule: last-two}}\n"


@pytest.fixture
def three(tmp_path, monkeypatch):
    root = use(make(tmp_path), monkeypatch)
    memories = (artifacts.interactions, artifacts.parts, artifacts._vocabulary, artifacts._data)
    for memory in memories:
        memory.cache_clear()
    path = root / "book/artifacts.yml"
    text = path.read_text().replace("datasets:\n", "datasets:\n" + WORLD).replace("recipes:\n", "recipes:" + RECIPES)
    path.write_text(text)
    yield root
    for memory in memories:
        memory.cache_clear()


@pytest.mark.parametrize("family", ["bprmf", "lightgcn", "sasrec"])
def test_a_family_is_trained_kept_and_copied(three, family):
    parts = artifacts.parts("three")
    model = artifacts.get(f"three/{family}", progress=False)
    assert {len(t) for name, t in model.state_dict().items() if name in "PQ"} <= {parts.train.n_users, 100}
    assert getattr(model.config, "layers", 0) == 0
    assert evaluate(model, cases.dated(parts, "test", 20)).mean()["ndcg@10"] > 0
    sae = artifacts.get(f"three/sae-{family}", progress=False)
    rows = training.probed(model, parts, parts.sae_users)
    assert set(rows.user.tolist()) == set(parts.sae_users.tolist())
    split = model.before(model.probe, rows)
    torch.testing.assert_close(sae.restored(sae.mean[None])[0], split.h.mean(0), rtol=1e-4, atol=1e-5)
    other = artifacts.get(f"three/sae-{family}", progress=False, terms={"prediction_mse": 10.0})
    assert not torch.equal(sae.W_dec, other.W_dec)


def test_a_history_is_what_came_before_each_item_of_train(three):
    parts, model = artifacts.parts("three"), artifacts.get("three/sasrec", progress=False)
    user = int(parts.test_users[0])
    items = parts.train.item[parts.train.user == user].tolist()
    found = training.probed(model, parts, np.array([user]))
    assert [[i for i in row if i >= 0] for row in found.history.tolist()] == [
        items[max(0, end - 20) : end] for end in range(1, len(items))
    ]


def test_trained_beside_one_that_looks_at_scores_an_sae_is_what_it_is_alone(three, monkeypatch):
    plain, looking = {"name": "three/sae-sasrec"}, {"name": "three/sae-sasrec", "terms": {"prediction_mse": 1.0}}
    assert [len(group) for group in artifacts.passes([plain, looking])] == [2]
    artifacts.ensure_all([plain, looking], progress=False)
    together = artifacts.get("three/sae-sasrec", progress=False)
    monkeypatch.setenv("RECSAE_CACHE", str(three / "alone"))
    alone = artifacts.get("three/sae-sasrec", progress=False)
    assert torch.equal(together.W_dec, alone.W_dec) and torch.equal(together.W_enc, alone.W_enc)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_killed_training_at_the_probed_site_goes_on_to_the_same_weights(three, monkeypatch, weight):
    given = {"name": "three/sae-sasrec", "train": {"log_every": 500}, "terms": {"prediction_mse": weight}}
    (whole,) = (storage.load(folder)[0] for folder in artifacts.ensure_all([given], progress=False))
    monkeypatch.setenv("RECSAE_CACHE", str(three / "second"))
    artifacts.get("three/sasrec", progress=False)
    saved = kill_at_second_save(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        artifacts.ensure_all([given], progress=False)
    assert artifacts.find(**given) is None
    (resumed,) = artifacts.ensure_all([given], progress=False)
    assert saved == sorted(set(saved)) and len(saved) > 2
    assert all(torch.equal(tensor, whole[name]) for name, tensor in storage.load(resumed)[0].items())
