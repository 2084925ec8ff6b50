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
# # Is a neuron about one thing?
#
# A neuron is *monosemantic* if it stands for one thing. The paper of this chapter (arXiv 2511.18024) shows it so: take
# the ten items on which a neuron of the autoencoder is strongest, and look at their genres. If nine of them are
# comedies, the *purity@10* of that neuron for Comedy is .9. The paper reports neurons of purity 1 for Comedy and Horror
# on MovieLens, and for Metal, Electronic and Folk on Last.FM.
#
# Two things make such a number larger than it should be.
#
# - **Choosing.** With 22 neurons and 18 genres there are 396 purities. The best of many is high, whatever they are.
# - **No comparison.** The vectors themselves know genres: users who like one comedy like others. Any set of directions
#   through such vectors finds some of that.
#
# So we ask: are the neurons of this autoencoder about one thing, *more than what trivial alternatives give*?
#
# | dictionary | what it is |
# |---|---|
# | SAE | the paper's setting; beside it the same without the prediction-aware term (beta 0) |
# | SAE, searched | the best setting that a search on half of the items found |
# | raw, rotation | the dimensions of the vectors, or of a random rotation of them, both signs |
# | PCA, ICA | axes of high variance, axes of heavy tails; both signs |
# | NMF, k-means | parts that only add; centres of groups, as many as the SAE has neurons |
# | random, data rows | as many random directions, or vectors of the data, behind a ReLU at the SAE's L0 |
# | untrained | the SAE before its first step |
# | probe | a least-squares direction a genre, told the genres of the half that chooses: the ceiling |

# %% tags=["parameters"]
datasets: list = ["planted-hidden"]
models: list = ["mf", "ncf"]
seeds: list = [0, 1]  # of the autoencoders; they read one recommender
draws: int = 2  # of each dictionary that is drawn at random
ks: list = [
    10,
    20,
    50,
]  # top items that are looked at; the first is the main one
splits: int = 6  # random halves of the items
permutations: int = 100
era_top: int = 50  # top items whose years are counted
fidelity_users: int = 150
search_seed: int = (
    12345  # of the half of the items on which settings were searched
)

# %% tags=["hide-input"]
import warnings
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from tqdm import tqdm

from recsae_book import artifacts, figures, recipes, results
from recsae_book.results import Result
from recsae_core.interpret import dictionaries, purity, statistics
from recsae_core.recommenders import cases, ranking
from recsae_core.sae import SAE, metrics

figures.style.DPI = 100  # large tables of small numbers: the page stays light
# NMF is taken as it is after 400 steps
warnings.filterwarnings("ignore", "Maximum number of iterations")

# %% [markdown]
# ## The vectors and the dictionaries
#
# Every dictionary is fitted on what the autoencoder was trained on: the vectors of the *sae* users and of all items.
# Purity asks about the items alone.


# %% tags=["hide-input"]
class World(NamedTuple):
    """A recommender of a dataset: its item vectors and their labels."""

    name: str
    model: torch.nn.Module
    parts: object
    rows: torch.Tensor  # of the sae users, then of the items
    items: torch.Tensor
    popularity: np.ndarray  # users who took an item
    labels: np.ndarray
    names: tuple
    halves: np.ndarray  # marked items choose, the others score


def world(dataset: str, name: str) -> World:
    """Load a recommender and take its vectors."""
    model, parts = (
        artifacts.get(f"{dataset}/{name}", seed=0),
        artifacts.parts(dataset),
    )
    users = torch.from_numpy(parts.sae_users.astype(np.int64))
    p, q = model.P.detach(), model.Q.detach()
    count = np.bincount(parts.train.item, minlength=parts.train.n_items)
    labels, names = parts.train.attributes, parts.train.attribute_names
    rng = np.random.default_rng(0)
    halves = statistics.item_halves(count, splits, rng)
    rows = torch.cat([p[users], q])
    return World(name, model, parts, rows, q, count, labels, names, halves)


def titled(key: tuple) -> str:
    """A recommender and its data, as a title."""
    return f"{key[1].upper()}, {key[0].removesuffix('-hidden')}"


worlds = {
    (dataset, name): world(dataset, name)
    for dataset in datasets
    for name in models
}


# %% tags=["hide-input"]
def trained(key: tuple, seed: int, kind: str = "SAE") -> SAE:
    """The autoencoder in the paper's setting, without its prediction-aware term, or in the searched setting."""
    dataset, name = key
    if kind == "SAE, searched":
        return artifacts.get(f"{dataset}/sae-best-{name}", seed=seed)
    recipe = f"{dataset}/sae-{name}"
    terms = recipes.recipe(recipe).merged()["terms"]
    term = next(term for term in terms if term.startswith("prediction"))
    beta = {"SAE": terms[term], "SAE, beta 0": 0.0}[kind]
    return artifacts.get(recipe, seed=seed, terms={term: beta})


