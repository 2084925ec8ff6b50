"""The student's edition holds what it needs, runs by itself, and holds nothing of a solution."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from book_source import ROOT

sys.path.insert(0, str(ROOT / "book" / "_make"))
import exercises
import student

from recsae_book import notebooks
from recsae_core import paths

# runs every notebook of a folder cell by cell, with what the folder has and nothing else of the project
RUNNER = """
import json, sys
from pathlib import Path
import recsae_core, recsae_book, recsae_checks
folder = Path(sys.argv[1]).resolve()
for package in (recsae_core, recsae_book, recsae_checks):
    assert Path(package.__file__).resolve().is_relative_to(folder), package.__file__
sys.path.insert(0, sys.argv[2])
from exercises import namespace, run
said = {}
for path in sorted((folder / "notebooks").glob("*.ipynb")):
    names = namespace()
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found = [(c, run("".join(c["source"]), names)) for c in cells if c["cell_type"] == "code"]
    said[path.stem] = [v.message for c, v in found if "check" in c["metadata"].get("tags", [])]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The student's zip, beside its folder."""
    return student.build(tmp_path_factory.mktemp("dist"))


def test_the_zip_holds_the_notebooks_the_packages_and_no_more_checkpoints_than_they_load(made):
    names = [path.stem for path in exercises.sources()]
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        held = {name.removeprefix("student/") for name in archive.namelist()}
    assert {f"notebooks/{name}.ipynb" for name in names} == {n for n in held if n.endswith(".ipynb")}
    assert {*student.FILES, "README.md", "recsae_core/__init__.py", "book/recsae_checks/__init__.py"} <= held
    folders = {f.relative_to(paths.root()).as_posix() for f in student.checkpoints(names)}
    assert folders and folders == {n.rpartition("/")[0] for n in held if n.startswith("data/checkpoints/")}
    assert not [n for n in held if "wrong_answers" in n or "__pycache__" in n or n.endswith((".html", ".pyc"))]
    assert made.stat().st_size < 3e6


def test_no_line_of_a_solution_is_in_any_file(made):
    hidden = student.secrets(exercises.sources())
    assert len(hidden) > 10 * len(exercises.sources())
    assert student.leaks(made.with_suffix(""), hidden) == []


def test_equal_contents_make_equal_bytes(made, tmp_path):
    student.pack(made.with_suffix(""), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == made.read_bytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("checks.py", "def f():\n        return   the_answer(of, this_question)\n"),
        ("page.html", "<pre>return the<span>_answer</span>(of, this_question)</pre>"),
        (
            "n.ipynb",
            json.dumps({"cells": [{"metadata": {}, "source": ["return the_answer(of,\n", " this_question)"]}]}),
        ),
    ],
)
def test_a_solution_is_found_wherever_it_hides(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert student.leaks(tmp_path, {"return the_answer(of, this_question)"}) != []
    assert student.leaks(tmp_path, {"return another_answer(of, this_question)"}) == []


def test_a_cell_of_a_solution_and_an_output_are_found(tmp_path):
    cells = [{"metadata": {"tags": ["solution"]}, "source": "1"}, {"metadata": {}, "source": "2", "outputs": [{}]}]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    assert student.leaks(tmp_path, set()) == ["n.ipynb: a cell tagged solution", "n.ipynb: an output"]


def test_nothing_is_kept_where_a_solution_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(student, "secrets", lambda sources: {"raise NotImplementedError"})
    with pytest.raises(RuntimeError, match="solutions are left"):
        student.build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_notebook_of_the_folder_runs_by_itself_without_training_and_data(made, tmp_path):
    folder = made.with_suffix("")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECSAE")}
    places = os.pathsep.join(map(str, (folder, folder / "book")))
    more = {"PYTHONPATH": places, "RECSAE_NO_TRAIN": "1", "RECSAE_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUNNER, str(folder), str(ROOT / "book" / "_make")]
    done = subprocess.run(command, env=kept | more, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert list(said) == [path.stem for path in exercises.sources()]
    assert all(m.startswith("There is no answer yet") for messages in said.values() for m in messages)
    assert not any(tmp_path.iterdir())


def test_the_teachers_notebooks_hold_the_solutions_and_their_notes_the_mistakes(tmp_path, monkeypatch):
    first = exercises.sources()[:1]
    monkeypatch.setattr(exercises, "sources", lambda: first)
    with zipfile.ZipFile(student.build(tmp_path, solutions=True)) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".ipynb"))
        text = "\n".join("".join(cell["source"]) for cell in json.loads(archive.read(name))["cells"])
        notes = archive.read(f"teacher/marking/{first[0].stem}.md").decode()
    hidden = student.secrets(first)
    assert all(line in student.squeezed(text) for line in hidden)
    mistakes = exercises.wrong_answers(first[0].stem)
    assert all(code.strip() in notes for pairs in mistakes.values() for code, _ in pairs)
    assert all(word in notes for pairs in mistakes.values() for _, word in pairs)


def test_text_of_the_book_becomes_text_of_a_notebook():
    text = (
        "(ex-2-1)=\n## Title\n\n```{dropdown} Hint\nLook at `x`.\n```\n\nAs in [](04_genre_heatmap) and {ref}`ex-2-1`."
    )
    assert student.plain(text) == (
        "## Title\n\n<details><summary>Hint</summary>\n\nLook at `x`.\n\n</details>\n\n"
        f"As in *{student.title('04_genre_heatmap')}* and *exercise 2.1*."
    )
    assert student.title("02_recommender") in notebooks.source("02_recommender").read_text(encoding="utf-8")
    assert student.title("glossary") == "Glossary" and student.title("nowhere") == "nowhere"
    assert student.plain("$\\mathrm{taken} (1)$ and [a page](https://a.org)") == (
        "$\\mathrm{taken} (1)$ and [a page](https://a.org)"
    )
    with pytest.raises(ValueError, match="book alone"):
        student.plain("See {val}`a/b:.2f`.")
