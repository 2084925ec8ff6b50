import os
import subprocess
import sys
import warnings

import pytest
import torch
from project import ARTIFACTS, kill_at_second_save, make, use

from recsae_book import artifacts, recipes, training
from recsae_core import storage
from recsae_core.__main__ import main
from recsae_core.files import read_json, write_json
from recsae_core.recommenders import activations


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = use(make(tmp_path), monkeypatch)
    for memory in (artifacts.interactions, artifacts.parts, artifacts._vocabulary, artifacts._data):
        memory.cache_clear()
    yield root
    for memory in (artifacts.interactions, artifacts.parts, artifacts._vocabulary, artifacts._data):
        memory.cache_clear()


def change(root, old, new):
    path = root / "book/artifacts.yml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_made_once_and_then_loaded_with_the_same_weights(root, monkeypatch):
    first = artifacts.get("small/transformer", progress=False)
    monkeypatch.setenv("RECSAE_NO_TRAIN", "1")
    again = artifacts.get("small/transformer")
    assert not again.training
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_no_train_names_the_recipe_and_the_remedy_but_lets_closed_forms_be_made(root, monkeypatch):
    monkeypatch.setenv("RECSAE_NO_TRAIN", "1")
    with pytest.raises(RuntimeError, match=r"transformer, seed 0 is not there.*recsae_core train small/transformer"):
        artifacts.get("small/transformer")
    assert not (root / "cache").exists()
    assert artifacts.get("small/popular").count.sum() > 0
    assert artifacts.record("small/transformer", fit={"epochs": 0})["report"]["history"] == []


def test_a_seed_and_an_override_are_artifacts_of_their_own(root):
    folders = [
        artifacts.ensure("small/popular"),
        artifacts.ensure("small/popular", seed=1),
        artifacts.ensure("small/transformer", progress=False, fit={"epochs": 1}),
        artifacts.ensure("small/transformer", progress=False),
    ]
    assert len(set(folders)) == 4
    assert len(artifacts.record("small/transformer", fit={"epochs": 1})["report"]["history"]) == 1
    assert len(artifacts.record("small/transformer")["report"]["history"]) == 2


TOGETHER = """
import os, pathlib, sys, time
from recsae_book import artifacts
made, make = [], artifacts._make
artifacts._make = lambda *given: (made.append(1), time.sleep(1), make(*given))
artifacts.parts("small")
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
while len(os.listdir(sys.argv[1])) < 2:
    time.sleep(0.01)
print(artifacts.ensure("small/transformer", progress=False), len(made))
"""


def test_two_processes_train_once(root):
    (root / "ready").mkdir()
    command = [sys.executable, "-c", TOGETHER, str(root / "ready")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split() for process in running]
    assert said[0][0] == said[1][0]
    assert sorted(count for _, count in said) == ["0", "1"]
    assert not list((root / "cache/training").rglob("*.safetensors"))


def test_a_committed_checkpoint_is_found_first(root, monkeypatch, capsys):
    assert main(["train", "small/transformer", "--commit"]) == 0
    committed = root / "data/checkpoints/small/transformer-s0"
    assert capsys.readouterr().out.strip() == str(committed)
    shorter = artifacts.commit("small/transformer", fit={"epochs": 1})
    assert shorter.parent == committed.parent
    monkeypatch.setenv("RECSAE_CACHE", str(root / "elsewhere"))
    monkeypatch.setenv("RECSAE_NO_TRAIN", "1")
    assert artifacts.find("small/transformer") == committed
    assert artifacts.find("small/transformer", fit={"epochs": 2}) == committed  # what the recipe says, said again
    assert artifacts.find("small/transformer", fit={"epochs": 1}) == shorter
    assert len(artifacts.record("small/transformer", fit={"epochs": 1})["report"]["history"]) == 1
    assert artifacts.get("small/transformer").n_items > 0


