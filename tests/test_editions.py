import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from project import make, use

from recsae_book import artifacts, book, editions, notebooks, scoreboard
from recsae_book.commands import main


@pytest.fixture
def root(tmp_path, monkeypatch):
    return use(make(tmp_path), monkeypatch)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The project after its planted edition was run once."""
    root = make(tmp_path_factory.mktemp("executed"))
    with pytest.MonkeyPatch.context() as patch:
        use(root, patch)
        assert editions.run("planted") == ["01_first", "02_second"]
    return root


@pytest.fixture
def copied(executed, tmp_path, monkeypatch):
    shutil.copytree(executed, tmp_path / "copy")
    return use(tmp_path / "copy", monkeypatch)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def outputs(path):
    return [o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", [])]


def test_the_kernel_is_this_interpreter_with_one_thread_in_the_root_and_no_path_is_kept(executed):
    path = executed / "_build/planted/notebooks/01_first.ipynb"
    text = outputs(path)[0].text
    assert text.endswith(" 1 . x\n") or text.endswith(" 1 . ./x\n")
    assert Path(text.split()[0]).parts[-3:] == Path(sys.executable).parts[-3:]  # what lies before may be shortened
    assert str(executed) not in path.read_text()


def test_neither_clocks_nor_progress_bars_nor_stderr_are_kept(executed):
    path = executed / "_build/planted/notebooks/01_first.ipynb"
    assert [o.output_type for o in outputs(path)] == ["stream"]
    raw = path.read_text()
    for word in ("papermill", "start_time", "execution_state", "widget", "to be dropped\\n"):
        assert word not in raw
    book = json.loads(raw)
    assert [cell["id"] for cell in book["cells"]][:3] == ["cell-000", "cell-001", "injected-parameters"]
    assert set(book["metadata"]) == {"book", "kernelspec", "language_info"}


def test_results_go_to_the_edition_and_the_scoreboard_is_their_union(executed, monkeypatch):
    use(executed, monkeypatch)
    assert list(scoreboard.stored("planted")) == ["toy/a/third", "toy/second/one"]
    assert scoreboard.stored("planted")["toy/a/third"].value == 1.0
    assert not (executed / "data").exists()


def test_nothing_is_stale_after_a_run(copied):
    assert not any(job.stale for job in editions.jobs("planted"))
    assert editions.run("planted") == []


def test_prose_is_refreshed_without_a_run(copied):
    target = copied / "_build/planted/notebooks/01_first.ipynb"
    before = outputs(target)
    edit(copied / "notebooks/01_first.py", "The first words", "Other words")
    assert editions.run("planted") == []
    assert "Other words" in target.read_text()
    assert outputs(target) == before
    first = target.read_bytes()
    assert editions.run("planted") == []
    assert target.read_bytes() == first


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("notebooks/01_first.py", "n / 3", "n / 4"),
        ("book/profiles.yml", "who: a", "who: c"),
        ("constraints.txt", "torch==", "torch==9."),
    ],
)
def test_code_parameters_and_pins_make_a_notebook_stale(copied, file, old, new):
    edit(copied / file, old, new)
    assert editions.jobs("planted", ["01_first"])[0].stale
    assert "01_first: stale" in editions.check("planted")[0]
    assert main(["check", "planted"]) == 0
    assert main(["check", "planted", "--release"]) == 1


def test_a_forced_run_gives_the_same_bytes(copied):
    target = copied / "_build/planted/notebooks/02_second.ipynb"
    before = target.read_bytes()
    assert editions.run("planted", ["02_second"], force=True) == ["02_second"]
    assert target.read_bytes() == before


def test_a_notebook_that_fails_leaves_the_old_one_and_does_not_stop_the_others(copied):
    targets = [copied / f"_build/planted/notebooks/{name}.ipynb" for name in ("01_first", "02_second")]
    before = targets[1].read_bytes()
    edit(copied / "book/profiles.yml", "02_second: {}", "02_second: {parameters: {broken: true}}")
    edit(copied / "book/profiles.yml", "who: a", "who: z")
    with pytest.raises(RuntimeError, match=r"(?s)1 of 2 notebooks failed.*02_second.*told to break"):
        editions.run("planted")
    assert targets[1].read_bytes() == before
    assert "toy/z/third" in (copied / "_build/planted/results/01_first.json").read_text()


def test_a_readers_run_goes_to_a_folder_of_its_own(root, capsys):
    (root / "mine.yml").write_text("n: 4\nwho: file")
    given = ["-f", str(root / "mine.yml"), "-p", "who=me", "--no-html"]
    assert main(["run", "01_first", *given, "--out", str(root / "out")]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[:2] == [
        f"notebook: {root / 'out' / '01_first.ipynb'}",
        f"results:  {root / 'out' / 'results' / '01_first.json'}",
    ]
    assert "01_first: 100%" in said.err and " 6/6 " in said.err  # the cells done
    assert said.err.endswith("to be dropped\n")  # what the notebook said itself, without its progress bar
    row = json.loads((root / "out/results/01_first.json").read_text())
    assert row["toy/me/third"]["value"] == pytest.approx(4 / 3, rel=1e-5)
    assert not (root / "_build").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "01_first", "-p", "n=abc"], "01_first: n='abc': expected an int like 2"),
        (["run", "01_first", "-p", "who=3"], "01_first: who=3: expected a str like 'b'"),
        (["run", "first"], "notebook 'first': did you mean 01_first? expected one of 01_first, 02_second"),
        (["run", "0"], "notebook '0': did you mean 01_first or 02_second?"),
        (["run", "01", "--edition", "smoke"], "edition 'smoke': expected one of planted, published"),
        (["html", "planted", "--over", "nowhere"], "nowhere: no executed notebook"),
        (["edition", "mine", "--profile", "no.yml"], "no.yml: no such file of editions"),
        (["run", "xyz"], "notebook 'xyz': expected one of 01_first, 02_second"),
        (["edition", "smoke"], "edition 'smoke': expected one of planted, published"),
        (["edition", "published", "--only", "02_second"], "02_second: the published edition has 01_first"),
        (["train", "small/nothing"], "recipe 'small/nothing': expected one of small/popular"),
        (["data", "other"], "dataset 'other': expected one of small"),
    ],
)
def test_bad_input_is_one_line_that_says_what_is_possible(root, capsys, arguments, message):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_profile_may_not_name_what_a_notebook_does_not_have(root):
    edit(root / "book/profiles.yml", "{n: 6, who: real}", "{n: 6, whom: real}")
    with pytest.raises(ValueError, match=r"profiles.yml: published: 01_first: unknown parameter whom; expected n, who"):
        editions.jobs("published")


def test_an_unknown_key_of_a_profile_is_named(root):
    edit(root / "book/profiles.yml", "{parameters: {n: 6, who: real}}", "{params: {}}")
    with pytest.raises(ValueError, match=r"published: notebooks\.01_first\.params"):
        editions.profile("published")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("n = len([])", "n is not a plain value"),
        ("print(1)", "expected name = value"),
        ("a, b = 1, 2", "expected name"),
    ],
)
def test_a_parameters_cell_holds_plain_values(root, cell, message):
    edit(root / "notebooks/02_second.py", "broken = False", cell)
    with pytest.raises(ValueError, match=message):
        notebooks.parameters(notebooks.parse(root / "notebooks/02_second.py"))


def test_a_slow_planted_notebook_is_reported(copied):
    edit(copied / "_build/planted/times.json", '"02_second": ', '"02_second": 99')
    assert any(line.startswith("02_second: 99") for line in editions.check("planted"))


def test_the_staged_book_has_the_editions_notebooks_its_banner_and_marks_on_stale_pages(copied):
    (copied / "_config.yml").write_text("title: T\nsphinx: {config: {html_theme_options: {kept: true}}}\n")
    (copied / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")
    for name in ("data/results/published/x.json", "data/checkpoints/small/x/weights.safetensors"):
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).write_text("{}")
    edit(copied / "notebooks/02_second.py", "value=1", "value=2")
    staged = book.stage("planted")
    config = yaml.safe_load((staged / "_config.yml").read_text())
    options = config["sphinx"]["config"]["html_theme_options"]
    assert options == {"kept": True, "announcement": "A generated world."}
    assert (staged / "data/results/published/x.json").is_file()
    assert not (staged / "data/checkpoints").exists()
    first, second = (nbformat.read(staged / f"notebooks/{n}.ipynb", as_version=4) for n in ("01_first", "02_second"))
    assert first.metadata["book"]["edition"] == "planted"
    assert ["stale" in [cell.id for cell in one.cells] for one in (first, second)] == [False, True]
    nbformat.validate(second)
    assert "stale" not in (copied / "_build/planted/notebooks/02_second.ipynb").read_text()


def test_saes_that_share_rows_and_batches_are_trained_in_one_pass(root):
    items = [{"name": "small/transformer"}, {"name": "small/popular"}]
    items += [{"name": "small/sae", "sae": {"m": m}} for m in (8, 12)]
    items += [{"name": "small/sae", "seed": 1}, {"name": "small/sae", "train": {"lr": 0.1}}]
    assert [len(group) for group in artifacts.passes(items)] == [1, 1, 2, 1, 1]


def test_an_edition_commits_what_was_trained_and_is_small_enough(root, monkeypatch):
    profiles = root / "book/profiles.yml"
    large = "{name: small/sae, seed: 3, keep: false}"
    two = "{name: small/sae, seeds: [1], each: [{}, {sae: {k: 2}}]}"
    needs = f"{{n: 6, who: real}}, artifacts: [small/popular, small/transformer, {two}, {large}]"
    text = profiles.read_text().replace("{n: 6, who: real}", needs)
    profiles.write_text(text + "    02_second: {committed: false, artifacts: [{name: small/sae, seed: 2}]}\n")
    assert main(["train", "--edition", "published", "--commit"]) == 0
    kept = sorted(path.name for path in (root / "data/checkpoints/small").iterdir())
    assert [name[:14] for name in kept] == ["sae-s1", "sae-s1-" + kept[1][7:14], "transformer-s0"]
    assert all(artifacts.find("small/sae", seed) is not None for seed in (2, 3))
