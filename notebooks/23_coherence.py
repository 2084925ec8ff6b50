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
# # The same case again and again
#
# A latent of an autoencoder is shown by its strongest cases: who got what recommended where it was most active. If the
# cases look alike, we believe that the latent means something. This page asks three things of that look.
#
# - **Coherence.** How alike are the cases of one latent, and would those of *any* direction be as alike?
# - **Repetition.** Are the cases alike because they are the same case? The third paper of this book (arXiv 2411.06112) published a
#   list of the cases behind its concepts, which can be counted.
# - **Redundancy and stability.** Do two latents show the same list? Does another training find the same latents?
#
# At the end all of it goes into a table that can be searched: {doc}`../book/dictionary`.

# %% tags=["parameters"]
dataset: str = "planted-recsae"
models: list = ["bprmf", "lightgcn", "sasrec"]
seeds: list = [0, 1, 2]  # of the autoencoders, and of each null
users: int = 1000  # who trained the autoencoder and whose cases describe
positions: list = [
    5,
    10,
]  # cases of a user: that describe, that are looked at
depths: list = [2, 3, 5, 10, 20]  # strongest cases that are compared
permutations: int = 10
published: list = []  # [dataset, model] behind the paper's list of cases
browse: str = "sasrec"  # whose dictionary is stored to be browsed

# %% tags=["hide-input"]
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from recsae_book import artifacts, dictionary, figures, recipes, results
from recsae_book.concept_test import Bench, best_of
from recsae_book.results import Result
from recsae_core.interpret import (
    alignment,
    coherence,
    concepts,
    dictionaries,
    effects,
    lists,
    statistics,
    structure,
)
from recsae_core.recommenders import cases
from recsae_core.sae import SAE, metrics

NAMES = {"bprmf": "BPR-MF", "lightgcn": "LightGCN", "sasrec": "SASRec"}
short = dataset.removesuffix("-recsae")
parts = artifacts.parts(dataset)
train = parts.train


# %% [markdown]
# ## Whose cases
#
# All cases are of users whom the autoencoder never saw. BPRMF and LightGCN have one vector a user, SASRec one at every
# position of a history. The autoencoders of BPRMF and of LightGCN read one recommender and differ in their first
# weights alone; those of SASRec read three trainings of the recommender, too.


# %% tags=["hide-input"]
class World(NamedTuple):
    """A recommender, its autoencoder, and the cases of both groups of users."""

    model: torch.nn.Module
    sae: SAE
    at: Bench


def loaded(name: str, seed: int, data: str = dataset) -> tuple:
    """A recommender and its autoencoder."""
    parent = recipes.recipe(f"{data}/sae-{name}", seed).seed_of_parent
    return (
        artifacts.get(f"{data}/{name}", seed=parent),
        artifacts.get(f"{data}/sae-{name}", seed=seed),
    )


def world(name: str, seed: int) -> World:
    """Load them and read the cases, once where the recommender is the same."""
    model, sae = loaded(name, seed)
    parent = recipes.recipe(f"{dataset}/sae-{name}", seed).seed_of_parent
    if (name, parent) not in benches:
        benches[name, parent] = Bench.of(
            model, parts, users=users, positions=tuple(positions)
        )
    return World(model, sae, benches[name, parent])


benches: dict = {}
worlds = {
    (name, seed): world(name, seed)
    for name in tqdm(models, desc="recommenders")
    for seed in seeds
}
pd.DataFrame(
    {
        name: {
            "cases": len(w.at.verify.user),
            "of users": len(np.unique(w.at.verify.user)),
            "items recommended": len(np.unique(w.at.verify.top[:, 0])),
            "latents": w.sae.m,
            "that ever fire here": int(
                (w.sae.encode(w.at.verify.h).dense() > 0).any(0).sum()
            ),
        }
        for (name, seed), w in worlds.items()
        if seed == seeds[0]
    }
)

