"""Training an SAE: ours beside plain PyTorch, alternating in one process on one thread.

python tests/benchmarks/bench_sae.py              # TopK: d 64, m 2048, k 32, batch 512, lr 3e-3
python tests/benchmarks/bench_sae.py --kind l1    # L1: m 512, batch 1024
python tests/benchmarks/bench_sae.py --together 8 # as many SAEs in one pass, and one after another

The floor of a TopK step (n = 512). Operations: the pre-activations are n m d = 67 million multiply-adds; the sparse
decode and the four sparse products of the backward pass are n k d = 1 million each. Bytes: the pre-activations are
written and read once (8 MB); Adam reads and writes 7 numbers for each of 2 m d weights (7 MB); the five sparse products
gather 4 MB each, out of matrices of half a megabyte that stay in the cache. The floor is the time of one product of a
batch with the encoder, and about as much again for what moves memory: 2 products a step. The script prints how many a
step of ours costs. When last measured it was 8 to 10, about half of the reference: a quarter of it the selection of the
k largest (NumPy's partition, in two stages), a quarter the backward pass, the rest the product itself, Adam, norms and
some 80 small operations. An L1 step has no shortcut: its floor
are five dense products (two forward, three backward: the gradient of the centre goes through that of the bias); it
costs 18 to 19, for what it writes of size n m does not stay in the cache, and that is as much as the reference, dead
tracking and the projection of the gradient included.
"""

import argparse
import statistics
import time

import torch
from reference_sae import rows, train
from tqdm import tqdm

from recsae_core.sae import SAE, Code, SAEConfig, TrainConfig, fit, metrics


class Reference:
    """What ``reference_sae.train`` returns, as a Dictionary."""

    def __init__(self, d: int, m: int, code, decode) -> None:
        self.d, self.m, self.code, self.put_back = d, m, code, decode

    def encode(self, x):
        return Code(self.code(x), None, self.m)

    def decode(self, z, prefix=None):
        return self.put_back(z.value)


def ours(x, a, seed):
    topk = a.kind == "topk"
    sae = SAE(SAEConfig(x.shape[1], a.m, a.kind if topk else "relu", k=a.k if topk else None), generator(seed))
    steps = a.rows // a.batch
    config = TrainConfig(rows=steps * a.batch, batch=a.batch, lr=a.lr, warmup=steps // 20 * a.batch)
    fit([sae], x, {"mse": 1.0} if topk else {"l2": 1.0, "l1": a.l1}, config, generator=generator(1), progress=False)
    return sae.requires_grad_(False)


def theirs(x, a, seed):
    topk = a.kind == "topk"
    return Reference(
        x.shape[1], a.m, *train(x, a.m, a.k if topk else None, a.lr, a.batch, a.rows // a.batch, a.l1, seed)
    )


def generator(seed):
    return torch.Generator().manual_seed(seed)


def product(x, a) -> float:
    """CPU seconds of the pre-activations of one batch, without anything else."""
    rows, W = x[: a.batch], torch.randn(a.m, x.shape[1], generator=generator(0))
    times = []
    for _ in range(50):
        start = time.process_time()
        rows @ W.T
        times.append(time.process_time() - start)
    return statistics.median(times)


def together(x, a) -> None:
    """One pass for many SAEs against one pass for each; the recommender's part is drawn from a stand-in.

    What a pass shares is the batch: the gather of its rows. The vectors are collected once for all either way where
    they are kept in memory, so the collection is left out: add what ``activations.collect`` takes for each pass.
    """

    def make(n):
        return [SAE(SAEConfig(x.shape[1], a.m, "topk", k=a.k), generator(seed)).prepare(x) for seed in range(n)]

    config = TrainConfig(rows=a.rows // 8, batch=a.batch, lr=a.lr)
    ratios = []
    for _ in range(a.repeats):
        seconds = []
        for groups in ([make(a.together)], [[sae] for sae in make(a.together)]):
            start = time.process_time()
            for saes in groups:
                fit(saes, x, {"mse": 1.0}, config, generator=generator(1), progress=False)
            seconds.append(time.process_time() - start)
        ratios.append(seconds[1] / seconds[0])
    print(
        f"one at a time / {a.together} in one pass, CPU time: median {statistics.median(ratios):.3f}, all "
        f"{[round(r, 3) for r in ratios]}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("topk", "l1"), default="topk")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to train on")
    parser.add_argument("--unique", type=int, default=400_000, help="rows in the training tensor")
    parser.add_argument("--m", type=int)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--l1", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3, help="seeds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data-seed", type=int, default=1000, help="0: models of seed 0 begin at the true directions")
    parser.add_argument("--together", type=int, help="SAEs to train in one pass and one after another")
    a = parser.parse_args()
    default = {"topk": (2048, 512, 3e-3), "l1": (512, 1024, 1e-3)}[a.kind]
    a.m, a.batch, a.lr = a.m or default[0], a.batch or default[1], a.lr or default[2]
    torch.set_num_threads(a.threads)
    data = rows(a.unique + 20_000, seed=a.data_seed)
    x, held = data[:-20_000], data[-20_000:]
    for make in (theirs, ours):  # until the allocator has settled
        make(x, argparse.Namespace(**vars(a) | {"rows": 40 * a.batch}), 0)
    if a.together:
        return together(x, a)
    seconds = {"reference": [], "ours": []}
    for seed in tqdm(range(a.repeats), unit="seed"):
        for name, make in (("reference", theirs), ("ours", ours)):
            cpu, wall = time.process_time(), time.perf_counter()
            sae = make(x, a, seed)
            seconds[name].append((time.process_time() - cpu, time.perf_counter() - wall))
            found = metrics.reconstruction(sae, held, mean=x.mean(0))
            dead = metrics.reconstruction(sae, x[:100_000]).dead / a.m
            tqdm.write(f"seed {seed} {name:>9}: FVU {found.fvu:.4f}  L0 {found.l0:.1f}  dead {dead:.3f}")
    step = statistics.median(cpu for cpu, _ in seconds["ours"]) / (a.rows // a.batch)
    print(f"a step of ours costs {step / product(x, a):.1f} products of a batch with the encoder")
    for place, clock in ((0, "CPU time"), (1, "wall time")):
        ratios = [r[place] / o[place] for r, o in zip(seconds["reference"], seconds["ours"], strict=True)]
        print(f"reference / ours, {clock}: median {statistics.median(ratios):.2f}, all {[round(r, 2) for r in ratios]}")


if __name__ == "__main__":
    main()
