"""An edition of the book: which notebooks, with which parameters, run two at a time when they are stale."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from tqdm import tqdm

from recsae_book import keys, notebooks, recipes, results, scoreboard
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
    """An edition in ``book/profiles.yml``."""

    model_config = STRICT

    banner: str | None = None
    parameters: dict[str, Any] = {}  # for every notebook that knows the name
    notebooks: dict[str, Entry]


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


def profile(edition: str) -> Profile:
    """An edition's profile; ``ValueError`` names what ``book/profiles.yml`` has wrong or which editions it has."""
    path = paths.root() / "book" / "profiles.yml"
    found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if edition not in found:
        raise ValueError(f"edition {edition!r}: expected one of {', '.join(found)} ({path.name})")
    return parse(Profile, found[edition], f"{path.name}: {edition}")


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
        given = {k: v for k, v in chosen.parameters.items() if k in known} | entry.parameters
        needed = entry.needed()
        key = keys.key(notebooks.code(book), known | given, [recipes.fingerprint(**item) for item in needed])
        target = folder(edition) / f"{name}.ipynb"
        found.append(Job(edition, name, source, target, given, needed, entry.needed(kept=True), entry.committed, key))
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
            bar.set_postfix_str(name)
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


def once(name: str, given: Mapping[str, Any], out: Path | None = None, edition: str | None = None) -> Path:
    """Run one notebook with a reader's own parameters, outside any edition, and return the executed file."""
    source = notebooks.source(name)
    start = jobs(edition, [name])[0].parameters if edition else {}
    chosen = start | dict(given)
    where = out or paths.root() / "runs" / f"{source.stem}-{recipes.digest(chosen)[:8]}"
    target = where / f"{source.stem}.ipynb"
    metadata = {"edition": "run", "packages": installed()}
    with environment(**variables("run", where / "results")):
        for text in notebooks.execute(source, target, chosen, metadata):
            print(text.strip(), file=sys.stderr)
    return target
