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
# # Hierarchies
#
# A Matryoshka autoencoder must reconstruct its rows from the first quarter of its neurons alone, from the first half,
# and from all of them. The paper on users and items (arXiv 2511.18024) trains one on Last.FM and says that the early neurons become
# broad, an audience of mainstream electronic music, and the late ones narrow, Nordic death metal. It shows examples. Here
# are the measures that would have to follow, each beside autoencoders that are *not* nested:
#
# - **plain**: the same autoencoder without prefixes. Its neurons have no order, so we look at it as it is, and with its
#   neurons **sorted** by how often they fire on the users that trained it: an order that anybody can have for nothing.
# - **apart**: three autoencoders of the three sizes, trained apart. Each is as good as its size allows.
#
# The published setting leaves many neurons active at once (the first table says how many). A neuron that fires on half
# of the users can hardly be narrow. So there is a second pair, nested and sorted, in which only a few neurons are active
# in each row (**sparse**, TopK), the prefixes being the same.
#
# **What to look for.** The nested autoencoder is worth its name if its prefixes do nearly as well as autoencoders of
# their size, if late neurons are narrower than early ones by more than sorting would give, and if the tree of neurons
# that fire together is one that the tags of the items know too.

# %% tags=["parameters"]
dataset: str = "planted-hidden"
seeds: list = [0, 1, 2]  # of the autoencoders, which read one recommender
prefixes: list = [8, 16, 32]
depth: int = 10  # of the lists that are compared
top: int = 20  # items that a neuron is judged by
sparse: dict = {"sparsifier": "topk", "k": 4}  # the sparse variant
least: float = 0.25  # excess of firing together that makes a parent
tags_nested: float = (
    0.6  # share of a tag's items that have the other: nested tags
)
draws: int = 500  # of each null

# %% tags=["hide-input"]
import copy

import numpy as np
import pandas as pd
import torch

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import lists, statistics, structure
from recsae_core.interpret.hierarchy import (
    Prefix,
    Tree,
    breadth,
    rank_correlation,
    tree,
)
from recsae_core.recommenders import cases, ranking
from recsae_core.sae.metrics import reconstruction

# %%
parts = artifacts.parts(dataset)
train = parts.train
tags, names = train.attributes, list(train.attribute_names)
count = np.bincount(train.item, minlength=train.n_items)
model = artifacts.get(f"{dataset}/mf")
level = np.repeat(range(len(prefixes)), np.diff([0, *prefixes]))
columns = [
    f"{a + 1}–{b}" for a, b in zip([0, *prefixes], prefixes, strict=False)
]
sets = cases.hidden_sets(train, parts.test, parts.test_users)
users, items = model.P.detach(), model.Q.detach()
trained, test = map(torch.from_numpy, (parts.sae_users, parts.test_users))
print(f"{len(trained)} users and {len(items)} items trained the autoencoders")
print(f"{len(test)} other users are there to measure on")

# %% [markdown]
# ## Four ways to have neurons in an order


# %% tags=["hide-input"]
def in_order(sae, order: np.ndarray):
    """The same autoencoder with its neurons in another order."""
    out = copy.deepcopy(sae)
    for name, value in out.state_dict().items():
        if name in ("W_dec", "W_enc", "b_enc"):
            value.copy_(value[order].clone())
    return out


def cut(sae) -> list[Prefix]:
    """The prefixes of an autoencoder, each an autoencoder of its own."""
    return [Prefix(sae, p) for p in prefixes]


def by_rate(sae):
    """The same autoencoder, the neuron that fires most often first."""
    rate = (sae.encode(users[trained]).dense() > 0).double().mean(0)
    return in_order(sae, np.argsort(-rate.numpy(), kind="stable"))


