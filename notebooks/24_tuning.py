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
# # Turning a concept
#
# A description says what a latent goes with. Does the latent also *do* something? The third paper of this book (arXiv 2411.06112)
# says yes three times: its first version takes a latent away, its second removes a bias, its third tunes lists towards
# a wish. None of this is in the public code. Which latents, how strongly, and measured how, is not known. So the
# definitions here are ours:
#
# - A latent's activation is multiplied by a factor, $z_l \leftarrow \alpha z_l$, on the cases where it is active. 0
#   takes it away, 1 changes nothing, 5 is much more than the recommender ever says.
# - What the autoencoder fails to explain stays. A factor of 1 is the recommender itself, bit for bit.
# - The latents were trained, described and chosen on some users. All effects are measured on other users.
#   A concept's items are counted only in the half of the items that had no part in its description.
#
# **What to look for.** Not whether the concept's items move; any change of a list moves some. But whether they move
# *more* than under a change of the same length in another direction, and what the same effect costs by re-ranking.

# %% tags=["parameters"]
dataset: str = "planted-recsae"
nameless: list = ["planted-recsae"]  # the same where items have no words
models: list = ["sasrec", "bprmf"]  # the first is looked at in detail
seeds: list = [0]  # of the first; the others have the first seed
positions: int = 5  # cases a user on which concepts are described
concepts_most: int = 12  # concepts turned, drawn from all that can be
least_cases: int = 15  # held-out cases on which a concept is active
most_cases: int = 30  # of these, drawn at random
least_items: int = 10  # that a concept has in each half
most_items: float = 0.25  # of all items: what is wider is no concept
popular: list = [5, 20, 60]  # latents turned against popularity
gendered: list = [5, 20, 60]  # latents turned against gender
random_draws: int = 2  # matched latents, as a null
draws: int = 500  # bootstrap samples

# %% tags=["hide-input"]
import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from recsae_book import artifacts, figures, recipes, results
from recsae_book.instances import Instances, instances
from recsae_book.results import Result
from recsae_core.interpret import concepts, statistics, vocabulary
from recsae_core.recommenders import cases
from recsae_core.recommenders.base import Cases, Recommender, Sets
from recsae_core.sae import SAE
from recsae_core.steer import bias, calibrate, methods
from recsae_core.steer.interventions import Bonus, before, outcomes
from recsae_core.steer.tuning import AsFar, Neighbour, changes, matched

short = dataset.removesuffix("-recsae")
seed = seeds[0]

# %% [markdown]
# ## Who and what
#
# Descriptions come from the users who trained the autoencoder, by enrichment as on the page on concepts, and from half
# of the items. What a description says of popularity is left out here: popularity has a section of its own. A
# concept's items are those for which the description speaks at least half as strongly as for any item. Effects are
# measured on the cases of `valid` and `test`, all of users whom the autoencoder never saw.

# %% tags=["hide-input"]
parts = artifacts.parts(dataset)
train = parts.train
count = np.bincount(train.item, minlength=train.n_items)
half = statistics.item_halves(count, 1, np.random.default_rng(seed))[0]
words = vocabulary.terms(
    train.items, train.attributes, train.attribute_names, count
)
told_of = np.flatnonzero(np.array(words.kinds) != "popularity")
words = replace(
    words,
    has=words.has[:, told_of],
    kinds=tuple(words.kinds[t] for t in told_of),
    names=tuple(words.names[t] for t in told_of),
)


class World(NamedTuple):
    """A recommender, its autoencoder, and the cases of both groups of users."""

    model: Recommender
    sae: SAE
    told: Instances  # of the users who trained the autoencoder
    z: torch.Tensor  # their code
    held: dict[str, Sets]  # of the other users, to be measured on
    both: Sets  # valid and test
    active: np.ndarray  # which latents fire on these


def world(name: str, seed: int, data: str = dataset) -> World:
    """Load a recommender and its autoencoder, and read the cases."""
    parts = artifacts.parts(data)
    parent = recipes.recipe(f"{data}/sae-{name}", seed).seed_of_parent
    model = artifacts.get(f"{data}/{name}", seed=parent)
    sae = artifacts.get(f"{data}/sae-{name}", seed=seed)
    told = instances(
        model, parts, parts.sae_users, positions=positions, depth=10
    )
    length = getattr(model.config, "length", 1)
    held = {
        part: cases.dated(parts, part, length, parts.test_users)
        for part in ("valid", "test")
    }
    width = max(one.seen.shape[1] for one in held.values())
    sets = {
        part: Sets(
            Cases(one.cases.user, padded(one.cases.history, length)),
            one.target[:, None],
            padded(one.seen, width),
        )
        for part, one in held.items()
    }
    both = joined(*sets.values())
    with torch.no_grad():
        h = before(model, model.probe, both).split.h
        active = (sae.encode(h).dense() > 0).numpy()
        return World(
            model, sae, told, sae.encode(told.h).dense(), sets, both, active
        )


def padded(x: torch.Tensor, width: int) -> torch.Tensor:
    """Ids padded with -1 to a width."""
    return torch.nn.functional.pad(x, (0, width - x.shape[1]), value=-1)


def joined(a: Sets, b: Sets) -> Sets:
    """The cases of both."""
    user, history, target, seen = (
        torch.cat(pair)
        for pair in (
            (a.cases.user, b.cases.user),
            (a.cases.history, b.cases.history),
            (a.target, b.target),
            (a.seen, b.seen),
        )
    )
    return Sets(Cases(user, history), target, seen)


