"""Launch buttons: on notebook pages alone, only where the address is known, and they lead to notebooks that work."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from book_source import ROOT, build

from recsae_book import book, notebooks

sys.path.insert(0, str(ROOT / "book" / "_make"))
import launch

SHOWN = ("01_data", "18_embeddings")


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setenv("RECSAE_REPOSITORY", "someone/recsae")
    monkeypatch.setenv("RECSAE_RELEASE", "v9.1")


def small(folder: Path) -> Path:
    """A book of two notebooks, without their outputs, and one page of text, with the settings of the real one."""
    source = folder / "src"
    (source / "book").mkdir(parents=True)
    (source / "notebooks").mkdir()
    for name in SHOWN:
        made = notebooks.parse(notebooks.source(name))
        made.cells = made.cells[:1]
        made.cells[0].source = f"# {name}\n"
        nbformat.write(made, source / "notebooks" / f"{name}.ipynb")
    (source / "book/intro.md").write_text("# A page of text\n")
    chapters = [{"file": f"notebooks/{name}"} for name in SHOWN]
    (source / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/intro", "chapters": chapters}))
    whole = yaml.safe_load((ROOT / "_config.yml").read_text())
    config = {key: whole[key] for key in ("title", "only_build_toc_files", "execute", "html")}
    options = {"html_theme_options": whole["sphinx"]["config"]["html_theme_options"]}
    config["sphinx"] = {"recursive_update": True, "config": options}
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    return source


def links(page: Path) -> list[str]:
    return [link for link in re.findall(r'href="([^"]+)"', page.read_text()) if "someone" in link or "colab" in link]


def test_every_button_leads_to_a_notebook_of_the_launch_tag(tmp_path, address):
    source = small(tmp_path)
    book._configure(source, None)
    done = build(source, tmp_path / "out")
    assert done.returncode == 0, done.stderr[-3000:]
    html = tmp_path / "out/_build/html"
    there = {
        path.relative_to(tmp_path / "tree").as_posix()
        for path in launch.write(tmp_path / "tree", "someone/recsae", "v9.1")
    }
    assert len(there) == len(notebooks.sources())
    for name in SHOWN:
        found = links(html / "notebooks" / f"{name}.html")
        colab = [link for link in found if link.startswith("https://colab.research.google.com/")]
        binder = [link for link in found if link.startswith("https://mybinder.org/")]
        assert [link.partition("/github/someone/recsae/blob/v9.1-launch/")[2] for link in colab] == [
            f"notebooks/{name}.ipynb"
        ]
        assert [link.partition("/v2/gh/someone/recsae/v9.1-launch?urlpath=lab/tree/")[2] for link in binder] == [
            f"notebooks/{name}.ipynb"
        ]
        assert f"notebooks/{name}.ipynb" in there
    text = links(html / "book/intro.html")
    assert text and not [link for link in text if "colab" in link or "mybinder" in link]
    assert "https://github.com/someone/recsae" in text


@pytest.mark.parametrize(
    ("repository", "release", "keys"),
    [("", "", set()), ("", "v1", set()), ("a/b", "", {"repository"}), ("a/b", "v1", {"repository", "launch_buttons"})],
)
def test_without_an_address_there_is_no_link_and_without_a_release_no_button(monkeypatch, repository, release, keys):
    monkeypatch.setenv("RECSAE_REPOSITORY", repository)
    monkeypatch.setenv("RECSAE_RELEASE", release)
    config = {"html": {"use_repository_button": False}}
    book.address(config)
    assert config.keys() - {"html"} == keys
    assert config["html"]["use_repository_button"] is bool(keys)


def test_an_address_that_is_none_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("RECSAE_REPOSITORY", "https://github.com/a/b")
    with pytest.raises(ValueError, match="expected owner/name"):
        book.address({})
    for repository, release in (("a", "v1"), ("a/b", "v1; rm"), ("a/b", "")):
        with pytest.raises(ValueError, match="expected"):
            launch.write(tmp_path, repository, release)


def test_launched_notebooks_install_first_and_hold_neither_outputs_nor_solutions(address):
    for name in notebooks.sources():
        made = launch.launched(notebooks.source(name), "someone/recsae", "v9.1")
        code = [cell for cell in made.cells if cell.cell_type == "code"]
        assert code[0].id == "install" and not any(cell.outputs for cell in code)
        assert not any(notebooks.has(cell, "solution") for cell in made.cells)
        assert ('"implicit>=' in code[0].source) == (name == "18_embeddings")
    made = launch.launched(notebooks.source("04_genre_heatmap"), "someone/recsae", "v9.1")
    nbformat.validate(made)
    note = next(cell for cell in made.cells if cell.get("id") == "as-published")
    assert "# dataset = 'ml-1m'" in note.source
    assert all(line.startswith("#") for line in note.source.splitlines())


COLAB = """
import subprocess
import sys
import types

sys.modules["google.colab"] = types.ModuleType("google.colab")
run = subprocess.run


def recorded(command, **options):
    if "pip" not in command:
        return run(command, **options)
    print("PIP", command[command.index("pip") + 1 :])


subprocess.run = recorded
"""
AFTER = """
import os
import recsae_core
from recsae_core import paths
import recsae_checks

print("FROM", recsae_core.__file__, paths.root() == home, os.getcwd() == str(home), recsae_checks.__file__)
print("AT", open("which").read())
"""


def origin(folder: Path) -> Path:
    """A repository someone/recsae with two commits, of which the first is the release."""
    at = folder / "someone/recsae"
    (at / "book/recsae_checks").mkdir(parents=True)
    (at / "recsae_core").mkdir()
    (at / "recsae_core/__init__.py").touch()
    (at / "recsae_core/paths.py").write_text((ROOT / "recsae_core/paths.py").read_text())
    (at / "book/recsae_checks/__init__.py").touch()
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]

    def git(*words):
        subprocess.run(["git", *identity, *words], cwd=at, check=True, capture_output=True)

    git("init", "--quiet")
    for which in ("release", "later"):
        (at / "which").write_text(which)
        git("add", ".")
        git("commit", "--quiet", "-m", which)
        if which == "release":
            git("tag", "v9.1")
    return at


def installed(tmp_path: Path, before: str, after: str) -> str:
    """What the first code cell of a launched notebook says in an empty folder."""
    host = f"file://{tmp_path}"
    made = launch.launched(notebooks.source("18_embeddings"), "someone/recsae", "v9.1", host)
    cell = next(cell for cell in made.cells if cell.cell_type == "code")
    empty = tmp_path / "content"
    empty.mkdir(exist_ok=True)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("RECSAE_")}
    done = subprocess.run(
        [sys.executable, "-c", before + cell.source + after], cwd=empty, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_on_colab_the_cell_clones_the_release_and_the_library_is_there_without_a_restart(tmp_path):
    origin(tmp_path)
    for _ in range(2):  # a second run takes what is there
        said = installed(tmp_path, COLAB, AFTER)
        home = tmp_path / "content/recsae-v9.1"
        assert f"PIP ['install', '--quiet', '--editable', '{home}', 'implicit>=0.7.2,<0.8']" in said
        at = f"FROM {home / 'recsae_core/__init__.py'} True True {home / 'book/recsae_checks/__init__.py'}"
        assert at in said and "AT release" in said


def test_elsewhere_the_cell_does_nothing(tmp_path):
    assert installed(tmp_path, "", "\nprint('still', sorted(__import__('os').listdir('.')))") == "still []\n"
