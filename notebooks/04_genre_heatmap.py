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
# # A feature for every genre: the correlation heatmap
#
# The transformer was never told what a genre is. Yet somewhere in the vector that it carries from its first block
# to its second, it may keep one, if that helps to guess the next item. A sparse autoencoder (SAE) rewrites that
# vector as a sum of a few directions out of many:
#
# $$
# \mathbf z = \mathrm{ReLU}\big(W_\text{enc}(\mathbf x - \mathbf b_\text{dec}) + \mathbf b_\text{enc}\big), \qquad
# \hat{\mathbf x} = W_\text{dec}^\top \mathbf z + \mathbf b_\text{dec} .
# $$
#
# It is trained to minimise, as a mean over rows, $\lVert \mathbf x - \hat{\mathbf x} \rVert_2 + \lambda \lVert \mathbf z \rVert_1$.
#
# The first part of the loss asks for a faithful copy, the second for few active latents. Nobody tells the SAE about
# genres either. The question of this page, Figure 2 of the sequential paper (arXiv 2507.12202), is whether its
# latents find them all the same.
#
# **What to look for.** A bright diagonal: for every genre one latent that fires on it, and on nothing else. Bright
# spots off the diagonal are either mistakes or the truth about films: genres overlap.

# %% tags=["parameters"]
dataset: str = "planted"
sae: str = "sae-256"  # which autoencoder of book/artifacts.yml
seeds: list = [0, 1, 2]  # one transformer and one autoencoder each

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import alignment, statistics
from recsae_core.interpret.fidelity import Replacement
from recsae_core.recommenders import activations, cases
from recsae_core.sae import metrics

# %% [markdown]
# ## From users to rows
#
# We stop the transformer after its first block, at every position of every test user's history. Each stop gives one
# row: a vector, and the item at that position. None of these users was seen by the transformer or by the SAE.

# %%
parts = artifacts.parts(dataset)
attributes, names = parts.test.attributes, parts.test.attribute_names


def rows_of(seed: int, part) -> activations.Rows:
    """The residual stream after block 0 at all positions of a part's users."""
    model = models[seed]
    return activations.collect(
        model, "block0", cases.inputs(part, model.config.length)
    )


models = {
    seed: artifacts.get(f"{dataset}/transformer", seed=seed) for seed in seeds
}
rows = {seed: rows_of(seed, parts.test) for seed in seeds}
saes = {seed: artifacts.get(f"{dataset}/{sae}", seed=seed) for seed in seeds}
first = seeds[0]
print(
    f"{len(rows[first].h):,} rows of width {saes[first].d}; a dictionary of {saes[first].m} latents"
)

# %% [markdown]
# ## Is the copy faithful, and is it sparse?
#
# *Explained variance* is the share of the rows' variance that the copy keeps (1 is perfect). *L0* is the mean number
# of latents above zero in a row. *Dead* latents never fire on any test row. A dictionary can always buy a better copy
# with more active latents, so these numbers only mean something together.
#
# *Recovered NDCG* asks the recommender itself: the vector that decides each test user's list is replaced by its copy,
# and the NDCG@10 of that list is divided by that of the untouched one. One vector for everybody, the mean, recovers
# something, too; *above the mean* puts that at 0 and the untouched model at 1.

# %%
quality = {
    seed: metrics.reconstruction(saes[seed], rows[seed].h) for seed in seeds
}
holdout = cases.leave_last_out(parts.test, models[first].config.length)
mean = {seed: rows_of(seed, parts.sae).h.mean(0) for seed in seeds}
fidelity = {
    seed: Replacement(models[seed], "block0", holdout, mean[seed]).by(
        saes[seed]
    )
    for seed in seeds
}
pd.DataFrame(
    {
        f"seed {seed}": {
            "explained variance": q.explained_variance,
            "mean absolute error": q.mae,
            "root mean squared error": q.rmse,
            "L0": q.l0,
            "dead latents": q.dead,
            "latents never above 0.1": q.below_tenth,
            "recovered NDCG": fidelity[seed].recovered,
            "recovered above the mean": fidelity[seed].above_mean,
        }
        for seed, q in quality.items()
    }
).map("{:.4g}".format)

# %% [markdown]
# **Look at L0 beside the width.** If more latents are active in a row than the vector has dimensions, the code is
# sparse only in the sense that most of a large dictionary is off. It is then no simpler than the vector was.

# %% [markdown]
# ## One latent for each genre
#
# For each genre we take the latent whose activation has the highest Pearson correlation with the genre of the item
# *at the position* (not of the next item). That is the authors' measure. It is chosen and scored on the same rows;
# the next notebook repeats it on items that did not choose the latent.

# %%
aligned = {
    seed: alignment.align(
        saes[seed], rows[seed].h, rows[seed].item, attributes
    )
    for seed in seeds
}
best = {
    seed: np.nan_to_num(a.r, nan=-1).argmax(0) for seed, a in aligned.items()
}
order = np.argsort(-aligned[first].base_rate)

