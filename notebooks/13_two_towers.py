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
# # Two towers: the models to be explained
#
# The second paper of this book (arXiv 2511.18024) opens recommenders of another kind. They know each user by name:
# one vector a user, one vector an item, and a score of the two. No history is read, there are no layers to choose
# from, and users and items live in *one* space. So one dictionary is asked to explain both.
#
# | recommender | the score of user $u$ and item $i$ | in this book |
# |---|---|---|
# | **MF** | $b + b_u + b_i + p_u \cdot q_i$, a logit | matrix factorisation with the log-loss |
# | **NCF** | a small net (64, 32, 16 ReLUs) that reads $p_u$ and $q_i$ side by side | the MLP half of arXiv 1708.05031 |
#
# Both are trained to tell each thing that a user took from a few that the user did not take, drawn anew in each
# epoch. The paper says how MF and NCF were trained, but **not how good they are**: no notebook of the authors prints
# a number. An explanation of a bad recommender explains nothing, so this page supplies the numbers. Beside the two
# stand three recommenders that need no training: **most-popular**, **item-knn** (what goes with the items already
# taken, by the cosine of their users) and **EASE** (arXiv 1905.03375).
#
# **What to look for.** Whether MF and NCF stand clearly above most-popular, and how far they are from EASE. Then, how
# much the *length* of a vector says: the paper's autoencoder for MF never sees it.

# %% tags=["parameters"]
dataset: str = "planted-hidden"  # the one in the figures on vectors
datasets: list = ["planted-hidden"]  # all whose quality is shown
recommenders: list = ["mf", "ncf", "ease", "item-knn", "most-popular"]
more: list = []  # further recipes in the table, as "dataset/recipe"
seed: int = 0
draws: int = 1000  # bootstrap samples of the users

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from tqdm import tqdm

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import statistics
from recsae_core.recommenders import cases, ranking

# %% [markdown]
# ## The data, and what is hidden
#
# A user's item counts once, whatever the rating or the number of plays. Of every user five items, drawn at random,
# are hidden until the end, and one more, which the paper lacks, decides when training stops. Whether a hidden item was
# taken early or late plays no part: these recommenders know no time.
#
# The users themselves are cut in two as well. The recommender is trained on all of them, but the autoencoders of the
# next pages see the vectors of 80% of the users; what they do to lists is measured on the others.

# %%
parts = {name: artifacts.parts(name) for name in datasets}
world = {}
for name, part in parts.items():
    items, tags = part.train.n_items, part.train.attributes
    world[name] = {
        "users": part.train.n_users,
        "items": items,
        "positives to train on": len(part.train),
        "of all pairs": f"{len(part.train) / part.train.n_users / items:.1%}",
        "items a user, median": int(np.median(np.bincount(part.train.user))),
        "hidden a user": len(part.test) // part.test.n_users,
        "users kept from autoencoders": len(part.test_users),
        "genres or tags": tags.shape[1],
        "items with none": int((~tags.any(1)).sum()),
    }
pd.DataFrame(world)

# %% mystnb={"figure": {"caption": "How often each item is taken in training, most popular first.", "name": "fig-towers-popularity"}, "image": {"alt": "A line a data set on two logarithmic axes, flat among the most popular items and falling ever more steeply towards the rare ones."}}
counts = {
    name: np.bincount(part.train.item, minlength=part.train.n_items)
    for name, part in parts.items()
}
figures.popularity_curve(counts, unit="Users who took it")

# %% [markdown]
# ## How good are they?
#
# Each recommender scores all items for each user. Items that the user took in training are removed, and we look where
# the five hidden ones stand:
#
# - **NDCG@10**: hits near the top count more; 1 if the five stand at the top of the list.
# - **HR@10**: is at least one of the five among the first ten?
# - **MRR@20**: one over the place of the first hit, 0 if it stands below the twentieth place.
# - **percentile rank**: where the five stand on average between the best (0) and the worst (1) of all unseen items;
#   a coin scores .5.
#
# Among equal scores a hidden item stands last. The item that stopped the training is not removed, and counts as a miss
# for everybody alike. All settings (how many negatives, how much damping, how many neighbours) were chosen on that
# item, none on the five. The row **mf-paper**, where there is one, is MF with the step, the damping, the one negative a
# positive and the ten epochs of plain gradient descent that the authors' code has.

# %%
# all read the same cases: users for MF and NCF, items taken for the rest
sets = {
    name: cases.hidden_sets(part.train, part.test, histories=True)
    for name, part in parts.items()
}