def load(seed: int) -> dict:
    """The nested autoencoder of a seed and its controls, one of each size."""
    nested, plain = f"{dataset}/matryoshka", f"{dataset}/matryoshka-plain"
    few = {"seed": seed, "sae": sparse, "terms": {"l1": 0.0, "kl_mean": 0.0}}
    whole = artifacts.get(plain, seed=seed)
    apart = [
        artifacts.get(plain, seed=seed, sae={"m": m, "prefixes": [m]})
        for m in prefixes[:-1]
    ]
    return {
        "nested": cut(artifacts.get(nested, seed=seed)),
        "plain": cut(whole),
        "sorted": cut(by_rate(whole)),
        "apart": [*apart, whole],
        "nested, sparse": cut(artifacts.get(nested, **few)),
        "sorted, sparse": cut(by_rate(artifacts.get(plain, **few))),
    }


with torch.no_grad():
    loaded = {seed: load(seed) for seed in seeds}
KINDS = list(loaded[seeds[0]])

# %% [markdown]
# ## What a prefix is good for
#
# Each prefix is an autoencoder of its own. Reconstruction first: the share of the variance of the test users and all
# items that it leaves unexplained. Then prediction: users and items are both replaced by their copies, and the lists of
# the test users are compared with the true ones (overlap) and with the hidden items (recovered NDCG).
#
# A nested prefix cannot be expected to beat an autoencoder of its size that had nothing else to do. **The question is
# how far below it lies, and how far above the first neurons of a plain autoencoder**, in its own order or sorted.


# %%
def prefix_fidelity(dictionary, name: str) -> dict[str, float]:
    """Reconstruction and lists of one prefix."""
    split = model.before("user+item", sets.cases)
    with torch.no_grad():
        back = dictionary.decode(dictionary.encode(split.h))
        scores = split.finish(back)
    mine = lists.top(scores, sets.seen, depth)
    found = ranking.evaluate_sets(lambda _: scores, sets, batch=len(sets))
    return {
        "dictionary": name,
        "active": reconstruction(dictionary, split.h).l0,
        "Unexplained variance": reconstruction(dictionary, split.h).fvu,
        "Overlap of the lists": lists.overlap(true, mine).mean(),
        "Recovered NDCG@10": found["ndcg@10"].mean() / whole,
    }


with torch.no_grad():
    true = lists.top(model(sets.cases), sets.seen, depth)
whole = ranking.evaluate_sets(model, sets)["ndcg@10"].mean()
fidelity = pd.DataFrame(
    [
        {"seed": seed, "prefix": p} | prefix_fidelity(one, kind)
        for seed in seeds
        for kind in KINDS
        for p, one in zip(prefixes, loaded[seed][kind], strict=True)
    ]
)
QUANTITIES = list(fidelity.columns[4:])
by_prefix = fidelity.groupby(["dictionary", "prefix"]).mean()
by_prefix = by_prefix.drop(columns="seed")
by_prefix.unstack("prefix").loc[KINDS].round(3)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Fidelity of each prefix, mean over seeds. Grey: the first neurons of an autoencoder that is not nested.", "name": "fig-hierarchies-prefix"}, "image": {"alt": "Three panels over the size of the prefix. The nested and the separate autoencoders are close to each other; the first neurons of a plain one do far worse at small prefixes."}}
figures.sweep(
    {
        what: {kind: (prefixes, by_prefix.loc[kind, what]) for kind in KINDS}
        for what in QUANTITIES
    },
    xlabel="Neurons used",
    quiet=["plain", "sorted", "sorted, sparse"],
)

# %% [markdown]
# ## Are early neurons broad?
#
# Three senses of broad: the **audience**, the share of test users on whom a neuron fires; the **entropy** of the tags of
# its top items, each weighted by its activation (0: one tag); and the mean **popularity** of those items. A neuron is
# placed by the prefix that it belongs to, for within a prefix the order is an accident. *Apart* are the neurons of three
# autoencoders side by side, the smallest first.
#
# Sorting by how often a neuron fires makes a plain autoencoder broad first *by construction* in the first sense. In the
# other two nothing forces it. **Hold the nested one against the sorted one, and against the interval of shuffled
# places; and look at signs. Broad first is a negative correlation with all three. Where the one with entropy is positive,
# later neurons fire on fewer users and mean more things: left-overs, not niches.**