def dictionaries_of(key: tuple) -> dict:
    """Name -> dictionaries of that kind; the nulls have the size and the L0 of the paper's SAE."""
    x, g = worlds[key].rows, torch.Generator().manual_seed(0)
    found = {
        kind: [trained(key, seed, kind) for seed in seeds]
        for kind in ("SAE", "SAE, beta 0", "SAE, searched")
    }
    sae = found["SAE"][0]
    m, l0 = sae.m, metrics.reconstruction(sae, x).l0
    fresh = SAE(sae.config, g).prepare(x)
    native = metrics.reconstruction(fresh, x).l0
    drawn = {
        "rotation": lambda: dictionaries.rotation(x, g),
        "k-means": lambda: dictionaries.kmeans(x, m, l0, g),
        "random": lambda: dictionaries.random_relu(x, m, l0, g),
        "data rows": lambda: dictionaries.data_rows(x, m, l0, g),
    }
    return found | {
        "raw": [dictionaries.neurons(x)],
        "PCA": [dictionaries.pca(x)],
        "ICA": [dictionaries.ica(x)],
        "NMF": [dictionaries.nmf(x, m, rows=3000)],
        "untrained": [dictionaries.untrained(fresh, x, min(l0, native))],
        **{
            kind: [make() for _ in range(draws)]
            for kind, make in drawn.items()
        },
    }


# %% [markdown]
# ## Measured three ways
#
# - **In sample**, the paper's rule: for each genre the highest purity of any neuron, on all items.
# - **Held out**: the items are cut in two halves, alike in popularity. The neuron of each genre is chosen on one half,
#   its purity is that of the top K items *of the other half*. That is about as hard as 2 K of the whole catalogue.
# - **One to one**: as held out, but no neuron may serve two genres.
#
# An item on which a neuron is silent is none of its top items: a neuron with four active items has a purity@10 of .4
# at most. (The authors' code fills the list up with the first items of the catalogue.)


# %% tags=["hide-input"]
class Measured(NamedTuple):
    """What one dictionary shows of the items; the last axis is the genre."""

    m: int
    l0: float  # active neurons an item
    held: np.ndarray  # [k, a]
    lift: np.ndarray  # held, over the share of the genre
    matched: np.ndarray  # [k, a], one to one
    sample: np.ndarray  # [k, a], the paper's rule
    perfect: int  # genres whose in-sample purity is 1 at the first K
    precision: np.ndarray  # average precision of the chosen neuron, held out
    significant: float  # neurons that survive the test, mean over splits
    alike: float  # the paper's monosemanticity score
    labels_alike: float  # the same of the labels, above chance


def code(w: World, dictionary) -> np.ndarray:
    """Activations of the items, [i, m]."""
    with torch.no_grad():
        return dictionary.encode(w.items).dense().numpy()


def average_precision(w: World, z: np.ndarray, latents: np.ndarray):
    """Mean over a few splits: that of each genre's neuron among the items that did not choose it."""
    some = zip(latents[:3], w.halves[:3], strict=True)
    found = [
        purity.average_precision(z[~half][:, j], w.labels[~half])
        for j, half in some
    ]
    return np.nanmean(found, 0)


def measure(w: World, z: np.ndarray) -> Measured:
    """All of it, for one dictionary's code of the items."""
    labels, top = w.labels, purity.top(z, max(ks))
    found = purity.held_out(z, labels, w.halves, ks)
    tested = purity.labelled(z, labels, w.halves[:3], ks[0])
    base = np.maximum(found.base, 1 / len(labels))
    sample = [purity.purity(top[:, :k], labels).max(0) for k in ks]
    return Measured(
        z.shape[1],
        float((z > 0).sum(1).mean()),
        found.held_out.mean(1),
        (found.held_out / base).mean(1),
        found.one_to_one.mean(1),
        np.array(sample),
        int((sample[0] == 1).sum()),
        average_precision(w, z, found.latents[0]),
        float((tested.q < 0.05).sum(1).mean()),
        float(purity.monosemanticity(z, w.items.numpy()).mean()),
        float(
            purity.monosemanticity(
                z, labels.astype(float), above_chance=True
            ).mean()
        ),
    )


