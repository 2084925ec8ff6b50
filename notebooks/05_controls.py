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
# # Would anything else have done as well?
#
# The last page found, for every genre, a latent that correlates with it. Before we are impressed we ask what a
# *stupid* dictionary finds. A dictionary of several hundred directions offers several hundred chances for each genre, and
# the maximum over many chances is high even when each chance is poor. So each control below changes one thing about
# the SAE and keeps the rest:
#
# | dictionary | what it is | what it controls for |
# |---|---|---|
# | neurons | the vector's own dimensions, both signs | what the model says without any dictionary |
# | PCA | principal axes, both signs | directions of high variance |
# | ICA | independent components, both signs | directions of heavy tails, which is what sparsity seeks |
# | random directions | as many random directions as the SAE has latents, behind a ReLU, one threshold, at the SAE's L0 | the number of chances, and sparsity |
# | data rows | the same, with random training rows as directions | looking where the data lie |
# | item embeddings | the same, with the recommender's own item vectors | knowing single items |
# | untrained SAE | the SAE before its first step, at the same L0 | the architecture |
# | untrained model | an SAE trained in the same way on a transformer that was not | what the input contains: each row holds a random vector of its item |
# | probe | one least-squares direction a genre, *told* the genres | nothing: it is the ceiling |
#
# This is Figure 4 of the sequential paper (arXiv 2507.12202), which shows the SAE beside the neurons only.
#
# **What to look for.** The distance from the SAE to the *best* of the controls, not to the worst; and how much of the
# way from the random dictionary to the probe the SAE covers.

# %% tags=["parameters"]
dataset: str = "planted"
sae: str = "sae-256"
seeds: list = [0, 1, 2]  # one transformer and one autoencoder each
random_draws: int = 2  # random dictionaries a seed
splits: int = 20  # random halves of the items

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import alignment, dictionaries, probes, statistics
from recsae_core.recommenders import activations, cases
from recsae_core.sae import SAE, metrics

# %% [markdown]
# ## The dictionaries, each in one line
#
# All of them are fitted, where there is anything to fit, on the rows of the *sae* users, as the SAE was; all of them
# are scored on the rows of the *test* users.

# %%
parts = artifacts.parts(dataset)
attributes, names = parts.test.attributes, parts.test.attribute_names


def rows_of(model, part) -> activations.Rows:
    """The residual stream after block 0 at all positions of a part's users."""
    return activations.collect(
        model, "block0", cases.inputs(part, model.config.length)
    )


def dictionaries_of(seed: int, model, x: activations.Rows) -> dict:
    """Name -> dictionaries of that kind for one transformer; ``x`` are the rows to fit on."""
    trained = artifacts.get(f"{dataset}/{sae}", seed=seed)
    m, l0 = trained.m, metrics.reconstruction(trained, x.h).l0
    g = torch.Generator().manual_seed(seed)
    return {
        "SAE": [trained],
        "neurons": [dictionaries.neurons(x.h)],
        "pca": [dictionaries.pca(x.h)],
        "ica": [dictionaries.ica(x.h)],
        "random-dictionary": [
            dictionaries.random_relu(x.h, m, l0, g)
            for _ in range(random_draws)
        ],
        "data-rows": [dictionaries.data_rows(x.h, m, l0, g)],
        "item-embeddings": [
            dictionaries.item_embeddings(
                model.item.weight.detach(), x.h, m, l0, g
            )
        ],
        "untrained-sae": [
            dictionaries.untrained(
                SAE(trained.config, g).prepare(x.h), x.h, l0
            )
        ],
        "untrained-model": [
            artifacts.get(
                f"{dataset}/{sae}", seed=seed, parent=f"{dataset}/untrained"
            )
        ],
        "probe": [probes.probe(x.h, x.item, attributes)],
    }


# %% [markdown]
# ## Scored twice
#
# - **In sample**, as the paper does it: the best latent for a genre is chosen and scored on the same rows.
# - **Held out**: the items are cut in two halves, alike in popularity. The latent is chosen on the rows of one half,
#   and its correlation is measured on the rows of the other half, whose items had no say. Twenty such cuts are
#   averaged. (Cutting the *users* in two would be no test: the same items would stand on both sides, and a latent
#   that knows an item by heart would pass.)

# %%
halves = statistics.item_halves(
    np.bincount(parts.sae.item, minlength=parts.sae.n_items),
    splits,
    np.random.default_rng(0),
)
rows_of_table, per_genre = [], {}
for seed in tqdm(seeds, desc="seeds"):
    model = artifacts.get(f"{dataset}/transformer", seed=seed)
    blank = artifacts.get(f"{dataset}/untrained", seed=seed)
    x, test = rows_of(model, parts.sae), rows_of(model, parts.test)
    blank_test = rows_of(blank, parts.test)
    for kind, found in dictionaries_of(seed, model, x).items():
        # an SAE of the untrained model reads that model's rows: the same positions of the same users
        h = blank_test.h if kind == "untrained-model" else test.h
        for draw, dictionary in enumerate(found):
            a = alignment.align(dictionary, h, test.item, attributes)
            held = alignment.held_out_max(a, halves)
            # a probe must not have seen the labels that it is scored on
            if kind == "probe":
                label = attributes[test.item]
                held = probes.held_out_probe(
                    x.h,
                    attributes[x.item].astype(float),
                    halves[:, x.item],
                    test.h,
                    label.astype(float),
                    label,
                    halves[:, test.item],
                ).r
            rows_of_table.append(
                {
                    "dictionary": kind,
                    "seed": seed,
                    "draw": draw,
                    "latents": dictionary.m,
                    "L0": float(a.fire_rate.sum()),
                    "in sample": alignment.mean_max_correlation(a),
                    "held out": float(np.nanmean(held)),
                }
            )
            if seed == seeds[0] and draw == 0:
                per_genre[kind] = np.nanmax(a.r, 0), np.nanmean(held, 0)
                base_rate = a.base_rate
