"""Is a planted world hard enough to mean something? One world, one transformer, its SAEs: the numbers that say so."""

from dataclasses import dataclass

import numpy as np
import torch

from recsae_core import recommenders
from recsae_core.data import planted, split
from recsae_core.data.interactions import Interactions
from recsae_core.interpret import alignment, dictionaries, probes, statistics
from recsae_core.recommenders import activations, cases, ranking
from recsae_core.recommenders import fit as recommender_fit
from recsae_core.sae import SAE, SAEConfig, TrainConfig
from recsae_core.sae import fit as sae_fit

LENGTH = 50
TRANSFORMER = {"d": 32, "layers": 2, "heads": 2, "length": LENGTH, "dropout": 0.1}
FIT = recommender_fit.FitConfig(epochs=60, batch=64, lr=0.003, patience=4)
M, KS, RIGHT = 256, (1, 8, 128), 8  # too few active latents, about right, too many
DRAWS = 2  # dictionaries of each kind: F1 differs by up to a tenth between two initialisations
SAE_TERMS = {"fvu": 1.0, "auxk": 1 / 32}
SAE_TRAIN = TrainConfig(rows=400_000, batch=256, lr=1e-2, warmup=10_000, dead_after=30_000)


@dataclass
class Trial:
    """A world split, a recommender trained on it."""

    truth: planted.Truth
    parts: split.Parts
    world: Interactions
    model: recommenders.Recommender
    report: recommender_fit.FitReport | None = None


def train(world: planted.World, seed: int) -> Trial:
    inter, truth = planted.generate(world)
    parts = split.seqrec(inter)
    model = recommenders.build(
        "transformer", generator=torch.Generator().manual_seed(seed), n_items=parts.train.n_items, **TRANSFORMER
    )
    train, valid = cases.sequences(parts.train, LENGTH), cases.leave_last_out(parts.sae, LENGTH)
    report = recommender_fit.fit(model, train, valid, FIT, seed=seed, progress=False)
    return Trial(truth, parts, inter, model, report)


def last_positions(inter: Interactions, last: int) -> tuple[cases.Holdout, np.ndarray, np.ndarray]:
    """Each of the ``last`` items of every user, to be found from those before it; the users and items asked for.

    Two hundred test users with one item each leave a standard error of a tenth; ten each leave far less.
    """
    histories, seen, user = [], [], []
    for u, h in enumerate(inter.histories()):
        for place in range(max(1, len(h) - last), len(h)):
            histories.append(h[max(0, place - LENGTH) : place + 1])
            seen.append(h[:place])
            user.append(u)
    target = np.array([h[-1] for h in histories])
    asked = cases.Cases(torch.full((len(user),), -1), cases.pad([h[:-1] for h in histories]))
    return cases.Holdout(asked, torch.from_numpy(target), cases.pad(seen)), np.array(user), target


def oracle_scores(trial: Trial, user: np.ndarray, target: np.ndarray) -> torch.Tensor:
    """The oracle's probabilities for test events, in the items of the split."""
    test, world = trial.parts.test, trial.world
    event = {(u, i): row for row, (u, i) in enumerate(zip(world.user, world.item, strict=True))}
    items, users = test.items["id"].to_numpy() - 1, test.user_ids - 1
    rows = np.array([event[users[u], items[i]] for u, i in zip(user, target, strict=True)])
    return torch.from_numpy(np.vstack([trial.truth.oracle(r)[:, items] for r in np.array_split(rows, 10)]))


def recommendation(trial: Trial, last: int = 10) -> dict[str, float]:
    """NDCG@10 over the last items of the test users: the oracle's, and the others' as shares of it."""
    holdout, user, target = last_positions(trial.parts.test, last)
    probabilities = iter(oracle_scores(trial, user, target).split(256))
    popular = recommenders.build("most-popular", n_items=trial.parts.train.n_items).learn(trial.parts.train)

    def ndcg(score, holdout=holdout) -> float:
        return float(ranking.evaluate(score, holdout, ks=(10,), batch=256)["ndcg@10"].mean())

    best, model = ndcg(lambda _: next(probabilities)), ndcg(trial.model)
    mixed = cases.Holdout(shuffled(holdout.cases), holdout.target, holdout.seen)
    return {
        "oracle": best,
        "popular": ndcg(popular) / best,
        "transformer": model / best,
        "lost_by_shuffling": 1 - ndcg(trial.model, mixed) / model,
        "cases": len(holdout),
    }


def shuffled(asked: cases.Cases) -> cases.Cases:
    """The same items of each history in a random order."""
    order = torch.rand(asked.history.shape, generator=torch.Generator().manual_seed(0))
    order = order.masked_fill(asked.history < 0, 2.0).argsort(1)
    return cases.Cases(asked.user, asked.history.gather(1, order))


def concepts(trial: Trial, seed: int, ks: tuple[int, ...] = KS, splits: int = 5) -> dict[str, np.ndarray]:
    """F1 of every genre, latent and threshold chosen on other items, for each dictionary at every test position."""
    x, test = (
        activations.collect(trial.model, "block0", cases.inputs(part, LENGTH))
        for part in (trial.parts.sae, trial.parts.test)
    )
    attributes = trial.parts.test.attributes
    popularity = np.bincount(trial.parts.sae.item, minlength=trial.parts.sae.n_items)
    halves = statistics.item_halves(popularity, splits, np.random.default_rng(seed))

    def sae(k: int, draw: int) -> SAE:
        config = SAEConfig(d=x.h.shape[1], m=M, sparsifier="topk", k=k, standardize="scalar")
        return SAE(config, torch.Generator().manual_seed(seed + 100 * draw))

    g = torch.Generator().manual_seed(seed)
    saes = [sae(k, draw) for k in ks for draw in range(DRAWS)]
    sae_fit(saes, x.h, SAE_TERMS, SAE_TRAIN, generator=g, progress=False)
    found = {
        "neurons": [dictionaries.neurons(x.h)],
        "random": [dictionaries.random_relu(x.h, M, RIGHT, g) for _ in range(DRAWS)],
        "untrained": [dictionaries.untrained(sae(RIGHT, draw).prepare(x.h), x.h) for draw in range(DRAWS)],
    } | {f"sae-{k}": saes[n * DRAWS : (n + 1) * DRAWS] for n, k in enumerate(ks)}
    f1 = {
        name: np.mean([alignment.concept_f1(d, test.h, test.item, attributes, halves) for d in drawn], 0)
        for name, drawn in found.items()
    }
    probe = []
    for half in halves:  # the probe learns from the items that choose, not from those that score
        rows = torch.from_numpy(half)[x.item]
        told = probes.probe(x.h[rows], x.item[rows], attributes, "logistic")
        probe.append(alignment.concept_f1(told, test.h, test.item, attributes, half[None]))
    return f1 | {"probe": np.mean(probe, 0)}
