# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The recommender: is there anything worth explaining?
#
# An explanation of a bad model explains nothing. So before we open the transformer we ask how good it is, beside
# recommenders so simple that nobody needs an explanation of them.
#
# The model is the one of the sequential paper (arXiv 2507.12202): a small GPT. It reads a history of items the way
# a language model reads words, and at every position it predicts the next item, scored against *all* items by a
# softmax. The vector that it carries from block to block, the *residual stream*, is what the autoencoder will read.
#
# **Questions.** Does the transformer beat popularity and item-to-item similarity? Does it use the *order* of the
# history, or only its content? How far do three trainings that differ in nothing but the seed disagree?

# %% tags=["parameters"]
dataset: str = "planted"
seeds: list = [0, 1, 2]  # trainings of the transformer
draws: int = 1000  # bootstrap draws

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch

from recsae_core import artifacts, figures, results
from recsae_core.interpret import statistics
from recsae_core.recommenders import build, cases, ranking
from recsae_core.results import Result

# %% [markdown]
# ## Training, once
#
# `artifacts.get` loads a trained model by name, or trains it, with a progress bar, if it is not there yet. The
# recipe (data, split, width, learning rate, seed) stands in `book/artifacts.yml`. After each epoch the model is
# scored on the last items of the *sae* users; training stops when that has not improved for a while, and the best
# epoch is kept.

# %%
parts = artifacts.parts(dataset)
models = {
    seed: artifacts.get(f"{dataset}/transformer", seed=seed) for seed in seeds
}
model = models[seeds[0]]
pd.Series(
    vars(model.config)
    | {"parameters": sum(p.numel() for p in model.parameters())},
    name="transformer",
).to_frame()

# %% mystnb={"figure": {"caption": "Training loss and validation NDCG@10, one line a seed. The epoch with the highest score on the right is the one that was kept.", "name": "fig-recommender-training"}, "image": {"alt": "Two panels. Left, the loss falls quickly and then slowly. Right, the score rises steeply in the first epochs and flattens; the seeds lie close together."}}
history = {
    seed: pd.DataFrame(
        artifacts.record(f"{dataset}/transformer", seed=seed)["report"][
            "history"
        ]
    )
    for seed in seeds
}
figures.training_curves(
    {
        "Training loss (nats)": {
            f"seed {seed}": h["loss"] for seed, h in history.items()
        },
        "Validation NDCG@10": {
            f"seed {seed}": h["ndcg@10"] for seed, h in history.items()
        },
    }
)

# %% [markdown]
# ## Full ranking
#
# For each test user the model scores every item, the items that the user already took are masked, and we look at
# which place the item stands that the user *did* take next. Two common summaries, averaged over users:
#
# - **recall@10** (also called hit rate): was it among the first ten?
# - **NDCG@10**: the same, but a first place counts 1, a second $1/\log_2 3 = 0.63$, a tenth $1/\log_2 11 = 0.29$.
#
# Each test user adds a single list, so the numbers are noisy. The intervals are 95% bootstrap intervals over users.

# %%
holdout = cases.leave_last_out(parts.test, model.config.length)
rankings = {seed: ranking.evaluate(models[seed], holdout) for seed in seeds}
baselines = {
    name: ranking.evaluate(
        build(name, n_items=parts.train.n_items).learn(parts.train), holdout
    )
    for name in ("most-popular", "item-knn")
}

# %% [markdown]
# ## Does order matter?
#
# A history can be read as a *set* (these things were taken) or as a *sequence* (in this order). If the shuffled
# history is as good as the real one, a sequential model is a set model with extra steps, and what we find inside
# it is about sets. We shuffle everything but keep the items.


# %%
def shuffled(held: cases.Holdout, seed: int) -> cases.Holdout:
    """The same holdout with the items of each history in random order."""
    noise = torch.rand(
        held.cases.history.shape,
        generator=torch.Generator().manual_seed(seed),
    )
    order = noise.masked_fill(held.cases.history < 0, 2.0).argsort(
        1
    )  # padding stays at the end
    return cases.Holdout(
        cases.Cases(held.cases.user, held.cases.history.gather(1, order)),
        held.target,
        held.seen,
    )


