"""What holds for the repository as a whole: sizes, layers, pins, and nothing in it that belongs to one machine."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGE, BOOK = ROOT / "recsae_core", ROOT / "recsae_book"
MODULES = sorted(PACKAGE.rglob("*.py"))
MIB = 2**20


def tracked():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("needs git: this is not a checkout")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def imported(path):
    """The dotted names that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_one_person_reads_the_package_in_a_day():
    # the library of one paper had to stay below 6,000; the next two took 1,300 and 1,600
    assert sum(len(path.read_text().splitlines()) for path in MODULES) <= 8_100
    machinery, figures = sorted(BOOK.glob("*.py")), sorted((BOOK / "figures").glob("*.py"))
    assert sum(len(path.read_text().splitlines()) for path in machinery) <= 3_000
    assert sum(len(path.read_text().splitlines()) for path in figures) <= 2_250


def test_the_repository_stays_small():
    size = {path: path.stat().st_size for path in tracked()}
    assert sum(size.values()) < 20 * MIB
    assert sum(n for path, n in size.items() if path.is_relative_to(ROOT / "data/checkpoints")) < 15 * MIB
    assert [path.name for path, n in size.items() if path.suffix == ".ipynb" and n >= 1_000_000] == []


def test_no_stored_notebook_has_an_error_a_clock_or_a_path_of_a_machine():
    for path in tracked():
        if path.suffix == ".ipynb":
            book = json.loads(path.read_text())
            outputs = [o for cell in book["cells"] for o in cell.get("outputs", [])]
            assert not [o for o in outputs if o["output_type"] == "error"], path.name
            assert not [o for o in outputs if o.get("name") == "stderr"], path.name
            assert "papermill" not in book["metadata"], path.name
            assert book["metadata"]["book"]["edition"] == "published", path.name


def test_every_notebook_source_and_executed_notebook_belong_together():
    names = {path.stem for path in tracked() if path.parent == ROOT / "notebooks" and path.suffix == ".ipynb"}
    assert names <= {path.stem for path in (ROOT / "notebooks").glob("*.py")}


# Split so that this file does not find itself.
MACHINE = re.compile("|".join(["/(?:ho" + "me|Us" + "ers|ro" + "ot|wo" + "rk|t" + "mp)/[a-z]", r"[A-Z]:\\\\[A-Z]"]))
REGISTRY = re.compile(
    "|".join(["py" + r"pi\.", "pytho" + "nhosted", "artif" + "actory", "nex" + r"us\.", "download.py" + "torch"])
)


@pytest.mark.parametrize("what", [MACHINE, REGISTRY], ids=["path", "registry"])
def test_nothing_of_one_machine_is_in_a_tracked_file(what):
    found = []
    for path in tracked():
        if path.suffix in (".safetensors", ".png", ".woff2") or "vendor" in path.parts:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "image/png" not in line and (match := what.search(line)):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group()}")
    assert found == []


GROUND = {"paths", "files", "storage", "strict"}
CONTRACTS = {"data.interactions", "recommenders.base", "recommenders.ranking", "sae.base"}
MAY_KNOW = {
    "data": GROUND,
    "recommenders": GROUND | {"data"},
    "sae": GROUND,
    "interpret": GROUND | CONTRACTS,
    "steer": GROUND | CONTRACTS,
}


def test_figures_know_numbers_only():
    for path in (BOOK / "figures").glob("*.py"):
        inside = [name for name in imported(path) if name.startswith("recsae_")]
        assert all(name.startswith("recsae_book.figures") for name in inside), f"{path}: {inside}"


@pytest.mark.parametrize("layer", MAY_KNOW)
def test_arrows_run_downward(layer):
    allowed = {f"recsae_core.{name}" for name in MAY_KNOW[layer] | {layer}}
    for path in (PACKAGE / layer).rglob("*.py"):
        for name in imported(path):
            inside = name.startswith("recsae_core.")
            assert not inside or any(name == a or name.startswith(a + ".") for a in allowed), f"{path}: {name}"


def test_the_library_knows_nothing_of_the_book_but_its_command_line():
    know = {path for path in MODULES if any(name.startswith("recsae_book") for name in imported(path))}
    assert know == {PACKAGE / "__main__.py"}


def test_the_saes_need_nothing_but_torch():
    heavy = ("pandas", "sklearn", "matplotlib", "scipy", "seaborn", "recsae_core.data", "recsae_core.recommenders")
    code = f"import sys, recsae_core.sae; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_unpickled_and_yaml_is_loaded_safely():
    wrong = re.compile(
        r"\b(?:torch\.load|yaml\.(?:load|full_load|unsafe_load)|pickle|joblib\.load|allow_pickle=True)\b"
    )
    assert [path.name for path in (*MODULES, *BOOK.rglob("*.py")) if wrong.search(path.read_text())] == []


def locked():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(r.name): r for r in (Requirement(x) for x in lines if x and not x.startswith("#"))}


def test_the_lock_is_exact_and_within_the_ranges_of_the_project():
    lock = locked()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    for requirement in map(Requirement, wanted):
        pin = next(iter(lock[canonicalize_name(requirement.name)].specifier))
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), f"{requirement} and {pin}"


def test_the_conda_environment_installs_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    conda = dict(item.split("=", 1) for item in environment["dependencies"] if isinstance(item, str) and "=" in item)
    assert pip == ["-c constraints.txt", "-e .[book,test]"]
    assert f"=={conda['pytorch-cpu']}" == str(locked()["torch"].specifier)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert Requirement(f"python{needed}").specifier.contains(conda["python"])


def test_workflow_actions_are_pinned_by_commit():
    uses = [
        line.split("uses:")[1].split("#")[0].strip()
        for path in (ROOT / ".github/workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert uses
    assert [name for name in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name)] == []


def test_the_code_is_formatted_and_documented():
    for command in (["format", "--check", "."], ["check", "."]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
