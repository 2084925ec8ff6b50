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
# # How a dictionary divides its work
#
# A latent with a high correlation is one success. This page asks about the dictionary as a whole:
#
# - **Firing**: how many latents are on, how often, and are any never used?
# - **Stability**: does another training, from other first weights on the same vectors, find the same directions? A
#   direction that comes and goes is a property of the training, not of the recommender.
# - **Splitting and absorption**: is a genre in one latent, in several, or with gaps where a narrower genre's latent
#   has taken over?
# - **Effect**: does a latent that *fires* on a genre also *raise* the scores of its items?
#
# **What to look for.** Each answer stands beside a null. A share of matched latents means nothing before one has seen
# how well random directions match.

# %% tags=["parameters"]
dataset: str = "planted"
sae: str = "sae-256"
best: str = "sae-topk"  # the best sparse setting, beside it
seeds: list = [0, 1, 2]  # first weights of autoencoders on ONE transformer
least: float = 0.7  # share of a genre's items that make it part of another
effect_cases: int = 100  # lists whose scores are watched
effect_latents: int = 100  # random latents beside those chosen for a genre
genres: list = []  # which cards to draw; empty: the rarest, two in between and the most frequent

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from scipy import stats

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import (
    alignment,
    dictionaries,
    effects,
    senses,
    statistics,
    structure,
)
from recsae_core.recommenders import activations, cases
from recsae_core.steer.edit import units

figures.style.DPI = 90  # ten figures: the page stays light

# %%
parts = artifacts.parts(dataset)
attributes, names = parts.test.attributes, parts.test.attribute_names
model = artifacts.get(f"{dataset}/transformer", seed=seeds[0])
holdout = cases.leave_last_out(parts.test, model.config.length)
x = activations.collect(
    model, "block0", cases.inputs(parts.sae, model.config.length)
)
test = activations.collect(model, "block0", holdout.cases)
label = attributes[test.item]
kinds = list(dict.fromkeys([sae, best]))
trained = {
    (kind, seed): artifacts.get(
        f"{dataset}/{kind}", seed=seed, parent_seed=seeds[0]
    )
    for kind in kinds
    for seed in seeds
}
first = {kind: trained[kind, seeds[0]] for kind in kinds}
codes = {
    kind: alignment.nonzero(found, test.h) for kind, found in first.items()
}

# %% [markdown]
# ## Firing
#
# "Active" depends on where one draws the line. An L1 autoencoder whispers: many of its latents are above zero and few
# above a tenth of anything. The table counts active latents in a row (L0) for five thresholds, and the latents that
# never pass the first two.

# %%
thresholds = [0, 0.1, 0.3, 0.5, 1]
z = first[sae].encode(test.h).dense().detach().numpy()
firing = {}
for kind, found in codes.items():
    largest = np.array([found[:, [j]].max() for j in range(found.shape[1])])
    firing[kind] = {
        f"L0 above {t}": (found.data > t).sum() / len(test.h)
        for t in thresholds
    } | {f"latents never above {t}": (largest <= t).sum() for t in (0, 0.1)}
pd.DataFrame(firing).round(2)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Active latents in a row, for five thresholds.", "name": "fig-structure-l0"}, "image": {"alt": "Five heaps, each further to the left and narrower than the one of the threshold below."}}
figures.l0_histogram(
    {f"above {t}": (z > t).sum(1) for t in thresholds},
    width=first[sae].d,
)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Share of the rows on which a latent fires, over all latents, for the same thresholds.", "name": "fig-structure-rate"}, "image": {"alt": "Outlines of histograms of firing rates on a logarithmic axis; higher thresholds lie further to the left."}}
figures.fire_rate_histogram(
    {f"above {t}": (z > t).mean(0) for t in thresholds[:4]}
)

# %% [markdown]
# ## Stability
#
# Two trainings number their latents differently. So we pair them one to one such that the sum of cosines between
# decoder rows is as high as it can be (the Hungarian method), and ask how alike the pairs are. Two nulls: random
# directions, and random *data rows*. In a space of few dimensions many directions lie close to some other one, so
# both nulls are well above zero.


