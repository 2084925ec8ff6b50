"""An edition of the book: which notebooks, with which parameters, run two at a time when they are stale."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from tqdm import tqdm

from recsae_book import keys, knobs, notebooks, recipes, results, scoreboard
from recsae_core import paths
from recsae_core.files import write_json
from recsae_core.strict import STRICT, parse

WORKERS = 2
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
SLOW = 15.0  # seconds that a notebook may take in the planted edition


class Entry(BaseModel):
    """What an edition runs one notebook with."""

    model_config = STRICT

    parameters: dict[str, Any] = {}
    artifacts: list[str | dict[str, Any]] = []  # a recipe's name, or {name: ..., seeds, each, keep, overrides}
    committed: bool = True  # False: the artifacts are too large to be kept, so that results cannot be verified

    def needed(self, kept: bool = False) -> list[dict[str, Any]]:
        """The arguments of ``artifacts.get`` for each artifact, or for those alone that are ``kept``."""
        found = []
        for item in self.artifacts:
            given = {"name": item} if isinstance(item, str) else dict(item)
            if not given.pop("keep", self.committed) and kept:
                continue
            seeds = [{"seed": seed} for seed in given.pop("seeds", [])] or [{}]
            found += [given | more | seed for more in given.pop("each", [{}]) for seed in seeds]
        return found


class Profile(BaseModel):
    """An edition in ``book/profiles.yml``, or in a reader's own file of that form."""

    model_config = STRICT

    banner: str | None = None
    like: str | None = None  # an edition whose notebooks this one runs, with what it says itself on top
    instead: dict[str, str] = {}  # dataset -> the one that takes its place in all parameters and artifacts
    leave: list[str] = []  # notebooks of that edition that are not run
    parameters: dict[str, Any] = {}  # for every notebook that knows the name
    notebooks: dict[str, Entry] = {}


@dataclass(frozen=True)
class Job:
    """A notebook as an edition runs it."""

    edition: str
    name: str
    source: Path
    target: Path
    parameters: dict[str, Any]
    artifacts: list[dict[str, Any]]
    kept: list[dict[str, Any]]  # those of them that are committed
    committed: bool
    key: str

    @property
    def stale(self) -> bool:
        """Is there no executed notebook, or was it executed from something else?"""
        return notebooks.stored_key(self.target) != self.key


@lru_cache(maxsize=4)
def _profiles(text: str) -> dict[str, Any]:
    return yaml.safe_load(text) or {}


def profile(edition: str) -> Profile:
    """An edition's profile; ``ValueError`` names what ``book/profiles.yml`` has wrong or which editions it has."""
    path = paths.root() / "book" / "profiles.yml"
    found = _profiles(path.read_text(encoding="utf-8"))
    if edition not in found:
        raise ValueError(f"edition {edition!r}: expected one of {', '.join(found)} ({path.name})")
    chosen = parse(Profile, found[edition], f"{path.name}: {edition}")
    if chosen.like is None:
        return chosen
    if chosen.like == edition or found.get(chosen.like, {}).get("like"):
        raise ValueError(f"{path.name}: {edition}: like: {chosen.like}: expected an edition that is like no other")
    base = profile(chosen.like)
    entries = {name: entry.model_dump() for name, entry in base.notebooks.items() if name not in chosen.leave}
    for name, own in chosen.notebooks.items():
        entry = entries.setdefault(name, {"parameters": {}})
        given = own.model_dump(exclude_unset=True)
        entry |= given | {"parameters": entry["parameters"] | given.get("parameters", {})}
    merged = {name: Entry(**entry) for name, entry in entries.items()}
    return chosen.model_copy(update={"parameters": base.parameters | chosen.parameters, "notebooks": merged})


def renamed(value: Any, instead: Mapping[str, str]) -> Any:
    """A parameter or a list of artifacts with other datasets in the place of some: "a" and "a/recipe" for each "a"."""
    if isinstance(value, str):
        dataset, slash, recipe = value.partition("/")
        return instead.get(dataset, dataset) + slash + recipe
    if isinstance(value, list):
        return [renamed(item, instead) for item in value]
    return {name: renamed(item, instead) for name, item in value.items()} if isinstance(value, dict) else value


