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
# # What the faults of the monosemantic paper's code do to the numbers
#
# The authors of the paper on user and item embeddings (arXiv 2511.18024) published the notebooks in which they worked
# (repository `DeltaLabTLV/Monosemanticity4Rec` at aeec8f8). Working notebooks have faults. Here are those that we found
# by reading, with the numbers that they touch.
#
# Every fault that can change a number is *run*: once as it is coded, once as it should be, on the same recommender,
# the same items and the same users. None of them is in the library. Each is a small class, a row of vectors or a few
# lines in this notebook, so that you can switch it on and off. What was read and not run is listed at the end.
#
# **What to look for.** The last table: which faults move a number by more than the noise between users, and which
# way. Some faults make the method look *worse* than it is; these deserve to be told as much as those that flatter it.

# %% tags=["parameters"]
dataset: str = "planted-hidden"
music: str = "planted-hidden"  # for faults in the notebooks of Last.FM
sae: str = "sae-mf"
seed: int = 0
depth: int = 30  # of the recommended lists
group: int = 20  # users
values: dict = {"kl_mean": 1.0}  # terms of an autoencoder that must heed KL
shares: dict = {"kl": 1.0, "kl_mean": 0.0}  # the same with firing rates
deep: int = 100  # items that the popularity of a latent is read from
promoted: int = 20  # items
rounds: dict = {"mf": 6, "ncf": 4}  # epochs of both sides of a comparison
authors: dict = {  # their loss, for both sides of a comparison
    "mf": {"negatives": 1, "l2": 0.01},
    "ncf": {"negatives": 1, "l2": 0.0},
}
step: int = 1  # which genres are edited: all, every second, ...

# %% tags=["hide-input"]
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from recsae_book import artifacts, figures, recipes, results
from recsae_book.results import Result
from recsae_core.interpret import lists, purity, statistics
from recsae_core.recommenders import activations, cases
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.recommenders.ranking import evaluate_sets
from recsae_core.recommenders.towers import (
    MF,
    NCF,
    MFConfig,
    NCFConfig,
    factors,
)
from recsae_core.sae import SAE, SAEConfig, TrainConfig
from recsae_core.sae import fit as fit_saes

# %% [markdown]
# One matrix factorisation, its autoencoder with the published settings, and the test users, whom the autoencoder has
# not seen. `h` holds the vectors of these users and, below them, of all items; `finish` turns them into scores.


# %%
def have(name: str, **changes):
    """A model that is only looked at."""
    return artifacts.get(name, seed=seed, **changes).requires_grad_(False)


parts = artifacts.parts(dataset)
model = have(f"{dataset}/mf")
trained = have(f"{dataset}/{sae}")
users = parts.test_users
attributes, names = parts.train.attributes, parts.train.attribute_names
sets = cases.hidden_sets(parts.train, parts.test, users)
split = model.before("user+item", sets.cases)
item_rows = split.case < 0
original, copied = split.finish(split.h), split.finish(trained(split.h))
z_items = trained.encode(split.h[item_rows]).dense().numpy()
rng = np.random.default_rng(seed)


def quality(scores: torch.Tensor, of=sets) -> np.ndarray:
    """NDCG@10 of each test user, over all items that are not in the training data."""
    found = evaluate_sets(lambda _: scores, of, (10,), batch=len(of))
    return found["ndcg@10"]


def unseen(scores: torch.Tensor, k: int = depth) -> np.ndarray:
    """The ``k`` best items of each test user that are not in the training data."""
    return lists.top(scores, sets.seen, k)


# %% tags=["hide-input"]
table = []  # one row a fault


def effect_of(measure: str, coded, intended):
    """By how much a number differs from what it should be."""
    if measure == "Kendall's tau":
        return coded - intended
    return coded / intended - 1


def compare(
    fault: str,
    what: str,
    measure: str,
    as_coded: object,
    intended: object,
    training: bool = False,
) -> None:
    """Keep a fault's two numbers. Where they are one a user, the effect gets an interval.

    Kendall's tau has no natural zero: its effect is the difference, and all others' the ratio minus 1.
    """
    a, b = (np.atleast_1d(np.asarray(v, float)) for v in (as_coded, intended))
    low = high = None
    rng = np.random.default_rng(seed)
    if len(a) > 1:
        drawn = statistics.resample_counts(len(a), 2000, rng)
        other = drawn  # the same users, unless the fault is to take others
        if len(b) != len(a):
            other = statistics.resample_counts(len(b), 2000, rng)
        means = drawn @ a / len(a), other @ b / len(b)
        low, high = np.percentile(effect_of(measure, *means), [2.5, 97.5])
    table.append(
        {
            "fault": fault,
            "what": what,
            "measure": measure,
            "as coded": a.mean(),
            "as it should be": b.mean(),
            "effect": effect_of(measure, a.mean(), b.mean()),
            "low": low,
            "high": high,
            "n": len(a),
            "training": training,
        }
    )


