"""A dose-response of 11 doses x 18 latents over 604 users beside the plain-torch reference, in the same run.

    python tests/benchmarks/bench_steer.py [--positions 20]

Sizes are those of ml-1m; weights and histories are random. Both give the same lists, which is checked. The reference
is timed on the last position of each user. ``--positions`` asks ours for that many lists a user beside it.
"""

import argparse
import time

import torch
from reference_steer import lists_at
from reference_transformer import GPT

from recsae_core.recommenders import Cases, build
from recsae_core.recommenders.cases import Tails
from recsae_core.sae import SAE, SAEConfig
from recsae_core.steer import methods, response

USERS, ITEMS, LENGTH, GENRES = 604, 3662, 128, 18
DOSES = torch.linspace(-5, 5, 11).tolist()


def same_weights(ours) -> GPT:
    """The reference model with the weights of ours."""
    names = {"attention_out": "out", "ffn_in": "ffn.0", "ffn_out": "ffn.2"}
    weights = {}
    for name, tensor in ours.state_dict().items():
        for mine, theirs in names.items():
            name = name.replace(mine, theirs)
        weights[name] = torch.cat([tensor.new_zeros(1, tensor.shape[1]), tensor]) if name == "item.weight" else tensor
    theirs = GPT(ITEMS, length=LENGTH)
    theirs.load_state_dict(weights)
    return theirs.eval()


def world(positions: int) -> tuple[Cases, Tails]:
    g = torch.Generator().manual_seed(0)
    lengths = torch.empty(USERS).log_normal_(4.5, 0.9, generator=g).long().clamp(2, LENGTH)
    items = torch.randint(ITEMS, (USERS, LENGTH), generator=g)
    cases = Cases(torch.full((USERS,), -1), items.masked_fill(torch.arange(LENGTH) >= lengths[:, None], -1))
    case = torch.repeat_interleave(torch.arange(USERS), lengths.clamp(max=positions))
    seen = torch.rand(len(case), ITEMS, generator=g) < 0.03
    return cases, Tails(cases, case, torch.randint(ITEMS, (len(case),), generator=g), seen)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--positions", type=int, default=20)
    args = options.parse_args()
    model = build("transformer", n_items=ITEMS, length=LENGTH, generator=torch.Generator().manual_seed(0)).eval()
    model.item.weight.data *= 20
    g = torch.Generator().manual_seed(1)
    sae = SAE(SAEConfig(d=64, m=512), g).prepare(model.item.weight.detach()).eval()
    found = {str(j): methods.Latents(sae, [j], "add") for j in range(GENRES)}
    doses = {name: DOSES for name in found}

    cases, tails = world(1)
    start = time.perf_counter()
    ours = response.respond(model, "block0", tails, found, doses)
    middle = time.perf_counter()
    theirs, plain = same_weights(model), {name: p.detach() for name, p in sae.named_parameters()}
    for j in range(GENRES):
        for d, dose in enumerate(DOSES):
            lists = lists_at(theirs, plain, cases.history + 1, tails.seen, j, dose)
            alike = (torch.from_numpy(ours[str(j)].top[d]) == lists).float().mean()
            assert alike > 0.999, f"latent {j}, dose {dose}: {alike:.4f} of the places agree"
    seconds, reference = middle - start, time.perf_counter() - middle
    print(f"{torch.get_num_threads()} threads, {USERS} users, {GENRES} latents x {len(DOSES)} doses, one list a user:")
    print(f"reference {reference:.1f} s, ours {seconds:.1f} s: ratio {seconds / reference:.3f}")
    rows, flop = len(tails), 2 * 64 * ITEMS
    print(f"the head alone: {rows * GENRES * len(DOSES) * flop / 1e9:.0f} GFLOP")

    _, tails = world(args.positions)
    start = time.perf_counter()
    response.respond(model, "block0", tails, found, doses)
    print(f"ours with {args.positions} lists a user, {len(tails)} in all: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