# %%
def pairs_of(rows: list) -> np.ndarray:
    """The cosine of each latent of the first dictionary with its partner in each of the others, [others, m]."""
    return np.array(
        [structure.matched(rows[0], other)[1] for other in rows[1:]]
    )


directions = {
    key: effects.directions(found) for key, found in trained.items()
}
cosines = {
    kind: pairs_of([directions[kind, seed] for seed in seeds])
    for kind in kinds
}
m, g = first[sae].m, torch.Generator().manual_seed(0)
cosines["random"] = pairs_of(
    [torch.randn(m, x.h.shape[1], generator=g) for _ in seeds]
)
mean = x.h.mean(0)
cosines["data-rows"] = pairs_of(
    [x.h[torch.randperm(len(x.h), generator=g)[:m]] - mean for _ in seeds]
)
agree = {
    kind: statistics.bootstrap_mean(found.mean(0), np.random.default_rng(0))
    for kind, found in cosines.items()
}
pd.DataFrame(
    {
        kind: {
            "mean cosine": agree[kind].value,
            "low": agree[kind].low,
            "high": agree[kind].high,
            "share of latents at .7": (found >= 0.7).mean(),
        }
        for kind, found in cosines.items()
    }
).T.round(3)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Share of latents whose partner in another training is at least so close.", "name": "fig-structure-stability"}, "image": {"alt": "Falling curves, one a kind of dictionary."}}
figures.agreement({kind: found.ravel() for kind, found in cosines.items()})

# %% [markdown]
# **Look whether data rows do as well.** If random rows of the data pair better than the latents of two trainings, then
# a high cosine says only that both dictionaries lie where the data lie, and stability is no evidence of meaning.
#
# **Are the headline latents among the stable ones?** For each genre, the latent with the highest correlation: how
# close is its partner, and is the partner the one that the *other* training would have chosen for the genre?

# %%
halves = statistics.item_halves(
    np.bincount(parts.sae.item, minlength=parts.sae.n_items),
    1,
    np.random.default_rng(0),
)
aligned = {
    key: senses.align_labels(
        alignment.nonzero(found, test.h),
        label.astype(float),
        halves[:, test.item],
    )
    for key, found in trained.items()
}
varies = np.flatnonzero((label.mean(0) > 0) & (label.mean(0) < 1))
varies = varies[np.argsort(-label.mean(0)[varies])]
top = {
    key: np.nan_to_num(a.r, nan=-1).argmax(0) for key, a in aligned.items()
}
mine = top[sae, seeds[0]]
partners = [
    structure.matched(directions[sae, seeds[0]], directions[sae, seed])[0]
    for seed in seeds[1:]
]
same = [
    partner[mine] == top[sae, seed]
    for partner, seed in zip(partners, seeds[1:], strict=True)
]
headline = pd.DataFrame(
    {
        "latent": mine,
        "r": aligned[sae, seeds[0]].r[mine, np.arange(len(names))],
        "cosine": cosines[sae][:, mine].mean(0),
        "same choice": np.mean(same, axis=0),
    },
    index=pd.Index(names, name="genre"),
).iloc[varies]
headline.round(3)

# %% [markdown]
# ## Splitting
#
# A probe that may use only the best few latents of a genre rises with every one that it gets. If one latent *is* the
# genre, the curve is flat from the start; if the genre is split, it takes several. The probes learn on half of the
# items and are scored on the other half. *Latents needed* is the smallest number that reaches 90% of what all latents
# together reach (of AUC above one half). The same is asked of a random dictionary and of data rows at the same L0.

