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
# # A dictionary of concepts
#
# The third paper of this book (arXiv 2411.06112) reads an autoencoder by its *recommendations*. Stop a recommender at the vector
# from which it scores all items. The latents that fire there say something about the list that follows. So take the
# cases on which a latent fires most strongly, look at the item that is recommended first, and say in one sentence what
# these items have in common. The sentences of all latents are the *concept dictionary*. The authors let a language
# model write them, five cases a latent.
#
# Here nobody writes. What items have in common can be counted: genres or tags, decades, words of titles, popularity.
# A term belongs into a description if the latent's cases have it *more often than chance*. Then the evidence is a
# number, it costs nothing, and a second run says the same. Three things decide whether such a number means anything.
#
# | question | in the authors' code | here |
# |---|---|---|
# | What is a case? | any moment; one user or one item may be all five | each user and each item once a latent |
# | What is chance? | nobody asks | items drawn as often as they are *recommended* |
# | How many tests? | nobody asks | all latents with all terms of a kind, 5% false discoveries |
#
# **What to look for.** Two columns beside the autoencoder. *Permuted* activations have no meaning: whatever is
# described there is a mistake of the method. *Data rows* are vectors of the data that nobody trained: what is described
# there is in the vectors already.

# %% tags=["parameters"]
worlds: list = [["planted-recsae", "sasrec"], ["planted-recsae", "bprmf"]]
seeds: list = [0]  # of the autoencoders
users: int = 1200  # of those who trained the autoencoder
positions: int = 2  # cases a user; models that read the user have one
most: int = 20  # cases of a latent that write
fdr: float = 0.05
shown: int = 8  # concepts in the table
llm_url: str = ""  # of a chat endpoint, as in http://localhost:8000/v1
llm_model: str = ""
llm_latents: int = 20  # that it is asked about

# %% tags=["hide-input"]
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from IPython.display import display
from scipy import sparse
from tqdm import tqdm

from recsae_book import artifacts, figures, recipes, results
from recsae_book.concept_test import Bench, best_of
from recsae_book.results import Result
from recsae_core.data import planted
from recsae_core.interpret import (
    concepts,
    confidence,
    dictionaries,
    statistics,
    vocabulary,
)
from recsae_core.sae import SAE, metrics

worlds = [tuple(key) for key in worlds]
SHORT = {"bprmf": "BPR-MF", "lightgcn": "LightGCN", "sasrec": "SASRec"}
PLACE = {"lastfm": "Last.FM"}


def titled(key: tuple) -> str:
    """What a figure calls a recommender."""
    return f"{SHORT[key[1]]} {PLACE.get(key[0], '')}".strip()


# %% [markdown]
# ## The cases
#
# The users who trained the autoencoder write the descriptions, on half of the items: each case has the best
# recommendation from that half. The other users and the other half are kept for the next page, where descriptions are
# tried.


# %% tags=["hide-input"]
class World(NamedTuple):
    """A recommender's cases: those that write, and those of other users."""

    at: Bench
    half: np.ndarray  # items that write
    item: np.ndarray  # best recommendation of each case
    other: np.ndarray  # of each case of the other users


def parent(key: tuple, seed: int) -> int:
    """The seed of the recommender that an autoencoder reads."""
    return recipes.recipe(f"{key[0]}/sae-{key[1]}", seed).seed_of_parent


def world(key: tuple, seed: int) -> World:
    """Stop a recommender at its cases."""
    dataset, name = key
    parts, kind = artifacts.parts(dataset), "genre"
    if dataset == "lastfm":
        kind = "tag"
    at = Bench.of(
        artifacts.get(f"{dataset}/{name}", seed=seed),
        parts,
        users=users,
        positions=(positions, positions),
    )
    about = (parts.train.items, parts.train.attributes)
    names = parts.train.attribute_names
    words = vocabulary.terms(*about, names, at.popularity, kind=kind)
    at = replace(at, vocabulary=words)  # how popular an item is, too
    ((half, _),) = at.halves(1, 0)
    return World(
        at, half, best_of(at.construct, half), best_of(at.verify, half)
    )


def autoencoder(key: tuple, seed: int) -> SAE:
    """The autoencoder that is described."""
    return artifacts.get(f"{key[0]}/sae-{key[1]}", seed=seed)


needed = sorted(
    {(key, parent(key, seed)) for key in worlds for seed in seeds}
)
loaded = {(key, seed): world(key, seed) for key, seed in tqdm(needed)}
firsts = {key: loaded[key, parent(key, seeds[0])] for key in worlds}