keys = [(models[0], s) for s in seeds] + [(n, seed) for n in models[1:]]
worlds = {key: world(*key) for key in keys}
main = worlds[keys[0]]
pd.DataFrame(
    {
        f"{name}, seed {seed}": {
            "cases that describe": len(one.told.user),
            "of users": len(np.unique(one.told.user)),
            "valid cases": len(one.held["valid"]),
            "test cases": len(one.held["test"]),
            "of users ": len(one.both.cases.user.unique()),
        }
        for (name, seed), one in worlds.items()
    }
)


# %% tags=["hide-input"]
class Concept(NamedTuple):
    """A concept to be turned."""

    latent: int
    text: str
    wanted: torch.Tensor  # all its items
    items: torch.Tensor  # those that did not write it
    rows: np.ndarray  # held-out cases on which its latent is active
    null: int  # a latent that fires as often and as strongly
    vectors: dict[str, torch.Tensor]  # directions without an autoencoder


def correlation(x: torch.Tensor, y: np.ndarray) -> np.ndarray:
    """Pearson's r of every column with a property of the rows."""
    v, w = x - x.mean(0), torch.from_numpy(y - y.mean()).to(x)
    return (w @ v / (v.norm(dim=0) * w.norm()).clamp(min=1e-9)).numpy()


def directions(
    one: World, latent: int, items: np.ndarray
) -> dict[str, torch.Tensor]:
    """A random direction, and two that were told which items to look for."""
    h, d = one.told.h, one.told.h.shape[1]
    listed = items[one.told.top].mean(1)
    r = correlation(h, listed)
    axis = torch.zeros(d)
    axis[int(np.abs(r).argmax())] = float(np.sign(r[np.abs(r).argmax()]))
    g = torch.Generator().manual_seed(latent)
    most = torch.from_numpy(listed >= max(np.quantile(listed, 0.9), 0.1))
    return {
        "random direction": torch.randn(d, generator=g),
        "best neuron": axis,
        "difference of means": methods.difference_of_means(h, most),
    }


def described(one: World) -> list[Concept]:
    """Concepts with a description, items and held-out cases enough, drawn at random."""
    found = concepts.describe(
        concepts.codes(one.sae, one.told.h),
        one.told.user,
        one.told.top[:, 0],
        words,
        within_items=half,
    )
    speaks = concepts.scores(found, words)
    wanted = (speaks > 0) & (speaks >= speaks.max(1, keepdims=True) / 2)
    pool = np.flatnonzero(
        (one.active.sum(0) >= least_cases)
        & ((wanted & ~half).sum(1) >= least_items)
        & ((wanted & half).sum(1) >= least_items)
        & (wanted.mean(1) <= most_items)
    )
    print(f"{len(pool)} of {one.sae.m} latents can be turned", end=", ")
    rng, out = np.random.default_rng(seed), []
    drawn = np.sort(rng.permutation(pool)[:concepts_most]).tolist()
    nulls = matched(one.z, drawn, [], rng)
    for j, null in zip(drawn, nulls, strict=True):
        rows = rng.permutation(np.flatnonzero(one.active[:, j]))[:most_cases]
        items, lines = torch.from_numpy(wanted[j]), wanted[j] & half
        out.append(
            Concept(
                j,
                found[j].text,
                items,
                items & ~torch.from_numpy(half),
                np.sort(rows),
                null,
                directions(one, j, lines),
            )
        )
    print(f"{len(out)} of these are drawn")
    return out


turned = {key: described(one) for key, one in worlds.items()}
pd.DataFrame(
    {
        "latent": one.latent,
        "description": one.text,
        "items": int(one.wanted.sum()),
        "that did not write it": int(one.items.sum()),
        "held-out cases": len(one.rows),
    }
    for one in turned[keys[0]][:12]
).set_index("latent")

# %% [markdown]
# ## Away with it, and five times as much
#
# The latent of each concept is multiplied on cases where it is active. Beside it stand five changes on the same cases
# and one on others:
#
# - **another latent there**: of each case one of the other active latents, drawn at random, times the same factor. If
#   it does the same, then any part of the list's reasons carries the concept.
# - **random direction**, **best neuron**, **difference of means**: every case is moved exactly as far as by the
#   latent, but along a random direction, along the single dimension that goes best with the concept's items on the
#   lists, or along the mean of the cases with many of these items less the mean of the others. The last two were told
#   which items to look for, among those that wrote the description.
# - **matched latent**: another latent that fires as often and as strongly, where *it* is active.


# %% tags=["hide-input"]
ALPHAS = [0.0, 0.5, 1.0, 2.0, 5.0]
OWN, BESIDE, MATCHED = "the latent", "another latent there", "matched latent"


def changed(one: World, concept: Concept, alphas: list) -> dict:
    """What every way of turning does on the concept's cases."""
    lists = opened(one, concept.rows)
    own = methods.Latents(one.sae, [concept.latent], "scale")
    ways = {OWN: own, BESIDE: Neighbour(one.sae, (concept.latent,))} | {
        name: AsFar(own, vector) for name, vector in concept.vectors.items()
    }
    target = one.both.target[concept.rows, 0]
    found = {
        name: changes(lists, way, alphas, concept.items, target)
        for name, way in ways.items()
    }
    rows = np.flatnonzero(one.active[:, concept.null])
    rows = np.random.default_rng(concept.null).permutation(rows)[:most_cases]
    if len(rows):
        found[MATCHED] = changes(
            opened(one, rows),
            methods.Latents(one.sae, [concept.null], "scale"),
            alphas,
            concept.items,
            one.both.target[rows, 0],
        )
    return found


