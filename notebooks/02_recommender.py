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
# Beside it stands **SASRec** (arXiv 1808.09781), the model that most papers compare with. It asks the same question
# with smaller blocks (ReLU, a feed-forward net no wider than the stream, keys and values read from the stream as it
# is). It was published with a binary loss (*bce*: the next item against one drawn at random); with the softmax over
# all items (*ce*) it is another model in practice. And there are three recommenders in closed form: **most-popular**,
# **item-knn** (what goes with the history's items, by the cosine of their users; with *recency*, the last items
# weigh most) and **EASE** (arXiv 1905.03375: a linear map that reconstructs each user's *set* of items).
#
# **Questions.** Does the transformer beat recommenders without training? Does it use the *order* of the history, or
# only its content? How far do three trainings that differ in nothing but the seed disagree?

# %% tags=["parameters"]
dataset: str = "planted"
seeds: list = [0, 1, 2]  # trainings of the transformer
others: list = [
    "sasrec-ce",
    "item-knn-recency",
    "ease",
    "item-knn",
    "most-popular",
]  # recipes of the same dataset
more: list = ["sasrec-bce"]  # and one that the book does not keep
draws: int = 1000  # bootstrap draws

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import statistics
from recsae_core.recommenders import cases, ranking

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
beside = {
    name: ranking.evaluate(artifacts.get(f"{dataset}/{name}"), holdout)
    for name in others
}

# %% tags=["hide-input", "skip-verify"]
for name in more:
    beside[name] = ranking.evaluate(
        artifacts.get(f"{dataset}/{name}"), holdout
    )

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
#
# NDCG and recall are means over users, so their intervals are bootstraps over users. *Coverage* is the share of all
# items that somebody has among the first ten. A bootstrap draws some users twice and misses others, so its worlds
# cover less than the real one; coverage has a jackknife interval instead: what changes when one user is left out.
#
# All hyper-parameters were chosen on the last items of the *sae* users, none on the test users.


# %%
def interval(runs: list[ranking.Ranking], metric: str) -> statistics.Interval:
    """Mean over runs and users; the interval resamples users, so it says nothing about other datasets."""
    mean = np.mean([run[metric] for run in runs], axis=0)
    return statistics.bootstrap_mean(
        mean, np.random.default_rng(0), draws=draws
    )


def coverage(runs: list[ranking.Ranking], k: int) -> statistics.Interval:
    """Mean over runs of the share of items in somebody's top k; the 95% interval leaves out one user at a time."""
    lost = []  # items that only this user covers
    for run in runs:
        top = run.top[:, :k]
        times = np.bincount(top[top >= 0], minlength=run.n_items)
        lost.append(((times[top] == 1) & (top >= 0)).sum(1) / run.n_items)
    lost, n = np.mean(lost, axis=0), len(lost[0])
    half = 1.96 * np.sqrt((n - 1) * np.var(lost))
    value = float(np.mean([run.coverage(k) for run in runs]))
    return statistics.Interval(value, value - half, value + half)


everyone = {
    "transformer": list(rankings.values()),
    **{name: [found] for name, found in beside.items()},
    "transformer, history shuffled": list(mixed.values()),
}
ends = {
    "NDCG@10": {n: interval(r, "ndcg@10") for n, r in everyone.items()},
    "recall@10": {n: interval(r, "recall@10") for n, r in everyone.items()},
    "coverage@10": {n: coverage(r, 10) for n, r in everyone.items()},
}
quality = pd.DataFrame(
    {
        metric: {
            name: f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"
            for name, e in found.items()
        }
        for metric, found in ends.items()
    }
)
for metric in ("mrr@10", "ndcg@50", "recall@50"):
    quality[metric] = [
        round(float(np.mean([run[metric] for run in runs])), 3)
        for runs in everyone.values()
    ]
quality