# %% [markdown]
# ## Data: whose rows are these?
#
# **Groups of users are shifted.** The ids of MovieLens count from 1. The authors drop one user from the matrix, whose
# rows count from 0, and later take ids as row numbers. The group "under 18" is then made of the neighbours of those
# who are under 18. Ages are not in our tables, so the group here is the one that watches most of one genre; the shift
# is the same. As it should be, the group stands out. As coded, it is a draw of arbitrary users.

# %%
train = parts.train
taken = np.zeros((train.n_users, train.n_items), dtype=bool)
taken[train.user, train.item] = True
tastes = (taken @ attributes) / taken.sum(1, keepdims=True)
genre = names.index("Children's") if "Children's" in names else 0
fans = np.argsort(-tastes[:, genre], kind="stable")[:group]
ids = np.minimum(train.user_ids[fans], train.n_users - 1)
compare(
    "shifted-groups",
    "ids taken for rows: the group's taste",
    "share of one genre in the histories of its fans",
    tastes[ids, genre],
    tastes[fans, genre],
)
print(f"{len(set(ids) & set(fans))} of {group} users are the right ones")

# %% [markdown]
# **Genres by position.** The table of films has all 3,883 films of the data set, everything else has the 3,706 that
# somebody rated. As committed, the genres of the k-th *rated* film are read from the k-th row of the *whole* table. (The
# printed outputs are from a version of the table that fits; that version is not in the repository.)

# %%
every = artifacts.interactions(dataset).attributes[: train.n_items]
best = purity.top(z_items, 10)
compare(
    "positions",
    "genres by position: purity",
    "purity@10 of the purest latent, mean over genres",
    purity.purity(best, every).max(0).mean(),
    purity.purity(best, attributes).max(0).mean(),
)
print(f"{(every != attributes).any(1).mean():.0%} of the items get others")

# %% [markdown]
# ## Training
#
# **Negatives are never drawn again.** Each epoch draws fresh negatives into a variable that nobody reads; training goes
# on with those of the first epoch. The class below does that and nothing else. What would surprise us is no effect:
# the model can learn these few negatives by heart, and then nothing holds the other items down. Both sides have the
# authors' loss, with one negative for each positive, and the same number of epochs.


# %% tags=["hide-input"]
class DrawnOnce(MF):
    """Logistic MF that keeps the first negatives of each interaction."""

    def begin(self, everything):
        super().begin(everything)
        g = torch.Generator().manual_seed(seed)
        self.known, order = self._keys(everything).sort()
        k = self.config.negatives
        self.drawn = super().negatives(everything.user[order], k, g)

    def _keys(self, some):
        return some.user * self.n_items + some.history[:, 0]

    def loss(self, batch, g):
        self.places = torch.searchsorted(self.known, self._keys(batch))
        return super().loss(batch, g)

    def negatives(self, _users, _k, _g):
        return self.drawn[self.places]


def settings_of(what: str) -> dict:
    """How both sides of a comparison differ from the book's recommender."""
    return {"config": authors[what], "fit": {"epochs": rounds[what]}}


def learned(kind, config, name: str, of):
    """A recommender of the class ``kind``, trained on ``of`` as the recipe ``name`` says."""
    chosen = recipes.recipe(name, **settings_of(name.rpartition("/")[2]))
    sizes = {"n_items": of.train.n_items, "n_users": of.train.n_users}
    g = torch.Generator().manual_seed(seed)
    made = kind(config(**sizes, **chosen.config), g)
    train, valid = (
        cases.pairs_of(of.train),
        cases.leave_hidden_out(of.train, of.valid),
    )
    fit(made, train, valid, FitConfig(**chosen.fit), seed=seed)
    return made.requires_grad_(False)