def quality(name: str, recommender: str):
    """Where the hidden items of each user stand."""
    model = artifacts.get(f"{name}/{recommender}", seed=seed)
    return ranking.evaluate_sets(model, sets[name], ks=(10, 20), batch=64)


found = {
    (name, recommender): quality(name, recommender)
    for name in tqdm(parts, desc="data sets")
    for recommender in recommenders
}

# %% tags=["hide-input", "skip-verify"]
found |= {
    tuple(recipe.split("/")): quality(*recipe.split("/")) for recipe in more
}


# %%
def interval(name: str, recommender: str, metric: str):
    """The mean over users; the interval resamples users."""
    return statistics.bootstrap_mean(
        found[name, recommender][metric],
        np.random.default_rng(0),
        draws=draws,
    )


metrics = ["ndcg@10", "hr@10", "mrr@20", "percentile"]
ends = {
    (name, recommender): {
        metric: interval(name, recommender, metric) for metric in metrics
    }
    for name, recommender in found
}
pd.DataFrame(
    {
        pair: {
            metric: f"{end.value:.3f} [{end.low:.3f}, {end.high:.3f}]"
            for metric, end in row.items()
        }
        for pair, row in ends.items()
    }
).T

# %% mystnb={"figure": {"caption": "NDCG@10 on five hidden items of each user, seen items removed, with 95% bootstrap intervals over users.", "name": "fig-towers-quality"}, "image": {"alt": "A row of marks for each recommender. Most-popular stands far to the left of all others; MF and EASE are on the right."}}
ndcg = [[ends[n, r]["ndcg@10"] for r in recommenders] for n in datasets]
figures.compare_bars(
    [[end.value for end in row] for row in ndcg],
    recommenders,
    datasets,
    low=[[end.low for end in row] for row in ndcg],
    high=[[end.high for end in row] for row in ndcg],
    xlabel="NDCG@10",
)

# %% [markdown]
# All methods answer for the same users, so they can be compared user by user: how much more NDCG@10 does MF have?
# **Look whether an interval holds 0.** Where it does, these users cannot tell the two apart.


# %%
def ahead(name: str, other: str) -> str:
    """NDCG@10 of MF minus that of another, user by user."""
    gap = found[name, "mf"]["ndcg@10"] - found[name, other]["ndcg@10"]
    end = statistics.bootstrap_mean(
        gap, np.random.default_rng(0), draws=draws
    )
    return f"{end.value:+.3f} [{end.low:+.3f}, {end.high:+.3f}]"


pd.DataFrame(
    {
        name: {other: ahead(name, other) for other in recommenders[1:]}
        for name in datasets
    }
).rename_axis("MF is ahead of")

# %% [markdown]
# ## Where we stop the model
#
# A two-tower model has three places to stop: at the users' vectors, at the items', or at both. At `user+item` the rows
# of all users stand before the rows of all items, and `finish` scores each user with each item. This one line is all
# that an autoencoder needs; what it returns goes back through `finish` to new lists.

# %%
part = parts[dataset]
some = torch.from_numpy(part.test_users[:100])
towers = {
    name.upper(): artifacts.get(f"{dataset}/{name}", seed=seed)
    for name in ("mf", "ncf")
}
split = towers["NCF"].before("user+item", cases.of_users(some))
print(
    "rows",
    tuple(split.h.shape),
    "-> scores",
    tuple(split.finish(split.h).shape),
)

# %% [markdown]
# ## What the length of a vector knows
#
# The autoencoder that the paper trains on MF subtracts each row's mean and divides by its standard deviation before it
# encodes; both are handed to the decoder afterwards. So the code carries the *direction* of a vector, and its length
# takes a way around the code. What goes that way no latent has to explain, and no latent can change. (The paper's NCF
# autoencoder does without.)
#
# Does the length know anything? **Look at the slope:** a line that rises says that popular items, or busy users, have
# longer vectors. In MF it need not: popularity can sit in the biases $b_i$, which no autoencoder reads.

# %% mystnb={"figure": {"caption": "Length of each vector against the number of training positives of its item (left) or user (right), in multiples of the model's median length. Lines are medians of eight groups of equal size, bands hold 80% of a group.", "name": "fig-towers-length"}, "image": {"alt": "Two panels, items and users, with a line and a band for MF and for NCF. Among the items the lines are not flat: the length of a vector goes with how often its item occurs."}}
taken = {
    "Items": counts[dataset],
    "Users": np.bincount(part.train.user, minlength=part.train.n_users),
}