# %%
z = {
    key: concepts.codes(autoencoder(key, seeds[0]), one.at.construct.h)
    for key, one in firsts.items()
}
cases = {
    key: concepts.strongest(z[key], one.at.construct.user, one.item, most)
    for key, one in firsts.items()
}

# %% [markdown]
# How much is left of the paper's cases when each user and each item counts once? A latent fires on many moments, but
# the recommender says the same few items again and again. **Look at the last rows**: a latent whose cases show only one
# or two items cannot be about a kind of item, whatever a sentence says.


# %%
def counted(key: tuple) -> dict:
    """What the cases of a dictionary are."""
    one, found = firsts[key], cases[key]
    often = np.sort(np.bincount(one.item[one.item >= 0]))[::-1]
    left = np.bincount(found.latent, minlength=len(found.active))
    return {
        "cases": len(one.item),
        "items recommended": int((often > 0).sum()),
        "cases of the 20 most recommended": often[:20].sum() / often.sum(),
        "latents": len(left),
        "never fire": int((found.active == 0).sum()),
        "median cases of a latent": np.median(found.active),
        "each user, each item once": np.median(left),
        f"latents with {most}": int((left == most).sum()),
        "latents with 1 or 2": int(((left > 0) & (left < 3)).sum()),
    }


pd.DataFrame({titled(key): counted(key) for key in worlds}).round(2).astype(
    object
)

# %% [markdown]
# ## What can be said of an item
#
# These are all the words that a description can use. An item of which nothing is known but its popularity is no
# evidence for any word; the column *items without text* counts them.

# %%
datasets = {key[0]: one.at.vocabulary for key, one in firsts.items()}
pd.DataFrame(
    {
        name: pd.Series(v.kinds).value_counts().to_dict()
        | {"items": v.has.shape[0], "items without text": len(v.without_text)}
        for name, v in datasets.items()
    }
).T.fillna(0).astype(int)

# %% [markdown]
# ## What is chance?
#
# Suppose a latent fires on random cases. Its items are then not like those of the catalogue: they are like the items
# that the recommender *recommends*, popular ones first. Compared with the catalogue, such a latent is "about" popular
# items, and about the genres that popular items have. So chance must draw items as often as they are recommended, each
# once. (With equal weights this is Fisher's exact test.)
#
# Here are both kinds of chance, for the autoencoder and for its activations on other cases at random, which mean
# nothing. **Look at the rows of permuted activations:** they should say 0.


# %%
def described(one: World, code: sparse.csc_array, **options) -> list:
    """The concept dictionary of a code of the cases that write."""
    options = {"cases": most, "fdr": fdr} | options
    return concepts.describe(
        code, one.at.construct.user, one.item, one.at.vocabulary, **options
    )


def share(found: list, *kinds: str) -> float:
    """Latents with a term of such a kind, or with any."""
    return float(
        np.mean(
            [
                any(not kinds or e.kind in kinds for e in c.terms)
                for c in found
            ]
        )
    )


def mixed(code: sparse.csc_array, seed: int) -> sparse.csc_array:
    """The activations of each latent on other cases, at random."""
    return confidence.permuted(code, np.random.default_rng(seed))


dictionary = {key: described(one, z[key]) for key, one in firsts.items()}
permuted = {
    key: described(one, mixed(z[key], 0)) for key, one in firsts.items()
}

# %%
naive = {
    key: {"weights": one.half.astype(float)} for key, one in firsts.items()
}
compared = {
    (titled(key), chance, activations): {
        "described": share(found),
        "by a popularity": share(found, "popularity"),
        "by a genre or tag": share(found, "genre", "tag"),
    }
    for key, one in firsts.items()
    for chance, activations, found in (
        ("catalogue", "SAE", described(one, z[key], **naive[key])),
        (
            "catalogue",
            "permuted",
            described(one, mixed(z[key], 0), **naive[key]),
        ),
        ("recommended", "SAE", dictionary[key]),
        ("recommended", "permuted", permuted[key]),
    )
}
pd.DataFrame(compared).T.rename_axis(
    ["", "chance draws from", "activations"]
).round(3)

# %% [markdown]
# ## The dictionary
#
# Concepts drawn at random from those with a description, with the items that characterise them. The items come from
# TF-IDF: how much of a latent's activation goes to an item, times how few other latents have the item. **Read them
# beside the description**: do they show what it says? They need not. A term of nine items in twenty is far more than
# chance, and eleven items are something else.