# %% [markdown]
# ## How alike are the cases of one latent?
#
# The paper's number: of each latent take the two strongest cases *whose recommendations differ*, and the cosine of
# their vectors (*intra*). Beside it the mean cosine between the strongest cases of different latents (*inter*). The
# first is to be high and the second low.
#
# What else would be high?
#
# - **Permuted**: the same cases, dealt out anew to the latents, each to a place of its rank. It has to come out near
#   *inter*, for it is the same comparison. A paper that reports only these two compares a latent with nothing that was
#   chosen to be alike.
# - **Random**: as many random directions behind a ReLU, at the autoencoder's L0.
# - **Data rows**: directions through random vectors of the data. Its cases are simply the neighbours of one case.
# - **Neurons**: the dimensions of the vector, both signs. The paper's baseline.
#
# Whoever takes the rows that lie furthest along *one* direction gets rows that lie near each other. It takes no
# training for that. (Two cases may be of one user, a step apart, where the model reads a history; *other users* leaves
# these out.) **Look whether the autoencoder stands above random directions and data rows, not above
# *permuted*.**


# %% tags=["hide-input"]
def mean(values: np.ndarray) -> float:
    """The mean over the latents that have the number."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def of_two_users(z, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """The two strongest cases of each latent that differ in the user, too."""
    one = concepts.strongest(z, user, item, cases=2)
    rows = np.full((z.shape[1], 2), -1)
    place = np.arange(len(one.row)) - np.searchsorted(one.latent, one.latent)
    rows[one.latent, place] = one.row
    return rows


SIMILARITIES = ("vectors", "recommended items", "attributes")


def alike(found, w: World, seed: int) -> dict:
    """Similarities of one dictionary's cases."""
    z, items = alignment.nonzero(found, w.at.verify.h), w.at.items.numpy()
    item, h = w.at.verify.top[:, 0], w.at.verify.h.double().numpy()
    rows = coherence.strongest(z, max(depths), apart=item)
    g = np.random.default_rng(seed)
    dealt = {
        ranked: mean(
            [
                mean(
                    coherence.within(
                        h, coherence.permuted(rows[:, :2], g, ranked=ranked)
                    )
                )
                for _ in range(permutations)
            ]
        )
        for ranked in (True, False)
    }
    said = dict(
        zip(
            SIMILARITIES,
            (h, items[item], train.attributes[item]),
            strict=True,
        )
    )
    return {
        "intra": mean(coherence.within(h, rows[:, :2])),
        "other users": mean(
            coherence.within(h, of_two_users(z, w.at.verify.user, item))
        ),
        "each": coherence.within(h, rows[:, :2]),
        "inter": coherence.between(h, rows[:, :1]),
        "permuted": dealt[True],
        "permuted, any rank": dealt[False],
        "latents": int((rows[:, 1] >= 0).sum()),
    } | {
        what: [mean(coherence.within(x, rows[:, :t])) for t in depths]
        for what, x in said.items()
    }


def nulls(sae: SAE, h: torch.Tensor, seed: int) -> dict:
    """Dictionaries that learned nothing, at the autoencoder's size and L0."""
    g = torch.Generator().manual_seed(seed)
    x = h[torch.linspace(0, len(h) - 1, min(len(h), 3000)).long()]
    m, l0 = sae.m, metrics.reconstruction(sae, x).l0
    return {
        "random": dictionaries.random_relu(x, m, l0, g),
        "data rows": dictionaries.data_rows(x, min(m, len(x)), l0, g),
    }


# %%
drawn = {
    key: nulls(w.sae, w.at.construct.h, key[1])
    for key, w in tqdm(worlds.items(), desc="nulls")
}
found = {}
for name in tqdm(models, desc="coherence"):
    found[name, "SAE"] = [
        alike(worlds[name, seed].sae, worlds[name, seed], seed)
        for seed in seeds
    ]
    for kind in ("random", "data rows"):
        found[name, kind] = [
            alike(drawn[name, seed][kind], worlds[name, seed], seed)
            for seed in seeds
        ]
    first = worlds[name, seeds[0]]
    neurons = dictionaries.neurons(first.at.construct.h)
    found[name, "neurons"] = [alike(neurons, first, 0)]