def test_a_commit_rounds_as_the_recipe_says_and_the_fingerprint_does_not_know(root):
    plain, before = artifacts.commit("small/transformer"), recipes.fingerprint("small/transformer")
    weights = storage.load(plain)[0]["item.weight"]
    for rounded in ("half", "int8"):
        again = artifacts.commit("small/transformer", committed=rounded)
        assert again == plain and recipes.fingerprint("small/transformer", committed=rounded) == before
        assert artifacts.record("small/transformer")["committed"] == rounded
        read = artifacts.get("small/transformer").item.weight
        assert torch.allclose(read, weights, atol=0.01) and not torch.equal(read, weights)
        stamp = (plain / storage.WEIGHTS).stat().st_mtime_ns
        artifacts.commit("small/transformer", committed=rounded)
        assert (plain / storage.WEIGHTS).stat().st_mtime_ns == stamp


def test_all_that_an_edition_names_is_committed_at_once_but_closed_forms(root):
    profiles = root / "book/profiles.yml"
    named = "artifacts: [small/popular, {name: small/transformer, seeds: [0, 1], fit: {epochs: 1}}]"
    profiles.write_text(profiles.read_text().replace("{n: 6, who: real}", "{n: 6, who: real}, " + named))
    assert main(["train", "--edition", "published", "--commit"]) == 0
    made = sorted(path.name[:14] for path in (root / "data/checkpoints/small").iterdir())
    assert made == ["transformer-s0", "transformer-s1"]


def test_a_committed_checkpoint_of_another_recipe_is_ignored_with_a_warning_that_names_both(root):
    old = recipes.fingerprint("small/popular")
    artifacts.commit("small/popular")
    change(root, "model: most-popular", "model: most-popular, version: 2")
    new = recipes.fingerprint("small/popular")
    with pytest.warns(UserWarning, match=f"{old[:12]}.*{new[:12]}"):
        assert artifacts.find("small/popular") is None


def test_other_items_are_an_error_and_other_interactions_a_warning(root):
    folder = artifacts.ensure("small/popular")
    stored = read_json(folder / "config.json")
    write_json(folder / "config.json", stored | {"data": "0"})
    with pytest.warns(UserWarning, match="interactions differ"):
        artifacts.get("small/popular")
    write_json(folder / "config.json", stored | {"items": "0"})
    with pytest.raises(ValueError, match="another item vocabulary"):
        artifacts.get("small/popular")
    write_json(folder / "config.json", stored)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        artifacts.get("small/popular")


def test_an_sae_reads_the_parent_of_its_own_seed_unless_told_otherwise(root):
    first = artifacts.get("small/sae", seed=1, progress=False)
    assert (first.d, first.m, first.config.k, first.training) == (8, 16, 4, False)
    made = sorted(path.name[:14] for path in (root / "cache/artifacts/small").iterdir())
    assert made == ["sae-s1-" + recipes.fingerprint("small/sae", 1)[:7], "transformer-s1"]
    other = artifacts.get("small/sae", seed=1, parent_seed=0, progress=False)
    assert not torch.equal(first.W_dec, other.W_dec)
    again = artifacts.get("small/sae", seed=1, progress=False)
    assert torch.equal(first.W_dec, again.W_dec)
    assert artifacts.record("small/sae", seed=1)["report"]["rows"] == 1000


def test_saes_trained_together_are_what_they_are_alone_bit_for_bit(root, monkeypatch):
    wanted = [
        {"name": "small/sae", "seed": 0},
        {"name": "small/sae", "sae": {"m": 24}},
        {"name": "small/sae", "preset": "batchtopk", "sae": {"m": 20}},
        {"name": "small/sae", "preset": "seqrec-ml-1m", "sae": {"k": None, "m": 12}, "train": {"clip": 0.5}},
        {"name": "small/sae", "seed": 1},
        {"name": "small/popular"},
    ]
    assert [len(group) for group in artifacts.passes([*wanted, wanted[0]])] == [3, 1, 1, 1]
    passes, saes = [], training.saes
    monkeypatch.setattr(training, "saes", lambda recipes, *rest: (passes.append(len(recipes)), saes(recipes, *rest))[1])
    together = artifacts.ensure_all(wanted, progress=False)
    assert passes == [3, 1, 1]  # another seed and another training are passes of their own
    assert artifacts.ensure_all(wanted, progress=False) == together
    assert len(passes) == 3
    monkeypatch.setenv("RECSAE_CACHE", str(root / "alone"))
    for given, folder, company in zip(wanted, together, [3, 3, 3, 1, 1, 1], strict=True):
        alone = artifacts.ensure(**given, progress=False)
        assert alone.name == folder.name
        for name, tensor in storage.load(folder)[0].items():
            assert torch.equal(tensor, storage.load(alone)[0][name])
        one, other = (read_json(path / "config.json") for path in (folder, alone))
        for key in ("recipe", "fingerprint", "config"):
            assert one.get(key) == other.get(key)
        assert one["report"].get("history") == other["report"].get("history")
        assert one["provenance"]["together"] == company
    assert not list((root / "cache/training").rglob("*.safetensors"))


