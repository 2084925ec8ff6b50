"""A training epoch of the transformer beside the plain-torch reference, in the same run.

    python tests/benchmarks/bench_transformer.py [--source ml-1m] [--rounds 3] [--batch 256]

``synthetic`` (the default) has ml-1m's sizes and needs no file. The two take turns, so that other work on the
machine meets both; what counts is the ratio of the fastest epochs. Then the lists of the last 20 positions of 604
histories are computed from ``block0`` on, beside the head's product alone, below which it cannot go.
"""

import argparse
import itertools
import time

import torch
from reference_transformer import GPT, epoch

from recsae_core.recommenders import build, cases


def histories(source: str, length: int):
    """Training histories [n, length + 1], right-padded with -1, and the number of items."""
    if source == "synthetic":
        g = torch.Generator().manual_seed(0)
        n, n_items = 3262, 3662
        lengths = torch.empty(n).log_normal_(4.5, 0.9, generator=g).long().clamp(2, length + 1)
        items = torch.randint(n_items, (n, length + 1), generator=g)
        return items.masked_fill(torch.arange(length + 1) >= lengths[:, None], -1), n_items
    from recsae_core.data import sources, split

    train = split.seqrec(sources.load(source)).train
    return cases.sequences(train, length).history, train.n_items


def our_epoch(model, optimiser, train, batch, generator):
    """The same steps as ``recsae_core.recommenders.fit`` takes."""
    model.train()
    for rows in torch.randperm(len(train), generator=generator).split(batch):
        loss = model.loss(train[rows], generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.no_grad()
def tails(model, history, positions=20, users=604, rounds=5):
    """Seconds for the stop, for its ``finish``, and for the product with the head; the fastest of each."""
    model.eval()
    read = cases.Cases(torch.full((users,), -1), history[:users, :-1])
    seconds = []
    for _ in range(rounds):
        times = [time.perf_counter()]
        split = model.tail("block0", read, positions)
        times.append(time.perf_counter())
        split.finish(split.h)
        times.append(time.perf_counter())
        split.h @ model.item.weight.T
        times.append(time.perf_counter())
        seconds.append([b - a for a, b in itertools.pairwise(times)])
    return len(split.h), [min(column) for column in zip(*seconds, strict=True)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--source", default="synthetic")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--batch", type=int, default=256)
    options.add_argument("--length", type=int, default=128)
    args = options.parse_args()
    history, n_items = histories(args.source, args.length)
    train = cases.Cases(torch.full((len(history),), -1), history)
    theirs = GPT(n_items, length=args.length)
    ours = build("transformer", n_items=n_items, length=args.length, generator=torch.Generator().manual_seed(0))
    adams = [torch.optim.Adam(theirs.parameters(), lr=1e-3), torch.optim.Adam(ours.parameters(), lr=1e-3, fused=True)]
    g, seconds = torch.Generator().manual_seed(0), ([], [])
    for _ in range(args.rounds):
        start = time.perf_counter()
        epoch(theirs, adams[0], history, args.batch, g)
        middle = time.perf_counter()
        our_epoch(ours, adams[1], train, args.batch, g)
        seconds[0].append(middle - start)
        seconds[1].append(time.perf_counter() - middle)
    reference, here = min(seconds[0]), min(seconds[1])
    print(f"{torch.get_num_threads()} threads, {len(history)} users, {n_items} items, batch {args.batch}")
    print(f"reference {reference:.2f} s, ours {here:.2f} s an epoch: ratio {here / reference:.2f}")
    rows, (stop, finish, head) = tails(ours, history)
    print(f"{rows} lists: stop {stop:.2f} s, finish {finish:.2f} s, of which the head {head:.2f} s alone")


if __name__ == "__main__":
    main()