# %% tags=["nbval-ignore-output", "skip-verify"]
stale = learned(DrawnOnce, MFConfig, f"{dataset}/mf", parts)
compare(
    "stale-negatives",
    "negatives drawn once: NDCG",
    "NDCG@10 of the recommender",
    quality(stale(sets.cases)),
    quality(have(f"{dataset}/mf", **settings_of("mf"))(sets.cases)),
    training=True,
)

# %% [markdown]
# **Squashed twice.** For Last.FM, the net of NCF ends with a sigmoid and its loss applies another one. The probability
# that the loss sees lies between .5 and .73, whatever the net does, so an item that nobody wants still costs as if it
# were wanted. A sigmoid does not change the order of a list, so what is compared is what the net has learned.


# %%
songs = artifacts.parts(music)
listeners = cases.hidden_sets(songs.train, songs.test, songs.test_users)


# %% tags=["nbval-ignore-output", "skip-verify"]
class SquashedTwice(NCF):
    """NCF whose output has been through a sigmoid before the loss takes it for a logit."""

    def _pairs(self, *towers):
        return super()._pairs(*towers).sigmoid()


squashed = learned(SquashedTwice, NCFConfig, f"{music}/ncf", songs)
plain = have(f"{music}/ncf", **settings_of("ncf"))
compare(
    "two-sigmoids",
    "sigmoid twice: NDCG",
    "NDCG@10 of NCF",
    quality(squashed(listeners.cases), listeners),
    quality(plain(listeners.cases), listeners),
    training=True,
)

# %% [markdown]
# **Trained on other vectors than it reads.** Before each training step of the MF autoencoder, every column of the
# batch is scaled to lie between 0 and 1, users and items apart. Later it reads the raw vectors. The term that should
# keep the recommender's predictions then keeps inner products of scaled vectors, which are nobody's predictions. Below,
# the same training with the batches as coded.


# %%
published = recipes.recipe(f"{dataset}/{sae}").merged()


def agreement(scores: torch.Tensor) -> np.ndarray:
    """How much of the recommender's list of each user comes back: rank-biased overlap, as in the paper."""
    return lists.rbo(unseen(scores), unseen(original))


