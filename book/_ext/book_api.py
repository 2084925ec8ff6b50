"""The library's reference: ``api-module`` and ``api`` read a module or a name from its source, without importing it.

An ``api`` block holds the example of its name, which tests/book/test_api.py runs. What autodoc would not show is why
this reads the source: the comments that say what a field means, and types as they are written.
"""

import ast
import io
import os
import re
import textwrap
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SHAPED = ("Float", "Int", "Bool", "Shaped", "dict", "tuple")  # aliases of these are shown as what they stand for
UNSHOWN = ("recsae_book.recipes",)  # modules whose types appear, and that no page is about
SHOWN = ("__call__", "__getitem__")  # special methods that a reader calls without knowing
Definition = ast.FunctionDef | ast.ClassDef


class Module:
    """The syntax tree of a module, with its comments by line and its aliases of types."""

    def __init__(self, name: str) -> None:
        top, *rest = name.split(".")
        spec = find_spec(top)
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(f"{name}: no package {top}")
        folder = Path(spec.submodule_search_locations[0])
        base = folder.joinpath(*rest)
        self.name, self.path = name, base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if not self.path.is_file():
            raise ValueError(f"{name}: no such module")
        self.shown = self.path.relative_to(folder.parent).as_posix()
        text = self.path.read_text(encoding="utf-8")
        self.tree, self.lines = ast.parse(text), text.splitlines()
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        self.comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
        self.public = {d.name: d for d in self.tree.body if isinstance(d, Definition) and d.name[0] != "_"}
        self.aliases = dict(self._aliases())
        self.imports = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(top)
            for alias in node.names
        }

    def _aliases(self) -> Iterator[tuple[str, ast.expr]]:
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                target = node.targets[0]
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                values = node.value.elts if isinstance(target, ast.Tuple) else [node.value]
                for name, value in zip(names, values, strict=True):
                    if isinstance(value, ast.Subscript | ast.BinOp) and not name.id.isupper() and name.id[0] != "_":
                        yield name.id, value

    def comment(self, node: ast.stmt) -> str:
        """What is said behind a statement, or else right above it."""
        if node.end_lineno in self.comments:
            return self.comments[node.end_lineno]
        above, line = [], node.lineno - 1
        while line in self.comments and self.lines[line - 1].lstrip().startswith("#"):
            above.insert(0, self.comments[line])
            line -= 1
        return " ".join(above)


@cache
def module(name: str) -> Module:
    """The module of that name; ``ValueError`` where there is none."""
    return Module(name)


