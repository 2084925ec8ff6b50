"""The reference of the library: every public name has an example that uses it, and every example does as it says."""

import ast
import doctest
import importlib
import os
import re
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from book_api import Api, Markdown, module, source
from book_source import ROOT

PAGES = sorted((ROOT / "book" / "api").glob("*.md"))
BLOCK = re.compile(r"^```(?:pycon|\{api\} (?P<name>\S+))\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
BOOK = ("artifacts", "concept_test", "instances", "results")  # of recsae_book: what notebooks begin with
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page: Path) -> list[tuple[str | None, str]]:
    """The examples of a page with their names, None for lines that all examples of the page begin with."""
    return [(m["name"], m["code"]) for m in BLOCK.finditer(page.read_text(encoding="utf-8")) if ">>>" in m["code"]]


def public() -> set[str]:
    """The functions and classes that a reader may call, with their modules."""
    paths = [*(ROOT / "recsae_core").rglob("*.py"), *(ROOT / "recsae_book" / f"{name}.py" for name in BOOK)]
    names = set()
    for path in paths:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
                names.add(f"{module}.{node.name}")
    return names


def code(text: str) -> str:
    """An example without what it prints."""
    return "".join(example.source for example in doctest.DocTestParser().get_examples(text))


def uses(tree: ast.AST) -> list[ast.expr]:
    """What is called, inherited from, caught or named as the type of a value."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found.append(node.func)
            found += node.args[1:] if getattr(node.func, "id", "") == "isinstance" else []
        elif isinstance(node, ast.ClassDef):
            found += node.bases
        elif isinstance(node, ast.ExceptHandler) and node.type:
            found.append(node.type)
        elif isinstance(node, ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.With):
            found += [item.context_expr for item in node.items]
    return [node for node in found if re.fullmatch(r"[\w.]+", ast.unparse(node))]


def of(name: str) -> object:
    """The function or the class of that name."""
    module, _, which = name.rpartition(".")
    return getattr(importlib.import_module(module), which)


def is_used(name: str, text: str, names: dict[str, object]) -> bool:
    """Does the example use what it is an example of? A value said to be of a type must be of it."""
    tree, wanted = ast.parse(code(text)), of(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and eval(ast.unparse(node.annotation), names) is wanted:
            return isinstance(eval(ast.unparse(node.target), names), wanted)
    return any(eval(ast.unparse(node), names) is wanted for node in uses(tree))


def test_every_public_name_has_one_example_and_no_other_name_has():
    shown = [name for page in PAGES for name, _ in blocks(page) if name]
    assert sorted(name for name in set(shown) if shown.count(name) > 1) == []
    assert public() - set(shown) == set()
    assert set(shown) - public() == set()


def test_every_module_stands_on_one_page_above_its_names():
    for page in PAGES:
        told = re.findall(r"^```\{(api|api-module)\} (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        here = ""
        for kind, name in told:
            here = name if kind == "api-module" else here
            assert kind == "api-module" or name.rpartition(".")[0] == here, f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_and_use_their_names(page: Path, tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    parser, runner, shared, report = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS), {}, []
    with warnings.catch_warnings(), mock.patch.dict(os.environ):
        warnings.simplefilter("error")
        for name, text in blocks(page):
            names = {"__name__": "__main__"} | shared
            test = parser.get_doctest(text, names, name or "the first lines", str(page), 0)
            runner.run(test, out=report.append, clear_globs=False)
            if name is None:
                shared = test.globs
            elif not runner.failures:
                assert is_used(name, text, test.globs), f"the example of {name} does not use it"
    assert runner.failures == 0, "".join(report)


def test_a_name_that_is_only_mentioned_is_not_used():
    name, names = "recsae_core.strict.parse", {"parse": of("recsae_core.strict.parse"), "other": len, "x": 1}
    assert is_used(name, ">>> parse(int, {}, 'here')", names)
    assert not is_used(name, ">>> parse\n>>> other([])  # parse()\n>>> 'parse()'", names)


def shown(name: str) -> str:
    """What a reader sees of a name, before it is HTML."""
    where, _, which = name.rpartition(".")
    return Markdown(module(where)).definition(which, "")


def test_a_reader_sees_shapes_in_place_of_aliases_links_for_our_types_and_comments_of_fields():
    assert "rows: Int[np.ndarray, 'm t'], generator" in shown("recsae_core.interpret.coherence.permuted")
    assert "(dictionary: recsae_core.sae.base.Dictionary, h: Float[" in shown("recsae_core.interpret.alignment.align")
    config = shown("recsae_core.sae.autoencoder.SAEConfig")
    assert "- ``k: int | None = None``<br>active latents a row, for" in config
    assert "= 'none'``<br>each row minus its mean" in config  # said above the field
    interactions = shown("recsae_core.data.interactions.Interactions")
    assert "``provenance: dict[str, Any] = dict()``" in interactions
    assert "{py:property} n_users" in interactions and "_post_init" not in interactions
    assert "{py:exception} Refused" in shown("recsae_core.interpret.language.Refused")
    assert "**Raises** ``ValueError``: the address cannot" in shown("recsae_core.data.download.fetch")


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no such module"):
        module("recsae_core.nothing")
    with pytest.raises(ValueError, match="expected one of atomic, whole"):
        Api.read(SimpleNamespace(content=[">>> 1"]), "recsae_core.files.nothing")
    with pytest.raises(ValueError, match="expected an example"):
        Api.read(SimpleNamespace(content=[]), "recsae_core.files.atomic")


def test_a_source_is_a_link_only_where_the_book_knows_its_repository(monkeypatch):
    home = module("recsae_core.files")
    monkeypatch.delenv("RECSAE_REPOSITORY", raising=False)
    assert "<a " not in source(home, 3) and "recsae_core/files.py, line 3" in source(home, 3)
    monkeypatch.setenv("RECSAE_REPOSITORY", "them/book")
    monkeypatch.setenv("RECSAE_RELEASE", "v1")
    assert "https://github.com/them/book/blob/v1/recsae_core/files.py#L3'" in source(home, 3)
