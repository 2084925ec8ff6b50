"""One notebook rerun by a reader: what it may be run with, what is seen meanwhile, what is left when it stops."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from project import ARTIFACTS, ROOT, make, use

from recsae_book import book, knobs, notebooks, rerun, results
from recsae_book.commands import main
from recsae_core.files import write_json

SLEEPS = """# %% tags=["parameters"]
seconds: int = 60  # that it sleeps
deep: list = [
    1,  # one
]  # and more

# %%
import time

from recsae_book import results

results.write("03_sleeps", {"toy/s/one": results.Result(value=1, unit="ones", n=1, better="none")})
time.sleep(seconds)
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    made = make(tmp_path)
    (made / "notebooks/03_sleeps.py").write_text(SLEEPS)
    return use(made, monkeypatch)


def test_parameters_are_listed_with_what_they_are(root, capsys):
    assert main(["run", "03", "--list", "-p", "seconds=5"]) == 0
    assert capsys.readouterr().out == (
        "03_sleeps has\n  seconds = 5  # that it sleeps\n  deep = [1]   # one and more\n"
    )


def test_an_unknown_parameter_is_answered_with_all_there_are(root, capsys):
    assert main(["run", "03_sleeps", "-p", "second=3"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: 03_sleeps: unknown parameter second, did you mean seconds? it has\n")
    assert "seconds = 60  # that it sleeps" in error and "deep = [1]" in error


def test_comments_and_defaults_are_those_of_every_notebook_of_the_book():
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.py"))[::5]:
        found = knobs.parameters_with_comments(path)
        assert {name: default for name, default, _ in found} == notebooks.parameters(notebooks.parse(path))
        executed = path.with_suffix(".ipynb")
        assert not executed.exists() or knobs.parameters_with_comments(executed) == found
    assert [c for _, _, c in knobs.parameters_with_comments(ROOT / "notebooks/01_data.py")][1].startswith("the longest")


def test_whole_numbers_are_welcome_where_a_float_is_the_default(tmp_path):
    (tmp_path / "x.py").write_text('# %% tags=["parameters"]\na = 0.5\nb = True\nc = ""\n')
    assert rerun.check(tmp_path / "x.py", {"a": 1, "c": None}) == {"a": 1.0, "c": ""}
    with pytest.raises(ValueError, match=r"b=1: expected a bool like True"):
        rerun.check(tmp_path / "x.py", {"b": 1})


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("smal", r"dataset 'smal': did you mean small\? expected one of small, songs, gone; .*recsae_core add"),
        (
            "songs",
            r"dataset 'songs': Music4All is not on this machine; get it at https.*listening_history.csv.*music4all",
        ),
        ("gone", r"dataset 'gone': nowhere.csv is gone; put it back"),
    ],
)
def test_a_dataset_that_cannot_be_read_is_refused_with_the_way_to_get_it(root, monkeypatch, named, message):
    monkeypatch.delenv("RECSAE_DATA", raising=False)
    more = "  songs: {source: music4all}\n  gone: {source: csv, files: {interactions: nowhere.csv}}\n"
    (root / "book/artifacts.yml").write_text(ARTIFACTS.replace("recipes:", more + "recipes:"))
    with pytest.raises(ValueError, match=message):
        rerun.check_data({"dataset": named, "seeds": [0]})
    rerun.check_data({"dataset": "small"})


class Bar:
    """What a bar of cells would show."""

    note = None

    def set_postfix_str(self, text):
        self.note = text


def test_what_is_trained_stands_behind_the_cells_and_goes_when_it_is_done(root):
    bar = Bar()
    watch = rerun._Watch(bar)
    lock = root / "cache/locks/small/transformer-s0-0123456789ab.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    watch("\u20071/8\u2007[00:00&lt;00:02,\u2007\u20073.04epoch/s]")  # a widget
    assert bar.note == "training small/transformer-s0: 1/8, 00:00<00:02,  3.04epoch/s"
    watch("\r 25%|██▌       | 2/8 [00:00<00:01,  3.32it/s]")  # text
    assert bar.note == "2/8, 00:00<00:01,  3.32it/s"
    watch("a warning\n")
    assert bar.note.startswith("2/8")
    watch("\r100%|██████████| 8/8 [00:02<00:00,  3.30it/s]\n")
    assert bar.note == ""


def test_a_cell_that_fails_is_shown_and_nothing_is_kept(root, capsys):
    assert main(["run", "02_second", "-p", "broken=true", "--out", str(root / "out")]) == 2
    error = capsys.readouterr().err
    assert "02_second: cell 3 failed, nothing was kept" in error and "AssertionError: told to break" in error
    assert "\x1b" not in error.partition("error:")[2]
    assert not (root / "out").exists()