class _Types(ast.NodeTransformer):
    """Types as the reader knows them: shapes for their aliases, our own names with their modules, to be links."""

    def __init__(self, home: Module, links: bool = True) -> None:
        self.home, self.links = home, links

    def visit_Name(self, node: ast.Name) -> ast.expr:
        home, name = self.home, node.id
        while name not in home.public and name in home.imports:
            where, name = home.imports[name]
            home = module(where)
        alias = home.aliases.get(name)
        if isinstance(alias, ast.Subscript) and getattr(alias.value, "id", "") in SHAPED:
            return _Types(home, self.links).visit(ast.parse(ast.unparse(alias), mode="eval").body)
        link = self.links and name in home.public and home.name not in UNSHOWN
        return ast.parse(f"{home.name}.{name}", mode="eval").body if link else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return ast.Subscript(self.visit(node.value), self.visit(node.slice))

    def shown(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a name that is defined further down
            node = ast.parse(node.value, mode="eval").body
        return ast.unparse(self.visit(ast.parse(ast.unparse(node), mode="eval").body))


def signature(home: Module, made: ast.FunctionDef, method: bool = False) -> str:
    """``(x: Float[Tensor, 'n d'], batch: int = 256) -> Rows``, for a method without self."""
    arguments, types = ast.parse(ast.unparse(made)).body[0].args, _Types(home)
    if method and not any(getattr(d, "id", "") == "staticmethod" for d in made.decorator_list):
        (arguments.posonlyargs or arguments.args).pop(0)
    for a in (*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg):
        if a is not None and a.annotation is not None:
            a.annotation = ast.parse(types.shown(a.annotation), mode="eval").body
    back = f" -> {types.shown(made.returns)}" if made.returns and made.name != "__init__" else ""
    return f"({ast.unparse(arguments)}){back}"


def prose(node: ast.AST) -> str:
    """A docstring as Markdown: as it is, but for the part on errors."""
    text = ast.get_docstring(node) or ""
    body, found, errors = text.partition("Raises:\n")
    if not found:
        return text
    listed = re.sub(r"(?m)^(\w+): ", r"**Raises** ``\1``: ", textwrap.dedent(errors).replace("\n    ", " "))
    return f"{body}{listed}"


class Markdown:
    """What a definition says, as Markdown with directives of Sphinx's Python domain."""

    def __init__(self, home: Module) -> None:
        self.home, self.types = home, _Types(home)

    def definition(self, name: str, tail: str) -> str:
        """A function or a class with its fields and methods; ``tail`` comes last."""
        node = self.home.public[name]
        place, told = [f":module: {self.home.name}"], [prose(node)]
        if isinstance(node, ast.FunctionDef):
            return self._block("py:function", name + signature(self.home, node), place, [*told, tail])
        bases = [self.types.shown(b) for b in node.bases if not isinstance(b, ast.Subscript)]
        bases = [b for b in bases if b not in ("ABC", "Protocol", "NamedTuple", "BaseModel")]
        if bases:
            told.insert(0, "Based on " + ", ".join(self._link(b) for b in bases) + ".")
        members = {d.name: d for d in node.body if isinstance(d, ast.FunctionDef)}
        init = members.get("__init__")
        if init is not None and ast.get_docstring(init):
            told.append(prose(init))
        fields = [d for d in node.body if isinstance(d, ast.AnnAssign) and d.target.id[0] != "_"]
        told.append("\n".join(map(self._field, fields)))
        shown = {k: d for k, d in members.items() if k[0] != "_" or (k in SHOWN and ast.get_docstring(d))}
        told += [self._method(d) for d in shown.values()]
        made = signature(self.home, init, method=True) if init is not None else ""
        kind = "py:exception" if bases and bases[-1].endswith(("Error", "Exception")) else "py:class"
        return self._block(kind, name + made, place, [*told, tail])

    def _field(self, node: ast.AnnAssign) -> str:
        kind = _Types(self.home, links=False).shown(node.annotation)
        value, said = node.value, self.home.comment(node)
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "field":
            made = [ast.unparse(k.value) for k in value.keywords if k.arg == "default_factory"]
            default = f" = {made[0]}()" if made else ""
        else:
            default = f" = {ast.unparse(value)}" if value is not None else ""
        return f"- ``{node.target.id}: {kind}{default}``" + f"<br>{said}" * bool(said)

    def _method(self, node: ast.FunctionDef) -> str:
        marks = {getattr(d, "id", getattr(d, "attr", "")) for d in node.decorator_list}
        if marks & {"property", "cached_property"}:
            options = [f":type: {self.types.shown(node.returns)}", ":no-index-entry:", ":no-contents-entry:"]
            return self._block("py:property", node.name, options, [prose(node)], 1)
        options = [f":{mark}:" for mark in ("classmethod", "staticmethod", "abstractmethod") if mark in marks]
        called = node.name + signature(self.home, node, method=True)
        return self._block("py:method", called, [*options, ":no-contents-entry:"], [prose(node)], 1)

    def _link(self, name: str) -> str:
        return f"{{py:class}}`{name.rpartition('.')[2]} <{name}>`" if name.startswith("recsae") else f"``{name}``"

    @staticmethod
    def _block(kind: str, argument: str, options: list[str], parts: list[str], depth: int = 0) -> str:
        fence = "`" * (9 - 2 * depth)
        return "\n".join([f"{fence}{{{kind}}} {argument}", *options, "", *(p + "\n" for p in parts if p), fence])


def source(home: Module, line: int | None = None) -> str:
    """Where a name stands in the source; a link where the book knows its repository."""
    place = home.shown if line is None else f"{home.shown}, line {line}"
    repository, release = os.environ.get("RECSAE_REPOSITORY"), os.environ.get("RECSAE_RELEASE")
    if not repository or not release:
        return f"<p class='api-source'>{place}</p>"
    url = f"https://github.com/{repository}/blob/{release}/{home.shown}" + (f"#L{line}" if line else "")
    return f"<p class='api-source'><a href='{url}'>{place}</a></p>"


class _Reference(SphinxDirective):
    """A directive whose argument is a dotted name and whose body becomes Markdown."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            home, text = self.read(self.arguments[0])
        except (ValueError, KeyError) as error:
            raise self.error(f"{self.name} {self.arguments[0]}: {error}") from error
        for path in (str(home.path), __file__):
            self.env.note_dependency(path)
        place = nodes.container(classes=[self.name])
        self.state.nested_parse(StringList(text.splitlines(), str(home.path)), self.content_offset, place)
        return place.children

    def read(self, name: str) -> tuple[Module, str]:
        """The module to read and what to show."""
        raise NotImplementedError


class ApiModule(_Reference):
    """What a module says of itself, its types and where it is; what follows belongs to it."""

    def read(self, name: str) -> tuple[Module, str]:
        home = module(name)
        types = [
            f"- ``{alias} = {ast.unparse(value)}``"
            for alias, value in home.aliases.items()
            if getattr(getattr(value, "value", None), "id", "") not in SHAPED
        ]
        parts = [f"```{{py:module}} {name}\n```", prose(home.tree), "\n".join(types), source(home)]
        return home, "\n\n".join(filter(None, parts))


class Api(_Reference):
    """A function or a class: signature, docstring, fields, methods, and the example that is the block's body."""

    def read(self, name: str) -> tuple[Module, str]:
        where, _, which = name.rpartition(".")
        home = module(where)
        if which not in home.public:
            raise ValueError(f"expected one of {', '.join(home.public)}")
        if not self.content:
            raise ValueError("expected an example")
        example = "\n".join(["```pycon", *self.content, "```"])
        tail = f"{example}\n\n{source(home, home.public[which].lineno)}"
        return home, Markdown(home).definition(which, tail)


def plain_signatures(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Lines of a long signature as spans: Sphinx makes a definition list of them that has no terms."""
    lines = {
        "<dl>": '<span class="sig-lines">',
        "<dd>": '<span class="sig-line">',
        "</dd>": "</span>",
        "</dl>": "</span>",
    }
    context["body"] = re.sub(
        r'<dt class="sig .*?</dt>',
        lambda found: re.sub("</?d[ld]>", lambda tag: lines.get(tag[0], "</span>"), found[0]),
        context.get("body", ""),
        flags=re.DOTALL,
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", plain_signatures)
    app.add_css_file("api.css")
    app.add_directive("api", Api)
    app.add_directive("api-module", ApiModule)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
