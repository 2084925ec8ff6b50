"""One notebook with a reader's own parameters, outside any edition: checked, watched, laid beside the book's."""

import difflib
import html
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsae_book import editions, knobs, notebooks, recipes, results
from recsae_core import paths

BAR = re.compile(r"(\d+\S*/\S+) \[([^\]]*)")  # what every progress bar of tqdm has: "3/60 [00:05<01:35, 1.7s/epoch"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def find(name: str) -> Path:
    """The source of a notebook by its name, or by a beginning that only one has; ``ValueError`` names near ones."""
    known = list(notebooks.sources())
    stem = Path(name).stem
    begin = [one for one in known if one.startswith(stem)]
    if stem not in known and len(begin) != 1:
        near = begin or difflib.get_close_matches(stem, known, 3, 0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"notebook {name!r}: {hint}expected one of {', '.join(known) or '(none in notebooks/)'}")
    return notebooks.source(stem if stem in known else begin[0])


def listing(path: Path, more: Mapping[str, Any] = {}) -> str:
    """One line a parameter of a notebook: name, default (or the value in ``more``), and what it is."""
    rows = [(name, repr(more.get(name, default)), note) for name, default, note in knobs.parameters_with_comments(path)]
    wide = min(60, max((len(f"{name} = {value}") for name, value, _ in rows), default=0))
    lines = [(f"{name} = {value}".ljust(wide), note) for name, value, note in rows]
    return "\n".join(f"  {left}  {note and '# ' + note}".rstrip() for left, note in lines) or "  (no parameters)"


def check(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, each of its default's type; ``ValueError`` says what there is, near names first."""
    known = {name: default for name, default, _ in knobs.parameters_with_comments(path)}
    checked = {}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f", did you mean {near[0]}?" if near else ";"
            raise ValueError(f"{path.stem}: unknown parameter {name}{hint} it has\n{listing(path)}")
        default = known[name]
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if isinstance(default, str) and value is None:  # -p name=
            value = ""
        if default is not None and type(value) is not type(default):
            kind = type(default).__name__
            article = "an" if kind[0] in "aeiou" else "a"
            raise ValueError(f"{path.stem}: {name}={value!r}: expected {article} {kind} like {default!r}")
        checked[name] = value
    return checked


def texts(value: Any) -> set[str]:
    """All texts in a parameter, however deep."""
    if isinstance(value, str):
        return {value}
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(texts, inside))