def vectors(model) -> dict[str, np.ndarray]:
    """The vectors of items and of users."""
    return {
        "Items": model.Q.detach().numpy(),
        "Users": model.P.detach().numpy(),
    }


figures.length_by_count(
    {
        thing: {
            name: (
                taken[thing][taken[thing] > 0],
                np.linalg.norm(vectors(model)[thing], axis=1)[
                    taken[thing] > 0
                ],
            )
            for name, model in towers.items()
        }
        for thing in taken
    },
    xlabel="Training positives",
)

# %% [markdown]
# How much do the lists need it? We give all items (or users, or both) the same mean and standard deviation, which
# leaves them what the code of the paper's autoencoder sees, and rank again. **Look at the fall from the first column
# to the others:** it is the part of the recommender's quality that goes around the code. The rank correlations beside
# it are those of the length with the number of positives.


# %% tags=["hide-input", "skip-verify"]
def same_spread(h: torch.Tensor) -> torch.Tensor:
    """Each row with the average row's mean and standard deviation."""
    mean, std = h.mean(1, keepdim=True), h.std(1, keepdim=True)
    return (h - mean) / std * std.mean() + mean.mean()


def ndcg_without_length(model, of, users: bool, items: bool) -> float:
    """NDCG@10 where the rows of users, of items or of both lose their length."""

    def score(asked: cases.Cases) -> torch.Tensor:
        split = model.before("user+item", asked)
        p, q = split.h[: len(asked)], split.h[len(asked) :]
        p, q = same_spread(p) if users else p, same_spread(q) if items else q
        return split.finish(torch.cat([p, q]))

    return ranking.evaluate_sets(score, of, ks=(10,))["ndcg@10"].mean()


rows = {}
for name, other in tqdm(parts.items(), desc="data sets"):
    some = cases.hidden_sets(other.train, other.test, other.test_users)
    count = {
        "Items": counts[name],
        "Users": np.bincount(other.train.user, minlength=other.train.n_users),
    }
    for recommender in ("mf", "ncf"):
        model = artifacts.get(f"{name}/{recommender}", seed=seed)
        rows[name, recommender] = {
            "as it is": ndcg_without_length(model, some, False, False),
            "items alike": ndcg_without_length(model, some, False, True),
            "users alike": ndcg_without_length(model, some, True, False),
            "both alike": ndcg_without_length(model, some, True, True),
        } | {
            f"rank correlation, {thing.lower()}": spearmanr(
                np.linalg.norm(vectors(model)[thing], axis=1), count[thing]
            ).statistic
            for thing in count
        }
pd.DataFrame(rows).T.round(3)

# %% [markdown]
# **How to read it.** An autoencoder that lets mean and standard deviation pass keeps at least that much of the
# recommender for free, and its fidelity is to be judged by what it adds. And where length and popularity go together,
# a popularity neuron of such an autoencoder shows only what the direction still says of popularity: the rest went around.


# %% tags=["hide-input"]
def result(name: str, recommender: str, metric: str, against: str) -> Result:
    """One row of the scoreboard."""
    end = ends[name, recommender][metric]
    trained = recommender.startswith(("mf", "ncf"))
    return Result(
        value=end.value,
        low=end.low,
        high=end.high,
        interval="95%, bootstrap over users",
        unit="rank among unseen items, 0 best, 1 worst"
        if metric == "percentile"
        else metric,
        n=parts[name].test.n_users,
        seeds=[seed] if trained else [],
        better="lower" if metric == "percentile" else "higher",
        against=f"monosemantic/{against}-{short[name]}/ndcg@10"
        if trained and metric == "ndcg@10"
        else None,
        note="five hidden items of each user, seen items removed",
        training=f"{name}/{recommender}" in more,
        artifacts=[f"{name}/{recommender}"],
    )


short = {name: name.removesuffix("-hidden") for name in datasets}
untrained = [r for r in recommenders if r not in ("mf", "ncf")]
strongest = {
    name: max(untrained, key=lambda r: ends[name, r]["ndcg@10"].value)
    for name in datasets
}
results.write(
    "13_two_towers",
    {
        f"monosemantic/{recommender}-{short[name]}/{metric}": result(
            name, recommender, metric, strongest[name]
        )
        for name, recommender in found
        for metric in (
            metrics if recommender in ("mf", "ncf") else ["ndcg@10"]
        )
    },
)