KINDS = ["SAE", "random", "data rows", "neurons"]


def over(name: str, kind: str, what: str) -> statistics.Interval:
    """The mean over seeds or draws; of a single dictionary, over latents."""
    if what == "intra" and len(found[name, kind]) == 1:
        each = found[name, kind][0]["each"]
        each = each[np.isfinite(each)]
        return statistics.bootstrap_mean(each, np.random.default_rng(0))
    values = [one[what] for one in found[name, kind]]
    return (
        statistics.mean_over_seeds(values)
        if len(values) > 1
        else statistics.Interval(values[0], values[0], values[0])
    )


shown = (
    "intra",
    "other users",
    "inter",
    "permuted",
    "permuted, any rank",
    "latents",
)
pd.DataFrame(
    {
        (name, kind): {what: over(name, kind, what).value for what in shown}
        for name in models
        for kind in KINDS
    }
).T.round(3)

# %% mystnb={"figure": {"caption": "Cosine of the vectors of a latent's two strongest cases that differ in their recommendation. 'Permuted' deals the autoencoder's cases out anew. Intervals: 95%, over seeds or draws; over latents for neurons.", "name": "fig-coherence-intra"}, "image": {"alt": "A row for each recommender with marks for the autoencoder, random directions, data rows, neurons and permuted cases. The permuted cases are far to the left of all others."}}
bars = [[over(name, kind, "intra") for name in models] for kind in KINDS]
bars.append([over(name, "SAE", "permuted") for name in models])
figures.compare_bars(
    [[one.value for one in row] for row in bars],
    [NAMES[name] for name in models],
    [*KINDS, "permuted"],
    low=[[one.low for one in row] for row in bars],
    high=[[one.high for one in row] for row in bars],
    xlabel="Cosine of the two strongest cases",
)

# %% [markdown]
# Two cases are few, and a vector is not a meaning. So we look at more cases of each latent, always with different
# recommendations, and at two things beside the vectors of the cases: the vectors of the *recommended items*, and the
# overlap of their attributes (Jaccard's: those that both have, over those that either has).
#
# **What to look for.** The lines fall with the number of cases. Is the autoencoder's above the dashed ones, and is it
# so for the attributes, which neither the recommender nor the autoencoder was told?


# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Mean similarity of a latent's strongest cases, by how many are compared: of SASRec's vectors, of the recommended items' vectors, of these items' attributes.", "name": "fig-coherence-depth"}, "image": {"alt": "Three panels of falling lines over the number of cases, one line each for the autoencoder, random directions, data rows and neurons."}}
def curve(name: str, kind: str, what: str) -> tuple:
    """Depths and mean similarities."""
    return depths, np.mean([one[what] for one in found[name, kind]], 0)


figures.sweep(
    {
        what.capitalize(): {
            kind: curve(models[-1], kind, what) for kind in KINDS
        }
        for what in SIMILARITIES
    },
    xlabel="Strongest cases",
    quiet=KINDS[1:],
)

# %% [markdown]
# ## How often is it the same case?
#
# The authors published a file with the cases that wrote the concepts of SASRec on Amazon: up to five recommended items
# a latent. The rule, from their code: cut all activations of *all* latents into tenths; of the cases in the
# fifth tenth from below or higher take a latent's ten strongest; draw five. Nothing keeps a case or an item from coming twice.
#
# We apply the rule to the held-out rows of the test set, as they do. For BPRMF and LightGCN all rows of a user have
# the same vector: ten strongest *rows* can be one user's, ten times. Beside it stand the same rule on random
# directions and data rows, and the autoencoder's lists with the rows dealt out anew.
#
# **What to look for.** A list that shows one item five times looks perfectly coherent. A description written from it
# fits it perfectly, and so it fits the five cases kept for the test, which come from the same ten. **Where random
# directions repeat as often, it is the rule that repeats, not the autoencoder.**