# %%
rivals = {kind: first[kind] for kind in kinds}
l0 = float((codes[sae].data > 0).sum() / len(test.h))
rivals["random"] = dictionaries.random_relu(x.h, m, l0, g)
rivals["data-rows"] = dictionaries.data_rows(x.h, m, l0, g)
learn = np.flatnonzero(halves[0][x.item])
learn = learn[
    np.linspace(0, len(learn) - 1, min(15000, len(learn))).astype(int)
]
rest = np.flatnonzero(~halves[0][test.item])
fit_label = attributes[x.item[learn]]
rival_r, curves, sizes = {}, {}, [1, 2, 4, 8, 16, 32, m]
with torch.no_grad():
    for kind, found in rivals.items():
        fit, score = (
            found.encode(rows).dense() for rows in (x.h[learn], test.h[rest])
        )
        chosen = senses.align_labels(
            alignment.nonzero(found, x.h[learn]),
            fit_label.astype(float),
            np.ones((1, len(learn)), bool),
        ).r
        curves[kind] = structure.sparse_probe_auc(
            fit, fit_label, score, label[rest], chosen, [*sizes[:-1], found.m]
        )
        rival_r[kind] = chosen
needed = {}
for kind, auc in curves.items():
    enough = auc[:, varies] - 0.5 >= 0.9 * (auc[-1, varies] - 0.5)
    needed[kind] = np.array(sizes)[enough.argmax(0)]
pd.DataFrame(
    {
        kind: {
            "AUC of one latent": np.nanmean(curves[kind][0]),
            "AUC of all latents": np.nanmean(curves[kind][-1]),
            "latents needed, median genre": np.median(needed[kind]),
            "latents needed, mean over genres": needed[kind].mean(),
            "latents with r above half of the best": (
                r[:, varies] > r[:, varies].max(0) / 2
            )
            .sum(0)
            .mean(),
        }
        for kind, r in rival_r.items()
    }
).T.round(3)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "ROC AUC of probes on the best few latents, mean over genres, scored on items that the probe has not seen.", "name": "fig-structure-splitting"}, "image": {"alt": "Rising curves, one a dictionary, which flatten towards the right."}}
figures.probe_curves(
    [*map(str, sizes[:-1]), "all"],
    {kind: np.nanmean(auc, 1) for kind, auc in curves.items()},
)

# %% [markdown]
# ## Absorption
#
# Where one genre lies inside another, sparsity tempts the dictionary to save a latent: on the narrow genre's items
# only the narrow latent fires, and the wide one, which should, stays silent (Chanin et al., arXiv 2409.14507). Then
# the wide latent means "wide, but not narrow". For every nested pair: on how many of the child's rows is the parent's
# latent silent while the child's fires (on none, where one latent serves both)? In brackets: how often is the parent's
# latent silent on its *other* rows? The nulls are a random dictionary, and the same dictionary with genres shuffled
# among the items. **Where a null is as high, the number is silence, not absorption**: a latent that hardly ever fires
# leaves its rows to anybody.

# %%
inside = structure.nested(attributes, least)
shuffled = np.random.default_rng(0).permutation(attributes)


def absorbed(dictionary, given: np.ndarray) -> list:
    """(absorbed, silent elsewhere) for every nested pair of the genres given, each with its own best latents."""
    told, found = given[test.item], alignment.nonzero(dictionary, test.h)
    every = np.ones((1, len(told)), bool)
    r = senses.align_labels(found, told.astype(float), every).r
    at = np.nan_to_num(r, nan=-1).argmax(0)
    dense = found[:, at].toarray()
    return [
        structure.absorption(dense[:, p], dense[:, c], told[:, p], told[:, c])
        for p, c in inside
    ]


measured = {
    kind: absorbed(found, attributes) for kind, found in rivals.items()
}
measured["shuffled genres"] = absorbed(first[sae], shuffled)
pd.DataFrame(
    {
        f"{names[c]} in {names[p]}": {
            kind: f"{found[i][0]:.2f} ({found[i][1]:.2f})"
            for kind, found in measured.items()
        }
        for i, (p, c) in enumerate(inside)
    }
).T

# %% [markdown]
# ## Effect on the scores
#
# So far we looked at what makes a latent fire. To *control* with it, we need what it does. We add to the last position
# of a user's vector as much of a latent as it reaches by itself (its 99th percentile where it fires) and see how the
# scores change: those of a genre's items against those of all others. Once *directly*, as if the vector went straight
# to the item vectors (the authors' way); once *truly*, through the remaining block and the last normalisation.

