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
# # How much do the settings matter?
#
# An autoencoder has knobs: how hard sparsity is pressed for, how many latents there are, and by which rule a latent
# counts as active. Figure 3 of the sequential paper (arXiv 2507.12202) turns two of them, the coefficient of the L1
# penalty and the size of the dictionary, and watches the mean over genres of the highest correlation. We turn the
# third one, too:
#
# | sparsifier | active latents | source |
# |---|---|---|
# | ReLU with an L1 penalty | as many as are worth their price; what is active is pulled towards zero | 2507.12202 |
# | TopK | the $k$ largest of every row | Gao et al., 2406.04093 |
# | BatchTopK | the $kn$ largest of a batch of $n$ rows; afterwards all above one threshold | Bussmann et al., 2412.06410 |
#
# **What to look for.** A conclusion that holds at one setting only is a property of the setting. So look for *flat*
# stretches; for the price at which a higher correlation is bought (more active latents, dead latents, a worse copy);
# and for the grey lines, which are dictionaries that learned nothing. **Where a grey line reaches the coloured ones,
# the correlation there says nothing about training.**

# %% tags=["parameters"]
dataset: str = "planted"
seed: int = 0
m: int = 256  # latents, while the coefficient is turned
coefficients: list = [0.025, 0.05, 0.1, 0.2, 0.4]  # of the L1 penalty
coefficient: float = 0.1  # while the size is turned
sizes: list = [32, 64, 128]  # dictionaries, beside m
widths: list = [256]  # of the dictionaries with k active latents
active: list = [4, 8, 16, 32]  # their k, and the L0 of the nulls
splits: int = 20  # random halves of the items

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import alignment, dictionaries, statistics
from recsae_core.recommenders import activations, cases, ranking
from recsae_core.sae import metrics

# %% [markdown]
# ## The whole grid in one pass
#
# All autoencoders below learn from the same rows, in the same batches, with the same learning rate; they differ in
# nothing but themselves. So they can be trained side by side: each batch is drawn once and every autoencoder takes a
# step on it. Each ends exactly where it would have ended alone.


# %%
def recipe(kind: str, width: int, value: float) -> dict:
    """The arguments of ``artifacts.get`` for one autoencoder of the grid."""
    if kind == "L1":
        own = {"sae": {"m": width}, "terms": {"l1": value}}
        return {"name": f"{dataset}/sae-grid", "seed": seed} | own
    own = {"sae": {"m": width, "k": value}}
    return {"name": f"{dataset}/sae-grid-{kind.lower()}", "seed": seed} | own


settings = [("L1", m, c) for c in coefficients]
settings += [("L1", size, coefficient) for size in sizes if size != m]
settings += [
    (kind, width, k)
    for kind in ("TopK", "BatchTopK")
    for width in widths
    for k in active
]
artifacts.ensure_all(recipe(*one) for one in settings)
print(f"{len(settings)} autoencoders")

# %% [markdown]
# ## Have they learned all they will?
#
# A comparison of unfinished trainings is a comparison of speeds. The table says by how much the loss still fell
# between the last two entries of each training's log.

# %%
late = []
for kind, width, value in settings:
    log = artifacts.record(**recipe(kind, width, value))["report"]["history"]
    before, after = log[-2], log[-1]
    late.append(
        {
            "sparsifier": kind,
            "rows between": after["rows"] - before["rows"],
            "loss fell by, %": 100 * (1 - after["loss"] / before["loss"]),
            "L0 changed by, %": 100 * (after["l0"] / before["l0"] - 1),
        }
    )
pd.DataFrame(late).groupby("sparsifier", sort=False).agg(
    ["min", "max"]
).round(1)

# %% [markdown]
# ## Five things to measure
#
# On the rows of the test users:
#
# - **correlation**: mean over genres of the highest correlation of any latent with the genre of the item at the
#   position, *in sample* (chosen and scored on the same rows, as in the paper) and *held out* (chosen on half of the
#   items, scored on the other half);
# - **explained variance**, the quality of the copy; **L0**, active latents a row; **dead** latents, active on no row;
# - **recovered NDCG**: the vector that decides a user's list is replaced by its copy, and the user's last item is
#   looked for among all items. We report the ratio to the untouched model's NDCG@10, and beside it a harsher score,
#   on which 0 is what is left when every user's vector is replaced by the mean vector, and 1 is the untouched model.