# %% tags=["hide-input"]
@torch.no_grad()
def tested(model, data: str) -> tuple[torch.Tensor, np.ndarray]:
    """The vector of every test row, and the best item among those not seen."""
    length, h, top = getattr(model.config, "length", 1), [], []
    holdout = cases.dated(artifacts.parts(data), "test", length)
    for start in range(0, len(holdout), 1024):
        part = holdout[start : start + 1024]
        split = model.before(model.probe, part.cases)
        h.append(split.h[split.last])
        scores = split.finish(split.h)
        top.append(lists.top(scores, part.seen, 1)[:, 0])
    return torch.cat(h), np.concatenate(top)


def counted(found, h: torch.Tensor, top: np.ndarray, seed: int) -> dict:
    """The lists by the published rule, with the rows as they are and dealt out anew."""
    g = np.random.default_rng(seed)
    rows = coherence.published_cases(alignment.nonzero(found, h), g)
    dealt = coherence.permuted(rows, g, ranked=False)
    return {
        name: coherence.repeats(np.where(r >= 0, top[r], -1))
        for name, r in (("own", rows), ("permuted", dealt))
    }


def repeated(name: str, data: str) -> dict:
    """Kind -> what is counted, for each seed."""
    out, rows = {}, {}
    for seed in seeds:
        model, sae = loaded(name, seed, data)
        parent = recipes.recipe(f"{data}/sae-{name}", seed).seed_of_parent
        if parent not in rows:
            rows[parent] = tested(model, data)
        h, top = rows[parent]
        others = drawn[name, seed] if data == dataset else nulls(sae, h, seed)
        both = counted(sae, h, top, seed)
        out.setdefault("SAE", []).append(both["own"])
        out.setdefault("permuted", []).append(both["permuted"])
        for kind, null in others.items():
            one = counted(null, h, top, seed)["own"]
            out.setdefault(kind, []).append(one)
    return out


# %%
repeats = {
    (name, data): repeated(name, data)
    for data, name in tqdm(
        [*((dataset, name) for name in models), *published], desc="repeats"
    )
}
WHAT = {
    "lists": "lists",
    "repeat_share": "repeat an item",
    "single_share": "show one item only",
    "identical_share": "are another latent's, too",
    "popular_share": "lines of the 20 most frequent items",
}


def counts(found: list, what: str) -> list:
    """A number of each list count."""
    if what == "single_share":
        return [one.distinct[0] / one.lists for one in found]
    return [getattr(one, what) for one in found]


known = artifacts.reference("recsae", "amazon").get("dictionary", {})
table = {
    (f"{NAMES[name]}, {data.removesuffix('-recsae')}", kind): {
        label: np.mean(counts(one, what)) for what, label in WHAT.items()
    }
    for (name, data), kinds in repeats.items()
    for kind, one in kinds.items()
}
if known:
    spread = np.array(known["distinct"])
    table["the paper: SASRec, amazon", "SAE"] = {
        WHAT["lists"]: known["described"],
        WHAT["repeat_share"]: known["repeats_an_item"],
        WHAT["single_share"]: known["single_item"],
        WHAT["popular_share"]: known["popular_share"],
    }
pd.DataFrame(table).T.round(3)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Latents by how many different items their five published cases show. 'Dealt anew' is what as many cases would show if no latent chose them; some latents have fewer than five.", "name": "fig-coherence-repeats"}, "image": {"alt": "Bars that lie down, cut into five parts from one item to five. Bars of cases dealt anew have a larger part of five different items than the others."}}
strips = {
    f"{NAMES[name]}, {data.removesuffix('-recsae')}{label}": np.mean(
        [one.distinct / one.lists for one in kinds[kind]], 0
    )
    for (name, data), kinds in repeats.items()
    for kind, label in (("SAE", ""), ("permuted", ", dealt anew"))
}
if known:
    strips = {"the paper, amazon": spread / spread.sum()} | strips
figures.stacked_shares(
    list(strips.values()),
    list(strips),
    ["1 item", "2", "3", "4", "5 items"],
    xlabel="Share of the latents",
    ylabel="",
)

