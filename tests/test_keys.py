import sys

import pytest

from recsae_book import keys

MODULE = '"""Doc."""\nimport math\n\ndef f(x):\n    """What."""\n    return x + 1\n'


@pytest.mark.parametrize(
    "same",
    [
        MODULE.replace('"""Doc."""', '"""Another."""'),
        MODULE.replace('    """What."""\n', ""),
        MODULE.replace("return x + 1", "return x + 1  # why"),
        MODULE.replace("return x + 1", "return (x\n            + 1)"),
    ],
)
def test_docstrings_comments_and_layout_leave_the_syntax_as_it_is(same):
    assert same != MODULE
    assert keys.syntax(same) == keys.syntax(MODULE)


@pytest.mark.parametrize("change", [("x + 1", "x + 2"), ("x + 1", "x + 1.0"), ("import math", "import cmath")])
def test_code_changes_the_syntax(change):
    assert keys.syntax(MODULE.replace(*change)) != keys.syntax(MODULE)


def test_a_string_that_is_no_docstring_counts():
    assert keys.syntax("def f():\n    x = 'a'\n") != keys.syntax("def f():\n    x = 'b'\n")


@pytest.fixture
def package(tmp_path):
    files = {
        "__init__.py": "",
        "a.py": "from recsae_core.sub import b\n",
        "sub/__init__.py": "NAME = 1\n",
        "sub/b.py": "def f():\n    from recsae_core import c\n",
        "c.py": "import recsae_core.a\nVALUE = 1\n",
        "alone.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "recsae_core" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "recsae_core"


def test_imports_are_followed_into_functions_packages_and_round_circles(package):
    found = keys.modules("from recsae_core import a\nimport numpy\n", package)
    names = ["recsae_core", "recsae_core.a", "recsae_core.c", "recsae_core.sub", "recsae_core.sub.b"]
    assert sorted(found) == names
    assert sorted(keys.modules("import math", package)) == []
    assert "recsae_core.sub.b" in keys.modules("from recsae_core.sub.b import f", package)


def test_notebooks_depend_on_what_artifacts_import_and_on_nothing_of_the_book():
    found = keys.modules("from recsae_book import artifacts")
    assert {"recsae_book.recipes", "recsae_core.data.split", "recsae_core.recommenders.fit"} <= found.keys()
    made = {f"recsae_book.{part}" for part in ("artifacts", "recipes", "training", "results", "figures")}
    assert {name for name in found if name.startswith("recsae_book.")} <= made
    assert "recsae_core.__main__" not in found


def test_a_figure_that_changes_makes_its_notebooks_stale_and_the_runner_does_not():
    found = keys.modules("from recsae_book import figures\nfrom recsae_book import editions\n")
    assert {"recsae_book.figures", "recsae_book.figures.style"} <= found.keys()
    assert not [name for name in found if not f"{name}.".startswith(("recsae_book.figures.", "recsae_book."))]
    assert "recsae_book.editions" not in found and "recsae_book.keys" not in found


def test_the_key_covers_code_parameters_artifacts_and_pins(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSAE_ROOT", str(tmp_path))
    lock = "torch==1\nnumpy==1\nscipy==1\npandas==1\nscikit-learn==1\nmatplotlib==1\ntqdm==1\n"
    (tmp_path / "constraints.txt").write_text(lock)
    first = keys.key(["x = 1"], {"n": 1}, ["f"])
    others = [keys.key(["x = 2"], {"n": 1}, ["f"]), keys.key(["x = 1"], {"n": 2}, ["f"]), keys.key(["x = 1"], {"n": 1})]
    (tmp_path / "constraints.txt").write_text(lock.replace("tqdm==1", "tqdm==2"))
    assert keys.key(["x = 1"], {"n": 1}, ["f"]) == first
    (tmp_path / "constraints.txt").write_text(lock.replace("torch==1", "torch==2"))
    others.append(keys.key(["x = 1"], {"n": 1}, ["f"]))
    assert len({first, *others}) == 5


def test_magics_are_left_out_of_plain_code():
    assert keys.plain("%matplotlib inline\nx = 5 % 3\n  !ls\ny = 1") == "\nx = 5 % 3\n\ny = 1"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the empty fields that newer Pythons add")
def test_empty_fields_of_newer_pythons_do_not_count():
    assert "type_params" not in str(keys._canonical(__import__("ast").parse("def f(): pass")))