# %%
split = model.tail("block0", holdout.cases[:effect_cases])
rng = np.random.default_rng(0)
drawn = rng.choice(m, min(effect_latents, m), replace=False)
latents = np.unique(np.concatenate([mine[varies], drawn]))
dose = units(first[sae], test.h).top.double().numpy()
direct = (
    effects.direct_effect(
        directions[sae, seeds[0]], model.item.weight, attributes
    )
    * dose[:, None]
)
true = effects.true_effect(
    split,
    first[sae],
    latents.tolist(),
    dose[latents],
    attributes,
)


def correlation(one: np.ndarray, other: np.ndarray) -> statistics.Interval:
    """Mean over genres of the correlation over latents, bootstrap over latents."""
    a, b = one[:, varies], other[:, varies]
    counts = statistics.resample_counts(
        len(a), 1000, np.random.default_rng(0)
    )
    found = []
    for w in np.vstack([np.ones(len(a)), counts]):
        p, q = (v - w @ v / w.sum() for v in (a, b))
        found.append((w @ (p * q) / np.sqrt((w @ p**2) * (w @ q**2))).mean())
    low, high = np.quantile(found[1:], (0.025, 0.975))
    return statistics.Interval(float(found[0]), float(low), float(high))


r = aligned[sae, seeds[0]].r
place = np.searchsorted(latents, mine)  # of the genres' latents among these
related = {
    "direct and true effect": correlation(direct[latents], true),
    "r and true effect": correlation(r[latents], true),
    "r and direct effect": correlation(r[latents], direct[latents]),
}
pd.DataFrame(related, index=["correlation", "low", "high"]).T.round(3)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "True effect of each genre's top latent (by r) on the scores of every genre.", "name": "fig-structure-effects"}, "image": {"alt": "Square heatmap; where the diagonal is red, the latent raises the genre that it fires on."}}
figures.genre_heatmap(
    true[place[varies]][:, varies],
    [f"{names[a]} · {mine[a]}" for a in varies],
    [names[a] for a in varies],
    own=range(len(varies)),
    label="Change of the genre's scores against all others",
)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Every latent and genre: correlation with the genre of the item at the position, and true effect on the genre's scores.", "name": "fig-structure-input-output"}, "image": {"alt": "A cloud of small dots with larger ones, chosen by correlation, at the right."}}
own = np.zeros(true.shape, bool)
own[place[varies], varies] = True
figures.effect_scatter(
    r[latents][:, varies].ravel(),
    true[:, varies].ravel(),
    own[:, varies].ravel(),
    "Correlation with the genre (r)",
    "True effect on the genre's scores",
)

# %% [markdown]
# If the large dots are not the highest ones, a latent chosen by what it fires on is not the best one to steer with.
# The table sets the two choices side by side.

# %%
by_effect = latents[np.nan_to_num(true, nan=-np.inf).argmax(0)]
pd.DataFrame(
    {
        "latent by r": mine,
        "its effect": true[place, np.arange(len(names))],
        "latent by effect": by_effect,
        "effect": np.nanmax(np.nan_to_num(true, nan=-np.inf), 0),
        "its r": r[by_effect, np.arange(len(names))],
    },
    index=pd.Index(names, name="genre"),
).iloc[varies].round(3)

# %% [markdown]
# ## Cards
#
# All of it for single latents. Top items are those with the highest mean activation among items at five positions or
# more; a grey bar is an item without the genre: a mistake of the latent, or a gap in the labels?

# %% tags=["skip-verify"]
at = np.bincount(test.item, minlength=len(attributes))
titles = parts.test.items["title"].to_numpy()
places = np.linspace(0, len(varies) - 1, 4).round().astype(int)
cards = [names.index(name) for name in genres] or list(varies[places])


def card(a: int) -> figures.style.Figure:
    """The card of a genre's top latent."""
    values = z[:, mine[a]]
    means = np.bincount(test.item, weights=values, minlength=len(at))
    means = np.where(at >= 5, means / np.maximum(at, 1), -1)
    items = np.argsort(-means)[:8]
    return figures.feature_card(
        f"{names[a]} · latent {mine[a]} of {sae}",
        titles[items],
        means[items],
        attributes[items, a],
        values,
        label[:, a],
        [names[b] for b in varies],
        r[mine[a], varies],
        true[place[a], varies],
        own=int(np.flatnonzero(varies == a)[0]),
    )