# %% tags=["hide-input"]
def code(kind: str, seed: int, rows: torch.Tensor) -> torch.Tensor:
    """The code of rows, one column a neuron; apart, those of all sizes."""
    with torch.no_grad():
        if kind != "apart":
            return loaded[seed][kind][-1].encode(rows).dense()
        every = [one.encode(rows).dense() for one in loaded[seed][kind]]
        return torch.cat(every, 1)


def levels(kind: str) -> np.ndarray:
    """The prefix, or the autoencoder, that each neuron belongs to."""
    return (
        np.repeat(range(len(prefixes)), prefixes)
        if kind == "apart"
        else level
    )


SENSES = {
    "audience": "Share of users",
    "entropy": "Entropy of tags (bits)",
    "popularity": "Popularity of items",
}
broad = {
    (kind, seed): breadth(
        code(kind, seed, users[test]),
        code(kind, seed, items),
        tags,
        count,
        top,
    )
    for kind in KINDS
    for seed in seeds
}
rows = []
for kind in KINDS:
    for sense in SENSES:
        found = [
            rank_correlation(
                levels(kind),
                getattr(broad[kind, seed], sense),
                np.random.default_rng(seed),
                draws,
            )
            for seed in seeds
        ]
        value, low, high = statistics.mean_over_seeds(
            np.array([r for r, _ in found])
        )
        chance = np.mean([drawn for _, drawn in found], 0)
        rows.append(
            {
                "dictionary": kind,
                "sense": sense,
                "correlation": value,
                "low": max(low, -1.0),
                "high": min(high, 1.0),
                "shuffled, low": np.quantile(chance, 0.025),
                "shuffled, high": np.quantile(chance, 0.975),
            }
        )
correlations = pd.DataFrame(rows).set_index(["sense", "dictionary"])
correlations.sort_index(level=0, sort_remaining=False).round(2)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Breadth by prefix; a dot is a neuron of one of the seeds, a bar the median. Neurons that fire on nothing are left out.", "name": "fig-hierarchies-breadth"}, "image": {"alt": "Three panels, audience, entropy and popularity, with a cloud for each prefix and dictionary. Bars of the nested dictionary may step down from left to right."}}
figures.by_level(
    {
        label: {
            kind: [
                np.concatenate(
                    [
                        value[(levels(kind) == at) & np.isfinite(value)]
                        for seed in seeds
                        for value in [getattr(broad[kind, seed], sense)]
                    ]
                )
                for at in range(len(prefixes))
            ]
            for kind in (
                "nested",
                "sorted",
                "nested, sparse",
                "sorted, sparse",
            )
        }
        for sense, label in SENSES.items()
    },
    columns,
)

# %% [markdown]
# ## A tree of neurons
#
# For each neuron of a later prefix we look for a parent among the earlier ones: the one that fires with it most *in
# excess of chance*. P(parent | child) alone would not do, for a neuron that is nearly always on would be the parent of
# all; so what counts is (P(parent | child) - P(parent)) / (1 - P(parent)), which is 0 by chance and 1 where the parent
# always fires with the child. The best candidate is the parent where this is at least `least`, where it
# fires on more rows than the child, and where the two decoder directions do not point apart. Rows are all users and all
# items.
#
# The null shuffles the rows of every neuron, users among users and items among items. It is a weak one: it only says
# what neurons do that have nothing to do with each other. **The controls that matter are the dictionaries that are not
# nested, which may have parents too.**

# %% tags=["hide-input"]
fired_on = torch.cat([users, items])
is_item = np.arange(len(fired_on)) >= len(users)


def decoder(kind: str, seed: int) -> torch.Tensor:
    """The decoder rows of all neurons, in the order of their code."""
    found = [getattr(one, "inner", one).W_dec for one in loaded[seed][kind]]
    return torch.cat(found) if kind == "apart" else found[-1]