# %% tags=["hide-input", "nbval-ignore-output", "skip-verify"]
class Scaled:
    """Batches whose columns lie between 0 and 1, and what their inner products would predict."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        for stop in self.batches:
            h, user = stop.h.clone(), stop.case >= 0
            for side in (user, ~user):
                low, high = h[side].aminmax(dim=0)
                h[side] = (h[side] - low) / (high - low)
            yield replace(
                stop, h=h, finish=lambda v, user=user: v[user] @ v[~user].T
            )


pairs = activations.Pairs(
    model,
    torch.from_numpy(parts.sae_users),
    torch.arange(train.n_items),
    "all",
    torch.Generator().manual_seed(seed),
)
mismatched = SAE(
    SAEConfig(**(published["sae"] | {"d": trained.d})),
    torch.Generator().manual_seed(seed),
)
fit_saes(
    [mismatched],
    Scaled(pairs),
    published["terms"],
    TrainConfig(**published["train"]),
    generator=torch.Generator().manual_seed(seed),
)
mismatched.requires_grad_(False)
compare(
    "scaled-training",
    "trained on scaled rows: RBO",
    "rank-biased overlap with the recommender's list",
    agreement(split.finish(mismatched(split.h))),
    agreement(copied),
    training=True,
)

# %% [markdown]
# **A rate that is no rate.** The KL term should hold the share of rows on which a latent is active at a target of .05.
# The code puts the mean *value* of the latent in the place of the share. A latent that is often on, and faint, meets
# the target; one whose mean value is above 1 gets no gradient at all. At the published weight neither version does much,
# so both autoencoders below have a weight at which the term must be heeded. Look at which number each brings to .05.

# %%
codes_of = [
    have(f"{dataset}/{sae}", terms=terms).encode(split.h).dense().numpy()
    for terms in (values, shares)
]
active = [(z > 0).mean(1) for z in codes_of]
compare(
    "kl-on-values",
    "KL on values: active latents",
    "share of latents that are active on a row",
    *active,
)
pd.DataFrame(
    {
        "mean value": [z.mean() for z in codes_of],
        "share active": [share.mean() for share in active],
        "target": published["sae"]["rho"],
    },
    index=["as coded", "as it should be"],
).round(3)

# %% [markdown]
# **A way past the latents.** The MF autoencoder takes mean and spread out of each vector before it encodes it, and puts
# *the same row's* mean and spread back after decoding. Two numbers for each user and item thus go around the latents. The
# length of an item's vector goes with its popularity, so this is no small thing. Below, the same code decoded with the
# average row's two numbers: what the latents alone carry. And nothing but the two numbers, all latents silent.

# %%
z = trained.encode(split.h)
silent = z.with_dense(torch.zeros_like(z.dense()))
alone = split.finish(trained.decode(z._replace(norm=None)))
compare(
    "side-channel",
    "mean and spread put back: NDCG",
    "NDCG@10 after reconstruction",
    quality(copied),
    quality(alone),
)
compare(
    "side-channel-rbo",
    "mean and spread put back: RBO",
    "rank-biased overlap with the recommender's list",
    agreement(copied),
    agreement(alone),
)
pd.Series(
    {
        "the recommender": quality(original).mean(),
        "reconstruction": quality(copied).mean(),
        "latents alone": quality(alone).mean(),
        "mean and spread alone": quality(
            split.finish(trained.decode(silent))
        ).mean(),
    },
    name="NDCG@10",
).to_frame().round(4)

# %% [markdown]
# ## Evaluation: the same lists, counted in another way
#
# The paper's figure of fidelity compares the recommender's list with the list after reconstruction. All of what follows
# is about *one* pair of lists for each user; only the counting differs.
#
# **Through a set.** For NCF on Last.FM the sorted list goes through a Python set, to take seen items out. A set has no
# order: the list that comes out is sorted by a hash of the ids. Both lists are sorted by the same hash, so that items
# in both agree in order whatever the recommender thinks.


# %%
def through_a_set(found: np.ndarray) -> np.ndarray:
    """Each row after ``list(set(row) - set())``."""
    return np.array([list(set(row) - set()) for row in found.tolist()])


a, b = unseen(copied), unseen(original)
for name, measure, symbol in (
    ("rbo", lists.rbo, "RBO"),
    ("tau", lists.kendall_tau, "tau"),
):
    compare(
        f"set-order-{name}",
        f"lists through a set: {symbol}",
        {"rbo": "rank-biased overlap", "tau": "Kendall's tau"}[name],
        measure(through_a_set(a), through_a_set(b)),
        measure(a, b),
    )

# %% [markdown]
# **Overlap that cannot reach 1.** The sum of rank-biased overlap is cut at the end of the list and not extrapolated:
# two identical lists of 30 score .958. **Depth 29.** A slice loses the last item of the lists of MF. **Seen items kept.**
# The lists of NCF hold what the user has in the training data. **Ties in the union.** Kendall's tau is taken over the
# union of both lists, and all that is missing from a list shares the place after its end: two lists without a common item
# get -.67, not -1, and a value of 0 has no meaning. Over the common items alone tau asks only about order.

# %% tags=["hide-input"]
rbo, tau = lists.rbo(a, b), lists.kendall_tau(a, b)
compare(
    "rbo-not-normalised",
    "overlap cut, not extrapolated: RBO",
    "rank-biased overlap",
    rbo,
    lists.rbo(a, b, extrapolated=True),
)
compare(
    "depth-29",
    "29 items in place of 30: RBO",
    "rank-biased overlap",
    lists.rbo(a[:, :-1], b[:, :-1]),
    rbo,
)
kept = [
    scores.topk(depth, dim=1).indices.numpy() for scores in (copied, original)
]
compare(
    "seen-kept-rbo",
    "seen items kept: RBO",
    "rank-biased overlap",
    lists.rbo(*kept),
    rbo,
)
compare(
    "seen-kept-tau",
    "seen items kept: tau",
    "Kendall's tau",
    lists.kendall_tau(*kept),
    tau,
)
common = lists.kendall_tau(a, b, common=True)
shared = ~np.isnan(common)
compare(
    "union-ties",
    "tau over the union: tau",
    "Kendall's tau",
    tau[shared],
    common[shared],
)

# %% [markdown]
# **Biases left out.** On Last.FM the recommender is trained with biases, and then ranks by the inner product alone: for
# recommendations, for fidelity and for interventions. The recommender that is explained is not the one that was trained.

# %%
singer = have(f"{music}/mf")
compare(
    "no-biases",
    "biases dropped: NDCG of MF",
    "NDCG@10 of the recommender",
    quality(factors(singer.P, singer.Q)(listeners.cases), listeners),
    quality(singer(listeners.cases), listeners),
)

# %% [markdown]
# **An NDCG of its own.** The gain of a hit is multiplied by the predicted score, so a model that predicts larger numbers
# has a larger NDCG, at the same ranks. And the candidates include what the user has in the training data, which stands
# at the top of every good list and pushes the hidden items down. One fault at a time:


# %%
def gains(scores: torch.Tensor, weight: torch.Tensor) -> np.ndarray:
    """NDCG@10 in which a hit counts ``weight`` of its item."""
    top = scores.topk(10, dim=1).indices
    hidden = torch.zeros_like(scores).scatter_(1, sets.target, 1.0)
    gain = (hidden * weight).gather(1, top) / torch.arange(2, 12).log2()
    return (gain.sum(1) / (1 / torch.arange(2, 7).log2()).sum()).numpy()


known = torch.from_numpy(taken[users])
fresh = original.masked_fill(known, -torch.inf)
compare(
    "ndcg-weighted",
    "NDCG times the predicted score",
    "NDCG@10 of the recommender",
    gains(fresh, original.sigmoid()),
    gains(fresh, torch.ones_like(original)),
)
compare(
    "ndcg-candidates",
    "training items as candidates: NDCG",
    "NDCG@10 of the recommender",
    gains(original, torch.ones_like(original)),
    gains(fresh, torch.ones_like(original)),
)

# %% [markdown]
# **Silent items in the top.** The popularity and the decade of a latent are read from its top 500 or top 200 items. Where
# it is active on fewer, the list is filled with items at zero, in the order of the catalogue. On these the latent says
# nothing, and the first items of a catalogue are not like the others. As long as latents are active on a third of all
# items, this fault sleeps. It wakes in an autoencoder that meets the target of .05, so that one is asked here. Below: how
# many of the top items the latent is active on, and the mean popularity rank of the most popular latent (0 is the best).

# %%
popularity = np.argsort(np.argsort(-taken.sum(0), kind="stable"))
sparse = codes_of[1][item_rows.numpy()]
sparse = sparse[:, (sparse > 0).sum(0) >= 10]
filled = purity.ranking(sparse)[:, :deep]
bare = purity.top(sparse, deep)
compare(
    "silent-items",
    "silent items in the top: their number",
    f"items in the top {deep} of a latent, mean over latents",
    deep,
    (bare >= 0).sum(1).mean(),
)
ranks = [
    np.nanmean(np.where(found >= 0, popularity[found], np.nan), axis=1)
    for found in (filled, bare)
]
compare(
    "silent-items-popularity",
    "silent items in the top: popularity",
    "mean popularity rank of the most popular latent",
    ranks[0].min(),
    ranks[1].min(),
)

# %% [markdown]
# **Which tags would suit?** On Last.FM an item counts as a hit when it has *any* of a set of up to six tags, and the set is
# chosen after looking at the latent. Below, a greedy search does the looking: for each latent the six tags that give
# the highest purity of its top 20. As it should be: one tag a latent, chosen on half of the items, scored on the other.
# The base rate of the union tells how much of the difference is the union's own.

# %%
heard, k = have(f"{music}/{sae.removesuffix('-published')}"), 20
vectors = singer.Q
codes, tags = heard.encode(vectors).dense().numpy(), songs.train.attributes
codes = codes[:, codes.any(0)]


def union(found: np.ndarray, size: int = 6) -> tuple[float, float]:
    """Purity of one latent's items with the best union of tags, and how many of all items the union fits."""
    fits, everywhere = np.zeros(k, bool), np.zeros(len(tags), bool)
    label = tags[found] & (found >= 0)[:, None]
    for _ in range(size):
        tag = (label | fits[:, None]).sum(0).argmax()
        fits, everywhere = fits | label[:, tag], everywhere | tags[:, tag]
    return fits.mean(), everywhere.mean()