# %% tags=["skip-verify"] mystnb={"figure": {"caption": "The latent of the most frequent genre.", "name": "fig-structure-card-1"}, "image": {"alt": "Four panels: top items, activations with and without the genre, correlations, effects on scores."}}
card(cards[0])

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "The latent of a second genre.", "name": "fig-structure-card-2"}, "image": {"alt": "Four panels: top items, activations with and without the genre, correlations, effects on scores."}}
card(cards[1])

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "The latent of a third genre.", "name": "fig-structure-card-3"}, "image": {"alt": "Four panels: top items, activations with and without the genre, correlations, effects on scores."}}
card(cards[2])

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "The latent of the rarest genre.", "name": "fig-structure-card-4"}, "image": {"alt": "Four panels: top items, activations with and without the genre, correlations, effects on scores."}}
card(cards[3])


# %% tags=["hide-input"]
def result(
    value, n: int, unit: str, better: str, note: str, **more
) -> Result:
    """A row of the scoreboard; an interval is one."""
    if isinstance(value, statistics.Interval):
        more = {"low": value.low, "high": value.high} | more
        value = value.value
    return Result(
        value=float(value),
        n=n,
        unit=unit,
        better=better,
        note=note,
        seeds=seeds,
        artifacts=[f"{dataset}/transformer"]
        + [f"{dataset}/{kind}" for kind in kinds],
        **more,
    )


needed_between = stats.bootstrap(
    (needed[sae],), np.median, method="percentile", rng=0
).confidence_interval
over_latents = {"interval": "95%, bootstrap over latents"}
subject = {
    sae: "stability",
    best: "stability-best",
    "random": "stability-random",
    "data-rows": "stability-data-rows",
} | {sae: "stability"}
strongest = max(("random", "data-rows"), key=lambda kind: agree[kind].value)
rows_out = {
    f"seqrec/{subject[kind]}/mean_cosine": result(
        found,
        m,
        "cosine",
        "higher",
        f"{kind}: decoder rows matched one to one with those of other trainings on the same transformer",
        against=f"seqrec/{subject[strongest]}/mean_cosine"
        if kind in kinds
        else None,
        **over_latents,
    )
    for kind, found in agree.items()
}
rows_out |= {
    "seqrec/stability/share_matched": result(
        (cosines[sae] >= 0.7).mean(),
        m,
        "share of latents",
        "higher",
        "partner at cosine .7 or more",
    ),
    "seqrec/stability/share_of_headline_matched": result(
        (headline.cosine >= 0.7).mean(),
        len(varies),
        "share of genres",
        "higher",
        "top latents of the genres with partners at cosine .7 or more",
    ),
    f"seqrec/{sae}/latents_needed": result(
        np.median(needed[sae]),
        len(varies),
        "latents",
        "lower",
        "to reach 90% of the AUC of all latents, held-out items, median over genres",
        low=needed_between.low,
        high=needed_between.high,
        interval="95%, bootstrap over genres",
    ),
    f"seqrec/{sae}/direct_effect_correlation": result(
        related["direct and true effect"],
        len(latents),
        "Pearson r",
        "none",
        "effect of a latent on a genre's scores, directly and through the rest of the model",
        **over_latents,
    ),
    f"seqrec/{sae}/input_output_correlation": result(
        related["r and true effect"],
        len(latents),
        "Pearson r",
        "none",
        "correlation with a genre and true effect on its scores",
        **over_latents,
    ),
}
for kind, name in (
    (sae, sae),
    ("random", "random-dictionary"),
    ("shuffled genres", "shuffled-genres"),
):
    rates = [rate for rate, _ in measured[kind] if np.isfinite(rate)]
    if rates:
        rows_out[f"seqrec/{name}/absorption"] = result(
            np.mean(rates),
            len(rates),
            "share of rows",
            "lower",
            "parent's latent silent while the child's fires, mean over nested pairs of genres",
            against="seqrec/shuffled-genres/absorption"
            if kind == sae
            else None,
        )
results.write("09_structure", rows_out)