def test_a_stopped_run_leaves_nothing(root):
    command = [sys.executable, "-m", "recsae_core", "run", "03_sleeps", "--out", str(root / "out")]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipe["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    running = subprocess.Popen(command, env=os.environ | {"TQDM_MININTERVAL": "0"}, start_new_session=True, **pipe)
    try:
        deadline = time.monotonic() + 60
        while not list(root.glob(".out.*/results/03_sleeps.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGINT)
        _, error = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert error.rstrip().endswith("a training goes on where it was")
    assert not (root / "out").exists() and not list(root.glob(".out.*"))


def executed(root, **given):
    """What a run leaves of 01_first, without running it."""
    cell = nbformat.v4.new_markdown_cell("# A title", id="cell-000")
    made = nbformat.v4.new_notebook(cells=[cell], metadata={"book": {"edition": "run", "parameters": given}})
    folder = root / "runs/mine"
    folder.mkdir(parents=True)
    nbformat.write(made, folder / "01_first.ipynb")
    return folder / "01_first.ipynb"


def test_results_stand_beside_the_published_ones_of_the_same_keys_with_what_both_ran_with(root):
    mine, theirs = executed(root, n=4), root / "data/results/published/01_first.json"
    assert rerun.compared(mine) == ""
    row = {"unit": "thirds", "n": 3, "better": "none"}
    one = results.Result(value=1.25, low=1, high=2, interval="95%", **row).model_dump()
    write_json(mine.parent / "results/01_first.json", {"toy/a/third": one, "toy/b/third": {"value": 3} | row})
    write_json(theirs, {"toy/c/third": {"value": 7} | row})
    assert rerun.compared(mine) == "results: 2, none of a key that the published edition has as well"
    write_json(theirs, {"toy/a/third": {"value": 2} | row})
    table = rerun.compared(mine).splitlines()
    assert table[0].split() == ["this", "run", "published"]
    assert table[1] == "toy/a/third  1.25 (1 to 2)  2"
    assert table[2:] == ["ran with other parameters:", "  n: 4, published 6", "  who: 'b', published 'real'"]


def staged(root, *over):
    (root / "_config.yml").write_text("title: T\n")
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")
    (root / "data").mkdir(exist_ok=True)
    return book.stage("published", over)


def test_runs_are_laid_over_an_edition_and_say_so(root):
    run = executed(root, n=4, who="me")
    where = staged(root, run.parent)
    assert where == root / "_build/published-over/src"
    page = nbformat.read(where / "notebooks/01_first.ipynb", as_version=4)
    assert "a run of your own, with `n=4`, `who='me'`" in page.cells[1].source
    assert "01_first" in (where / "_config.yml").read_text()
    assert "own-run" not in run.read_text()
    (root / "runs/other").mkdir()
    (root / "runs/other/01_first.ipynb").write_text(run.read_text())
    with pytest.raises(ValueError, match=r"01_first is in both .*mine and .*other: choose one"):
        staged(root, run.parent, root / "runs/other")
    (root / "runs/other/09_alien.ipynb").write_text(run.read_text())
    with pytest.raises(ValueError, match=r"09_alien\.ipynb: the book has no notebook of that name"):
        staged(root, root / "runs/other")


def test_the_page_of_a_run_has_its_parameters_and_no_link_that_leads_nowhere(root, capsys):
    run = executed(root, n=4)
    made = json.loads(run.read_text())
    made["cells"][0]["source"] = "# A title\n\n[Another page](02_second.ipynb) and [the web](https://example.org)."
    run.write_text(json.dumps(made))
    staged(root)
    (root / "book/intro.md").write_text("# Front\n")
    page = book.page(run)
    assert page == root / "runs/mine/html/notebooks/01_first.html"
    text = page.read_text()
    assert "a run of your own" in text and "n=4" in text and "Another page" in text
    assert "02_second" not in text and 'href="https://example.org"' in text


def test_a_page_that_an_edition_could_not_run_says_that_it_is_published(root):
    run = executed(root, n=4)
    (root / "notebooks/01_first.ipynb").write_text(run.read_text())
    profiles = root / "book/profiles.yml"
    profiles.write_text(profiles.read_text() + "mine: {like: planted}\n")
    staged(root)
    where = book.stage("mine")
    page = nbformat.read(where / "notebooks/01_first.ipynb", as_version=4)
    assert "was not run in the mine edition: it shows the published one" in page.cells[1].source