found = np.array([union(row) for row in purity.top(codes, k)])
half = statistics.item_halves(
    np.bincount(songs.train.item, minlength=len(tags)), 10, rng
)
single = purity.held_out(codes, tags, half, [k])
latent_tag = single.chosen[0].argmax(2)[:, :, None]
one = np.take_along_axis(single.scored[0], latent_tag, 2)[:, :, 0].mean(0)
compare(
    "union-of-tags",
    "unions of tags, picked afterwards: purity",
    f"purity@{k}, mean over latents",
    found[:, 0],
    one,
)
table[-1] |= {"n": 1, "low": None, "high": None}  # latents are no sample
print(f"a union of six fits {found[:, 1].mean():.0%} of all items")

# %% [markdown]
# ## Interventions
#
# Each genre's latent is the one that follows it most closely over the items. A user's latent is set to a value, the
# vector is decoded, and the share of the genre among the 30 recommended items is counted.

# %%
strength = [
    [np.corrcoef(column, label)[0, 1] for column in z_items.T]
    for label in attributes.T
]
latents = np.nanargmax(np.nan_to_num(strength, nan=-1), 1)
stop = model.before("user", sets.cases)
code = trained.encode(stop.h)
tops = trained.encode(split.h).dense().quantile(0.99, dim=0)