# %%
parts = artifacts.parts(dataset)
attributes = parts.test.attributes
model = artifacts.get(f"{dataset}/transformer", seed=seed)
x, test = (
    activations.collect(
        model, "block0", cases.inputs(part, model.config.length)
    )
    for part in (parts.sae, parts.test)
)
halves = statistics.item_halves(
    np.bincount(parts.sae.item, minlength=parts.sae.n_items),
    splits,
    np.random.default_rng(0),
)
holdout = cases.leave_last_out(parts.test, model.config.length)
stop = model.tail("block0", holdout.cases)


def ndcg(h: torch.Tensor) -> float:
    """NDCG@10 of the test users' last items, their deciding vectors replaced."""
    ranks = ranking.evaluate(
        lambda _: stop.finish(h), holdout, ks=(10,), batch=len(holdout)
    )
    return float(ranks["ndcg@10"].mean())


whole = ndcg(stop.h)
blank = ndcg(x.h.mean(0).expand_as(stop.h))
print(f"NDCG@10: untouched {whole:.4f}, mean vector {blank:.4f}")


@torch.no_grad()
def score(dictionary) -> dict[str, float]:
    """All that is measured of a dictionary."""
    a = alignment.align(dictionary, test.h, test.item, attributes)
    copy = metrics.reconstruction(dictionary, test.h)
    left = ndcg(dictionary.decode(dictionary.encode(stop.h)))
    return {
        "in sample": alignment.mean_max_correlation(a),
        "held out": float(np.nanmean(alignment.held_out_max(a, halves))),
        "explained variance": copy.explained_variance,
        "L0": copy.l0,
        "dead": copy.dead,
        "recovered": left / whole,
        "above the mean": (left - blank) / (whole - blank),
    }


# %% [markdown]
# ## The nulls
#
# A correlation is a maximum over many latents, and a dictionary that fires more often has more chances. So each L0
# has nulls of its own, as many directions as there are latents behind one threshold that lets as many of them fire:
# random directions, and the directions of random training rows. Their decoders are fitted by least squares to training
# rows. Where latents are many and each is seldom active, even such a fit fails on new rows: their copies are then
# worse than the mean, and the explained variance is below zero.

# %%
found = [
    {"kind": kind, "m": width, "value": value}
    | score(artifacts.get(**recipe(kind, width, value)))
    for kind, width, value in tqdm(settings, desc="autoencoders")
]
g = torch.Generator().manual_seed(seed)
nulls = {
    "random directions": dictionaries.random_relu,
    "data rows": dictionaries.data_rows,
}
found += [
    {"kind": kind, "m": m, "value": k} | score(make(x.h, m, k, g))
    for kind, make in nulls.items()
    for k in tqdm(active, desc=kind)
]
table = pd.DataFrame(found)
table.round(3)

# %% [markdown]
# ## The coefficient of the L1 penalty

# %%
QUANTITIES = {
    "Mean max correlation": ("in sample", "held out"),
    "Explained variance": ("explained variance",),
    "Active latents (L0)": ("L0",),
    "Dead latents": ("dead",),
    "Recovered NDCG@10": ("recovered", "above the mean"),
}


def over(rows: pd.DataFrame, setting: str) -> dict:
    """The panels of a figure over one setting of the L1 autoencoder."""
    return {
        quantity: {
            column if len(columns) > 1 else "autoencoder": (
                rows[setting],
                rows[column],
            )
            for column in columns
        }
        for quantity, columns in QUANTITIES.items()
    }


l1 = table[table.kind == "L1"]
by_coefficient = l1[l1.m == m].sort_values("value")
by_size = l1[l1.value == coefficient].sort_values("m")

# %% mystnb={"figure": {"caption": "The L1 coefficient turned, everything else kept. The pale bar is the paper's setting.", "name": "fig-sensitivity-l1"}, "image": {"alt": "Five panels over the coefficient. L0 and explained variance fall as the coefficient grows; at the largest coefficients nearly all latents are dead and the correlation is gone."}}
figures.sweep(
    over(by_coefficient, "value"), xlabel="L1 coefficient", mark=coefficient
)

# %% [markdown]
# Two things can go wrong. With a small coefficient nearly everything is active, and a latent has no reason to stand for
# one thing. With a large one latents die, the copy goes first, and the genres go with it. If the correlation has a peak
# between the two, the setting matters; if it has a plateau, it hardly does.

# %% [markdown]
# ## The size of the dictionary