table = pd.DataFrame(rows_of_table)
table.groupby("dictionary", sort=False)[
    ["latents", "L0", "in sample", "held out"]
].mean().round(3)


# %% mystnb={"figure": {"caption": "Mean over genres of the highest correlation of any latent: chosen and scored on the same rows (in sample), and scored on items that did not choose the latent (held out). Marks are means over seeds, lines 95% t intervals over seeds.", "name": "fig-controls-means"}, "image": {"alt": "Two marks for each dictionary. The probe is highest, the SAE next; random directions, data rows and the untrained SAE stand well above zero."}}
def over_seeds(kind: str, column: str) -> statistics.Interval:
    """Mean over seeds, each seed being the mean of its draws."""
    values = (
        table[table.dictionary == kind]
        .groupby("seed")[column]
        .mean()
        .to_numpy()
    )
    return (
        statistics.mean_over_seeds(values)
        if len(values) > 1
        else statistics.Interval(values[0], None, None)
    )


kinds = list(table.dictionary.unique())
spread = {
    column: [over_seeds(kind, column) for kind in kinds]
    for column in ("in sample", "held out")
}
figures.compare_bars(
    [[found.value for found in spread[column]] for column in spread],
    kinds,
    list(spread),
    low=[[found.low for found in spread[column]] for column in spread]
    if len(seeds) > 1
    else None,
    high=[[found.high for found in spread[column]] for column in spread]
    if len(seeds) > 1
    else None,
    xlabel="Mean over genres of the largest correlation (Pearson r)",
)

# %% [markdown]
# The drop from *in sample* to *held out* is the price of choosing. It is largest where there are many candidates that
# know single items. A method whose lead survives it has found something about genres; a method whose lead does not has
# found the items that the genre happens to consist of.
#
# Held out, the probe is a ceiling no longer. It was fitted to the labels of half of the items, and where a genre has
# few items that is little to learn from. The SAE was fitted to no label at all; it only had to be *chosen*.

# %% mystnb={"figure": {"caption": "Held-out correlation of the chosen latent with each genre, most frequent genre first.", "name": "fig-controls-genres"}, "image": {"alt": "A row of marks for each genre, one mark a dictionary. The order of the dictionaries is much the same in most genres, with exceptions among the rare ones."}}
order = [
    a
    for a in np.argsort(-base_rate)
    if all(np.isfinite(held[a]) for _, held in per_genre.values())
]
shown = ["SAE", "neurons", "random-dictionary", "data-rows", "probe"]
figures.compare_bars(
    [per_genre[kind][1][order] for kind in shown],
    [names[a] for a in order],
    shown,
)

# %% [markdown]
# ## How much of the way?
#
# A score from 0 (no better than the random dictionary) to 1 (as good as a probe that was told the genres).


# %%
def share_of_the_way(column: str) -> float:
    """Where the SAE stands between the random dictionary and the probe."""
    low, high = (
        over_seeds("random-dictionary", column).value,
        over_seeds("probe", column).value,
    )
    return (over_seeds("SAE", column).value - low) / (high - low)


strongest = {
    column: max(
        (k for k in kinds if k not in ("SAE", "probe")),
        key=lambda k: over_seeds(k, column).value,
    )
    for column in ("in sample", "held out")
}
pd.DataFrame(
    {
        column: {
            "share of the way": round(share_of_the_way(column), 3),
            "strongest control": strongest[column],
        }
        for column in ("in sample", "held out")
    }
).T


# %% tags=["hide-input"]
def row(kind: str, column: str, against: str | None) -> Result:
    """A row of the scoreboard."""
    found = over_seeds(kind, column)
    return Result(
        value=found.value,
        low=found.low,
        high=found.high,
        interval="95%, t interval over seeds"
        if found.low is not None
        else "",
        unit="Pearson r",
        n=len(test.h),
        seeds=seeds,
        better="higher",
        against=against,
        note={
            "in sample": "best latent chosen and scored on the same rows",
            "held out": f"latent chosen on half of the items, scored on the other half, {splits} splits",
        }[column],
        artifacts=[f"{dataset}/transformer", f"{dataset}/{sae}"],
    )


metric = {
    "in sample": "mean_max_correlation",
    "held out": "mean_max_correlation_heldout",
}
rows_out = {
    f"seqrec/{kind}/{metric[column]}": row(kind, column, None)
    for kind in kinds
    if kind != "SAE"
    for column in metric
}
for column in metric:
    rows_out[f"seqrec/{sae}/{metric[column]}"] = row(
        "SAE", column, f"seqrec/{strongest[column]}/{metric[column]}"
    )
known = artifacts.reference("seqrec", dataset)
if sae in known:
    key = f"seqrec/{sae}/{metric['in sample']}"
    theirs = {
        "reference": known[sae]["mean_max_correlation"],
        "source": known["source"],
    }
    rows_out[key] = rows_out[key].model_copy(update=theirs)
for column in metric:
    rows_out[
        f"seqrec/{sae}/share_of_the_way{'' if column == 'in sample' else '_heldout'}"
    ] = Result(
        value=share_of_the_way(column),
        unit="from the random dictionary (0) to the probe (1)",
        n=len(test.h),
        seeds=seeds,
        better="higher",
        note=f"mean max correlation, {column}",
        artifacts=[f"{dataset}/transformer", f"{dataset}/{sae}"],
    )
results.write("05_controls", rows_out)
