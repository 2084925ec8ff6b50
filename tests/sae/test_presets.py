import pytest
import torch

from recsae_core.sae import SAE, SAEConfig, TrainConfig, presets


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_makes_an_sae_and_gives_a_source_for_every_value(name):
    preset = presets.load(name)
    sae = SAE(SAEConfig(d=64, **preset.sae), torch.Generator().manual_seed(0))
    assert sae.m == preset.sae["m"]
    assert preset.source.keys() == {f"{s}.{k}" for s, v in presets.values(name).items() for k in v}
    assert all(len(source) > 8 for source in preset.source.values())


def test_the_preset_of_the_ml_1m_notebook_says_what_the_authors_ran():
    preset = presets.load("seqrec-ml-1m")
    assert preset.terms == {"l2": 1.0, "l1": 0.1}
    assert (preset.sae["m"], preset.sae["standardize"], preset.sae["unit_norm"]) == (512, "none", True)
    train = preset.train
    assert isinstance(train, TrainConfig)
    assert (train.rows / train.batch, train.warmup / train.batch, train.lr) == (5000, 100, 1e-3)
    assert (train.sampling, train.clip) == ("replacement", None)


def test_the_preset_of_the_main_configuration_counts_in_rows():
    train = presets.load("seqrec-reference").train
    assert (train.rows / train.batch, train.warmup / train.batch) == (10_000, 1_000)


def test_an_unknown_preset_lists_the_presets():
    with pytest.raises(ValueError, match=f"'nope': expected one of {', '.join(presets.names())}"):
        presets.load("nope")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("about: x\nsae: {m: 5}\nterms: {}\ntrain: {}\n", r"sae\.m: expected a value and its source"),
        ("about: x\nsae: {}\n", "has about, sae: expected about, sae, terms, train"),
        ("about: x\nsae: {width: {value: 1, source: s}}\nterms: {}\ntrain: {}\n", "width"),
    ],
)
def test_a_wrong_preset_names_the_key(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    (tmp_path / "mine.yml").write_text(text)
    with pytest.raises(ValueError, match=message):
        presets.load("mine")