def shuffled(fires: np.ndarray, seed: int) -> np.ndarray:
    """Every neuron on other rows: users among users, items among items."""
    out, g = fires.copy(), np.random.default_rng(seed)
    for rows in (is_item, ~is_item):
        out[rows] = g.permuted(fires[rows], axis=0)
    return out


trees: dict[tuple[str, int], Tree] = {}
rows = []
for kind in KINDS:
    for seed in seeds:
        fires = (code(kind, seed, fired_on) > 0).numpy()
        W_dec, at = decoder(kind, seed), levels(kind)
        found = tree(fires, W_dec, at, least)
        chance = tree(shuffled(fires, seed), W_dec, at, least)
        trees[kind, seed] = found
        later = at > 0
        child = found.parent >= 0
        rows.append(
            {
                "dictionary": kind,
                "later neurons with a parent": child[later].mean(),
                "shuffled": (chance.parent >= 0)[later].mean(),
                "P(parent | child)": found.share[child].mean()
                if child.any()
                else np.nan,
                "cosine": found.cosine[child].mean()
                if child.any()
                else np.nan,
            }
        )
found_trees = pd.DataFrame(rows).groupby("dictionary").mean().loc[KINDS]
found_trees.round(2)

# %% [markdown]
# The tree of the sparse nested autoencoder of the first seed. A neuron is called after the tag whose presence correlates
# most with its activation over items, and after its top item where no tag does (a name for the picture, not a result).
# Circles are as large as the audience, lines as thick as P(parent | child). **Is what stands on the right a special case
# of what stands to its left?**


# %%
def tag_of(z: torch.Tensor, which: np.ndarray) -> tuple[np.ndarray, ...]:
    """The tag that correlates most with each neuron, and how much."""
    both = np.column_stack([z.double().numpy(), tags])[which]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num(np.corrcoef(both.T))
    r = r[: z.shape[1], z.shape[1] :]
    return r.argmax(1), r.max(1)


def called(kind: str, seed: int) -> list[str]:
    """A name for every neuron of a picture."""
    z = code(kind, seed, items)
    tag, r = tag_of(z, np.full(len(tags), True))
    titles = list(train.items["title"])
    return [
        names[a] if best > 0.2 else titles[i]
        for a, best, i in zip(tag, r, z.argmax(0).tolist(), strict=True)
    ]


# %% tags=["skip-verify"] mystnb={"figure": {"caption": "The largest families of the nested autoencoder's neurons. A line leads from a parent to a neuron of a later prefix that fires where the parent does.", "name": "fig-hierarchies-tree"}, "image": {"alt": "A tree in three columns, one a prefix: large circles on the left, lines to smaller circles on the right, each with the name of a tag or of an item."}}
first = seeds[0]
drawn = {
    "labels": called("nested, sparse", first),
    "level": level,
    "parent": trees["nested, sparse", first].parent,
    "weight": trees["nested, sparse", first].share,
    "audience": broad["nested, sparse", first].audience,
    "columns": [f"neurons {name}" for name in columns],
}
figures.latent_tree(**drawn)

# %% [markdown]
# ## Do the tags know the tree?
#
# If child and parent are special and general, then the items with the child's tag should have the parent's tag more
# often than those with the tag of another neuron that could have been the parent. Tags of neurons are taken on half of
# the items, and how often they go together is counted on the other half. Two neurons with one tag are a *split*, not a
# hierarchy, and are counted apart.

# %%
half = statistics.item_halves(count, 1, np.random.default_rng(0))[0]
other = tags[~half].astype(float)
together = (other.T @ other) / np.maximum(other.sum(0), 1)  # [parent, child]