def share(h: torch.Tensor, a: int) -> np.ndarray:
    """The part of each user's list that has genre ``a``."""
    return attributes[unseen(stop.finish(h)), a].mean(1)


def edited(latent: int, value: float):
    """The users' codes with one latent set."""
    new = code.dense().clone()
    new[:, latent] = value
    return code.with_dense(new)


# %% [markdown]
# **Somebody else's mean and spread.** When a genre is suppressed on Last.FM, the decoder puts back the mean and spread of
# *another* user, whose variable was left over from an earlier cell. **Two passes.** The edited users of NCF go through
# the autoencoder a second time, which undoes a part of the edit. Both, on suppressing and on adding each genre in turn:

# %%
others = tuple(value.roll(1, 0) for value in code.norm)
suppressed, borrowed, once, twice = [], [], [], []
for a, latent in list(enumerate(latents))[::step]:
    off, on = edited(latent, 0.0), edited(latent, float(tops[latent]))
    suppressed.append(quality(stop.finish(trained.decode(off))))
    borrowed.append(
        quality(stop.finish(trained.decode(off._replace(norm=others))))
    )
    once.append(share(trained.decode(on), a))
    twice.append(share(trained(trained.decode(on)), a))
compare(
    "borrowed-norm",
    "another user's mean and spread: NDCG",
    "NDCG@10 with a genre suppressed, mean over genres",
    np.mean(borrowed, 0),
    np.mean(suppressed, 0),
)
compare(
    "two-passes",
    "two passes: share of the genre",
    "share of the genre that is turned up, mean over genres",
    np.mean(twice, 0),
    np.mean(once, 0),
)

# %% [markdown]
# **A goal that comes closer.** To promote an item is to bring it from outside a user's top 20 into the top. But the count
# of successes takes the first 30 places, so that an item which stood at place 25 and was not moved is a success. Below,
# items from the most popular tenth whose latent is set to its 99th percentile, for each genre in turn. The last line is the share of success
# with nothing done at all: by an honest count it is 0.

# %% tags=["hide-input"]
chosen = torch.from_numpy(
    rng.choice(
        np.flatnonzero(popularity < train.n_items / 10), promoted, False
    )
)
here = model.before("item", sets.cases, chosen)
here_code = trained.encode(here.h)


def places(scores: torch.Tensor) -> torch.Tensor:
    """The rank of each promoted item in each user's list, from 1."""
    return torch.stack(
        [
            1 + (original > scores[:, [c]]).sum(1)
            for c in range(scores.shape[1])
        ],
        1,
    )


def success(before: torch.Tensor, after: torch.Tensor, reach: int):
    """For each user, how many of the items outside the top 20 are within ``reach``."""
    outside = before > 20
    hit = (outside & (after <= reach)).sum(1) / outside.sum(1).clamp(min=1)
    return hit.double().numpy()


before, loose, strict = places(here.finish(here.h)), [], []
for latent in sorted(set(latents[::step].tolist())):
    new = here_code.dense().clone()
    new[:, latent] = tops[latent]
    h = trained.decode(here_code.with_dense(new))
    after = places(here.finish(h))
    loose.append(success(before, after, 30))
    strict.append(success(before, after, 20))
compare(
    "moving-goal",
    "goal of 30 for a start of 20: success",
    "share of users for whom the item is promoted",
    np.mean(loose, 0),
    np.mean(strict, 0),
)
print(f"nothing done: {success(before, before, 30).mean():.3f}")

# %% [markdown]
# **Twenty fans.** Suppression is shown on the 20 or 40 users with the largest share of the genre, without a spread. What
# falls by much for those who have much says little about anybody else. Below, how far the share of a genre falls
# when its latent is switched off: among 20 extreme test users, and among all.

