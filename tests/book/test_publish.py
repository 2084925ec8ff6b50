"""What the workflows call is there and does what they expect; the release files are right and always the same."""

import hashlib
import lzma
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from book_source import ROOT
from requirements import needs

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKE = ROOT / "book" / "_make"
sys.path.insert(0, str(MAKE))

import bundle  # noqa: E402
import compare  # noqa: E402
import pdf  # noqa: E402


def load(path: Path) -> dict:
    """A workflow; YAML reads the key ``on`` as true."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def script(workflow: str, start: str) -> str:
    """The shell of the step whose name starts so."""
    path = ROOT / ".github" / "workflows" / f"{workflow}.yml"
    return next(step["run"] for step in steps(load(path)) if step.get("name", "").startswith(start))


def shell(text: str, where: Path, **variables: str) -> subprocess.CompletedProcess:
    """Run a step as a runner does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
        cwd=where,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_is_a_workflow_for_each_occasion():
    on = {path.stem: load(path)[True] for path in WORKFLOWS}
    assert set(on) == {"ci", "publish", "gpu", "weekly"}
    assert on["ci"]["push"] == {"branches": ["**"]} and "pull_request" in on["ci"]
    assert on["publish"]["push"] == {"tags": ["v*", "!v*-launch"]}
    assert set(on["gpu"]) == {"workflow_dispatch"}
    assert on["weekly"]["schedule"][0]["cron"].split()[-1] == "1"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_actions_are_pinned_rights_minimal_and_no_job_endless(path):
    text, workflow = path.read_text(encoding="utf-8"), load(path)
    for used in re.findall(r"uses: *(.*)", text):
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for name, job in workflow["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 720, name
        assert set(job.get("permissions", {})) <= {"contents", "pages", "id-token", "issues"}
    for step in steps(workflow):  # what others may write, the name of a branch, must not become a command
        assert "${{" not in step.get("run", ""), step["run"]


def test_only_the_jobs_that_publish_may_write():
    may = {
        (path.stem, name): job["permissions"]
        for path in WORKFLOWS
        for name, job in load(path)["jobs"].items()
        if "permissions" in job
    }
    assert may == {
        ("publish", "release"): {"contents": "write"},
        ("publish", "deploy"): {"pages": "write", "id-token": "write"},
        ("weekly", "report"): {"issues": "write"},
    }


def test_what_is_built_for_readers_knows_its_address_and_a_launch_button_only_a_tag():
    workflow = load(ROOT / ".github/workflows/publish.yml")
    told = {step["run"]: step["env"] for step in workflow["jobs"]["build"]["steps"] if "env" in step}
    address = {"RECSAE_REPOSITORY": "${{ github.repository }}", "RECSAE_RELEASE": "${{ env.RELEASE }}"}
    assert told == {"make published": address, "make pdf": address}
    assert workflow["env"] == {"RELEASE": "${{ github.ref_type == 'tag' && github.ref_name || '' }}"}
    pages = next(step for step in steps(workflow) if "upload-pages-artifact" in step.get("uses", ""))
    assert pages["with"]["path"] == "_build/published/html"


def test_the_runner_that_trains_on_a_gpu_is_ones_own():
    (job,) = load(ROOT / ".github/workflows/gpu.yml")["jobs"].values()
    assert job["runs-on"] == ["self-hosted", "gpu"]
    assert any("--device" in step.get("run", "") for step in job["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_what_a_workflow_calls_is_there(path):
    from recsae_book.commands import main

    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    assert targets == set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for run in (step["run"] for step in steps(load(path)) if "run" in step):
        assert set(re.findall(r"\bmake ([a-z]+)", run)) <= targets
        for tool in re.findall(r"book/_make/[\w.]+|\.ci/\w+", run):
            assert (ROOT / tool).is_file(), tool
        for command in re.findall(r"-m recsae_core (\w+)", run):
            with pytest.raises(SystemExit) as left:
                main([command, "--help"])
            assert left.value.code == 0, command


def test_every_step_is_sound_shell():
    for path in WORKFLOWS:
        for step in steps(load(path)):
            if "run" in step:
                done = subprocess.run(["bash", "-n"], input=step["run"], capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr


def test_the_launch_notebooks_become_one_commit_under_a_tag_and_no_branch(tmp_path):
    def git(*words: str, where: Path = tmp_path / "work") -> str:
        return subprocess.run(["git", *words], cwd=where, capture_output=True, text=True, check=True).stdout

    (tmp_path / "far").mkdir()
    git("init", "--quiet", "--bare", "-b", "main", where=tmp_path / "far")
    git("clone", "--quiet", str(tmp_path / "far"), "work", where=tmp_path)
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    (tmp_path / "work" / "notebooks").mkdir()
    (tmp_path / "work" / "notebooks" / "01_x.ipynb").write_text("executed")
    git("add", ".")
    git(*name, "commit", "--quiet", "-m", "one")
    git("push", "--quiet", "origin", "HEAD:main")
    before = git("rev-parse", "HEAD").strip()
    new = tmp_path / "work" / "_build" / "release" / "launch" / "notebooks"
    new.mkdir(parents=True)
    text = script("publish", "Put the notebooks")
    for content in ("to launch", "to launch, again"):  # a second run of the workflow puts the tag elsewhere
        (new / "01_x.ipynb").write_text(content)
        git("checkout", "--quiet", "--detach", before)
        done = shell(text, tmp_path / "work", RELEASE="v1.0.0")
        assert done.returncode == 0, done.stderr
        assert git("show", "v1.0.0-launch:notebooks/01_x.ipynb", where=tmp_path / "far") == content
    assert git("rev-parse", "v1.0.0-launch^", where=tmp_path / "far").strip() == before
    assert git("for-each-ref", "--format=%(refname)", where=tmp_path / "far").split() == [
        "refs/heads/main",
        "refs/tags/v1.0.0-launch",
    ]


FAKE = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$1 $2" in
  "issue list") printf '%s' "$OPEN" ;;
  "release view") exit "$MISSING" ;;
esac
"""


@pytest.fixture
def gh(tmp_path):
    """A stand-in for GitHub's command, which writes down how it was called."""
    (tmp_path / "gh").write_text(FAKE)
    (tmp_path / "gh").chmod(0o755)

    def run(text: str, where: Path, **variables: str) -> list[str]:
        calls = tmp_path / "calls"
        calls.unlink(missing_ok=True)
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = shell(text, where, PATH=path, CALLS=str(calls), **variables)
        assert done.returncode == 0, done.stderr
        return calls.read_text().splitlines()

    return run


def test_a_failing_week_opens_one_issue_and_adds_to_it(gh, tmp_path):
    text = script("weekly", "Open an issue")
    first = gh(text, tmp_path, OPEN="", RUN="https://github.com/a/b/actions/runs/1")
    assert first[-1].startswith("issue create") and "runs/1" in first[-1]
    again = gh(text, tmp_path, OPEN="17", RUN="https://github.com/a/b/actions/runs/2")
    assert again[-1].startswith("issue comment 17") and "runs/2" in again[-1]
    assert not any(line.startswith("issue create") for line in again)


def test_a_release_is_made_once_and_gets_every_file(gh, tmp_path):
    files = tmp_path / "_build" / "release" / "files"
    files.mkdir(parents=True)
    for name in ("book.pdf", "SHA256SUMS"):
        (files / name).write_text(name)
    text = script("publish", "Put the files")
    new = gh(text, tmp_path, RELEASE="v1.0.0", MISSING="1")
    assert [line.split()[:3] for line in new] == [["release", what, "v1.0.0"] for what in ("view", "create", "upload")]
    assert all(name in new[-1] for name in ("book.pdf", "SHA256SUMS"))
    again = gh(text, tmp_path, RELEASE="v1.0.0", MISSING="0")
    assert [line.split()[1] for line in again] == ["view", "upload"]


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A project whose planted edition has two pages, a notebook and a PDF, built."""
    monkeypatch.setenv("RECSAE_ROOT", str(tmp_path))
    folder = tmp_path / "_build" / "planted"
    for name, content in {
        "html/index.html": "<a href='book/intro.html'>",
        "html/book/intro.html": "<h1>Book</h1>",
        "notebooks/01_x.ipynb": "{}",
        "book.pdf": "%PDF",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (tmp_path / "book").mkdir()
    profiles = yaml.safe_load((ROOT / "book" / "profiles.yml").read_text(encoding="utf-8"))
    (tmp_path / "book" / "profiles.yml").write_text(yaml.safe_dump(profiles))
    return folder


def test_the_release_files_hold_the_book_and_are_the_same_whenever_they_are_made(built, tmp_path):
    first = {path.name: path.read_bytes() for path in bundle.bundle("planted")}
    assert set(first) == {"book-offline.zip", "notebooks.zip", "book.pdf", "SHA256SUMS"}
    with zipfile.ZipFile(built / "book-offline.zip") as archive:
        assert archive.namelist() == ["book-offline/book/intro.html", "book-offline/index.html"]
        assert archive.read("book-offline/book/intro.html") == b"<h1>Book</h1>"
    with zipfile.ZipFile(built / "notebooks.zip") as archive:
        assert archive.namelist() == ["notebooks/01_x.ipynb"]
    for path in built.rglob("*"):
        os.utime(path, (1, 1))
    assert {path.name: path.read_bytes() for path in bundle.bundle("planted")} == first
    lines = dict(reversed(line.split()) for line in first["SHA256SUMS"].decode().splitlines())
    assert lines == {name: hashlib.sha256(first[name]).hexdigest() for name in first if name != "SHA256SUMS"}


def test_the_step_that_gathers_the_release_takes_everything_and_checks_it(built, tmp_path):
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "student.zip").write_text("zip")
    bundle.bundle("planted")
    (built.parent / "launch" / "notebooks").mkdir(parents=True)
    built.rename(built.with_name("published"))
    done = shell(script("publish", "Gather"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in (tmp_path / "_build/release/files").iterdir()) == [
        "SHA256SUMS",
        "book-offline.zip",
        "book.pdf",
        "notebooks.zip",
        "student.zip",
    ]
    assert (tmp_path / "_build/release/launch/notebooks").is_dir()
    (tmp_path / "dist" / "student.zip").write_text("another")
    assert shell(script("publish", "Gather"), tmp_path).returncode != 0


def test_without_pages_there_is_no_bundle(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSAE_ROOT", str(tmp_path))
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "profiles.yml").write_text((ROOT / "book" / "profiles.yml").read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="no HTML; expected it built"):
        bundle.bundle("planted")


def test_two_sets_of_results_are_compared_number_by_number(tmp_path, monkeypatch, capsys):
    from recsae_book.results import Result, write

    plain = {"unit": "", "n": 3, "better": "none"}
    for name, value in (("a", 0.5), ("b", 0.6), ("c", 0.5)):
        monkeypatch.setenv("RECSAE_RESULTS", str(tmp_path / name))
        monkeypatch.delenv("RECSAE_EDITION", raising=False)
        write("01_data", {"planted/x/r": Result(value=value, **plain), "planted/y/r": Result(value=1.0, **plain)})
    for other, code in (("c", 0), ("b", 1)):
        monkeypatch.setattr(sys, "argv", ["compare.py", str(tmp_path / "a"), str(tmp_path / other)])
        with pytest.raises(SystemExit) as left:
            compare.main()
        assert left.value.code == code
        shown = capsys.readouterr().out
        assert ("planted/x/r" in shown) == bool(code) and "planted/y/r" not in shown
        assert f"2 numbers, {code} of them differ" in shown
    with pytest.raises(ValueError, match="no results; expected files such as"):
        compare.gathered(tmp_path)


@pytest.mark.browser
def test_a_small_book_becomes_one_pdf_with_links_and_an_outline(tmp_path):
    needs("browser")
    source = tmp_path / "src"
    (source / "book" / "_ext").mkdir(parents=True)
    for name in ("_ext/book_single.py", "_static/print.css", "_static/vendor/mathjax/tex-svg.js.xz"):
        (source / "book" / name).parent.mkdir(parents=True, exist_ok=True)
        (source / "book" / name).write_bytes((ROOT / "book" / name).read_bytes())
    vendor = source / "book" / "_static" / "vendor" / "mathjax"

    (vendor / "tex-svg.js").write_bytes(lzma.decompress((vendor / "tex-svg.js.xz").read_bytes()))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["local_extensions"] = {"book_single": "book/_ext"}
    config["sphinx"]["config"] |= {"html_css_files": [], "html_js_files": []}
    config.pop("bibtex_bibfiles")
    config["sphinx"]["config"].pop("bibtex_reference_style", None)
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    chapters = [{"file": "book/one"}, {"file": "book/two"}]
    toc = {
        "format": "jb-book",
        "root": "book/intro",
        "parts": [{"caption": "Part", "numbered": 1, "chapters": chapters}],
    }
    (source / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    (source / "book" / "intro.md").write_text("# Small book\n\n[There](two.md#same-title).\n")
    text = "# Page {}\n\n## Same title\n\n$x_{}$ and [here](#same-title).\n\n```python\n{}\n```\n"
    for number, name in ((1, "one"), (2, "two")):
        (source / "book" / f"{name}.md").write_text(text.format(number, number, "long = " + "1 + " * 80 + "0"))

    page = pdf.one_page(source, tmp_path)
    html = page.read_text(encoding="utf-8")
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    inside = set(re.findall(r'href="#([^"]+)"', html))
    assert inside <= set(ids) and {"book/one--same-title", "book/two--same-title", "document-book/two"} <= inside
    assert '<li><span>2</span> <a href="#document-book/two">' in html

    pdf.printed(page, tmp_path / "small.pdf", "A <small> book")
    printed = (tmp_path / "small.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and printed.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 4  # the first page, the contents, two chapters
    assert b"/Outlines" in printed and b"/StructTreeRoot" in printed and b"/Dest" in printed

    page.write_text(html.replace("</article>", '<img src="missing.png" alt="no"></article>'), encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"1 formulas or pictures are not shown, for example .*missing\.png"):
        pdf.printed(page, tmp_path / "never.pdf", "Small")
    assert not (tmp_path / "never.pdf").exists()