def test_a_killed_pass_goes_on_and_what_another_process_made_meanwhile_is_kept(root, monkeypatch):
    wanted = [{"name": "small/sae", "train": {"log_every": 300}, "sae": {"m": m}} for m in (8, 12)]
    whole = [storage.load(folder)[0] for folder in artifacts.ensure_all(wanted, progress=False)]
    monkeypatch.setenv("RECSAE_CACHE", str(root / "second"))
    saved = kill_at_second_save(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        artifacts.ensure_all(wanted, progress=False)
    assert [artifacts.find(**given) for given in wanted] == [None, None]
    resumed = artifacts.ensure_all(wanted, progress=False)
    assert saved == [300, 600, 900]
    for folder, tensors in zip(resumed, whole, strict=True):
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in storage.load(folder)[0].items())


def test_no_train_names_what_is_missing_among_many(root, monkeypatch):
    artifacts.ensure("small/sae", progress=False)
    monkeypatch.setenv("RECSAE_NO_TRAIN", "1")
    with pytest.raises(RuntimeError, match=r"small/sae, seed 0, \{'sae': \{'m': 9\}\} is not there"):
        artifacts.ensure_all([{"name": "small/sae"}, {"name": "small/sae", "sae": {"m": 9}}])


def test_the_fingerprint_of_an_sae_covers_its_parent_and_its_presets_values(root):
    first = recipes.fingerprint("small/sae")
    assert recipes.fingerprint("small/sae", sae={"k": 4}) == first
    assert recipes.fingerprint("small/sae", train={"clip": 1.0}) == first  # the preset's value, said twice
    assert recipes.fingerprint("small/sae", sae={"k": 5}) != first
    change(root, "epochs: 2", "epochs: 3")
    assert recipes.fingerprint("small/sae") != first


@pytest.mark.parametrize("slip", [{"sae": {"kk": 3}}, {"train": {"lr": "fast"}}, {"preset": "none"}])
def test_a_slip_in_an_saes_recipe_is_named_and_leaves_nothing(root, slip):
    with pytest.raises(ValueError, match=r"kk|lr|preset 'none'"):
        artifacts.get("small/sae", progress=False, **slip)
    assert not [path for path in (root / "cache/artifacts/small").glob("*") if "sae" in path.name]


def test_a_killed_training_goes_on(root, monkeypatch):
    from recsae_core.recommenders import fit

    whole = artifacts.get("small/transformer", progress=False)
    epochs, save = [], fit._Run.save

    def killed(run):
        save(run)
        epochs.append(run.epoch)
        if len(epochs) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit._Run, "save", killed)
    monkeypatch.setenv("RECSAE_CACHE", str(root / "second"))
    with pytest.raises(KeyboardInterrupt):
        artifacts.get("small/transformer", progress=False)
    assert artifacts.find("small/transformer") is None
    resumed = artifacts.get("small/transformer", progress=False)
    assert epochs == [1, 2]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_the_fingerprint_knows_no_device_no_paths_and_no_order(root, monkeypatch):
    first = recipes.fingerprint("small/transformer")
    change(root, "{d: 8, length: 10, heads: 1, layers: 1}", "{layers: 1, heads: 1, length: 10, d: 8}")
    monkeypatch.setenv("RECSAE_CACHE", str(root / "other"))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert recipes.fingerprint("small/transformer") == first
    change(root, "options: {", "files: {interactions: /a/b.csv}, options: {")
    assert recipes.fingerprint("small/transformer") == first