def opened(one: World, rows: np.ndarray):
    """The lists of some held-out cases."""
    return before(
        one.model, one.model.probe, one.both[torch.from_numpy(rows)]
    )


dose = [changed(main, one, ALPHAS) for one in tqdm(turned[keys[0]])]
WAYS = list(dose[0])


def over_concepts(way: str, what: str, found: list) -> np.ndarray:
    """The change of a quantity at each factor, a row a concept."""
    out = []
    for one in found:
        if way in one:
            value = getattr(one[way], what.removesuffix("20"))
            if what.startswith("share"):
                value = value[..., int(what == "share20")]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # all seen
                mean = np.nanmean(value, 1)
            out.append(mean[1:] - mean[0])
    return np.array([row for row in out if np.isfinite(row).all()])


def band(values: np.ndarray) -> statistics.Interval:
    """The mean over concepts and its interval."""
    rng = np.random.default_rng(0)
    return statistics.bootstrap_mean(values, rng, draws=draws)


# %% mystnb={"figure": {"caption": "A concept's latent times a factor, on cases where it is active, and six controls. All values are changes against the list as it is. Lines: means over concepts; bands: 95% intervals, bootstrap over concepts.", "name": "fig-tuning-dose"}, "image": {"alt": "Four panels over the factor: share of the concept's items in the top ten, their scores, NDCG and overlap. The latent's line is thick; a mark at factor 1, where all changes are zero."}}
PANELS = {
    "share": "Share of its items in the top 10",
    "score": "Score of its items, in SD",
    "ndcg": "NDCG@10",
    "overlap": "Overlap with the old top 10",
}
figures.by_factor(
    ALPHAS,
    {
        title: {way: band(over_concepts(way, what, dose)) for way in WAYS}
        for what, title in PANELS.items()
    },
    bold=OWN,
)

# %% [markdown]
# The same at the two ends. *Rank* is how far the concept's items rise against the others, as a share of the
# catalogue. **If the row of the latent is not clearly below (factor 0) and above (factor 5) the rows under it, then
# the latent is no better a handle than what stands there.** Watch the difference of means above all: it is one mean
# less another, and it takes no training.

# %%
rows = []
for way in WAYS:
    row = {"way": way}
    for alpha in (0.0, 5.0):
        for what in ("share", "share20", "score", "rank", "ndcg", "overlap"):
            value = over_concepts(way, what, dose)[:, ALPHAS.index(alpha)]
            row[f"{what}, factor {alpha:g}"] = value.mean()
    rows.append(row)
stood = np.mean([one[OWN].share[0, :, 0].mean() for one in dose])
print(f"share of a concept's items in the top 10 as it is: {stood:.3f}")
pd.DataFrame(rows).set_index("way").round(3)

# %% [markdown]
# Other seeds and recommenders, at factor 0: the change of the share in the top 10, with intervals over concepts.


# %%
def interval_text(values: np.ndarray) -> str:
    """Mean and interval."""
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*band(values))


away = {keys[0]: dose} | {
    key: [changed(worlds[key], one, [0.0]) for one in tqdm(turned[key])]
    for key in keys[1:]
}
pd.DataFrame(
    {
        f"{name}, seed {s}": {
            way: interval_text(over_concepts(way, "share", found)[:, 0])
            for way in WAYS
        }
        for (name, s), found in away.items()
    }
)

# %% [markdown]
# ## Where items have no names
#
# Amazon's products are numbers in our copy, so nothing can be described. A latent still has items: those recommended
# where it fires, ten of them by TF-IDF, read off the users who trained the autoencoder. Turned off for the *other*
# users, does it take these items away? They are not held out as above, the users are. So compare the ways with each
# other and not with the table above. (The planted world has words; there this is done without them.)


# %%
def unnamed(one: World) -> list[Concept]:
    """Latents with the items that are recommended where they fire."""
    code, top = concepts.codes(one.sae, one.told.h), one.told.top[:, 0]
    n = one.model.n_items
    chosen = sparse.csr_array(
        (np.ones(len(top)), (np.arange(len(top)), top)), shape=(len(top), n)
    )
    best = concepts.tfidf(code.T @ chosen)
    pool = np.flatnonzero(
        (one.active.sum(0) >= least_cases) & (np.diff(best.indptr) >= 10)
    )
    rng, out = np.random.default_rng(seed), []
    drawn = np.sort(rng.permutation(pool)[:concepts_most]).tolist()
    for j, null in zip(drawn, matched(one.z, drawn, [], rng), strict=True):
        span = slice(best.indptr[j], best.indptr[j + 1])
        items = np.zeros(n, bool)
        items[best.indices[span][np.argsort(-best.data[span])[:10]]] = True
        rows = rng.permutation(np.flatnonzero(one.active[:, j]))[:most_cases]
        mask, ways = torch.from_numpy(items), directions(one, j, items)
        out.append(Concept(j, "", mask, mask, np.sort(rows), null, ways))
    return out


blind = {}
for data in nameless:
    one = world(models[0], seed, data)
    drawn = tqdm(unnamed(one), desc=data)
    blind[data] = [changed(one, concept, [0.0]) for concept in drawn]
pd.DataFrame(
    {
        data: {
            way: interval_text(over_concepts(way, "share", found)[:, 0])
            for way in WAYS
        }
        for data, found in blind.items()
    }
)

