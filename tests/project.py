"""A project of two small notebooks in a folder of its own, for the tests of the runner."""

import importlib
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]

FIRST = """# %% [markdown]
# # A title
# The first words.

# %% tags=["parameters"]
n: int = 2
who = "b"

# %%
import os
import sys

from recsae_book import results
from recsae_core import paths

print(sys.executable, os.environ["OMP_NUM_THREADS"], os.getcwd(), paths.root() / "x")
print("to be dropped", file=sys.stderr)

# %%
key = f"toy/{who}/third"
results.write("01_first", {key: results.Result(value=n / 3, unit="thirds", n=n, better="none")})

# %% tags=["skip-verify"]
assert os.environ.get("RECSAE_NO_TRAIN") != "1", "this cell trains"
from tqdm.auto import tqdm

for _ in tqdm(range(2)):
    pass
"""

SECOND = """# %% tags=["parameters"]
broken = False

# %%
from recsae_book import results

assert not broken, "told to break"
results.write("02_second", {"toy/second/one": results.Result(value=1, unit="ones", n=1, better="none")})
"""

PROFILES = """
planted:
  banner: A generated world.
  parameters: {n: 3, nobody_knows_this: 1}
  notebooks:
    01_first: {parameters: {who: a}}
    02_second: {}
published:
  notebooks:
    01_first: {parameters: {n: 6, who: real}}
"""

ARTIFACTS = """
datasets:
  small: {source: planted, options: {users: 200, items: 100, length: 15}}
recipes:
  small/popular: {kind: recommender, model: most-popular}
  small/transformer:
    kind: recommender
    model: transformer
    config: {d: 8, length: 10, heads: 1, layers: 1}
    fit: {epochs: 2, batch: 64}
  small/sae:
    kind: sae
    parent: small/transformer
    site: block0
    preset: topk
    sae: {m: 16, k: 4}
    train: {rows: 1000, warmup: 0, batch: 100}
"""


def make(root: Path) -> Path:
    """Write the project below ``root``."""
    for name, text in {
        "notebooks/01_first.py": FIRST,
        "notebooks/02_second.py": SECOND,
        "book/profiles.yml": PROFILES,
        "book/artifacts.yml": ARTIFACTS,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    shutil.copy(ROOT / "constraints.txt", root)
    return root


def use(root: Path, monkeypatch) -> Path:
    """Make ``root`` the project of this process and of those that it starts."""
    monkeypatch.setenv("RECSAE_ROOT", str(root))
    monkeypatch.setenv("RECSAE_CACHE", str(root / "cache"))
    for name in ("RECSAE_RESULTS", "RECSAE_EDITION", "RECSAE_NO_TRAIN"):
        monkeypatch.delenv(name, raising=False)
    return root


def kill_at_second_save(monkeypatch) -> list[int]:
    """Let a training of SAEs die right after it wrote its state for the second time; the rows at each writing."""
    sae_fit = importlib.import_module("recsae_core.sae.fit")  # the package has a function of that name
    save, saved = sae_fit._save, []

    def killed(path, runs, seen):
        save(path, runs, seen)
        saved.append(seen)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(sae_fit, "_save", killed)
    return saved
