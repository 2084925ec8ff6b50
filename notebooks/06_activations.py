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

# %% [markdown]
# # What one latent does: histograms, ECDFs and cards
#
# A correlation is one number. It hides *how* a latent tells films of its genre from others: does it switch on and off,
# or only lean one way? This page looks at the activations themselves (Figure 5 of the sequential paper, arXiv
# 2507.12202), and at the items that drive a latent most.
#
# **What to look for.** A latent that *means* a genre is silent (exactly zero) on most other items and clearly positive
# on its own. Two overlapping heaps with different means are enough for a good correlation, but are not a concept.

# %% tags=["parameters"]
dataset: str = "planted"
sae: str = "sae-256"
seed: int = 0
genres: list = []  # which genres to draw; empty: the rarest, two in between and the most frequent

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import alignment
from recsae_core.recommenders import activations, cases

# %%
parts = artifacts.parts(dataset)
attributes, names = parts.test.attributes, parts.test.attribute_names
model = artifacts.get(f"{dataset}/transformer", seed=seed)
dictionary = artifacts.get(f"{dataset}/{sae}", seed=seed)
rows = activations.collect(
    model, "block0", cases.inputs(parts.test, model.config.length)
)
z = dictionary.encode(rows.h).dense().detach().numpy()
a = alignment.align(dictionary, rows.h, rows.item, attributes)
best = np.nan_to_num(a.r, nan=-1).argmax(0)

# %% [markdown]
# ## How many latents are on, and how often is each?
#
# Two different questions. The left picture counts, for every row, the latents above zero (L0); the right one counts,
# for every latent, the rows that it fires on. A healthy sparse code has few latents a row *and* few latents that fire
# almost everywhere: a latent that is always on says nothing about the item.

# %% mystnb={"figure": {"caption": "Active latents in a row, for two thresholds. The vertical mark is the width of the vector: to its right the code has more active numbers than the vector has entries.", "name": "fig-activations-l0"}, "image": {"alt": "Two heaps: latents above zero in a row, and, far to the left of it, latents above a tenth."}}
counts = {"above 0": (z > 0).sum(1), "above 0.1": (z > 0.1).sum(1)}
figures.l0_histogram(counts, width=dictionary.d)

# %% mystnb={"figure": {"caption": "Share of the rows on which a latent fires, over all latents, for two thresholds.", "name": "fig-activations-rate"}, "image": {"alt": "Histogram of firing rates on a logarithmic axis, one outline a threshold."}}
rates = {"above 0": (z > 0).mean(0), "above 0.1": (z > 0.1).mean(0)}
figures.fire_rate_histogram(rates)

# %% [markdown]
# ## With the genre and without it
#
# For a few genres, the activation of the latent that correlates best with it, on the rows whose item has the genre and
# on the rows whose item has not. The share of rows on which the latent is exactly zero is written in each panel.

# %%
by_frequency = np.argsort(-a.base_rate)
places = by_frequency[np.linspace(0, len(names) - 1, 4).round().astype(int)]
drawn = [names.index(genre) for genre in genres] if genres else list(places)
panels = [f"{names[i]} · latent {best[i]}" for i in drawn]
values, has = z[:, best[drawn]], attributes[rows.item.numpy()][:, drawn]

# %% mystnb={"figure": {"caption": "Activations of the best latent of four genres, on rows with the genre and without it. Heights are shares of each group.", "name": "fig-activations-histogram"}, "image": {"alt": "Four panels. In each the rows without the genre heap up at zero and the rows with the genre spread to the right."}}
figures.activation_histogram(values, has, panels)

# %% [markdown]
# The same as curves. Read the ECDF from the left: it starts at the share of rows on which the latent is silent. The
# largest vertical distance between the two curves is the best that a single threshold can do (the Kolmogorov-Smirnov
# distance); the ROC AUC averages over all thresholds.

# %% mystnb={"figure": {"caption": "The same activations as empirical distribution functions. A concept that is switched on and off would give one curve along the top and one along the bottom.", "name": "fig-activations-ecdf"}, "image": {"alt": "Four panels with two rising curves each; the curve of rows without the genre is near the top from the start, the other rises slowly."}}
figures.ecdf(values, has, panels)

# %%
separation = pd.DataFrame(
    {
        "r": a.r[best, np.arange(len(names))],
        "AUC": a.auc[best, np.arange(len(names))],
        "silent without": 1
        - ((z[:, best] > 0) & ~attributes[rows.item.numpy()]).sum(0)
        / (~attributes[rows.item.numpy()]).sum(0),
        "silent with": 1 - a.recall[best, np.arange(len(names))],
        "mean with": a.mean_active[best, np.arange(len(names))],
    },
    index=pd.Index(names, name="genre"),
).iloc[by_frequency]
separation.round(3)

# %% [markdown]
# ## Feature cards: which items drive a latent?
#
# Statistics over genres ask a latent *our* questions. Its top items let it speak for itself. For the drawn genres: the
# items with the highest mean activation among those that stand at ten positions or more, and whether they have the
# genre. An item without the genre at the top of the list is either the latent's mistake or a gap in the labels; look at
# its title before you decide.

# %%
item = rows.item.numpy()
at = np.bincount(item, minlength=len(attributes))


def card(genre: int, top: int = 5) -> pd.DataFrame:
    """The items on which the best latent of a genre is highest."""
    mean = np.bincount(
        item, weights=z[:, best[genre]], minlength=len(at)
    ) / np.maximum(at, 1)
    mean[at < 10] = -1
    order = np.argsort(-mean)[:top]
    return pd.DataFrame(
        {
            "latent of": f"{names[genre]} · {best[genre]}",
            "title": parts.test.items["title"].to_numpy()[order],
            "mean activation": mean[order].round(3),
            "has the genre": attributes[order, genre],
        }
    )


pd.concat([card(i) for i in drawn], ignore_index=True)

# %% tags=["hide-input"]
chosen = a.auc[best, np.arange(len(names))]
results.write(
    "06_activations",
    {
        f"seqrec/{sae}/{key}": Result(
            value=float(value),
            unit=unit,
            n=len(rows.h),
            seeds=[seed],
            better=better,
            note=note,
            artifacts=[f"{dataset}/transformer", f"{dataset}/{sae}"],
        )
        for key, value, unit, better, note in (
            (
                "l0_above_0.1",
                counts["above 0.1"].mean(),
                "latents a row",
                "none",
                "latents above 0.1, all test positions",
            ),
            (
                "mean_auc_of_best",
                np.nanmean(chosen),
                "ROC AUC",
                "higher",
                "latent chosen by correlation, in sample",
            ),
            (
                "mean_silent_without",
                separation["silent without"].mean(),
                "share of rows",
                "higher",
                "rows without the genre on which its latent is exactly zero, mean over genres",
            ),
            (
                "mean_silent_with",
                separation["silent with"].mean(),
                "share of rows",
                "lower",
                "rows with the genre on which its latent is exactly zero, mean over genres",
            ),
        )
    },
)