# %%
falls = np.array(
    [
        share(trained.decode(code), a)
        - share(trained.decode(edited(latent, 0.0)), a)
        for a, latent in enumerate(latents)
    ]
)
extreme = np.argsort(-tastes[users], axis=0, kind="stable")[:group]
compare(
    "twenty-fans",
    "20 extreme users for all: fall",
    "fall of a genre's share, mean over genres",
    np.take_along_axis(falls, extreme.T, 1).mean(0),
    falls.mean(0),
)

# %% [markdown]
# ## What it comes to
#
# Read the last columns: the effect (relative, and for Kendall's tau the difference), and whether its interval (over test
# users, where users are what varies) is clear of zero. A plus sign means that the code reports a *larger* number than it
# should. **If the interval holds zero, the fault made no difference that these users can show.**

# %% tags=["hide-input"]
errata = pd.DataFrame(table).set_index("fault")
errata[
    [
        "what",
        "measure",
        "as coded",
        "as it should be",
        "effect",
        "low",
        "high",
    ]
].round(3)

# %% mystnb={"figure": {"caption": "What each fault does to the number that it touches, relative to the number without the fault. Lines: 95% bootstrap over test users, where the number is a mean over users.", "name": "fig-monosemantic-errata"}, "image": {"alt": "A bar for each fault. A few are long to one side or the other; several are short."}}
ratios = errata[errata["measure"] != "Kendall's tau"]
shown = ratios.sort_values("effect", ascending=False)
effect = shown["effect"].to_numpy()
figures.mean_bars(
    effect,
    list(shown["what"]),
    low=np.where(shown["low"].isna(), effect, shown["low"]).astype(float),
    high=np.where(shown["high"].isna(), effect, shown["high"]).astype(float),
    xlabel="As coded / as it should be, minus 1",
    ylabel="Fault",
    digits="+.2f",
    first=False,
)

# %% [markdown]
# ## What was read and not run
#
# - *Nothing starts from a clean copy*: data, splits, weights and stored batches are in a private folder; the notebooks
#   import each other in a circle; several cells are not valid Python or name variables that do not exist; two classes of
#   the same name override each other.
# - *Settings differ* between cells, notebooks and commits: width 20 or 22, 6, 10 or 30 epochs, a weight of the prediction
#   of 1, 2 or 10, a net of [8, 4] or [64, 32, 16]. Which cell made the published MF autoencoder is not known.
# - *Toy Story has a genre called movie_id*, since its id is 1.
# - *Hidden positives are drawn with replacement* on Last.FM: a user may have fewer than five.
# - *Chosen by what is reported*: the search over settings maximises the monosemanticity score, which is then reported.
#   The items that are set aside as a test set are all in training. The seed is set after the model is made.
# - *A zip ends with the shorter loader*: the Matryoshka autoencoder takes nine steps an epoch.
# - *Positives alone*: the autoencoder of NCF sees pairs that were taken, and learns soft targets by cross-entropy, where
#   the paper describes squared errors over sampled pairs.
# - *One label too low*: the axis of the promotion of Metal counts from 0 where the levels began at 2. Another promotion
#   ranks by inner product where the recommender is a net.

# %% tags=["hide-input"]
rows_out = {}
for fault, row in errata.iterrows():
    per_user = row["n"] > 1
    common = {
        "n": int(row["n"]) if per_user else len(split.h),
        "seeds": [seed],
        "better": "none",
        "artifacts": [f"{dataset}/mf", f"{dataset}/{sae}"],
        "training": bool(row["training"]),
    }
    key = f"monosemantic/errata-{fault}"
    for name in ("as coded", "as it should be"):
        rows_out[f"{key}/{name.replace(' ', '_')}"] = Result(
            value=row[name],
            unit=row["measure"],
            note=row["what"] if name == "as coded" else "",
            **common,
        )
    kind = "difference"
    if row["measure"] != "Kendall's tau":
        kind = "relative_effect"
    rows_out[f"{key}/{kind}"] = Result(
        value=row["effect"],
        low=row["low"] if per_user else None,
        high=row["high"] if per_user else None,
        interval="95%, bootstrap over users" if per_user else "",
        unit="as coded / as it should be - 1"
        if kind == "relative_effect"
        else "as coded - as it should be",
        note=f"{row['measure']}: {row['what']}",
        **common,
    )
results.write("19_monosemantic_errata", rows_out)