# %% [markdown]
# On the page on concepts each user and each item counts once among the cases of a latent, so that none of this can
# happen there.
#
# ## Does another training find the same latents?
#
# Two trainings number their latents differently. We pair the latents one to one, such that the sum of similarities is
# as high as possible (the Hungarian method). Similar in two senses: in the cosine of decoder rows, where both read one
# recommender; and in the correlation of their activations over the same cases, which can be had for any two trainings.
#
# **What to look for.** The distance from as many random directions, paired in the same way. In a narrow space many
# directions lie close to one of so many others; and the decoder of random directions is fitted to the data, so that it
# points where these lie. **Where random directions agree as well, agreement says nothing.**


# %%
def active(dictionary, h: torch.Tensor, most: int) -> tuple:
    """Centred activations of up to so many latents that fire on some of the cases, a row a latent; and which they are."""
    with torch.no_grad():
        z = dictionary.encode(h).dense()
    alive = ((z > 0).sum(0) >= 5).nonzero()[:most, 0]
    z = z[:, alive].T
    return z - z.mean(1, keepdim=True), alive


def paired(name: str, ones: list, most: list) -> tuple[dict, list]:
    """Mean similarity of the first dictionary's latents with their partners in the others; how many took part."""
    every = [worlds[name, seed].at.verify.h for seed in seeds]
    some = np.unique(np.linspace(0, len(every[0]) - 1, 4000).astype(int))
    codes = [
        active(one, h[some], n)
        for one, h, n in zip(ones, every, most, strict=True)
    ]
    out = {
        "activations": [
            structure.matched(codes[0][0], z)[1] for z, _ in codes[1:]
        ]
    }
    parents = {
        recipes.recipe(f"{dataset}/sae-{name}", seed).seed_of_parent
        for seed in seeds
    }
    if len(parents) == 1:
        rows = [
            effects.directions(one)[alive]
            for one, (_, alive) in zip(ones, codes, strict=True)
        ]
        out["decoder"] = [
            structure.matched(rows[0], other)[1] for other in rows[1:]
        ]
    rng = np.random.default_rng(0)
    found = {
        what: statistics.bootstrap_mean(np.mean(values, 0), rng)
        for what, values in out.items()
    }
    return found, [len(alive) for _, alive in codes]


agree, alive = {}, {}
for name in tqdm(models, desc="stability"):
    saes = [worlds[name, seed].sae for seed in seeds]
    agree[name, "SAE"], alive[name] = paired(
        name, saes, [sae.m for sae in saes]
    )
    nothing = [drawn[name, seed]["random"] for seed in seeds]
    agree[name, "random"], _ = paired(name, nothing, alive[name])
pd.DataFrame(
    {
        (name, kind): {"latents": alive[name][0]}
        | {what: v.value for what, v in one.items()}
        for (name, kind), one in agree.items()
    }
).T.round(3)

# %% [markdown]
# ## How often do latents fire?
#
# Redundancy begins with latents that are always on, and ends with those that never are.


# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Share of the held-out cases on which a latent fires.", "name": "fig-coherence-firing"}, "image": {"alt": "Outlines of histograms of firing rates on a logarithmic axis, one for each recommender."}}
def firing(w: World) -> np.ndarray:
    """Share of the cases on which each latent is above 0."""
    z = w.at.codes(w.sae).verify
    return np.diff(z.indptr) / z.shape[0]


figures.fire_rate_histogram(
    {NAMES[name]: firing(worlds[name, seeds[0]]) for name in models}
)

# %% [markdown]
# ## A dictionary to browse
#
# Now each latent of one autoencoder gets a row in a table. The description comes from users who trained the
# autoencoder and from half of the items; the confidence from other users and the other half; the *effect* is what
# switching the latent off does, on held-out cases where it fires, to the share of the description's items among the
# first ten (items that had no part in writing it; the reconstruction error is kept). The table is stored with the ids of the items alone.