# %% [markdown]
# ## Where it is silent
#
# A latent that is not active cannot be multiplied. The additive variant gives it a value on cases where it has none: a
# multiple of its mean where it is active. These are lists of people who did not show the concept. Beside it stand two
# directions of the same length.

# %% tags=["skip-verify"]
MULTIPLES = [0.0, 1.0, 2.0, 5.0]


def added(one: World, concept: Concept) -> dict:
    """What the additive variant does on cases where the latent is silent."""
    rng = np.random.default_rng(concept.latent)
    rows = rng.permutation(np.flatnonzero(~one.active[:, concept.latent]))
    rows = np.sort(rows[:most_cases])
    z = one.z[:, concept.latent]
    unit = torch.zeros(one.sae.m)
    unit[concept.latent] = z[z > 0].mean()
    own = methods.Latents(one.sae, [concept.latent], "add", unit)
    ways = {OWN: own} | {
        name: AsFar(own, vector, neutral=0.0)
        for name, vector in concept.vectors.items()
    }
    lists, target = opened(one, rows), one.both.target[rows, 0]
    return {
        name: changes(lists, way, MULTIPLES, concept.items, target)
        for name, way in ways.items()
    }


silent = [added(main, one) for one in tqdm(turned[keys[0]])]
rows = []
for way in silent[0]:
    for k in range(1, len(MULTIPLES)):
        share, ndcg, overlap = (
            over_concepts(way, what, silent)[:, k]
            for what in ("share", "ndcg", "overlap")
        )
        rows.append(
            {
                "way": way,
                "times its mean": MULTIPLES[k],
                "share in the top 10": interval_text(share),
                "NDCG@10": interval_text(ndcg),
                "overlap": overlap.mean().round(3),
            }
        )
pd.DataFrame(rows).set_index(["way", "times its mean"])

# %% [markdown]
# ## The price of a wish
#
# *Less of this, please*, or *more of it*: each factor reaches some share of the concept on the lists where it is
# active. Two other ways are now turned until they reach *the same share on the same lists*: a bonus on the scores of the
# concept's items (**re-ranking**, which touches no vector) and the **difference of means**. What is left to compare is
# what each one costs in NDCG@10, and how much of the old list it keeps.


# %% tags=["hide-input"]
def priced(one: World, concept: Concept, found: dict) -> list[dict]:
    """NDCG and overlap of three ways at the shares that the latent reaches."""
    lists, out = opened(one, concept.rows), []
    target = one.both.target[concept.rows, 0]
    spread = float(lists.scores.std())
    vector = concept.vectors["difference of means"]
    others = {
        "re-ranking": (methods.Rerank(concept.wanted), spread / 10),
        "difference of means": (methods.Direction(vector), 0.05),
    }

    def share(way: methods.Method, amount: float) -> float:
        with torch.no_grad():
            scores = way(lists, amount).masked_fill(lists.seen, -torch.inf)
        return float(concept.items[scores.topk(10).indices].float().mean())

    own = found[OWN]
    for k, alpha in enumerate(ALPHAS, start=1):
        if alpha == 1.0:
            continue
        wanted = float(own.share[k, :, 0].mean())
        row = {"factor": alpha, OWN: gist(own, k)}
        for name, (way, start) in others.items():
            solved = calibrate.solve(
                lambda amount, way=way: share(way, amount), wanted, start
            )
            there = changes(lists, way, [solved.dose], concept.items, target)
            row[name] = gist(there, 1)
        out.append(row)
    return out


def gist(found, k: int) -> tuple[float, float, float]:
    """Changes of share and NDCG, and the overlap, at one dose."""
    moved = found.share[k, :, 0] - found.share[0, :, 0]
    lost = found.ndcg[k] - found.ndcg[0]
    return moved.mean(), lost.mean(), found.overlap[k].mean()


prices = [
    priced(main, one, found)
    for one, found in zip(tqdm(turned[keys[0]]), dose, strict=True)
]

# %% mystnb={"figure": {"caption": "What a change of the share costs, at the shares that factors 0, .5, 2 and 5 reach. Each point is a mean over concepts; bands: 95% intervals, bootstrap over concepts.", "name": "fig-tuning-price"}, "image": {"alt": "Two panels over the change of the share: change of NDCG, and overlap with the old list. Three lines, the latent, re-ranking and the difference of means, meet at no change."}}
KINDS = [OWN, "re-ranking", "difference of means"]
table = np.array(
    [[[row[kind] for kind in KINDS] for row in one] for one in prices]
)  # concepts, factors, ways, quantities


def line(kind: int, what: int) -> tuple:
    """Share and a quantity with its interval; no change in the middle."""
    still = np.full((len(table), 1), float(what == 2))
    share = np.insert(table[:, :, kind, 0], 2, 0.0, axis=1).mean(0)
    value = np.insert(table[:, :, kind, what], [2], still, axis=1)
    return share, *band(value)


figures.pareto(
    {
        title: {kind: line(i, what) for i, kind in enumerate(KINDS)}
        for what, title in ((1, "Change of NDCG@10"), (2, "Overlap"))
    },
    xlabel="Change of the share in the top 10",
    ylabel="",
)

# %%
rows = []
for k, one in enumerate(prices[0]):
    for i, kind in enumerate(KINDS):
        share, ndcg, overlap = table[:, k, i].T
        rows.append(
            {
                "factor": one["factor"],
                "way": kind,
                "share": interval_text(share),
                "NDCG@10": interval_text(ndcg),
                "dearer than re-ranking": interval_text(
                    table[:, k, 1, 1] - ndcg
                ),
                "overlap": overlap.mean().round(3),
            }
        )
