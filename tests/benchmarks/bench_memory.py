"""Peak memory at the size of MovieLens 25M: 25,000,095 generated ratings of 162,541 users and 59,047 items.

    python tests/benchmarks/bench_memory.py [--ratings 25000095] [--limit 6]

A table in MovieLens' form is written to a temporary folder. A fresh process loads it by name, splits it, makes the
cases of a sequence model of length 64, and collects the vectors of all positions of the SAE's users. After each step
it prints the seconds it took and the peak so far; the exit code is 1 where that ever exceeds the limit (in GB).
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

USERS, ITEMS, LENGTH, WIDTH = 162_541, 59_047, 64, 64


def write(folder: Path, ratings: int) -> None:
    """``ratings.csv`` and ``movies.csv`` of as many ratings, a user a block, popularity and activity as in life."""
    import pandas as pd

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    movie = np.sort(rng.choice(209_171, ITEMS, replace=False) + 1)
    genres = rng.choice(["Action|Sci-Fi|IMAX", "Comedy|Romance", "Drama", "(no genres listed)"], ITEMS)
    titles = [f'"Film, The number {i} ({1950 + i % 70})"' for i in range(ITEMS)]
    lines = (f"{i},{title},{genre}\n" for i, title, genre in zip(movie, titles, genres, strict=True))
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "".join(lines), encoding="utf-8")
    share = rng.lognormal(0, 1.25, USERS)
    length = np.maximum((share / share.sum() * ratings).astype(int), 2).clip(max=ITEMS // 2)
    length[np.argsort(length)[-(ratings - length.sum()) :]] += 1  # what rounding left over
    popularity = np.cumsum((1.0 + rng.permutation(ITEMS)) ** -0.9)
    begin = rng.integers(825_000_000, 1_570_000_000, USERS)
    with (folder / "ratings.csv").open("w", encoding="utf-8") as out:
        out.write("userId,movieId,rating,timestamp\n")
        for start in range(0, USERS, 10_000):
            size = length[start : start + 10_000]
            user = np.repeat(np.arange(start, start + len(size)), size)
            drawn = np.searchsorted(popularity, rng.random(int(len(user) * 1.6)) * popularity[-1])
            pair = np.unique(np.stack([np.resize(user, len(drawn)), drawn]), axis=1)  # nobody rates a film twice
            user, item = pair[:, np.sort(rng.permutation(pair.shape[1])[: len(user)])]
            block = pd.DataFrame({"u": user + 1, "i": movie[item], "r": rng.integers(1, 11, len(user)) / 2})
            block["t"] = begin[user] + rng.integers(0, 30_000_000, len(user))
            block.to_csv(out, header=False, index=False)


def read() -> None:
    """The steps, in this process; prints a line for each."""
    start = time.perf_counter()

    def step(name: str, what: str) -> None:
        nonlocal start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
        now = time.perf_counter()
        print(f"{name:<18} {now - start:7.1f} s  peak {peak:5.2f} GB  {what}", flush=True)
        start = now

    import torch

    from recsae_core.data import sources, split
    from recsae_core.recommenders import activations, build, cases

    torch.set_num_threads(1)
    step("imports", "")
    whole = sources.load("ml-25m")
    step("load", f"{len(whole):,} ratings, {whole.n_users:,} users, {whole.n_items:,} items")
    parts = split.seqrec(whole)
    del whole
    step("split", ", ".join(f"{name} {len(getattr(parts, name)):,}" for name in ("train", "sae", "test")))
    train = cases.sequences(parts.train, LENGTH)
    step("training cases", f"{tuple(train.history.shape)}")
    held = cases.leave_last_out(parts.test, LENGTH)
    step("held-out cases", f"{len(held):,} cases, {tuple(held.seen.shape)} seen")
    model = build(
        "transformer", n_items=parts.train.n_items, d=WIDTH, length=LENGTH, generator=torch.Generator().manual_seed(0)
    ).eval()
    rows = activations.collect(model, "block0", cases.inputs(parts.sae, LENGTH))
    step("activations", f"{tuple(rows.h.shape)}, {rows.h.element_size()} bytes a number")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--ratings", type=int, default=25_000_095)
    options.add_argument("--limit", type=float, default=6.0, help="GB")
    options.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.read:
        read()
        return 0
    with tempfile.TemporaryDirectory(prefix="recsae-") as name:
        write(Path(name) / "ml-25m", args.ratings)
        size = (Path(name) / "ml-25m" / "ratings.csv").stat().st_size
        print(f"ratings.csv has {size / 1e6:.0f} MB", flush=True)
        command = [sys.executable, __file__, "--read"]
        done = subprocess.run(
            command, env=os.environ | {"RECSAE_DATA": name}, stdout=subprocess.PIPE, text=True, check=True
        )
    print(done.stdout, end="")
    peak = max(float(line.split("peak")[1].split()[0]) for line in done.stdout.splitlines())
    print(f"peak {peak:.2f} GB, limit {args.limit:g} GB")
    return int(peak > args.limit)


if __name__ == "__main__":
    sys.exit(main())