def check_data(values: Mapping[str, Any]) -> None:
    """Say what will be downloaded; ``ValueError`` where a dataset is unknown, or nobody may pass it on."""
    known = recipes.book().datasets
    if (named := values.get("dataset")) is not None and named not in known:
        near = difflib.get_close_matches(named, known, 3, 0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        own = "`python -m recsae_core add NAME --interactions FILE` makes one of your own"
        raise ValueError(f"dataset {named!r}: {hint}expected one of {', '.join(known)}; {own}")
    for name in sorted({text.partition("/")[0] for text in texts(dict(values))} & known.keys()):
        from recsae_book import artifacts
        from recsae_core.data import sources

        if artifacts.at_hand(name):
            continue
        source, where = sources.registry()[known[name].source], os.environ.get("RECSAE_DATA") or "(not set)"
        if lost := [file for file in known[name].files.values() if not Path(file).is_file()]:
            raise ValueError(f"dataset {name!r}: {', '.join(lost)} is gone; put it back, or add the dataset again")
        if source.url is None:
            files = f"put {', '.join(source.files)} into a folder {source.folders[0]} under RECSAE_DATA={where}"
            raise ValueError(
                f"dataset {name!r}: {source.title} is not on this machine; get it at {source.home}, {files}"
            )
        size = f" ({source.bytes / 1e6:,.0f} MB)" if source.bytes else ""
        print(f"{source.title} is not under RECSAE_DATA={where}: it is downloaded once{size}", file=sys.stderr)


class _Watch:
    """Turns what a kernel says about its own progress bars into a note behind the bar of cells."""

    def __init__(self, bar: Any):
        self.bar, self.start = bar, time.time()

    def __call__(self, text: str) -> None:
        plain = html.unescape(text).replace("\u2007", " ")  # as a widget writes
        if found := BAR.findall(plain):
            done, rate = found[-1]
            what = f"training {self._trained()}: " if re.search("epoch|row", rate) else ""
            over = len({*done.split("/")}) == 1 or plain.endswith("\n")
            self.bar.set_postfix_str("" if over else f"{what}{done}, {rate}")

    def _trained(self) -> str:
        # who trains holds a lock with the artifact's name; no message of the kernel has it
        locks = [(path.stat().st_mtime, path) for path in (paths.cache() / "locks").rglob("*.lock")]
        newest, path = max(locks, default=(0, Path()))
        return f"{path.parent.name}/{path.stem.rpartition('-')[0]}" if newest >= self.start - 1 else "a model"


def _engine() -> str:
    """Papermill's engine, with the kernel's progress bars (text or widgets) handed to a ``_Watch``; its name."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines

    class Client(PapermillNotebookClient):
        def handle_comm_msg(self, outs: list, msg: dict, cell_index: int) -> None:
            super().handle_comm_msg(outs, msg, cell_index)
            if isinstance(value := msg["content"].get("data", {}).get("state", {}).get("value"), str):
                self.watch(value)

        def process_message(self, *args: Any, **kwargs: Any) -> Any:
            output = super().process_message(*args, **kwargs)
            if output and output.output_type == "stream" and output.name == "stderr":
                self.watch("".join(output.text))
            return output

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            client = Client(nb_man, kernel_name=kernel_name, timeout=None, startup_timeout=options["start_timeout"])
            client.watch = _Watch(nb_man.pbar)
            return client.execute()

    papermill_engines.register("watched", Engine)
    return "watched"


def once(name: str, given: Mapping[str, Any], out: Path | None = None, edition: str | None = None) -> Path:
    """Run one notebook with a reader's parameters and return the executed file; its results lie in ``results/``.

    The cells done, and what is trained meanwhile, are shown on stderr. Nothing appears before all of it is there.
    Raises ``ValueError`` for what cannot be run, and ``RuntimeError`` with the traceback where a cell fails.
    """
    from papermill.exceptions import PapermillExecutionError

    source = find(name)
    chosen = (editions.parameters(edition, source.stem) if edition else {}) | check(source, given)
    check_data({one: default for one, default, _ in knobs.parameters_with_comments(source)} | chosen)
    where = (out or paths.root() / "runs" / f"{source.stem}-{recipes.digest(chosen)[:8]}").resolve()
    where.parent.mkdir(parents=True, exist_ok=True)
    about = {"edition": "run", "parameters": chosen, "packages": editions.installed()}
    with tempfile.TemporaryDirectory(dir=where.parent, prefix=f".{where.name}.") as folder:
        fresh = Path(folder)
        variables = editions.variables("run", fresh / "results")
        del variables["TQDM_DISABLE"]
        bar = {"desc": source.stem, "leave": False, "dynamic_ncols": True}
        with editions.environment(**variables):
            try:
                target, options = fresh / f"{source.stem}.ipynb", {"engine_name": _engine(), "progress_bar": bar}
                said = notebooks.execute(source, target, chosen, about, **options)
            except PapermillExecutionError as error:
                trace = COLOUR.sub("", "\n".join(error.traceback)).strip()
                raise RuntimeError(
                    f"{source.stem}: cell {error.exec_count} failed, nothing was kept\n{trace}"
                ) from None
        for path in sorted(path for path in fresh.rglob("*") if path.is_file()):
            kept = where / path.relative_to(fresh)
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, kept)
    for text in said:
        if lines := [line for line in re.split(r"[\r\n]+", text) if line.strip() and not BAR.search(line)]:
            print("\n".join(lines), file=sys.stderr)
    return where / f"{source.stem}.ipynb"


def compared(executed: Path) -> str:
    """The results of a run beside the published ones of the same keys, with what both ran with; "" if none coincide."""
    name = executed.stem
    mine, theirs = executed.parent / "results" / f"{name}.json", results.folder("published") / f"{name}.json"
    if not (mine.is_file() and theirs.is_file()):
        return ""
    ours, book = results.read(mine), results.read(theirs)
    if not (both := sorted(ours.keys() & book.keys())):
        return f"results: {len(ours)}, none of a key that the published edition has as well"

    def shown(r: results.Result) -> str:
        return f"{r.value:.4g}" + (f" ({r.low:.4g} to {r.high:.4g})" if r.low is not None else "")

    rows = [("", "this run", "published"), *((key, shown(ours[key]), shown(book[key])) for key in both)]
    wide = [max(len(row[i]) for row in rows) for i in (0, 1)]
    defaults = {k: v for k, v, _ in knobs.parameters_with_comments(find(name))}
    used = [defaults | json.loads(executed.read_text(encoding="utf-8"))["metadata"]["book"]["parameters"]]
    used.append(defaults | editions.parameters("published", name))
    apart = [key for key in defaults if used[0][key] != used[1][key]]
    differ = "".join(f"\n  {key}: {used[0][key]!r}, published {used[1][key]!r}" for key in apart)
    table = "\n".join(f"{a:{wide[0]}}  {b:{wide[1]}}  {c}".rstrip() for a, b, c in rows)
    return f"{table}\nran with {'the same parameters' if not apart else 'other parameters:'}{differ}"