pd.DataFrame(rows).set_index(["factor", "way"])

# %% [markdown]
# ## Less popular lists
#
# Which latents go with popularity? For each case of the users who trained the autoencoder we take the mean popularity
# (logarithm of the count, standardised) of the ten best recommendations, and correlate it with every latent. Those
# that go with popularity are faded, $z (1 - t)$, off from $t = 1$ on; those that go against it are raised, $z (1 + t)$.
# The **long tail** are all items outside the head, the fewest items that hold 80% of the training interactions.
#
# Every way is turned on the `valid` cases until it loses 1% of NDCG@10. That dose is then scored on the `test` cases.
# Both are cases of users whom the autoencoder never saw; they are partly the same users.
#
# - **by effect**: as many latents as the middle number, chosen not by what they go with but by what they push: the mean
#   rise of the scores of the head less that of the tail when a latent is raised by its standard deviation.
# - **re-ranking**: the scores less a multiple of the item's popularity. It touches no vector.
# - **tail bonus**: the same number on the score of every item of the long tail, which is what is counted here.
# - **difference of means**: the mean of the fifth of the cases with the most popular lists less that of the others.
# - **matched latents**: as the middle number of latents, but random ones that fire as often and as strongly.

# %%
tail = bias.long_tail(count)
log_count = np.log(np.maximum(count, 1))
popularity = (log_count - log_count.mean()) / log_count.std()
taken = np.bincount(train.user, popularity[train.item], train.n_users)
taken /= np.maximum(np.bincount(train.user, minlength=train.n_users), 1)
r = correlation(main.z, popularity[main.told.top].mean(1))
r_taken = correlation(main.z, taken[main.told.user])
order = np.argsort(-np.abs(r), kind="stable")[:8]
print(f"the long tail: {tail.sum()} of {len(tail)} items")
pd.DataFrame(
    {
        "latent": order,
        "r with the lists' popularity": r[order],
        "r with the popularity of what the user took": r_taken[order],
        "active on": (main.z[:, order] > 0).float().mean(0).numpy(),
    }
).set_index("latent").round(3)

# %% tags=["hide-input"]
STEPS = [1.0, 0.5, 2.0, 4.0]  # multiples of the dose
NOTHING = {"as it is": (Bonus(torch.zeros(train.n_items)), [0.0])}


class Debiased(NamedTuple):
    """Every way at the dose that costs 1% of NDCG@10 on the valid cases."""

    at: dict[str, calibrate.Solution]
    on_valid: dict[str, float]  # rise of the share of the long tail there
    start: object  # the test cases as they are
    tested: dict[str, object]  # and at multiples of the dose

    def gain(self, name: str) -> np.ndarray:
        """The rise of the long tail's share on each test list."""
        old, new = (
            one.mean(tail * 1.0)[0] for one in (self.start, self.tested[name])
        )
        return new - old

    def loss(self, name: str, step: int = 0) -> float:
        """The relative loss of NDCG@10 on the test cases."""
        return ndcg_loss(self.start.ndcg[0], self.tested[name].ndcg[step])


def ndcg_loss(old: np.ndarray, new: np.ndarray) -> float:
    """Relative loss of the mean."""
    return float(1 - new.mean() / old.mean())


def effect(one: World) -> np.ndarray:
    """What a standard deviation of each latent does to head and tail."""
    some = before(one.model, one.model.probe, one.held["valid"][:1]).split
    h = some.h.clone().requires_grad_()
    scores = some.finish(h)[0]
    (scores[~tail].mean() - scores[tail].mean()).backward()
    return ((one.sae.W_dec @ h.grad[0]) * one.z.std(0)).detach().numpy()


def ways_to_tail(one: World, spread: float) -> dict[str, tuple]:
    """Every way and a small dose of it."""
    listed = popularity[one.told.top].mean(1)
    high = torch.from_numpy(listed >= np.quantile(listed, 0.8))
    means = methods.difference_of_means(one.told.h, high)
    r, pushes = correlation(one.z, listed), effect(one)
    order, strongest = (
        np.argsort(-np.abs(x), kind="stable") for x in (r, pushes)
    )

    def against(latents: list, like: np.ndarray) -> tuple:
        return methods.Latents(one.sae, latents, bias.against(like)), 0.25

    ways = {
        f"{j} latents": against(order[:j].tolist(), r[order[:j]])
        for j in popular
    }
    middle, push = order[: popular[1]], strongest[: popular[1]]
    ways["by effect"] = against(push.tolist(), pushes[push])
    bonus = -torch.from_numpy(popularity).float()
    ways["re-ranking"] = (Bonus(bonus), spread / 20)
    ways["tail bonus"] = (methods.Rerank(torch.from_numpy(tail)), spread / 20)
    ways["difference of means"] = (methods.Direction(-means), 0.05)
    for draw in range(random_draws):
        rng = np.random.default_rng([seed, draw])
        drawn = matched(one.z, middle.tolist(), [], rng)
        ways[f"matched {draw}"] = against(drawn, r[middle])
    return ways