# %%
def titles(key: tuple, items) -> list[str]:
    """What the items are called."""
    return [
        artifacts.parts(key[0]).train.items["title"].iloc[i] for i in items
    ]


main = worlds[0]
pool = [c for c in dictionary[main] if c.text]
drawn = np.random.default_rng(0).permutation(len(pool))[:shown]
table = pd.DataFrame(
    {
        "latent": c.latent,
        "description": c.text,
        "first term": f"{c.terms[0].count} of {c.cases}",
        "by chance": c.terms[0].expected,
        "q": c.terms[0].q,
        "items": "; ".join(titles(main, c.items[:3])),
    }
    for c in (pool[i] for i in sorted(drawn))
)
with pd.option_context("display.max_colwidth", 90):
    display(
        table.set_index("latent").round({"by chance": 1, "q": 4})
        if len(table)
        else "nothing is described"
    )

# %% [markdown]
# And one whole entry: the one with the most certain evidence.

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "The concept with the most certain evidence. Left: how many of its cases have each term, and how many would by chance. Right: its items by TF-IDF.", "name": "fig-concepts-card"}, "image": {"alt": "Bars of terms on the left reach several times as far as the orange dashes of chance; titles of items with their TF-IDF on the right."}}
best = min(
    pool or dictionary[main],
    key=lambda c: min((e.q for e in c.terms), default=1.0),
)
one = firsts[main]
chosen = sparse.csr_array(
    (
        (one.item >= 0).astype(float),
        (np.arange(len(one.item)), np.maximum(one.item, 0)),
    ),
    shape=(len(one.item), len(one.half)),
)
weight = concepts.tfidf(z[main].T @ chosen)[[best.latent]].toarray()[0]
figures.concept_card(
    f"Latent {best.latent}: {best.text}",
    [f"{e.term} ({e.kind})" for e in best.terms[:8]] or ["nothing"],
    [e.count for e in best.terms[:8]] or [0],
    [e.expected for e in best.terms[:8]] or [0],
    best.cases,
    titles(main, best.items[:8]),
    weight[list(best.items[:8])],
)

# %% [markdown]
# A latent without a description is no failure of the reader: it is reported as what it is.


# %%
def reason(c) -> str:
    """Why there is no description, or how well founded it is."""
    few = "" if c.cases == most else f", fewer than {most} cases"
    return (
        "never fires"
        if not c.cases
        else ("described" if c.text else "nothing in common") + few
    )


pd.DataFrame(
    {
        titled(key): pd.Series(map(reason, dictionary[key])).value_counts()
        for key in worlds
    }
).fillna(0).astype(int).rename_axis("latents")

# %% [markdown]
# ## Is it true?
#
# In a planted world we know what counts in an item: its genres, and a mood that shows only in the first word of the
# title. Titles also name things that belong to a genre. So the first term of each description can be checked. A decade
# or a popularity is no answer there: neither is what tastes are about, though eras count a little.


# %%
def truth(e) -> str:
    """What a term is in the planted world."""
    words = {w for genre in planted.GENRES for w in genre.words}
    if e.kind == "genre":
        return "planted genre"
    if e.term in {mood.lower() for mood in planted.MOODS}:
        return "planted mood"
    named = {part.lower() for w in words for part in w.split()}
    return "word of a genre" if e.term in named else e.kind


checked = {
    titled(key): pd.Series(
        [truth(c.terms[0]) for c in dictionary[key] if c.terms]
    ).value_counts(normalize=True)
    for key in worlds
    if key[0].startswith("planted")
}
pd.DataFrame(checked).fillna(0).round(3) if checked else (
    "no planted world: nobody knows the truth"
)

# %% [markdown]
# Another question can be asked of every world: do **other users** lead to the same words? We describe the same latents
# from the cases of the other users, with the same half of the items, and ask how often the first term of a description
# is among the terms found there. Shuffled, a description is compared with that of another latent: that is what common
# terms give.