@pytest.mark.parametrize(
    ("old", "new"),
    [("d: 8", "d: 16"), ("users: 200", "users: 201"), ("epochs: 2", "epochs: 3"), ("heads: 1", "heads: 2")],
)
def test_what_the_recipe_says_is_in_the_fingerprint(root, old, new):
    first = recipes.fingerprint("small/transformer")
    change(root, old, new)
    assert recipes.fingerprint("small/transformer") != first


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("model: most-popular", "modle: most-popular", r"recipes\.small/popular\.recommender\.modle"),
        ("source: planted", "sauce: planted", r"datasets\.small\.sauce"),
        ("small/popular:", "large/popular:", "large/popular: expected a name that starts with small"),
        ("kind: recommender, model", "kind: model, model", "recommender.*sae"),
        ("seed: 0", "seed: zero", "seed"),
    ],
)
def test_a_recipe_with_a_slip_is_named(root, old, new, message):
    (root / "book/artifacts.yml").write_text(ARTIFACTS.replace("model: most-popular", "model: most-popular, seed: 0"))
    change(root, old, new)
    with pytest.raises(ValueError, match=message):
        recipes.book()


def test_an_override_that_no_recipe_has_is_named(root):
    with pytest.raises(ValueError, match="small/popular: colour"):
        artifacts.get("small/popular", colour="red")


def test_a_readers_own_csv_is_a_dataset(root, capsys):
    rows = [f"u{u},i{(u * 7 + t * 3) % 23},{1000 * u + t}" for u in range(60) for t in range(12)]
    (root / "mine.csv").write_text("user,item,time\n" + "\n".join(rows) + "\n")
    change(root, "datasets:", f"datasets:\n  mine: {{source: csv, files: {{interactions: {root}/mine.csv}}}}")
    change(root, "recipes:", "recipes:\n  mine/popular: {kind: recommender, model: most-popular}")
    assert artifacts.at_hand("mine")
    assert artifacts.get("mine/popular").n_items == 23
    assert main(["data", "mine"]) == 0
    assert "720 interactions" in capsys.readouterr().out


def test_data_that_is_not_on_this_machine_is_not_at_hand(root, monkeypatch, tmp_path):
    change(root, "datasets:", "datasets:\n  ml-1m: {source: ml-1m}")
    monkeypatch.setenv("RECSAE_DATA", str(tmp_path))
    assert not artifacts.at_hand("ml-1m")
    (tmp_path / "ml-1m").mkdir()
    for name in ("ratings.dat", "movies.dat"):
        (tmp_path / "ml-1m" / name).touch()
    assert artifacts.at_hand("ml-1m")


HIDDEN = """
  pairs/mf: {kind: recommender, model: mf, config: {d: 8}, fit: {epochs: 2, batch: 512}, half: true}
  pairs/sae: &pairs
    kind: sae
    parent: pairs/mf
    parent_seed: 0
    site: user+item
    pairs: all
    preset: monosemantic-mf-ml-1m
    train: {rows: 4096}
    half: true
  pairs/whole: {<<: *pairs, half: false}
"""


@pytest.fixture
def pairs(root):
    change(
        root,
        "datasets:\n",
        "datasets:\n  pairs: {source: planted, options: {users: 150, items: 100, length: 20}, split: {rule: hidden}}\n",
    )
    change(root, "recipes:\n", "recipes:" + HIDDEN)
    return root


def test_hidden_items_train_a_recommender_and_an_sae_of_users_and_items(pairs):
    model, sae = artifacts.get("pairs/mf", progress=False), artifacts.get("pairs/sae", progress=False)
    hidden = artifacts.parts("pairs")
    assert model.P.shape == (hidden.train.n_users, 8) and model.Q.shape == (100, 8)
    history = artifacts.record("pairs/sae")["report"]["history"]
    assert 4096 <= history[-1]["rows"] < 4096 + 512 and history[-1]["prediction_mse"] > 0 and sae.d == 8


