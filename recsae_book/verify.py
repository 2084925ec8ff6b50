"""The stored results against the same numbers computed again from the checkpoints, without training."""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from recsae_book import editions, notebooks, results, scoreboard
from recsae_book.results import Result
from recsae_core import paths

TOLERANCE = 1e-3  # relative
NO_DATA = 3  # exit code: nothing was compared, because no notebook's datasets are at hand


def differences(stored: Result, again: Result) -> list[str]:
    """The fields among value, low and high that differ by more than the tolerance."""

    def same(a: float | None, b: float | None) -> bool:
        if a is None or b is None:
            return a is b
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=1e-9)

    return [name for name in ("value", "low", "high") if not same(getattr(stored, name), getattr(again, name))]


def compare(stored: Mapping[str, Result], again: Mapping[str, Result]) -> tuple[list[str], int]:
    """A table of stored beside recomputed values, one line a key, and how many keys do not agree."""
    wide = max((len(key) for key in stored.keys() | again.keys()), default=3)
    lines, wrong = [f"{'key':{wide}}  {'stored':>12}  {'recomputed':>12}"], 0
    for key in sorted(stored.keys() | again.keys()):
        a, b = stored.get(key), again.get(key)
        if a is None or b is None:
            verdict = "not stored" if a is None else "not recomputed"
        else:
            verdict = " and ".join(differences(a, b))
            verdict = f"{verdict} differ" if verdict else ""
        wrong += bool(verdict)
        numbers = [f"{result.value:12.6g}" if result else f"{'-':>12}" for result in (a, b)]
        lines.append(f"{key:{wide}}  {'  '.join(numbers)}  {verdict}".rstrip())
    return lines, wrong


def _compute(job: editions.Job, output: Path) -> None:
    path = output / f"{job.name}.py"
    path.write_text(notebooks.script(notebooks.parse(job.source), job.parameters), encoding="utf-8")
    variables = editions.variables(job.edition, output) | {"MPLBACKEND": "Agg", "RECSAE_NO_TRAIN": "1"}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=paths.root(), env=os.environ | variables, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())


def absent(jobs: Sequence[editions.Job]) -> list[str]:
    """The datasets that the notebooks read and that are not on this machine."""
    from recsae_book import artifacts

    needed = {item["name"].partition("/")[0] for job in jobs for item in job.artifacts}
    needed |= {str(job.parameters["dataset"]) for job in jobs if "dataset" in job.parameters}
    return sorted(name for name in needed if not artifacts.at_hand(name))


def verify(edition: str = "published", wanted: Sequence[str] = ()) -> int:
    """Recompute the stored results, or those of the keys asked for, print both, and return the exit code.

    0 all agree; 1 a value differs by more than a thousandth, is missing on one side, a notebook fails, or the
    scoreboard is not the union of the notebooks' files; ``NO_DATA`` nothing was compared, for want of data. A notebook
    whose datasets are not all at hand is left out, and named.
    """
    start = time.monotonic()
    owner = {key: result.notebook for key, result in scoreboard.union(edition).items()}
    if unknown := sorted(set(wanted) - owner.keys()):
        raise ValueError(f"{', '.join(unknown)}: no such result in the {edition} edition")
    faults = scoreboard.faults(edition)
    chosen = editions.jobs(edition, sorted({owner[key] for key in wanted or owner}))
    left = {job.name for job in chosen if not job.committed}
    chosen = [job for job in chosen if job.name not in left]
    lacking = {job.name: missing for job in chosen if (missing := absent([job]))}
    if chosen and len(lacking) == len(chosen):
        print(f"verify {edition}: nothing compared, {', '.join(absent(chosen))} is not at hand (set RECSAE_DATA)")
        return NO_DATA
    chosen = [job for job in chosen if job.name not in lacking]
    with tempfile.TemporaryDirectory(prefix="recsae-") as name:
        _, failed = editions.parallel(_compute, {job.name: (job, Path(name)) for job in chosen}, f"verify {edition}")
        again = {key: value for path in sorted(Path(name).glob("*.json")) for key, value in results.read(path).items()}
    stored = {key: value for key, value in scoreboard.union(edition).items() if not wanted or key in wanted}
    unread = [key for key, value in stored.items() if value.notebook in lacking]
    stored = {key: value for key, value in stored.items() if key not in unread}
    untold = [key for key, value in stored.items() if value.notebook in left or value.training]
    stored = {key: value for key, value in stored.items() if key not in untold}
    asked = {key: value for key, value in again.items() if (not wanted or key in wanted) and key not in untold}
    lines, wrong = compare(stored, asked)
    print("\n".join(lines))
    for notebook, error in sorted(failed.items()):
        print(f"\n{notebook} failed:\n{error}")
    for fault in faults:
        print(fault)
    if untold:
        homes = sorted({owner[key] for key in untold})
        print(f"{len(untold)} results of {', '.join(homes)} need training: run the edition to compute them again")
    for name, missing in lacking.items():
        print(f"{name} is left out: {', '.join(missing)} is not at hand (set RECSAE_DATA)")
    bad = wrong + len(failed) + len(faults)
    print(f"{len(stored)} results, {wrong} differ, {len(failed)} notebooks failed, {time.monotonic() - start:.0f} s")
    return 1 if bad else 0