# %%
def again(key: tuple) -> dict:
    """Share of first terms that the other users' cases show too."""
    one = firsts[key]
    code = concepts.codes(autoencoder(key, seeds[0]), one.at.verify.h)
    other = concepts.describe(
        code,
        one.at.verify.user,
        one.other,
        one.at.vocabulary,
        cases=most,
        fdr=fdr,
    )
    both = [
        (c.terms[0][:2], {e[:2] for e in o.terms})
        for c, o in zip(dictionary[key], other, strict=True)
        if c.terms and o.terms
    ]
    order = np.random.default_rng(0).permutation(len(both))
    hits = [term in found for term, found in both]
    null = [both[i][0] in both[j][1] for i, j in enumerate(order) if i != j]
    return {
        "described by both": len(both),
        "first term again": np.mean(hits or [0]),
        "shuffled": np.mean(null or [0]),
    }


repeated = {key: again(key) for key in worlds}
pd.DataFrame({titled(key): row for key, row in repeated.items()}).T.round(2)

# %% [markdown]
# ## How many latents have a description?
#
# The same counting for dictionaries that learned nothing: the autoencoder **before training**, **data rows** (centred
# vectors of users as directions), raw **neurons** of both signs and **principal axes** of both signs. All have the
# autoencoder's number of active latents a case. Neurons and axes are few; shares are of the latents of each.


# %%
def nulls(sae: SAE, x: torch.Tensor, seed: int) -> dict:
    """Dictionaries without training, with the sparsity of the autoencoder."""
    l0 = metrics.reconstruction(sae, x).l0
    g = torch.Generator().manual_seed(seed)
    return {
        "random SAE": SAE(sae.config, g).prepare(x).eval(),
        "data rows": dictionaries.data_rows(x, min(sae.m, len(x)), l0, g),
        "neurons": dictionaries.untrained(dictionaries.neurons(x), x, l0),
        "PCA": dictionaries.untrained(dictionaries.pca(x), x, l0),
    }


found = {}  # by world and dictionary: dictionaries of concepts
for key, one in tqdm(firsts.items()):
    found[key, "SAE"] = [dictionary[key]]
    found[key, "permuted"] = [permuted[key]]
    for seed in seeds[1:]:
        other = loaded[key, parent(key, seed)]
        code = concepts.codes(autoencoder(key, seed), other.at.construct.h)
        found[key, "SAE"].append(described(other, code))
    first = autoencoder(key, seeds[0])
    for kind, null in nulls(first, one.at.construct.h, 0).items():
        code = concepts.codes(null, one.at.construct.h)
        found[key, kind] = [described(one, code)]
names = list(dict.fromkeys(kind for _, kind in found))

# %% mystnb={"figure": {"caption": "Share of latents with a description, and with a term of each kind in it. 'Permuted': the autoencoder's activations on other cases at random.", "name": "fig-concepts-shares"}, "image": {"alt": "A panel a recommender, a row a dictionary. Marks of permuted activations stand at 0; data rows and other dictionaries that learned nothing have descriptions too."}}
figures.described_shares(
    {
        titled(key): {
            name: {"any": np.mean([share(c) for c in found[key, name]])}
            | {
                kind: np.mean([share(c, kind) for c in found[key, name]])
                for kind in dict.fromkeys(one.at.vocabulary.kinds)
            }
            for name in names
        }
        for key, one in firsts.items()
    }
)

# %% [markdown]
# **If data rows or the untrained autoencoder stand further right than the autoencoder, a description is no sign of
# learning.** It says that cases with similar vectors get similar recommendations, which is how the recommender works,
# and that a direction picks similar vectors. What a description can do for new cases is the question of the next page.

# %% [markdown]
# Few cases are also weak evidence. So one column counts only latents that have all the cases asked for: there no
# dictionary has an advantage by firing more.


# %%
def full(found: list) -> float:
    """Share with a description among the latents that have all cases."""
    enough = [bool(c.terms) for one in found for c in one if c.cases == most]
    return np.mean(enough) if enough else np.nan


pd.DataFrame(
    {
        (titled(key), name): {
            "latents": len(found[key, name][0]),
            "alive": np.mean(
                [c.active > 0 for one in found[key, name] for c in one]
            ),
            "cases of a latent": np.mean(
                [c.cases for one in found[key, name] for c in one]
            ),
            "described": np.mean([share(one) for one in found[key, name]]),
            f"of those with {most} cases": full(found[key, name]),
            "different texts": np.mean(
                [
                    len({c.text for c in one if c.text})
                    for one in found[key, name]
                ]
            ),
        }
        for key in worlds
        for name in names
    }
).T.round(2)

