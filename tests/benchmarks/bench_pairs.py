"""A sweep of small SAEs over users and items: one pass of ours beside one loop after another in plain PyTorch.

python tests/benchmarks/bench_pairs.py                    # d 20, m 22, five weights of the prediction-aware term
python tests/benchmarks/bench_pairs.py --d 100 --m 70     # the sizes of Last.FM

The floor of a step (n = 512 rows, 256 users with 256 items). Operations: five products of the rows with W are
5 n m d = 1.1 million multiply-adds, the scores and their two gradients 3 x 256 x 256 x d = 3.9 million: a tenth of a
millisecond together. Bytes: the matrix of scores is written and read some six times, 1.5 MB: less. What a step costs
is the calls: about 70 small operations, each of which takes microseconds whatever it does, and Adam. So one pass for
many SAEs can only share what they have in common (the batch, the recommender's own scores), and the rest is the number
of calls. The script prints the seconds of CPU of both a step and an SAE, and how alike what was learned is.
"""

import argparse
import statistics
import time

import torch
from reference_pairs import train

from recsae_core.recommenders import towers
from recsae_core.recommenders.activations import Pairs
from recsae_core.sae import SAE, SAEConfig, TrainConfig, fit

BETAS = (0.0, 1.0, 2.0, 5.0, 10.0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ours(model, a, seed: int) -> list[SAE]:
    shape = {"tied": True, "unit_norm": False, "row_norm": "restored", "init": "transposed", "b_dec": "zero"}
    config = SAEConfig(a.d, a.m, rho=0.05, **shape)
    saes = [SAE(config, generator(seed)) for _ in BETAS]
    terms = [{"mse": 0.2 / a.d, "kl_mean": 0.01, "prediction_mse": beta} for beta in BETAS]
    users, items = torch.arange(a.users), torch.arange(a.items)
    stream = Pairs(model, users, items, "all", generator(seed), a.batch)
    settings = TrainConfig(rows=2 * a.batch * a.steps, batch=2 * a.batch, clip=None)
    fit(saes, stream, terms, settings, generator=generator(seed), progress=False)
    return [sae.requires_grad_(False) for sae in saes]


def timed(work, *given) -> tuple[float, object]:
    start = time.process_time()
    done = work(*given)
    return time.process_time() - start, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {
        "d": 20,
        "m": 22,
        "users": 4800,
        "items": 3700,
        "batch": 256,
        "steps": 300,
        "repeats": 3,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    a = parser.parse_args()
    torch.set_num_threads(1)
    g = generator(0)
    taste, topic = (torch.randn(n, 8, generator=g).relu() for n in (a.users, a.items))
    mix = torch.randn(8, a.d, generator=g) / a.d**0.5
    P, Q = taste @ mix, topic @ mix
    model = towers.factors(P.numpy(), Q.numpy())
    ratios = []
    for seed in range(a.repeats):
        mine, saes = timed(ours, model, a, seed)
        plain, references = timed(lambda s: [train(P, Q, a.m, beta, a.steps, a.batch, s) for beta in BETAS], seed)
        ratios.append(plain / mine)
        each = 1e3 / (a.steps * len(BETAS))
        print(f"{mine * each:.2f} ms a step and SAE, plain {plain * each:.2f}: {plain / mine:.2f} times as fast")
    for beta, sae, other in zip(BETAS, saes, references, strict=True):
        with torch.no_grad():
            copies = (sae(P) @ sae(Q).T, other(P)[1] @ other(Q)[1].T)
        left = [float((copy - P @ Q.T).square().mean() / (P @ Q.T).var()) for copy in copies]
        print(f"beta {beta:4g}: unexplained variance of the scores {left[0]:.3f}, plain {left[1]:.3f}")
    print(f"median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