def debiased(one: World, steps: list) -> Debiased:
    """Doses from the valid cases, lists from the test cases."""
    valid, sets = (
        before(one.model, one.model.probe, one.held["valid"]),
        one.held,
    )
    target, gain_at = (
        sets["valid"].target.numpy(),
        1 / np.log2(np.arange(2, 12)),
    )

    @torch.no_grad()
    def ten(way: methods.Method, amount: float) -> np.ndarray:
        scores = way(valid, amount).masked_fill_(valid.seen, -torch.inf)
        return scores.topk(10).indices.numpy()

    def ndcg(top: np.ndarray) -> np.ndarray:
        return ((top == target) * gain_at).sum(1)

    old = ten(NOTHING["as it is"][0], 0.0)
    ways, at = ways_to_tail(one, float(valid.scores.std())), {}
    for name, (way, small) in tqdm(ways.items(), desc="doses"):
        at[name] = calibrate.solve(
            lambda x, way=way: ndcg_loss(ndcg(old), ndcg(ten(way, x))),
            0.01,
            small,
            doublings=8,
        )
    doses = {
        name: (way, [step * at[name].dose for step in steps])
        for name, (way, _) in ways.items()
    }
    found = outcomes(
        one.model, one.model.probe, sets["test"], NOTHING | doses, 10
    )
    on_valid = {
        name: float(tail[ten(way, at[name].dose)].mean() - tail[old].mean())
        for name, (way, _) in ways.items()
    }
    return Debiased(at, on_valid, found.pop("as it is"), found)


lists_of = {
    key: debiased(worlds[key], STEPS if key == keys[0] else STEPS[:1])
    for key in keys
    if key[0] == models[0]
}

# %% [markdown]
# The dose that was found, and multiples of it, on the test cases. **A line that lies above another one (below it, for
# Gini's coefficient) buys more for the same loss.**

# %% mystnb={"figure": {"caption": "Less popular lists on test cases, against the loss of accuracy, first seed. The dashed line is a loss of 1%.", "name": "fig-tuning-tail"}, "image": {"alt": "Three panels over the loss of NDCG: the share of the long tail in the top ten, the coverage of the catalogue and Gini's coefficient, one line a way."}}
first = lists_of[keys[0]]


def curves(name: str) -> dict[str, tuple]:
    """Loss, and what was bought for it, from no loss on."""
    along = np.argsort(STEPS)
    tops = [first.start.top[0], *first.tested[name].top[along]]
    every = {
        "Long tail": [tail[top].mean() for top in tops],
        "Coverage": [len(np.unique(top)) / len(tail) for top in tops],
        "Gini": [bias.gini(top, len(tail)) for top in tops],
    }
    loss = [0.0, *(first.loss(name, step) for step in along)]
    return {title: (loss, value) for title, value in every.items()}


shown = [f"{j} latents" for j in popular]
shown += ["by effect", "re-ranking", "tail bonus", "matched 0"]
found = {name: curves(name) for name in shown}
titles = list(found[shown[0]])
figures.pareto(
    {title: {name: found[name][title] for name in shown} for title in titles},
    mark=dict.fromkeys(titles, 0.01),
    xlabel="Loss of NDCG@10",
    ylabel="",
    columns=3,
)

# %% [markdown]
# At the dose alone, over all seeds of recommender and autoencoder. **Look whether a seed changes the order**: the last
# columns have the gain of each seed. *More than re-ranking* is the gain less that of the better of the two re-rankings
# (the better one on the valid cases); its interval comes from resampling users and seeds.

# %%
users = main.held["test"].cases.user.numpy()
every = list(lists_of.values())


def over_users(values: np.ndarray) -> statistics.Interval:
    """The mean of [seeds, cases]; users and seeds are resampled."""
    rng, who = (
        np.random.default_rng(0),
        np.unique(users, return_inverse=True)[1],
    )
    sums = np.array([np.bincount(who, row) for row in values])
    size = np.bincount(who)
    drawn = statistics.resample_counts(len(size), draws, rng)
    means = (drawn @ sums.T) / (drawn @ size)[:, None]
    pick = rng.integers(0, len(values), (draws, len(values)))
    low, high = np.quantile(
        np.take_along_axis(means, pick, 1).mean(1), [0.025, 0.975]
    )
    return statistics.Interval(float(values.mean()), low, high)


def gain(name: str) -> np.ndarray:
    """The rise of the long tail's share, [seeds, cases]."""
    return np.array([one.gain(name) for one in every])


def valid_gain(name: str) -> float:
    """The same on the valid cases, mean over seeds."""
    return float(np.mean([one.on_valid[name] for one in every]))


best = max((f"{j} latents" for j in popular), key=valid_gain)
stronger = max(("re-ranking", "tail bonus"), key=valid_gain)
rows = []
for name in first.tested:
    rows.append(
        {
            "way": name,
            "loss on valid": np.mean([one.at[name].share for one in every]),
            "loss on test": np.mean([one.loss(name) for one in every]),
            "tail on valid": valid_gain(name),
            "tail on test": "{:+.4f} [{:+.4f}, {:+.4f}]".format(
                *over_users(gain(name))
            ),
            "more than re-ranking": "{:+.4f} [{:+.4f}, {:+.4f}]".format(
                *over_users(gain(name) - gain(stronger))
            ),
            "each seed": "  ".join(f"{x:+.4f}" for x in gain(name).mean(1)),
        }
    )
print(
    f"as it is: long tail {tail[first.start.top[0]].mean():.3f};",
    f"chosen on the valid cases: {best}, {stronger}",
)
pd.DataFrame(rows).set_index("way").round(4)