# %% mystnb={"figure": {"caption": "NDCG@10 on the last item of each test user, with 95% bootstrap intervals over users. The transformer is the mean of its seeds, the others are one training each.", "name": "fig-recommender-quality"}, "image": {"alt": "Eight horizontal bars with intervals. The transformer and SASRec with softmax are longest; item-knn with recency comes before ease, item-knn without recency and most-popular, which are short; the transformer that reads shuffled histories falls back."}}
reference = artifacts.reference("seqrec", dataset)
base = reference.get("base", {})
ndcg = ends["NDCG@10"]
figures.mean_bars(
    [found.value for found in ndcg.values()],
    list(ndcg),
    low=[found.low for found in ndcg.values()],
    high=[found.high for found in ndcg.values()],
    references={"the authors": base["ndcg@10"]} if base else None,
    xlabel="NDCG@10",
    ylabel="Recommender",
)

# %% [markdown]
# The intervals above overlap where the methods are close, but that says little: all methods answer for the *same*
# users, and a user whose last item is hard is hard for all. So we compare user by user. An interval here that does
# not hold 0 is a difference that other users of this kind would show as well, for these trainings.

# %% mystnb={"figure": {"caption": "What NDCG@10 the transformer has more than each other recommender, user by user, with 95% bootstrap intervals over users.", "name": "fig-recommender-difference"}, "image": {"alt": "Seven horizontal bars with intervals, longer to the right the worse a recommender is than the transformer: short for SASRec, long for ease, item-knn without recency, most-popular and the shuffled histories."}}
ours = np.mean([run["ndcg@10"] for run in everyone["transformer"]], axis=0)
gap = {
    name: statistics.bootstrap_mean(
        ours - np.mean([run["ndcg@10"] for run in runs], axis=0),
        np.random.default_rng(0),
        draws=draws,
    )
    for name, runs in everyone.items()
    if name != "transformer"
}
figures.mean_bars(
    [found.value for found in gap.values()],
    list(gap),
    low=[found.low for found in gap.values()],
    high=[found.high for found in gap.values()],
    xlabel="NDCG@10 that the transformer has more",
    ylabel="Recommender",
    digits="+.3f",
    first=False,
)

# %%
metrics = ["ndcg@10", "recall@10", "mrr@10", "ndcg@50", "recall@50"]
by_seed = pd.DataFrame(
    {
        f"seed {s}": {m: r[m].mean() for m in metrics}
        for s, r in rankings.items()
    }
).T
by_seed.round(3)

# %% [markdown]
# **How to read it.** The distance from most-popular to the transformer is what there is to explain. The distance
# from the shuffled to the real history is the part of it that lies in the order. **Look where item-knn with recency
# stands**: it knows nothing but which items go together and which came last, and what it reaches needs no
# transformer; EASE and item-knn without recency, which read the history as a set, show what is lost without it.
# **Look at the two SASRecs**, which differ in nothing but the loss (and the steps that each was given to settle).
# If the seeds differ by as much as the methods do, compare methods over several seeds and never over one.


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
        artifacts=[f"{dataset}/{name.partition(',')[0]}"],
        training=name in more,
    )


strongest = max(
    (name for name in others if not name.startswith("sasrec")),
    key=lambda name: ndcg[name].value,
)
results.write(
    "02_recommender",
    {
        "seqrec/base/ndcg@10": result(
            "transformer",
            "ndcg@10",
            f"seqrec/{strongest}/ndcg@10",
            base.get("ndcg@10"),
        ),
        "seqrec/base/recall@10": result(
            "transformer",
            "recall@10",
            f"seqrec/{strongest}/recall@10",
            base.get("recall@10"),
        ),
        "seqrec/shuffled-history/ndcg@10": result(
            "transformer, history shuffled", "ndcg@10", "seqrec/base/ndcg@10"
        ),
    }
    | {
        f"seqrec/{name}/{metric}": result(name, metric)
        for name in beside
        for metric in ("ndcg@10", "recall@10")
    },
)