# %% tags=["hide-input"]
@torch.no_grad()
def switched_off(w: World, wanted: np.ndarray, most: int = 20) -> np.ndarray:
    """Change of the share of each latent's wanted items among the first ten, a mean over cases; NaN without any."""
    length = getattr(w.model.config, "length", 1)
    held = [
        cases.dated(parts, part, length, parts.test_users)
        for part in ("valid", "test")
    ]
    base, code = [], []
    for one in held:
        split = w.model.before(w.model.probe, one.cases)
        code.append(w.sae.encode(split.h[split.last]).dense())
        n_items = train.n_items
        taken = torch.zeros(len(one), n_items + 1, dtype=torch.bool)
        taken.scatter_(1, one.seen % (n_items + 1), True)  # -1: one too many
        scores = split.finish(split.h)
        base.append(scores.masked_fill(taken[:, :n_items], -torch.inf))
    scores, z = torch.cat(base), torch.cat(code)
    step = effects.directions(w.sae) @ w.at.items.T
    out = np.full(len(wanted), np.nan)
    for j in np.flatnonzero(wanted.any(1)):
        rows = (z[:, j] > 0).nonzero()[:most, 0]
        if len(rows):
            its = torch.from_numpy(wanted[j]).double()
            old = scores[rows]
            new = old - z[rows, j, None] * step[j]
            before, after = (
                its[s.topk(10, 1).indices].mean() for s in (old, new)
            )
            out[j] = float(after - before)
    return out


w = worlds[browse, seeds[0]]
codes = w.at.codes(w.sae)
halves = w.at.halves(1, seeds[0])[0]
described = concepts.describe(
    codes.construct,
    w.at.construct.user,
    best_of(w.at.construct, halves[0]),
    w.at.vocabulary,
)
sure = w.at.trials(codes, halves, 0)["held out", "top"]
speaks = concepts.scores(described, w.at.vocabulary)
wanted = (speaks > 0) & (speaks >= speaks.max(1, keepdims=True) / 2)
fires = np.diff(codes.verify.indptr) / codes.verify.shape[0]
browsed = dictionary.table(
    f"{NAMES[browse]} on {short}",
    dataset,
    described,
    fires,
    confidence=sure,
    effect=switched_off(w, wanted & halves[1]),
    note="Confidence: balanced accuracy on cases of other users and other items, with its 95% interval. Switched off: "
    "the change, in percentage points, of the share of the description's items among the first ten.",
)
folder = results.folder() / dictionary.FOLDER
dictionary.write(folder / f"{browse}.json", browsed)
pd.DataFrame(
    [
        {
            "latents": len(browsed.rows),
            "described": sum(r.status == "described" for r in browsed.rows),
            "never fire": sum(
                r.status == "never fires" for r in browsed.rows
            ),
            "confident at .8": int(sure.confident().sum()),
            "mean effect": np.mean(
                [r.effect for r in browsed.rows if r.effect is not None]
                or [0]
            ),
        }
    ]
).round(4)

# %% [markdown]
# The paper takes the mean coherence over the latents of high confidence. Does confidence go with coherence?

# %%
pair = found[browse, "SAE"][0]["each"]
certain = sure.confident()
pd.DataFrame(
    {
        "cosine of the two strongest cases": {
            "confident": mean(pair[certain]),
            "others": mean(pair[~certain]),
        },
        "latents": {
            "confident": int(certain.sum()),
            "others": int((~certain).sum()),
        },
    }
).round(3)

# %% [markdown]
# ## What to take away
#
# - **A high similarity within a latent is no evidence of meaning.** It has to be compared with what lies furthest
#   along directions that nobody trained; cases dealt out anew are a null that anything passes.
# - **Count before you read.** A list that repeats an item says one thing several times, and a test that draws from the
#   same list asks for it once more.
# - **A latent that the next training does not find again is a property of the training.**