mixed = {
    seed: ranking.evaluate(models[seed], shuffled(holdout, seed))
    for seed in seeds
}

# %% [markdown]
# ## The table


# %%
def interval(runs: list[ranking.Ranking], metric: str) -> statistics.Interval:
    """Mean over runs and users; the interval resamples users, so it says nothing about other datasets."""
    mean = np.mean([run[metric] for run in runs], axis=0)
    return statistics.bootstrap_mean(
        mean, np.random.default_rng(0), draws=draws
    )


everyone = {
    "transformer": list(rankings.values()),
    "transformer, history shuffled": list(mixed.values()),
    "item-knn": [baselines["item-knn"]],
    "most-popular": [baselines["most-popular"]],
}
metrics = ["ndcg@10", "recall@10", "mrr@10", "ndcg@50", "recall@50"]
quality = pd.DataFrame(
    {
        name: {m: interval(runs, m).value for m in metrics}
        for name, runs in everyone.items()
    }
).T
quality["coverage@10"] = [
    np.mean([run.coverage(10) for run in runs]) for runs in everyone.values()
]
quality.round(3)

# %% mystnb={"figure": {"caption": "NDCG@10 on the last item of each test user, with 95% bootstrap intervals over users. The transformer is the mean of its seeds.", "name": "fig-recommender-quality"}, "image": {"alt": "Four horizontal marks with intervals: the transformer is far to the right of item-knn and most-popular; with shuffled histories it falls back."}}
reference = artifacts.reference("seqrec", dataset)
base = reference.get("base", {})
ndcg = {name: interval(runs, "ndcg@10") for name, runs in everyone.items()}
figures.mean_bars(
    [found.value for found in ndcg.values()],
    list(ndcg),
    low=[found.low for found in ndcg.values()],
    high=[found.high for found in ndcg.values()],
    references={"the authors": base["ndcg@10"]} if base else None,
    xlabel="NDCG@10",
    ylabel="Recommender",
)

# %%
by_seed = pd.DataFrame(
    {
        f"seed {s}": {m: r[m].mean() for m in metrics}
        for s, r in rankings.items()
    }
).T
by_seed.round(3)

# %% [markdown]
# **How to read it.** The distance from most-popular to the transformer is what there is to explain. The distance
# from the shuffled to the real history is the part of it that lies in the order. If the seeds differ by as much as
# the methods do, compare methods over several seeds and never over one.


# %% tags=["hide-input"]
def result(
    name: str,
    metric: str,
    against: str | None = None,
    known: float | None = None,
) -> Result:
    """One row of the scoreboard."""
    found = interval(everyone[name], metric)
    return Result(
        value=found.value,
        low=found.low,
        high=found.high,
        interval="95%, bootstrap over users"
        + (", mean of the seeds" if len(everyone[name]) > 1 else ""),
        unit=metric,
        n=len(holdout),
        seeds=seeds if len(everyone[name]) > 1 else [],
        better="higher",
        against=against,
        reference=known,
        source=reference["source"] if known is not None else None,
        note="the last item of each test user, full ranking, seen items masked",
        artifacts=[f"{dataset}/transformer"]
        if name.startswith("transformer")
        else [],
    )


results.write(
    "02_recommender",
    {
        "seqrec/base/ndcg@10": result(
            "transformer",
            "ndcg@10",
            "seqrec/item-knn/ndcg@10",
            base.get("ndcg@10"),
        ),
        "seqrec/base/recall@10": result(
            "transformer",
            "recall@10",
            "seqrec/item-knn/recall@10",
            base.get("recall@10"),
        ),
        "seqrec/shuffled-history/ndcg@10": result(
            "transformer, history shuffled", "ndcg@10", "seqrec/base/ndcg@10"
        ),
    }
    | {
        f"seqrec/{name}/{metric}": result(name, metric)
        for name in baselines
        for metric in ("ndcg@10", "recall@10")
    },
)