# %% [markdown]
# ## Gender
#
# MovieLens knows the gender of its users, and the recommender was never told. How well can one still guess it? A
# logistic probe, fitted to some of the test users and scored on others (five parts), reads either the vector that decides
# the user's next list, or the list itself (which of the items stand among the ten). The measure is the area under the
# ROC curve: .5 is a coin.
#
# The latents that correlate most with gender, on the users who trained the autoencoder, are switched off. Beside them
# stand random matched latents, and **one direction taken out**: every vector is set level along the difference of the
# two means. The probe is fitted anew after each change; it looks for whatever is left.
#
# *Gap* is the mean absolute difference, over genres, of the share of the lists of women and men.

# %% tags=["hide-input"]
FOLDS = StratifiedKFold(5, shuffle=True, random_state=seed)


def guessed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log-odds for each user by a probe fitted to others."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    return cross_val_predict(
        probe, x, y, cv=FOLDS, method="decision_function"
    )


def auc(score: np.ndarray, y: np.ndarray) -> statistics.Interval:
    """Area under the curve, interval over users."""
    rng, order = np.random.default_rng(0), np.argsort(score)
    drawn = statistics.resample_counts(len(y), draws, rng)
    weight = np.vstack([np.ones(len(y)), drawn])[:, order]
    yes, no = weight * y[order], weight * ~y[order]
    area = (yes * no.cumsum(1)).sum(1) / (yes.sum(1) * no.sum(1))
    return statistics.Interval(
        area[0], *np.quantile(area[1:], [0.025, 0.975])
    )


def last_lists() -> tuple[Sets, np.ndarray]:
    """The next list of every test user, and who they are."""
    last = instances(main.model, parts, parts.test_users, positions=1)
    whole = cases.together(parts)[0].histories()
    user = torch.from_numpy(last.user.astype(np.int64))
    history = torch.from_numpy(last.history.astype(np.int64))
    seen = cases.pad([whole[u] for u in last.user])
    return Sets(
        Cases(user, history), torch.zeros(len(user), 1).long(), seen
    ), last.user


def ways_about_gender(woman: np.ndarray) -> dict:
    """What is done to the vectors; each at a dose of 1, but the latents."""
    told = woman[main.told.user]
    r = correlation(main.z, told * 1.0)
    order = np.argsort(-np.abs(r), kind="stable")
    off = lambda js: (methods.Latents(main.sae, js, "scale"), [0.0])  # noqa: E731
    means = methods.difference_of_means(main.told.h, torch.from_numpy(told))
    ways = dict(NOTHING)
    for j in gendered:
        ways[f"{j} latents"] = off(order[:j].tolist())
    for draw in range(random_draws):
        rng = np.random.default_rng([seed, 1, draw])
        most = order[: gendered[-1]].tolist()
        ways[f"{gendered[-1]} matched, {draw}"] = off(
            matched(main.z, most, [], rng)
        )
    level = bias.Without(means, main.told.h.mean(0))
    return ways | {"direction taken out": (level, [1.0])}


def about_gender() -> dict[str, dict]:
    """What is left of gender after each change, and what it cost."""
    woman = (train.users["gender"] == "F").to_numpy()
    ways, (sets, users) = ways_about_gender(woman), last_lists()
    y, lists = woman[users], before(main.model, main.model.probe, sets)
    found = outcomes(main.model, main.model.probe, sets, ways, 10)
    cost = outcomes(main.model, main.model.probe, main.held["test"], ways, 10)
    out = {}
    for name, (way, (amount,)) in ways.items():
        with torch.no_grad():
            h = (
                way.rows(lists, amount)
                if name != "as it is"
                else lists.split.h
            )
        top = found[name].top[0]
        on_list = np.zeros((len(y), train.n_items), dtype=np.float32)
        np.put_along_axis(on_list, top, 1, axis=1)
        often = on_list.sum(0) >= 5
        share = found[name].mean(train.attributes)[0]
        out[name] = {
            "vector": auc(guessed(h.numpy(), y), y),
            "list": auc(guessed(on_list[:, often], y), y),
            "gap": np.abs(share[y].mean(0) - share[~y].mean(0)).mean(),
            "lost": ndcg_loss(first.start.ndcg[0], cost[name].ndcg[0]),
            "n": len(y),
        }
    return out


# %%
people = getattr(train, "users", None)
gender = about_gender() if people is not None and "gender" in people else {}
if not gender:
    print(
        "Nothing is known about the users of this world: no gender to guess."
    )
pd.DataFrame(
    {
        "way": name,
        "guessed from the vector": "{:.3f} [{:.3f}, {:.3f}]".format(
            *one["vector"]
        ),
        "guessed from the list": "{:.3f} [{:.3f}, {:.3f}]".format(
            *one["list"]
        ),
        "gap": round(one["gap"], 4),
        "loss of NDCG@10": round(one["lost"], 4),
    }
    for name, one in gender.items()
)

# %% [markdown]
# ## What to take away
#
# - **Is a latent with a description a handle?** In the first figure the thick line has to fall at factor 0 and rise at
#   5, where the random direction and the other latents stay level. Then the effect is the latent's, and not that of any
#   change.
# - **Is it the best handle?** Look whether the difference of means, which was moved equally far, does as much. **Where it
#   does, the autoencoder adds no power.** What it adds is that nobody had to say beforehand what to look for.
# - **What does it cost?** Look whether re-ranking reaches the same share at a smaller loss of NDCG and keeps more of the
#   list. Where it does, a service that knows the items of a concept has no need to edit vectors.
# - **Less popular lists?** Look whether the latents buy more of the long tail than matched ones, and than the better of
#   the two re-rankings, and whether the loss on the test cases is what it was on the valid ones. A latent that *goes
#   with* popularity need not be one that *makes* lists popular: compare the row "by effect".
# - **Is gender gone?** Look whether it can still be guessed when the latents that know most of it are off. **If the
#   curve is far from .5, nothing was removed**, whatever the gap between the lists says. And look whether taking out one
#   direction changes the guess from the vector, but not that from the list.