def test_half_precision_halves_the_file_and_is_what_was_stored(pairs):
    half, whole = (artifacts.get(f"pairs/{name}", progress=False) for name in ("sae", "whole"))
    sizes = [(artifacts.ensure(f"pairs/{name}") / storage.WEIGHTS).stat().st_size for name in ("sae", "whole")]
    assert torch.equal(half.W_dec, whole.W_dec.half().float()) and not torch.equal(half.W_dec, whole.W_dec)
    assert half.W_dec.dtype == torch.float32 and sizes[0] < sizes[1]


@pytest.mark.parametrize("kind", ["all", "random", "positive"])
def test_pairs_are_users_of_the_sae_with_what_the_kind_says(pairs, kind):
    hidden, model = artifacts.parts("pairs"), artifacts.get("pairs/mf", progress=False)
    stream = training._rows(recipes.recipe("pairs/sae", pairs=kind), model, hidden)
    assert set(stream.users.tolist()) == set(hidden.sae_users.tolist())
    first, again = list(stream), list(stream)
    n = sum(len(split.h) for split in first) // 2
    assert n == len(stream.users) and not torch.equal(first[0].h, again[0].h), "each pass has an order of its own"
    scores = first[0].finish(first[0].h)
    assert scores.shape[1] == (len(scores) if kind == "all" else 1)
    if kind == "positive":
        taken = set(zip(hidden.train.user.tolist(), hidden.train.item.tolist(), strict=True))
        assert set(zip(stream.users.tolist(), stream.items.tolist(), strict=True)) <= taken


@pytest.mark.parametrize("slip", [{"pairs": None}, {"site": "user"}, {"rows": "train"}])
def test_an_sae_of_hidden_items_needs_both_sites_and_pairs(pairs, slip):
    with pytest.raises(ValueError, match=r"expected site 'user\+item', pairs and rows 'sae' or 'test'"):
        artifacts.get("pairs/sae", progress=False, **slip)


def test_options_that_came_later_leave_older_fingerprints_alone(root):
    assert "half" not in recipes.resolved("small/transformer") and "pairs" not in recipes.resolved("small/sae")
    assert recipes.fingerprint("small/sae", half=True) != recipes.fingerprint("small/sae")


def test_a_killed_sweep_over_users_and_items_goes_on_to_the_same_weights(pairs, monkeypatch):
    wanted = [{"name": "pairs/sae", "train": {"log_every": 1000}, "terms": {"prediction_mse": b}} for b in (0.0, 5.0)]
    whole = [storage.load(folder)[0] for folder in artifacts.ensure_all(wanted, progress=False)]
    monkeypatch.setenv("RECSAE_CACHE", str(pairs / "second"))
    artifacts.get("pairs/mf", progress=False)
    saved = kill_at_second_save(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        artifacts.ensure_all(wanted, progress=False)
    resumed = artifacts.ensure_all(wanted, progress=False)
    assert saved == sorted(set(saved)) and len(saved) > 2, "what was trained on before the kill is not trained on again"
    for folder, tensors in zip(resumed, whole, strict=True):
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in storage.load(folder)[0].items())


@pytest.mark.parametrize(
    "users, items, kind, message",
    [
        (3, 3, "some", r"kind='some': expected 'all', 'random' or 'given'"),
        (0, 3, "all", r"0 users and 3 items"),
        (3, 0, "random", r"3 users and 0 items"),
        (3, 2, "given", r"3 users and 2 items: expected some of each, and pairs if given"),
    ],
)
def test_batches_of_users_and_items_say_what_is_not_possible(pairs, users, items, kind, message):
    model = artifacts.get("pairs/mf", progress=False)
    with pytest.raises(ValueError, match=message):
        activations.Pairs(model, torch.arange(users), torch.arange(items), kind, torch.Generator())