# %% [markdown]
# ## A language model instead
#
# Any endpoint that speaks OpenAI's chat protocol can write the sentences, from the same cases: give `llm_url` and
# `llm_model`. It gets what the user took before, the recommendation and its level, 0 to 10. Failures are counted, not
# hidden, and replies are kept. In this book the cell is empty: the dictionary above needs no model.


# %%
def told(key: tuple, latents: int) -> list:
    """The cases of some latents as a language model gets them."""
    one, taken, out = firsts[key], cases[key], []
    for j in range(latents):
        rows = taken.row[taken.latent == j]
        value = z[key][rows][:, [j]].toarray()[:, 0]
        level = 10 * value / value.max(initial=1e-9)
        past = one.at.construct.history[rows]
        out.append(
            [
                (titles(key, h[h >= 0]), *titles(key, [i]), float(v))
                for h, i, v in zip(past, one.item[rows], level, strict=True)
            ]
        )
    return out


if llm_url:
    from recsae_core import paths
    from recsae_core.interpret import language

    written = language.describe(
        language.Endpoint(llm_url, llm_model),
        told(main, llm_latents),
        cache=paths.cache() / "llm",
    )
    print(written.usage, f"{len(written.failures)} failures")
    display(
        pd.DataFrame(
            {
                "counted": [c.text for c in dictionary[main][:llm_latents]],
                "written": written.texts,
            }
        )
    )

# %% [markdown]
# ## What to take away
#
# - **Chance comes first.** Against the catalogue most latents look like concepts, and so do random activations. Against
#   what the recommender recommends anyway, random activations have none.
# - **Cases are fewer than they look.** Count each user and each item once, and many latents have too little left to
#   speak of. That is said in the dictionary, latent by latent.
# - **A description is cheap.** Look at the last figure, below its first row. A share of described latents says how much
#   kinds of items structure the vectors. By itself it is no argument for an autoencoder.


# %% tags=["hide-input"]
def ends(value: float, n: int) -> statistics.Interval:
    """A share of n with Wilson's interval."""
    both = np.array([round(value * n)]), np.array([n])
    return statistics.Interval(
        *(float(x[0]) for x in statistics.wilson(*both))
    )


out = {}
for key in worlds:
    base = f"recsae/{key[1]}-{key[0].removesuffix('-recsae')}"
    shares = {n: [share(c) for c in found[key, n]] for n in names}
    strongest = max(
        ("random SAE", "data rows", "neurons", "PCA"),
        key=lambda n: shares[n][0],
    )
    used = [f"{key[0]}/{key[1]}", f"{key[0]}/sae-{key[1]}"]
    slug = {
        n: f"{base}/described_share_{n.lower().replace(' ', '-')}"
        for n in names
    }
    slug["SAE"] = f"{base}/described_share"
    for name in names:
        value, n = np.mean(shares[name]), len(found[key, name][0])
        end, over = ends(value, n), "Wilson, over latents"
        if len(shares[name]) > 1:
            end, over = statistics.mean_over_seeds(shares[name]), "over seeds"
        out[slug[name]] = Result(
            value=value,
            unit="share of latents with a description",
            n=n,
            seeds=seeds if name == "SAE" else [seeds[0]],
            better="none" if name == "permuted" else "higher",
            against=slug[strongest] if name == "SAE" else None,
            note="activations without meaning: all of it is error"
            if name == "permuted"
            else "",
            artifacts=used,
            low=max(0.0, end.low),
            high=min(1.0, end.high),
            interval=f"95%, {over}",
        )
    naive_share = compared[titled(key), "catalogue", "permuted"]["described"]
    out[f"{base}/described_share_permuted-catalogue"] = Result(
        value=naive_share,
        unit="share of latents with a description",
        n=len(dictionary[key]),
        seeds=[seeds[0]],
        better="none",
        note="permuted activations, chance drawn from the catalogue",
        artifacts=used,
    )
    if repeated[key]["described by both"] >= 20:
        for what, kind in (
            ("first term again", "again"),
            ("shuffled", "again_shuffled"),
        ):
            n = repeated[key]["described by both"]
            end = ends(repeated[key][what], n)
            out[f"{base}/described_{kind}"] = Result(
                value=repeated[key][what],
                low=end.low,
                high=end.high,
                interval="95%, Wilson, over latents",
                unit="share of first terms that other users' cases show too",
                n=n,
                seeds=[seeds[0]],
                better="higher" if kind == "again" else "none",
                against=f"{base}/described_again_shuffled"
                if kind == "again"
                else None,
                artifacts=used,
            )
results.write("21_concepts", out)