# %% tags=["hide-input"]
def interval(values: list) -> dict:
    """Value, low and high of a result over seeds."""
    if len(values) < 2:
        return {"value": float(values[0])}
    one = statistics.mean_over_seeds(values)
    return {
        "value": one.value,
        "low": max(one.low, 0.0),
        "high": min(one.high, 1.0),
        "interval": f"95%, Student's t over {len(values)} trainings or draws",
    }


def used(name: str, data: str = dataset) -> list:
    """Names of the recipes."""
    return [f"{data}/{name}", f"{data}/sae-{name}"]


SLUG = {
    "random": "random-sae",
    "data rows": "data-rows",
    "neurons": "neurons",
}
out = {}
for name in models:
    base = f"recsae/{name}-{short}"
    strongest = max(SLUG, key=lambda kind: over(name, kind, "intra").value)
    for kind in KINDS:
        one, slug = over(name, kind, "intra"), SLUG.get(kind, "")
        out[f"{base}/intra_similarity{slug and '_' + slug}"] = Result(
            value=one.value,
            low=one.low,
            high=one.high,
            interval="95%, over latents"
            if kind == "neurons"
            else "95%, Student's t over seeds or draws",
            unit="mean cosine of the two strongest cases",
            n=found[name, kind][0]["latents"],
            seeds=seeds,
            better="higher",
            against=f"{base}/intra_similarity_{SLUG[strongest]}"
            if kind == "SAE"
            else None,
            artifacts=used(name),
        )
    for key, what in (
        ("intra_similarity_permuted", "permuted"),
        ("inter_similarity", "inter"),
    ):
        out[f"{base}/{key}"] = Result(
            **interval([one[what] for one in found[name, "SAE"]]),
            unit="mean cosine",
            n=found[name, "SAE"][0]["latents"],
            seeds=seeds,
            better="none",
            artifacts=used(name),
        )
    for what, at in (
        ("stability", "activations"),
        ("decoder_stability", "decoder"),
    ):
        for kind, slug in (("SAE", ""), ("random", "_random")):
            if at in agree[name, kind]:
                out[f"{base}/{what}{slug}"] = Result(
                    value=agree[name, kind][at].value,
                    low=agree[name, kind][at].low,
                    high=agree[name, kind][at].high,
                    interval="95%, bootstrap over latents",
                    unit="mean correlation of activations with the partner's"
                    if at == "activations"
                    else "mean cosine of decoder rows with the partner's",
                    n=alive[name][0],
                    seeds=seeds,
                    better="higher",
                    against=f"{base}/{what}_random"
                    if kind == "SAE"
                    else None,
                    note="each training reads a recommender of its own"
                    if "decoder" not in agree[name, kind]
                    else "all trainings read one recommender",
                    artifacts=used(name),
                )
for (name, data), kinds in repeats.items():
    base = f"recsae/{name}-{data.removesuffix('-recsae')}"
    theirs = known if [data, name] in [list(p) for p in published] else {}
    stated = {
        "repeat_share": theirs.get("repeats_an_item"),
        "single_item_share": theirs.get("single_item"),
        "popular_case_share": theirs.get("popular_share"),
    }
    keys = ("repeat_share", "single_share", "popular_share")
    for key, what in zip(stated, keys, strict=True):
        for kind in ("SAE", "random"):
            if kind in kinds and (kind == "SAE" or key == "repeat_share"):
                given = stated[key] if kind == "SAE" else None
                out[f"{base}/{key}{'_random-sae' * (kind == 'random')}"] = (
                    Result(
                        **interval(counts(kinds[kind], what)),
                        unit="share of the lines"
                        if key == "popular_case_share"
                        else "share of the latents",
                        n=kinds[kind][0].lists,
                        seeds=seeds,
                        better="lower",
                        against=f"{base}/repeat_share_random-sae"
                        if key == "repeat_share"
                        and kind == "SAE"
                        and "random" in kinds
                        else None,
                        reference=given,
                        source=theirs.get("source") if given else None,
                        note="up to five cases a latent, by the authors' rule",
                        artifacts=used(name, data),
                    )
                )
results.write("23_coherence", out)