# %% mystnb={"figure": {"caption": "The number of latents turned, the L1 coefficient kept. The pale bar is the size of the figure above.", "name": "fig-sensitivity-m"}, "image": {"alt": "Five panels over the number of latents. The correlation changes little over the sizes; the number of dead latents grows with the dictionary."}}
figures.sweep(over(by_size, "m"), xlabel="Latents m", mark=m)

# %% [markdown]
# More latents are more candidates, and *in sample* more candidates cannot hurt. *Held out* says whether they help.

# %% [markdown]
# ## Three sparsifiers at the same L0
#
# The fair axis for different sparsifiers is neither a coefficient nor $k$ but what they lead to: the number of active
# latents a row, measured on the test rows. Nulls in grey, at the same L0.

# %% mystnb={"figure": {"caption": "Every autoencoder and the nulls over the number of latents that are active in a test row.", "name": "fig-sensitivity-l0"}, "image": {"alt": "Six panels over L0. All autoencoders explain more variance than the grey nulls at the same L0. The correlation of the TopK lines peaks between the ends."}}
lines = {"L1": by_coefficient}
for kind in ("TopK", "BatchTopK"):
    for width in widths:
        lines[f"{kind}, m {width}"] = table[
            (table.kind == kind) & (table.m == width)
        ]
lines |= {kind: table[table.kind == kind] for kind in nulls}
figures.sweep(
    {
        label: {
            name: (rows["L0"][rows["L0"] >= 1], rows[column][rows["L0"] >= 1])
            for name, rows in lines.items()
        }
        for label, column in {
            "Correlation, in sample": "in sample",
            "Correlation, held out": "held out",
            "Explained variance": "explained variance",
            "Dead latents": "dead",
            "Recovered NDCG@10": "recovered",
            "NDCG above the mean": "above the mean",
        }.items()
    },
    xlabel="Active latents a row (L0)",
    quiet=list(nulls),
)

# %% [markdown]
# Read the panels against each other. A null that comes near in correlation may still have a poor copy, and recover
# little of the NDCG: to *correlate* with a genre is one thing, to rebuild the vector from few parts another. **If the
# lines of a panel change places from one L0 to the next, no sparsifier is better; they are different points of one
# trade.** One training of each is all that this page has: differences as small as those between seeds on the page of
# controls mean nothing here. An autoencoder with less than one active latent a row has collapsed and is left out.

# %% tags=["hide-input"]
against = {}
for k in active:
    same = table[table.kind.isin(nulls) & (table.value == k)]
    against[k] = same.loc[same["held out"].idxmax(), "kind"]


def row(value: float, unit: str, note: str, better: str, null: str | None):
    """A row of the scoreboard."""
    return Result(
        value=value,
        unit=unit,
        n=len(holdout) if "NDCG" in unit else len(test.h),
        seeds=[seed],
        better=better,
        against=null,
        note=f"{note}; one training",
        artifacts=[f"{dataset}/transformer", f"{dataset}/sae-grid"],
    )


def key(kind: str, width: int, k: int, metric: str) -> str:
    name = kind.lower().replace(" ", "-")
    return f"seqrec/sensitivity/{name}_m{width}_l0_{k:g}_{metric}"


rows_out = {}
for name, rows, what in (
    ("l1", by_coefficient, f"L1 coefficients {coefficients}, m {m}"),
    ("m", by_size, f"sizes {sorted(by_size.m)}, L1 {coefficient}"),
):
    for end in ("min", "max"):
        rows_out[f"seqrec/sensitivity/over_{name}_{end}_heldout"] = row(
            float(rows["held out"].agg(end)),
            "Pearson r",
            f"mean max correlation held out, {end} over {what}",
            "none",
            None,
        )
        rows_out[f"seqrec/sensitivity/over_{name}_{end}_recovered_ndcg"] = (
            row(
                float(rows["recovered"].agg(end)),
                "of NDCG@10",
                f"the deciding vector replaced by its copy, {end} over {what}",
                "none",
                None,
            )
        )
for one in table[table.kind != "L1"].itertuples():
    null = one.kind in nulls
    if not null and one.m != m:
        continue
    what = f"{one.kind}, m {one.m}, L0 {one.L0:.1f}"
    for metric, column, unit in (
        ("heldout", "held out", "Pearson r"),
        ("recovered_ndcg", "recovered", "of NDCG@10"),
    ):
        rows_out[key(one.kind, one.m, one.value, metric)] = row(
            float(table.loc[one.Index, column]),
            unit,
            f"{column}, {what}",
            "higher",
            None if null else key(against[one.value], m, one.value, metric),
        )
results.write("07_sensitivity", rows_out)