def known_to_tags(kind: str, seed: int) -> dict[str, float]:
    """P(parent's tag | child's tag) of the tree, and of drawn parents."""
    found, at = trees[kind, seed].parent, levels(kind)
    tag, r = tag_of(code(kind, seed, items), half)
    child = np.flatnonzero((found >= 0) & (r > 0))
    same = tag[found[child]] == tag[child]
    child = child[~same]
    g = np.random.default_rng(seed)
    chance = []
    for j in child:
        pool = np.flatnonzero((at < at[j]) & (tag != tag[j]))
        chance.append(together[tag[g.choice(pool, 200)], tag[j]].mean())
    value = together[tag[found[child]], tag[child]]
    return {
        "dictionary": kind,
        "children": len(same),
        "of the parent's own tag": same.mean() if len(same) else np.nan,
        "others: P(parent's tag | child's tag)": value.mean()
        if len(child)
        else np.nan,
        "with a drawn parent": np.mean(chance) if len(child) else np.nan,
    }


tag_trees = pd.DataFrame(
    [known_to_tags(kind, seed) for kind in KINDS for seed in seeds]
)
tag_trees = tag_trees.groupby("dictionary").mean().loc[KINDS]
tag_trees.round(3)

# %% [markdown]
# And the pairs of tags that are nested indeed, the items of one being for the most part items of the other (in the
# planted world they were planted so). A pair is *found* where a neuron with the special tag has a parent with the
# general one. **A dictionary that finds none has a tree of something else.**

# %%
pairs = structure.nested(tags, tags_nested)
rows = []
for kind in KINDS:
    for seed in seeds:
        found = trees[kind, seed].parent
        tag, r = tag_of(code(kind, seed, items), half)
        edges = {(tag[found[j]], tag[j]) for j in np.flatnonzero(found >= 0)}
        carried = {a for a, best in zip(tag, r, strict=True) if best > 0.2}
        rows.append(
            {
                "dictionary": kind,
                "nested pairs of tags": len(pairs),
                "both have a neuron": sum(set(p) <= carried for p in pairs),
                "found": sum(pair in edges for pair in pairs),
            }
        )
planted = pd.DataFrame(rows).groupby("dictionary").mean().loc[KINDS]
planted.round(2)

# %% [markdown]
# ## Absorption and splitting
#
# Two diseases of autoencoders that nesting is said to cure. **Absorption**: the neuron of the general tag falls silent on
# items of the special one, because the special neuron says it already. It is the share of such items, beside the share
# of the *other* items of the general tag on which its neuron is silent anyway. **Splitting**: a tag is spread over
# several neurons. Then a probe on one neuron does badly and gains by more of them. Neurons are chosen on half of the
# items, everything is measured on the other half.


# %% tags=["hide-input"]
def diseases(kind: str, seed: int) -> dict[str, float]:
    """Absorption over nested pairs of tags, and AUC by number of neurons."""
    z = code(kind, seed, items)
    both = np.column_stack([z.double().numpy(), tags])
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num(np.corrcoef(both[half].T))
    r = r[: z.shape[1], z.shape[1] :]
    best, held = r.argmax(0), z.double().numpy()[~half]
    found = [
        structure.absorption(
            held[:, best[p]],
            held[:, best[c]],
            tags[~half, p],
            tags[~half, c],
        )
        for p, c in pairs
        if best[p] != best[c]
    ]
    auc = structure.sparse_probe_auc(
        z[half], tags[half], z[~half], tags[~half], r, SIZES
    )
    absorbed, missed = np.nanmean(found, 0) if found else (np.nan, np.nan)
    return {
        "dictionary": kind,
        "pairs": len(found),
        "absorbed": absorbed,
        "silent anyway": missed,
    } | dict(zip(SIZES, np.nanmean(auc, 1), strict=True))


SIZES = [1, 2, 4, 8]
ONE = [kind for kind in KINDS if kind not in ("sorted", "apart")]
sick = pd.DataFrame([diseases(k, seed) for k in ONE for seed in seeds])
sick = sick.groupby("dictionary").mean().loc[ONE]
sick.round(3)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Splitting: how well a probe on the best few neurons finds a tag on items held out, mean over tags and seeds.", "name": "fig-hierarchies-splitting"}, "image": {"alt": "Four lines, nested and not, that rise with the number of neurons."}}
figures.probe_curves(
    SIZES, {kind: sick.loc[kind, SIZES] for kind in sick.index}
)