# %% tags=["hide-input"]
used = [f"{dataset}/{models[0]}", f"{dataset}/sae-{models[0]}"]
prefix = f"recsae/{models[0]}-{short}"
SLUGS = {
    OWN: "",
    BESIDE: "_control",
    "random direction": "_direction",
    "best neuron": "_neuron",
    "difference of means": "_difference-of-means",
    MATCHED: "_matched",
}
OF_CONCEPTS = "95%, bootstrap over concepts"


def ablation(name: str, way: str) -> Result:
    """The change of the share of a concept's items when its latent is off."""
    found = [
        over_concepts(way, "share", away[pair])[:, 0]
        for pair in keys
        if pair[0] == name
    ]
    value, low, high = band(np.concatenate(found))
    key = f"recsae/{name}-{short}/ablation_concept_share_change"
    return Result(
        value=value,
        low=low,
        high=high,
        interval=OF_CONCEPTS,
        unit="change of the share of the concept's items in the top 10",
        n=len(np.concatenate(found)),
        seeds=[s for other, s in keys if other == name],
        better="lower" if way == OWN else "none",
        against=f"{key}_control" if way == OWN else None,
        note=f"{way}, factor 0; only items that did not write the description",
        artifacts=[f"{dataset}/{name}", f"{dataset}/sae-{name}"],
    )


out = {
    f"recsae/{name}-{short}/ablation_concept_share_change{slug}": ablation(
        name, way
    )
    for name in models
    for way, slug in SLUGS.items()
}
for data in nameless:
    for way, slug in ((OWN, ""), (BESIDE, "_control")):
        values = over_concepts(way, "share", blind[data])[:, 0]
        value, low, high = band(values)
        key = f"recsae/{models[0]}-{data.removesuffix('-recsae')}"
        key += "/ablation_item_share_change"
        out[f"{key}{slug}"] = Result(
            value=value,
            low=low,
            high=high,
            interval=OF_CONCEPTS,
            unit="change of the share of the latent's items in the top 10",
            n=len(values),
            seeds=[seed],
            better="none" if slug else "lower",
            against=None if slug else f"{key}_control",
            note=f"{way}, factor 0; ten items by TF-IDF of other users' cases",
            artifacts=[f"{data}/{models[0]}", f"{data}/sae-{models[0]}"],
        )
for k, one in enumerate(prices[0]):
    for i, slug in enumerate(("sae", "rerank", "difference-of-means")):
        value, low, high = band(table[:, k, i, 1])
        key = f"{prefix}/tuning_ndcg_change_at_factor_{one['factor']:g}"
        out[f"{key}_{slug}"] = Result(
            value=value,
            low=low,
            high=high,
            interval=OF_CONCEPTS,
            unit="change of NDCG@10 at the share that the latent reaches",
            n=len(table),
            seeds=[seed],
            better="higher",
            against=f"{key}_rerank" if i == 0 else None,
            artifacts=used,
        )
tail_key = f"{prefix}/debias_longtail_gain_at_1pct_ndcg"
RERANKS = {"re-ranking": "_rerank", "tail bonus": "_tail-bonus"}


def bought(values: np.ndarray, slug: str, note: str) -> Result:
    """A gain of the long tail."""
    value, low, high = over_users(values)
    return Result(
        value=value,
        low=low,
        high=high,
        interval="95%, bootstrap over users and seeds",
        unit="rise of the share of the long tail in the top 10",
        n=len(users),
        seeds=seeds,
        better="higher",
        against=None if slug else tail_key + RERANKS[stronger],
        note=note,
        artifacts=used,
    )


for name, slug in {
    best: "",
    "by effect": "_by-effect",
    "difference of means": "_difference-of-means",
    **RERANKS,
}.items():
    price = np.mean([one.loss(name) for one in every])
    note = f"{name}; loss of NDCG@10 on these cases {price:+.4f}"
    out[f"{tail_key}{slug}"] = bought(gain(name), slug, note)
null = np.mean([gain(f"matched {draw}") for draw in range(random_draws)], 0)
out[f"{tail_key}_matched"] = bought(
    null, "_matched", f"{popular[1]} latents, mean of {random_draws} draws"
)
GENDER = {
    "as it is": "before",
    **{f"{j} latents": f"{j}-latents-off" for j in gendered},
    f"{gendered[-1]} matched, 0": f"{gendered[-1]}-matched-off",
    "direction taken out": "direction-taken-out",
}
for name, slug in GENDER.items():
    for source in ("vector", "list") if gender else ():
        value, low, high = gender[name][source]
        key = f"{prefix}/gender_probe_auc_{source}"
        out[f"{key}_{slug}"] = Result(
            value=value,
            low=low,
            high=high,
            interval="95%, bootstrap over users",
            unit="area under the ROC curve",
            n=gender[name]["n"],
            seeds=[seed],
            better="none" if slug == "before" else "lower",
            against=f"{key}_direction-taken-out"
            if "latents" in slug
            else None,
            note=f"loss of NDCG@10 {gender[name]['lost']:+.4f}",
            artifacts=used,
        )
results.write("24_tuning", out)