# %% mystnb={"figure": {"caption": "One row a genre: the latent that correlates most with it, and that latent's correlation with every genre. The diagonal is what was chosen; everything off it was not.", "name": "fig-genre-heatmap"}, "image": {"alt": "Square heatmap with a strongly coloured diagonal. Off the diagonal most cells are near zero; pairs of genres that share items are tinted in both directions."}}
figures.genre_heatmap(
    aligned[first].r[best[first][order]][:, order],
    [f"{names[a]} · {best[first][a]}" for a in order],
    [names[a] for a in order],
    own=range(len(names)),
)

# %% [markdown]
# Read a row from left to right. The bright cell is the genre that the latent was chosen for; a second bright cell in
# the same row is a genre that it cannot tell from the first. Then look whether that second genre's own row says the
# same: if two rows look alike, the data hold two names for nearly the same set of items.

# %%
known = artifacts.reference("seqrec", dataset)
theirs = known.get(f"{sae}-correlation", {})
per_genre = pd.DataFrame(
    {
        "base rate": aligned[first].base_rate,
        "latent": best[first],
        **{f"r, seed {seed}": a.r.max(0) for seed, a in aligned.items()},
        "AUC": aligned[first].auc[best[first], np.arange(len(names))],
        "precision": aligned[first].precision[
            best[first], np.arange(len(names))
        ],
        "recall": aligned[first].recall[best[first], np.arange(len(names))],
    },
    index=pd.Index(names, name="genre"),
).iloc[order]
if theirs:
    per_genre["authors' r"] = pd.Series(theirs)
per_genre.round(3)

# %% [markdown]
# **Precision is much lower than r suggests.** A latent counts as firing as soon as it is above zero, and an L1
# autoencoder has many small activations. High recall with low precision is the signature of a latent that whispers
# everywhere and shouts on its genre. The notebook on activations looks at that.

# %%
found = {
    seed: alignment.mean_max_correlation(a) for seed, a in aligned.items()
}
pd.Series(
    {f"seed {seed}": value for seed, value in found.items()},
    name="mean over genres of the highest r",
).round(4).to_frame()

# %% tags=["hide-input"]
reference = known.get(sae, {})


def over_seeds(
    values: list[float],
    unit: str,
    better: str,
    metric: str,
    against: str | None = None,
) -> Result:
    """A row of the scoreboard: the mean over seeds with Student's t interval."""
    spread = (
        statistics.mean_over_seeds(np.array(values))
        if len(values) > 1
        else (values[0], None, None)
    )
    return Result(
        value=spread[0],
        low=spread[1],
        high=spread[2],
        interval="95%, t interval over seeds (transformer and SAE both retrained)"
        if len(values) > 1
        else "",
        unit=unit,
        n=len(rows[first].h),
        seeds=seeds,
        better=better,
        against=against,
        reference=reference.get(metric),
        source=known["source"] if metric in reference else None,
        note="all positions of the test users, block 0",
        artifacts=[f"{dataset}/transformer", f"{dataset}/{sae}"],
    )


results.write(
    "04_genre_heatmap",
    {
        f"seqrec/{sae}/explained_variance": over_seeds(
            [q.explained_variance for q in quality.values()],
            "share of variance",
            "higher",
            "explained_variance",
        ),
        f"seqrec/{sae}/l0": over_seeds(
            [q.l0 for q in quality.values()], "latents a row", "none", "l0"
        ),
        f"seqrec/{sae}/recovered_ndcg": over_seeds(
            [found.recovered for found in fidelity.values()],
            "of NDCG@10",
            "higher",
            "none",
        ).model_copy(
            update={
                "n": len(holdout),
                "note": "the row that decides each list replaced by its copy",
            }
        ),
        f"seqrec/{sae}/recovered_ndcg_above_mean": over_seeds(
            [found.above_mean for found in fidelity.values()],
            "from the mean row (0) to the untouched model (1)",
            "higher",
            "none",
        ).model_copy(
            update={
                "n": len(holdout),
                "note": "the row that decides each list replaced by its copy",
            }
        ),
        f"seqrec/{sae}/dead": over_seeds(
            [float(q.dead) for q in quality.values()],
            "latents",
            "lower",
            "dead",
        ),
        f"seqrec/{sae}/never_above_0.1": over_seeds(
            [float(q.below_tenth) for q in quality.values()],
            "latents",
            "lower",
            "never_above_0.1",
        ),
    }
    | {
        f"seqrec/{sae}/max_correlation:{name}": over_seeds(
            [a.r[:, i].max() for a in aligned.values()],
            "Pearson r",
            "higher",
            "none",
        ).model_copy(
            update={
                "reference": theirs.get(name),
                "source": known["source"] if name in theirs else None,
            }
        )
        for i, name in enumerate(names)
        if np.isfinite(
            aligned[first].r[:, i]
        ).all()  # an attribute that no item or every item has says nothing
    },
)