def _given(chosen: Profile, name: str, known: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A notebook's parameters in an edition, and which datasets are replaced: none in one that names no such."""
    given = {k: v for k, v in chosen.parameters.items() if k in known} | chosen.notebooks[name].parameters
    replaced = {k: new for k, v in (known | given).items() if (new := renamed(v, chosen.instead)) != v}
    return given | replaced, chosen.instead if replaced else {}


def parameters(edition: str, name: str) -> dict[str, Any]:
    """What an edition runs a notebook with, beside its defaults; ``ValueError`` lists the edition's notebooks."""
    chosen = profile(edition)
    if name not in chosen.notebooks:
        raise ValueError(f"{name}: the {edition} edition has {', '.join(chosen.notebooks)}")
    known = {one: default for one, default, _ in knobs.parameters_with_comments(notebooks.source(name))}
    return _given(chosen, name, known)[0]


def folder(edition: str) -> Path:
    """Where an edition's executed notebooks are."""
    if edition == "published":
        return paths.root() / "notebooks"
    return paths.root() / "_build" / edition / "notebooks"


def jobs(edition: str, only: Sequence[str] = ()) -> list[Job]:
    """The notebooks of an edition with their parameters and keys, all or the ones named."""
    chosen = profile(edition)
    for name in chosen.notebooks:
        notebooks.source(name)
    wanted = [Path(name).stem for name in only] or list(chosen.notebooks)
    if wrong := [name for name in wanted if name not in chosen.notebooks]:
        raise ValueError(f"{', '.join(wrong)}: the {edition} edition has {', '.join(chosen.notebooks)}")
    found = []
    for name in wanted:
        entry, source = chosen.notebooks[name], notebooks.source(name)
        book = notebooks.parse(source)
        notebooks.check_parameters(book, entry.parameters, f"profiles.yml: {edition}: {name}")
        known = notebooks.parameters(book)
        given, instead = _given(chosen, name, known)
        needed = renamed(entry.needed(), instead)
        key = keys.key(notebooks.code(book), known | given, [recipes.fingerprint(**item) for item in needed])
        target = folder(edition) / f"{name}.ipynb"
        kept = renamed(entry.needed(kept=True), instead)
        found.append(Job(edition, name, source, target, given, needed, kept, entry.committed, key))
    return found


@contextmanager
def environment(**values: str):
    """Environment variables set for the length of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def variables(edition: str, output: Path) -> dict[str, str]:
    """What a notebook finds in its environment: one thread, no progress bar, and where its results go."""
    own = {"RECSAE_EDITION": edition, "RECSAE_RESULTS": str(output), "RECSAE_ROOT": str(paths.root())}
    return THREADS | own | {"TQDM_DISABLE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def installed() -> dict[str, str]:
    """The installed versions of the libraries that numbers and figures come from."""
    return {name: version(name).partition("+")[0] for name in keys.PINNED}


def _execute(job: Job, output: Path) -> tuple[list[str], float]:
    start = time.monotonic()
    metadata = {"edition": job.edition, "key": job.key, "packages": installed()}
    with environment(**variables(job.edition, output)):
        warnings = notebooks.execute(job.source, job.target, job.parameters, metadata)
    return warnings, time.monotonic() - start


def parallel(work: Callable, tasks: Mapping[str, tuple], label: str) -> tuple[dict[str, Any], dict[str, Exception]]:
    """Run ``work`` on every task, two at a time in processes of their own: what succeeded and what failed, by name."""
    done: dict[str, Any] = {}
    failed: dict[str, Exception] = {}
    if not tasks:
        return done, failed
    pool = ProcessPoolExecutor(min(WORKERS, len(tasks)), mp_context=get_context("spawn"))
    with environment(**THREADS), pool, tqdm(total=len(tasks), desc=label) as bar:
        waiting = {pool.submit(work, *task): name for name, task in tasks.items()}
        for future in as_completed(waiting):
            name = waiting[future]
            bar.set_postfix_str(name if len(name) < 60 else f"{name[:57]}...")
            bar.update()
            try:
                done[name] = future.result()
            except Exception as error:  # reported with the notebook's name; the others go on
                failed[name] = error
    return done, failed


def needed(chosen: Sequence[Job], kept: bool = False) -> list[dict[str, Any]]:
    """The arguments of ``artifacts.get`` for all that some notebooks name (and keep), each artifact once."""
    items = [item for job in chosen for item in (job.kept if kept else job.artifacts)]
    return list({recipes.fingerprint(**item): item for item in items}.values())


def _label(name: str, seed: int | None = None, **overrides: Any) -> str:
    return name + ("" if seed is None else f", seed {seed}") + (f", {overrides}" if overrides else "")


def _train(items: Sequence[Mapping[str, Any]]) -> None:
    from recsae_book import artifacts

    artifacts.ensure_all(items, progress=False)


def train(chosen: Sequence[Job], together: bool) -> None:
    """Make the artifacts that the notebooks name and that are not there yet, recommenders before SAEs.

    Either ``together``, two passes at a time with one thread each, or one after another with all threads and progress
    bars. SAEs that differ in themselves and their terms only share a pass.
    """
    items = needed(chosen)
    if not items:
        return
    from recsae_book import artifacts

    for kind in ("recommender", "sae"):
        passes = artifacts.passes(item for item in items if recipes.recipe(**item).kind == kind)
        if not together or len(passes) == 1:
            for group in passes:
                artifacts.ensure_all(group)
            continue
        tasks = {", ".join(_label(**item) for item in group): (group,) for group in passes}
        _, failed = parallel(_train, tasks, f"training, {kind}s")
        if failed:
            raise RuntimeError("\n".join(f"{label}: {error}" for label, error in failed.items()))


def run(edition: str, only: Sequence[str] = (), force: bool = False) -> list[str]:
    """Execute the stale notebooks of an edition, refresh the prose of the others, write the scoreboard.

    Returns the names that were executed. A notebook that fails leaves its old file in place and raises
    ``RuntimeError`` after the others are done.
    """
    chosen = jobs(edition, only)
    stale = [job for job in chosen if force or job.stale]
    train(stale, together=edition != "published")
    output = results.folder(edition)
    done, failed = parallel(_execute, {job.name: (job, output) for job in stale}, f"{edition} edition")
    for name, (warnings, _) in sorted(done.items()):
        for text in warnings:
            print(f"{name} wrote to stderr: {text.strip()}", file=sys.stderr)
    for job in chosen:
        if job.name not in done and job.name not in failed:
            notebooks.refresh(job.source, job.target)
    times = {name: round(seconds, 1) for name, (_, seconds) in done.items()}
    _keep_times(edition, times)
    if failed:
        report = "\n\n".join(f"{name}: {error}" for name, error in sorted(failed.items()))
        raise RuntimeError(f"{edition} edition: {len(failed)} of {len(stale)} notebooks failed\n\n{report}")
    scoreboard.write(edition)
    return sorted(done)


def times(edition: str) -> dict[str, float]:
    """Seconds that each notebook of an edition took on this machine when it was last executed here."""
    path = paths.root() / "_build" / edition / "times.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _keep_times(edition: str, new: Mapping[str, float]) -> None:
    write_json(paths.root() / "_build" / edition / "times.json", dict(sorted((times(edition) | dict(new)).items())))


def check(edition: str) -> list[str]:
    """What keeps an edition from being released: stale notebooks, a scoreboard out of step, slow planted notebooks."""
    wrong = [f"{job.name}: stale, its sources changed after it was executed" for job in jobs(edition) if job.stale]
    if (results.folder(edition) / scoreboard.SCOREBOARD).is_file():
        wrong += scoreboard.faults(edition)
    else:
        wrong.append(f"{edition}: no scoreboard")
    if edition == "planted":
        late = {name: seconds for name, seconds in times(edition).items() if seconds > SLOW}
        wrong += [f"{name}: {seconds} s, expected at most {SLOW:.0f} s" for name, seconds in late.items()]
    return wrong