def probe_purity(w: World, fit: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Purity, on some items, of directions fitted to the labels of others, [k, a]."""
    y = torch.from_numpy(w.labels).float()
    slope, bias = dictionaries.least_squares(w.items[fit], y[fit])
    top = purity.top((w.items @ slope + bias).numpy(), max(ks), scored)
    found = [purity.purity(top[:, :k], w.labels) for k in ks]
    return np.array([one.diagonal() for one in found])


# %%
measured, probes = {}, {}
for key, w in worlds.items():
    held = [probe_purity(w, half, ~half) for half in w.halves]
    probes[key] = np.mean(held, 0)
firsts, codes = {}, {}  # the first dictionary of each kind
for key, w in tqdm(worlds.items(), desc="recommenders"):
    for kind, found in dictionaries_of(key).items():
        z = [code(w, one) for one in found]
        measured[key, kind] = [measure(w, one) for one in z]
        firsts[key, kind], codes[key, kind] = found[0], z[0]
kinds = list(dict.fromkeys(kind for _, kind in measured))
nulls = [kind for kind in kinds if not kind.startswith("SAE")]


def mean_of(key: tuple, kind: str, field: str) -> np.ndarray:
    """Mean over the dictionaries of a kind: seeds, or draws."""
    return np.mean([getattr(one, field) for one in measured[key, kind]], 0)


# %% [markdown]
# ## (a) The paper's table
#
# First as the paper does it: the best neuron of each genre, chosen and scored on all items. Beside the SAE stand two
# alternatives without any training to be monosemantic, and what *shuffled labels* give: the same neurons, with the
# genres dealt out anew to the items. The largest of so many purities is far above the share of a genre even then.
#
# **What to look for.** The distance of the SAE from ICA and from random directions, not from zero.

# %% mystnb={"figure": {"caption": "In-sample purity@10: the best neuron of each genre, most frequent genre first. 'Shuffled' is the mean over permutations of the genres over the items.", "name": "fig-purity-in-sample"}, "image": {"alt": "A row of marks for each genre. The SAE and ICA are near 1 for frequent genres; random directions follow; shuffled labels are far to the left and fall with the frequency of the genre."}}
main = (datasets[0], models[0])
shuffled = {
    key: np.mean(
        [
            purity.permuted_maxima(
                purity.top(codes[key, "SAE"], k),
                w.labels,
                permutations,
                np.random.default_rng(0),
            )
            for k in ks[:1]
        ],
        axis=(0, 1),
    )
    for key, w in worlds.items()
}
order = np.argsort(-worlds[main].labels.mean(0), kind="stable")[:30]
shown = ["SAE", "ICA", "random"]
best_of = [mean_of(main, kind, "sample")[0][order] for kind in shown]
best_of = [*best_of, shuffled[main][order]]
figures.compare_bars(
    best_of,
    [worlds[main].names[a] for a in order],
    [*shown, "shuffled"],
    low=best_of,  # side by side, though there is no interval
    high=best_of,
    xlabel=f"Largest purity@{ks[0]} of a neuron, in sample",
)


# %% [markdown]
# The claims of the paper's text, where we know them, with every dictionary's in-sample purity beside them. (On Last.FM
# the paper used another collection, so that only the kind of claim can be compared.)


# %%
def claims(key: tuple) -> dict:
    """Genre -> purity that the paper states, for MF alone."""
    known = artifacts.reference(
        "monosemantic", key[0].removesuffix("-hidden")
    )
    stated = known.get("purity", {}) if key[1] == "mf" else {}
    return {
        genre: value
        for genre, value in stated.items()
        if genre in worlds[key].names
    }


claimed = [
    {"data": titled(key), "genre": genre, "K": k, "paper": value}
    | {
        kind: mean_of(key, kind, "sample")[i][worlds[key].names.index(genre)]
        for kind in ("SAE", "SAE, beta 0", *nulls)
    }
    for key in worlds
    for genre, value in claims(key).items()
    for i, k in enumerate(ks)
]
pd.DataFrame(claimed).round(
    2
) if claimed else "no claim is known of this world"

# %%
pd.DataFrame(
    {
        titled(key): {
            kind: np.mean([one.perfect for one in measured[key, kind]])
            for kind in kinds
        }
        for key in worlds
    }
).rename_axis(f"genres with purity@{ks[0]} of 1, in sample")

# %% [markdown]
# ## (b) Held out, beside everything else
#
# Now the neuron is chosen on half of the items. The best number of each row is bold, the probe left aside.
#
# **What to look for.** Whether the bold numbers stand in the first columns, those of the autoencoders.


# %% mystnb={"figure": {"caption": "Held-out purity@10 of each genre's neuron, mean over splits and seeds; most frequent genre first. Nulls have the size and the L0 of the first column.", "name": "fig-purity-heatmap"}, "image": {"alt": "A heatmap of genres and dictionaries. Frequent genres have dark cells in most columns; the probe's column is the darkest."}}
def heatmap(key: tuple):
    """Genres and dictionaries of one recommender."""
    order = np.argsort(-worlds[key].labels.mean(0), kind="stable")
    columns = [mean_of(key, kind, "held")[0][order] for kind in kinds]
    return figures.purity_heatmap(
        np.array([*columns, probes[key][0][order]]).T,
        [worlds[key].names[a] for a in order],
        [*kinds, "probe"],
        label=f"Purity@{ks[0]}, held out",
    )


heatmap(main)


# %% tags=["hide-input", "skip-verify"] mystnb={"image": {"alt": "Heatmaps of the other recommenders, in the manner of the one above: dark cells in the rows of frequent genres, and in the column of the probe."}}
for key in list(worlds)[1:]:
    display(Markdown(f"{titled(key)}:"), heatmap(key))


# %%
def over_genres(values: np.ndarray) -> statistics.Interval:
    """Mean over genres with an interval: bootstrap over genres."""
    return statistics.bootstrap_mean(values, np.random.default_rng(0))


def summary(key: tuple) -> pd.DataFrame:
    """Means over genres of everything, a row a dictionary."""
    rows = {}
    for kind in kinds:
        one = measured[key, kind][0]
        rows[kind] = {"m": one.m, "L0": one.l0}
        for i, k in enumerate(ks):
            rows[kind][f"held out @{k}"] = mean_of(key, kind, "held")[i]
        rows[kind] |= {
            f"lift @{ks[0]}": mean_of(key, kind, "lift")[0],
            "average precision": mean_of(key, kind, "precision"),
            f"one to one @{ks[0]}": mean_of(key, kind, "matched")[0],
            f"in sample @{ks[0]}": mean_of(key, kind, "sample")[0],
        }
    rows["probe"] = {
        f"held out @{k}": probes[key][i] for i, k in enumerate(ks)
    }
    table = pd.DataFrame(rows).T
    return table.map(lambda v: pd.Series(v, dtype=float).mean()).round(3)


summary(main)

# %% tags=["hide-input"]
for key in list(worlds)[1:]:
    display(Markdown(f"{titled(key)}:"), summary(key))

# %% mystnb={"figure": {"caption": "Mean over genres of the held-out purity@10. Lines are 95% intervals, bootstrap over genres.", "name": "fig-purity-means"}, "image": {"alt": "One bar a dictionary with its interval. The intervals overlap widely."}}
spread = [over_genres(mean_of(main, kind, "held")[0]) for kind in kinds]
spread.append(over_genres(probes[main][0]))
figures.mean_bars(
    [one.value for one in spread],
    [*kinds, "probe"],
    low=[one.low for one in spread],
    high=[one.high for one in spread],
    xlabel=f"Held-out purity@{ks[0]}, mean over genres",
)


# %% [markdown]
# The intervals are wide because genres differ: all dictionaries do well on frequent ones. What matters is the
# *difference* on the same genres. The sentences below are written by the numbers.


# %%
def strongest(key: tuple) -> str:
    """The null with the highest held-out purity."""
    return max(nulls, key=lambda kind: mean_of(key, kind, "held")[0].mean())


def compared(key: tuple, kind: str, other: str) -> str:
    """Which of two has the higher held-out purity, genre by genre, in words."""
    gap = mean_of(key, kind, "held")[0] - mean_of(key, other, "held")[0]
    value, low, high = over_genres(gap)
    text = "not told apart"
    if low > 0:
        text = f"**{kind} is purer**"
    if high < 0:
        text = f"**{other} is purer**"
    return f"{kind} less {other}: {value:+.3f} ({low:+.3f} to {high:+.3f}), {text}"


Markdown(
    "\n".join(
        f"- {titled(key)}: {compared(key, kind, strongest(key))}"
        for key in worlds
        for kind in ("SAE", "SAE, beta 0", "SAE, searched")
    )
)

# %% [markdown]
# ## (c) How many neurons are about anything?
#
# A test for every neuron: its label is the genre that is most surprising among its top ten on one half of the items,
# and the test asks on the other half how often as many items of that genre would come up *by chance*. The exact law
# is hypergeometric. With many neurons some pass by luck; the correction of Benjamini and Hochberg keeps the expected
# share of such at one in twenty.
#
# **What to look for.** The share for *random directions*. If it is as high as the SAE's, then to be significant is
# not to be monosemantic: it only says that the vectors know genres.

# %%
pd.DataFrame(
    {
        titled(key): {
            kind: f"{mean_of(key, kind, 'significant'):.1f} of {measured[key, kind][0].m}"
            for kind in kinds
        }
        for key in worlds
    }
).rename_axis("neurons that survive at 5%")

# %% [markdown]
# ## (d) One neuron a genre
#
# A neuron that is pure for Children's is often pure for Animation. Under *one to one* it may count once. What a
# dictionary loses by that says how many genres share their neurons; the table in (b) has the column. Here is the loss.

# %%
pd.DataFrame(
    {
        titled(key): {
            kind: (
                mean_of(key, kind, "held")[0]
                - mean_of(key, kind, "matched")[0]
            ).mean()
            for kind in kinds
        }
        for key in worlds
    }
).rename_axis("purity lost when no neuron serves two genres").round(3)

# %% [markdown]
# ## (e) Neurons of popularity and of eras
#
# The paper also names a *popularity neuron*: the one whose top items are the most popular on average. One neuron of a
# dictionary has to be the lowest, so again we look at what others give. The rank counts from 0 (most popular) and is
# given as a share of the catalogue: .5 is no preference. The second number asks about users. Those whose items are the
# most popular tenth of all users are compared with those whose items are the least popular tenth, in standard
# deviations of the neuron (Cohen's d).


# %%
def popularity(key: tuple, kind: str) -> dict:
    """The neuron with the most popular top items, and how it tells users apart."""
    w, z = worlds[key], codes[key, kind]
    rank = np.empty(len(w.popularity))
    rank[np.argsort(-w.popularity, kind="stable")] = np.arange(len(rank))
    found = purity.top(z, min(500, len(rank) // 6))
    share = np.where(found >= 0, rank[found] / len(rank), np.nan)
    enough = (found >= 0).sum(1) >= 10
    mean = np.where(enough, np.nansum(share, 1), np.inf)
    mean = mean / np.maximum((found >= 0).sum(1), 1)
    best = int(mean.argmin())
    taken, user = w.parts.train.item, w.parts.train.user
    taste = np.bincount(user, weights=rank[taken]) / np.bincount(user)
    low, high = np.quantile(taste, [0.1, 0.9])
    vectors = w.model.P.detach()
    with torch.no_grad():
        fans, others = (
            firsts[key, kind].encode(vectors[marked]).dense().numpy()
            for marked in (taste <= low, taste >= high)
        )
    return {
        "mean rank": mean[best],
        "Cohen's d": purity.cohens_d(fans, others)[best],
        "largest |d|": np.abs(purity.cohens_d(fans, others)).max(),
    }


# %%
pd.concat(
    {
        titled(key): pd.DataFrame(
            {kind: popularity(key, kind) for kind in kinds}
        ).T
        for key in worlds
    },
    axis=1,
).round(2)

# %% [markdown]
# **Look whether the random directions' most popular neuron is about as popular as the SAE's.** Popularity is a main
# direction of such vectors, and many directions have some of it.
#
# Where the items have a year we ask the same of decades. For each decade the neuron whose top items are most
# surprisingly often from it is chosen on half of the items; the bars are its top items of the other half.


# %%
def eras(w: World) -> tuple:
    """Which decade each item is from, the rare early ones together; None without years."""
    if "year" not in w.parts.train.items:
        return None, []
    decade = w.parts.train.items["year"].to_numpy() // 10 * 10
    first = np.sort(decade)[len(decade) // 10]
    decade = np.maximum(decade, first)
    found = np.unique(decade)
    texts = [f"{year:.0f}s" for year in found]
    return decade[:, None] == found, [f"to {texts[0]}", *texts[1:]]


def era_neurons(key: tuple, kind: str) -> pd.DataFrame:
    """Each decade's neuron: its number, and the shares of its top items held out."""
    w, z = worlds[key], codes[key, kind]
    marks, texts = eras(w)
    half = w.halves[0]
    chosen = purity.enrichment(purity.top(z, era_top, half), marks, half)
    best = chosen.argmin(0)
    rest = purity.top(z[:, best], era_top, ~half)
    share = purity.purity(rest, marks)
    table = pd.DataFrame(
        share / np.maximum(share.sum(1, keepdims=True), 1e-9), columns=texts
    )
    return table.assign(neuron=best, decade=texts, share=share.diagonal())


# %% mystnb={"figure": {"caption": "Decades of the top items of each decade's neuron, on the half of the items that did not choose it; first bar: all items.", "name": "fig-purity-eras"}, "image": {"alt": "Stacked bars of decades: one for all items, then one for each decade's neuron."}}
marks, texts = eras(worlds[main])
if marks is None:
    drawn_eras = "no years"
else:
    table = era_neurons(main, "SAE")
    table = table[table[texts].sum(axis=1) > 0]
    drawn_eras = figures.stacked_shares(
        np.vstack([marks.mean(0), table[texts]]),
        [
            "all items",
            *(
                f"{row.decade}: neuron {row.neuron}"
                for row in table.itertuples()
            ),
        ],
        texts,
        xlabel=f"Share of decades among the top {era_top} items, held out",
        ylabel="",
    )
drawn_eras

# %% [markdown]
# The same for every dictionary: the share of its decade among the top items of each decade's neuron, held out, and how
# many neurons survive the test of (c) with decades in the place of genres.


# %%
def era_row(kind: str) -> dict:
    """A dictionary's shares of each decade, and its neurons that are about a decade."""
    w, z = worlds[main], codes[main, kind]
    found = purity.labelled(z, marks, w.halves[:1], era_top)
    share = era_neurons(main, kind).set_index("decade")["share"].to_dict()
    survive = f"{(found.q < 0.05).sum()} of {z.shape[1]}"
    share["mean"] = np.mean(list(share.values()))
    return {k: round(v, 2) for k, v in share.items()} | {"5%": survive}


pd.DataFrame(
    {kind: era_row(kind) for kind in kinds} if marks is not None else {}
).T

# %% [markdown]
# ## (f) The paper's score, and a score that asks for meaning
#
# The paper's *monosemanticity score* takes the thirty strongest items of a neuron and asks how alike their *vectors*
# are, by the mean cosine of all pairs, weighted by activation. Any neuron that points at a crowd of neighbouring
# vectors scores high: whether the crowd has anything in common for a person, it does not ask. The same formula with the
# genres in the place of the vectors does, less the likeness of items drawn at random.
#
# **What to look for.** Whether k-means, which does nothing but find crowds, is as far to the right as the SAE; and
# whether those on the right are also those on top.

# %% mystnb={"figure": {"caption": "The paper's monosemanticity score (across) and the same of the genres, above chance (up). Means over all neurons of a dictionary, those that never fire included. Filled: autoencoders.", "name": "fig-purity-scores"}, "image": {"alt": "A panel a recommender, a mark a dictionary. Dictionaries further to the right are mostly also further up."}}
figures.two_measures(
    {
        titled(key): {
            kind: (
                float(mean_of(key, kind, "alike")),
                float(mean_of(key, kind, "labels_alike")),
            )
            for kind in kinds
        }
        for key in worlds
    },
    "Monosemanticity score: mean cosine of vectors",
    "Mean cosine of genres, above chance",
    bold=[kind for kind in kinds if kind.startswith("SAE")],
)


# %%
def seen_by_the_score(key: tuple) -> str:
    """Does the paper's score of the SAE exceed that of k-means, in words."""
    sae, other = (mean_of(key, kind, "alike") for kind in ("SAE", "k-means"))
    rank = pd.Series(
        {kind: mean_of(key, kind, "alike") for kind in kinds}
    ).corr(
        pd.Series(
            {kind: mean_of(key, kind, "labels_alike") for kind in kinds}
        ),
        method="spearman",
    )
    text = (
        "**k-means scores as high or higher: the score sees crowds**"
        if other >= sae
        else "the SAE scores higher than k-means"
    )
    return (
        f"- {titled(key)}: SAE {sae:.2f}, k-means {other:.2f}; {text}. Rank correlation of the two scores over "
        f"dictionaries: {rank:.2f}."
    )


Markdown("\n".join(seen_by_the_score(key) for key in worlds))

# %% [markdown]
# ## (g) Can a better setting do it?
#
# The paper's setting need not be the best. A search went through TopK, BatchTopK, L1 and KL, 1.1 to 8 latents a
# dimension, with and without the norm of each row and the prediction-aware term. It saw the labels of *half of the
# items* only, and hidden items of the *sae* users only. Its choice ("SAE, searched") is now judged where it had no say:
# the neuron of each genre is chosen on that half, its purity is that of the other half; and how much of the
# recommender is left is measured on the test users.
#
# A code that is allowed more active neurons is more faithful for that alone. So ICA is cut to the searched SAE's L0 by
# one threshold, with the best linear decoder for what is left; k-means, data rows and random directions have the
# searched SAE's size and L0. One radius for all centres leaves a small centre without items at such an L0, so k-means
# stands there a second time with a quarter of all neurons active ("dense").


# %% tags=["hide-input"]
def sparse(dictionary, x: torch.Tensor, l0: float):
    """Another dictionary cut to an L0, with the decoder that fits what is left best."""
    cut = dictionaries.untrained(dictionary, x, l0)
    values = cut.encode(x).dense()
    return dictionaries.Mapped(
        lambda h: cut.encode(h).dense(),
        *dictionaries.least_squares(values, x),
    )


def hidden_users(w: World) -> tuple:
    """Test users with their hidden items, and the model stopped at all vectors."""
    users = np.sort(w.parts.test_users)[:fidelity_users]
    sets = cases.hidden_sets(w.parts.train, w.parts.test, users)
    return sets, w.model.before("user+item", sets.cases)


def ndcg(w: World, sets, split, dictionary=None) -> np.ndarray:
    """NDCG@10 of each user with all vectors replaced by their copies."""
    with torch.no_grad():
        h = split.h
        if dictionary is not None:
            h = dictionary.decode(dictionary.encode(h))
        scores = split.finish(h)
    found = ranking.evaluate_sets(
        lambda _: scores, sets, ks=(10,), batch=len(sets)
    )
    return found["ndcg@10"]


def rivals(key: tuple) -> dict:
    """The searched SAEs, and the others at their L0."""
    w, g = worlds[key], torch.Generator().manual_seed(1)
    best = [trained(key, seed, "SAE, searched") for seed in seeds]
    m, l0 = best[0].m, metrics.reconstruction(best[0], w.rows).l0
    null = {
        "k-means": dictionaries.kmeans,
        "data rows": dictionaries.data_rows,
        "random": dictionaries.random_relu,
    }
    return {
        "SAE, searched": best,
        "SAE": [trained(key, seed) for seed in seeds],
        "SAE, beta 0": [trained(key, seed, "SAE, beta 0") for seed in seeds],
        "ICA": [sparse(firsts[key, "ICA"], w.rows, l0)],
        **{
            f"{kind}, as large": [make(w.rows, m, l0, g)]
            for kind, make in null.items()
        },
        "k-means, dense": [dictionaries.kmeans(w.rows, m, m / 4, g)],
    }


# %% tags=["hide-input"]
judged = {}
for key, w in tqdm(worlds.items(), desc="recommenders"):
    half = statistics.item_halves(
        w.popularity, 1, np.random.default_rng(search_seed)
    )
    sets, split = hidden_users(w)
    whole = ndcg(w, sets, split)
    for kind, found in rivals(key).items():
        pure = [
            purity.held_out(code(w, one), w.labels, half, ks).held_out[0, 0]
            for one in found
        ]
        left = [ndcg(w, sets, split, one) for one in found[:2]]
        l0 = metrics.reconstruction(found[0], w.rows).l0
        judged[key, kind] = (
            np.mean(pure, 0),
            np.mean(left, 0),
            whole,
            found[0].m,
            l0,
        )


def recovered(key: tuple, kind: str) -> float:
    """NDCG with copies over NDCG without."""
    return judged[key, kind][1].mean() / judged[key, kind][2].mean()


pd.DataFrame(
    [
        {
            "data": titled(key),
            "dictionary": kind,
            "m": m,
            "L0": l0,
            f"purity@{ks[0]}, other half": pure.mean(),
            "recovered NDCG@10": recovered(key, kind),
        }
        for (key, kind), (pure, left, whole, m, l0) in judged.items()
    ]
).round(3)

# %% mystnb={"figure": {"caption": "Purity on the items that the search did not see, and NDCG@10 that is left of the recommender on test users. Filled: autoencoders.", "name": "fig-purity-search"}, "image": {"alt": "A panel a recommender. The autoencoders lie high, the others lower; k-means lies far to the right."}}
contenders = list(dict.fromkeys(kind for _, kind in judged))
figures.two_measures(
    {
        titled(key): {
            kind: (
                float(judged[key, kind][0].mean()),
                float(recovered(key, kind)),
            )
            for kind in contenders
        }
        for key in worlds
    },
    f"Purity@{ks[0]} on the other half of the items",
    "Recovered NDCG@10",
    bold=[kind for kind in contenders if kind.startswith("SAE")],
)


# %%
def verdict(key: tuple, other: str) -> str:
    """Does the searched SAE beat another dictionary on purity and on fidelity, in words, by the intervals."""
    mine, theirs = judged[key, "SAE, searched"], judged[key, other]
    pure = over_genres(mine[0] - theirs[0])
    left = over_genres((mine[1] - theirs[1]) / mine[2].mean())
    won = [one.low > 0 for one in (pure, left)]
    lost = [one.high < 0 for one in (pure, left)]
    text = "**not told apart**"
    if all(won):
        text = "**beaten on both**"
    elif any(won) and not any(lost):
        text = f"**beaten on {'purity' if won[0] else 'fidelity'} only**"
    elif any(lost):
        text = (
            f"**not beaten: better on {'purity' if lost[0] else 'fidelity'}**"
        )
    return (
        f"- {titled(key)}, {other}: {text} (purity {pure.value:+.3f}, {pure.low:+.3f} to {pure.high:+.3f}; "
        f"recovered NDCG {left.value:+.3f}, {left.low:+.3f} to {left.high:+.3f})"
    )


Markdown(
    "\n".join(
        verdict(key, other)
        for key in worlds
        for other in contenders
        if not other.startswith("SAE")
    )
)

# %% [markdown]
# Intervals are 95%, of the paired difference, bootstrap over genres and over users. **A line that says *not told
# apart* or *not beaten* is a null that does as well.** Of such nulls the ones *as large* as the searched SAE matter
# most: a larger dictionary has more neurons to choose from, and that alone makes the chosen ones purer.


# %% tags=["hide-input"]
def scored(key: tuple, kind: str, i: int, rule: str) -> dict:
    """Value and interval of one number of the scoreboard."""
    field = {"heldout": "held", "in_sample": "sample"}[rule]
    found = over_genres(mean_of(key, kind, field)[i])
    return found._asdict() | {"interval": "95%, bootstrap over genres"}


short = {
    "SAE": "",
    "SAE, beta 0": "-beta-0",
    "SAE, searched": "-searched",
    "k-means": "-k-means",
    "data rows": "-data-rows",
} | {
    kind: f"-{kind.lower()}"
    for kind in nulls
    if " " not in kind and kind != "k-means"
}


def result(key: tuple, value: dict, unit: str, **more) -> Result:
    """A row of the scoreboard."""
    common = {
        "unit": unit,
        "n": len(worlds[key].names),
        "seeds": seeds,
        "better": "higher",
        "artifacts": [f"{key[0]}/{key[1]}", f"{key[0]}/sae-{key[1]}"],
    }
    return Result(**common | value | more)


out = {}
for key, w in worlds.items():
    dataset, name = key
    subject = f"monosemantic/{name}-{dataset.removesuffix('-hidden')}"
    row = partial(result, key)
    for kind in kinds:
        for rule, note in {
            "heldout": f"neuron of each genre chosen on half of the items, scored on the other half, {splits} splits",
            "in_sample": "neuron of each genre chosen and scored on all items, as in the paper",
        }.items():
            field = {"heldout": "held", "in_sample": "sample"}[rule]
            top_null = max(
                nulls, key=lambda one: mean_of(key, one, field)[0].mean()
            )
            metric = f"purity@{ks[0]}_{rule}"
            out[f"{subject}{short[kind]}/{metric}"] = row(
                scored(key, kind, 0, rule),
                "share of the top items, mean over genres",
                note=note,
                against=f"{subject}{short[top_null]}/{metric}"
                if kind.startswith("SAE")
                else None,
            )
        perfect = mean_of(key, kind, "perfect")
        top_null = max(
            nulls,
            key=lambda one: mean_of(key, one, "perfect"),
        )
        metric = f"genres_with_perfect_purity@{ks[0]}"
        out[f"{subject}{short[kind]}/{metric}"] = row(
            {"value": float(perfect)},
            "genres, mean over seeds or draws",
            note="neuron of each genre chosen and scored on all items, as in the paper",
            against=f"{subject}{short[top_null]}/{metric}"
            if kind.startswith("SAE")
            else None,
        )
    everything = np.ones(len(w.labels), dtype=bool)
    told = probe_purity(w, everything, everything)[0]
    out[f"{subject}-probe/genres_with_perfect_purity@{ks[0]}"] = row(
        {"value": float((told == 1).sum())},
        "genres",
        note="a least-squares direction a genre, fitted to the labels of all items",
    )
    for rule, found in {
        "heldout": probes[key][0],
        "in_sample": told,
    }.items():
        out[f"{subject}-probe/purity@{ks[0]}_{rule}"] = row(
            over_genres(found)._asdict()
            | {"interval": "95%, bootstrap over genres"},
            "share of the top items, mean over genres",
            note="a least-squares direction a genre, fitted to the labels of "
            + ("half of the items" if rule == "heldout" else "all items"),
        )
    for kind in ("SAE, searched", "ICA", "k-means, dense"):
        pure, left, whole, m, l0 = judged[key, kind]
        name_of = short.get(kind, "-k-means-dense")
        cut = f"m {m}, L0 {l0:.1f}"
        kept = statistics.bootstrap_mean(left, np.random.default_rng(0))
        out[f"{subject}{name_of}/purity@{ks[0]}_after_search"] = row(
            over_genres(pure)._asdict()
            | {"interval": "95%, bootstrap over genres"},
            "share of the top items, mean over genres",
            note=f"{cut}; on the half of the items that the search did not see",
            against=f"{subject}-k-means-dense/purity@{ks[0]}_after_search"
            if kind == "SAE, searched"
            else None,
        )
        out[f"{subject}{name_of}/recovered_ndcg_at_equal_l0"] = row(
            {
                bound: float(value / whole.mean())
                for bound, value in kept._asdict().items()
            }
            | {"interval": "95%, bootstrap over users", "n": len(whole)},
            "NDCG@10 with copies over NDCG@10",
            note=cut,
            against=f"{subject}-ica/recovered_ndcg_at_equal_l0"
            if kind == "SAE, searched"
            else None,
        )
    for genre, value in claims(key).items():
        a = w.names.index(genre)
        for i, k in enumerate(ks if "ml-1m" in dataset else ks[:1]):
            metric = f"purity@{k}_in_sample_{genre.lower()}"
            for kind in ("SAE", "ICA"):
                out[f"{subject}{short[kind]}/{metric}"] = row(
                    {"value": float(mean_of(key, kind, "sample")[i][a])},
                    "share of the top items",
                    note="chosen and scored on all items, as in the paper"
                    + (
                        ""
                        if "ml-1m" in dataset
                        else "; the paper's Last.FM is another collection"
                    ),
                    against=f"{subject}-ica/{metric}"
                    if kind == "SAE"
                    else None,
                    **(
                        {
                            "reference": value,
                            "source": "the paper's claim, as others report it; we have not seen its table",
                            "comparable": "ml-1m" in dataset,
                        }
                        if kind == "SAE"
                        else {}
                    ),
                )
results.write("14_purity", out)