# %% [markdown]
# ## What to take away
#
# - **The prefixes are what nesting buys.** Compare the nested lines of the first figure with the grey ones: how much an
#   autoencoder loses that is cut without having been trained for it, and how much less where few neurons are active.
# - **An order by audience is to be had by sorting.** Where the sorted autoencoder correlates as strongly as the nested
#   one, the order of the nested one says nothing that sorting would not. Fewer users is not a narrower meaning: that
#   would show in the entropy.
# - **A tree is to be had from any dictionary.** It is a hierarchy of tastes only so far as the tags know it: look at the
#   drawn parents before believing a picture.

# %% tags=["hide-input"]
short = dataset.removesuffix("-hidden")
used = [
    f"{dataset}/mf",
    f"{dataset}/matryoshka",
    f"{dataset}/matryoshka-plain",
]
SLUG = {
    "nested": "matryoshka",
    "plain": "matryoshka-unsorted",
    "sorted": "matryoshka-plain",
    "apart": "matryoshka-apart",
    "nested, sparse": "matryoshka-sparse",
    "sorted, sparse": "matryoshka-plain-sparse",
}
METRIC = {
    "Unexplained variance": "fvu",
    "Overlap of the lists": f"overlap@{depth}",
    "Recovered NDCG@10": "recovered_ndcg",
}


def key(kind: str, metric: str) -> str:
    """A key of the scoreboard."""
    return f"monosemantic/{SLUG[kind]}-{short}/{metric}"


out = {}
for sense in SENSES:
    metric = "breadth_correlation" + (
        "" if sense == "audience" else f"@{sense}"
    )
    for kind in KINDS:
        row = correlations.loc[(sense, kind)]
        out[key(kind, metric)] = Result(
            value=row["correlation"],
            low=row["low"],
            high=row["high"],
            interval="95%, t over seeds",
            unit=f"Spearman correlation of prefix and {sense}",
            n=len(levels(kind)),
            seeds=seeds,
            better="lower",
            against=key("sorted", metric) if kind == "nested" else None,
            note=f"shuffled places: {row['shuffled, low']:.2f} to {row['shuffled, high']:.2f}",
            artifacts=used,
        )
for what, slug in METRIC.items():
    for p in prefixes:
        for kind in KINDS:
            chosen = fidelity[
                (fidelity.dictionary == kind) & (fidelity.prefix == p)
            ][what]
            value, low, high = statistics.mean_over_seeds(chosen.to_numpy())
            out[key(kind, f"{slug}@prefix={p}")] = Result(
                value=value,
                low=low,
                high=high,
                interval="95%, t over seeds",
                unit=what.lower(),
                n=len(test),
                seeds=seeds,
                better="lower" if slug == "fvu" else "higher",
                against=key("apart", f"{slug}@prefix={p}")
                if kind == "nested"
                else None,
                artifacts=used,
            )
tables = {
    "parents": (found_trees["later neurons with a parent"], "none"),
    "tags_of_parents": (
        tag_trees["others: P(parent's tag | child's tag)"],
        "higher",
    ),
    "nested_pairs_found": (planted["found"], "higher"),
    "absorbed": (sick["absorbed"], "lower"),
    "auc_of_one_neuron": (sick[1], "higher"),
}
for metric, (column, better) in tables.items():
    for kind, value in column.dropna().items():
        control = {"nested": "plain", "nested, sparse": "sorted, sparse"}
        control = control.get(kind)
        out[key(kind, metric)] = Result(
            value=value,
            unit=f"mean over seeds: {column.name}",
            n=len(names)
            if metric == "auc_of_one_neuron"
            else max(len(pairs), 1),
            seeds=seeds,
            better=better,
            against=key(control, metric)
            if control in column.dropna().index
            else None,
            artifacts=used,
        )
results.write("17_hierarchies", out)
