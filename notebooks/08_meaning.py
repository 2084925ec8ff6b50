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
# # What does a latent mean? Three senses of "genre"
#
# A latent that correlates with *Western* sounds like a wish for westerns. It need not be one. At each position the
# model's vector contains, by construction, the item that the user has just taken; a latent may do no more than read
# that item's genre off its embedding. So we ask the same question in three senses:
#
# | sense | the label of a row | what it would show |
# |---|---|---|
# | current item | genre of the item *at* the position | the authors' measure (arXiv 2507.12202): what has just been taken |
# | next item | genre of the item taken *next* | what the user is about to take |
# | history | share of the genre among the last ten items | what the user has been taking: a taste |
#
# The last two are the ones that a recommender is for, and the ones that control needs.
#
# **Nothing is scored on what chose it.** A dictionary's settings and the latent of each genre are chosen on half of
# the items (in the third sense on half of the users) and scored on the other half.
#
# **What to look for.** First, how far the sparse dictionary stands above the best of the nulls *at its own L0*. Then,
# how much of that lead is left in the second and the third sense.

# %% tags=["parameters"]
dataset: str = "planted"
sae: str = "sae-256"  # the authors' kind of autoencoder
best: str = "sae-topk"  # the best sparse setting
settings: list = ["sae-topk", "sae-256"]  # what the best is chosen among
most_active: int = 20  # settings with a higher L0 are left out
seeds: list = [0, 1, 2]  # one transformer and one autoencoder each
random_draws: int = 1  # random dictionaries a seed
splits: int = 4  # random halves of items and of users
table_splits: int = 1  # as many of them for the large table
window: int = 10  # items that make up the recent history

# %% tags=["hide-input"]
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import (
    alignment,
    dictionaries,
    probes,
    senses,
    statistics,
)
from recsae_core.recommenders import activations, cases
from recsae_core.sae import SAE

# %% [markdown]
# ## Rows and their labels

# %%
parts = artifacts.parts(dataset)
attributes, names = parts.test.attributes, parts.test.attribute_names
popularity = np.bincount(parts.sae.item, minlength=parts.sae.n_items)
item_halves = statistics.item_halves(
    popularity, splits, np.random.default_rng(0)
)


class Sense(NamedTuple):
    """One sense of genre for all rows."""

    label: np.ndarray  # [n, a] what correlations are with
    present: np.ndarray  # [n, a] yes or no, for AUC, precision and recall
    halves: np.ndarray  # [s, n] the rows that choose


class Data(NamedTuple):
    """The vectors of a part's users, and what they may mean."""

    h: torch.Tensor
    item: torch.Tensor
    senses: dict


def read(model, part, choosing_users: np.ndarray | None = None) -> Data:
    """All positions after block 0; where no users are given, all choose."""
    holdout = cases.leave_last_out(part, model.config.length)
    rows = activations.collect(model, "block0", holdout.cases)
    following = senses.next_items(rows.case, rows.item, holdout.target)
    share = senses.history_share(rows.case, rows.item, attributes, window)
    now, then = attributes[rows.item], attributes[following]
    if choosing_users is None:
        choosing_users = np.ones((splits, len(holdout)), bool)
    users = choosing_users[:, rows.case]
    found = {
        "current item": (now, now, item_halves[:, rows.item]),
        "next item": (then, then, item_halves[:, following]),
        "history": (share, senses.marked_share(share), users),
        "current item, new users": (now, now, users),
        "next item, new users": (then, then, users),
    }
    return Data(
        rows.h,
        rows.item,
        {
            name: Sense(label.astype(float), *rest)
            for name, (label, *rest) in found.items()
        },
    )


main = ["current item", "next item", "history"]


# %% [markdown]
# The share of the history is a number between 0 and 1, and correlates as it is. AUC, precision and recall need a yes
# or no: there a row counts as *yes* where the share lies more than one standard deviation above the genre's mean, so
# that rare and frequent genres alike have some rows that do.
#
# ## The dictionaries
#
# The nulls get as many latents as the best setting and its L0: a dictionary with few active latents is compared with
# its equals. (The page on controls has them at the L0 of the authors' setting.)


# %%
def strong_dictionaries(seed: int, model, x: Data) -> dict:
    """Name -> dictionaries of that kind for one transformer: those that can come close."""
    trained = artifacts.get(f"{dataset}/{best}", seed=seed)
    m, g = trained.m, torch.Generator().manual_seed(seed)
    l0 = l0_of(trained, x.h)
    return {
        "best": [trained],
        "SAE": [artifacts.get(f"{dataset}/{sae}", seed=seed)],
        "random-dictionary": [
            dictionaries.random_relu(x.h, m, l0, g)
            for _ in range(random_draws)
        ],
        "ica": [dictionaries.ica(x.h)],
        "data-rows": [dictionaries.data_rows(x.h, m, l0, g)],
        "item-embeddings": [
            dictionaries.item_embeddings(
                model.item.weight.detach(), x.h, m, l0, g
            )
        ],
    }


def other_dictionaries(seed: int, trained: SAE, x: Data) -> dict:
    """The rest of the nulls for one transformer."""
    g = torch.Generator().manual_seed(seed)
    fresh = SAE(trained.config, g).prepare(x.h).eval()
    return {
        "untrained-sae": [
            dictionaries.untrained(fresh, x.h, l0_of(trained, x.h))
        ],
        "untrained-model": [
            artifacts.get(
                f"{dataset}/{best}", seed=seed, parent=f"{dataset}/untrained"
            )
        ],
        "neurons": [dictionaries.neurons(x.h)],
        "pca": [dictionaries.pca(x.h)],
    }


def l0_of(dictionary, h: torch.Tensor) -> float:
    """Latents above zero in a row, from every fourth."""
    codes = alignment.nonzero(dictionary, h[::4])
    return float((codes.data > 0).sum() / codes.shape[0])


# %% tags=["hide-input"]
models = {
    seed: artifacts.get(f"{dataset}/transformer", seed=seed) for seed in seeds
}
lengths = cases.leave_last_out(
    parts.test, models[seeds[0]].config.length
).cases.length
choosing_users = statistics.item_halves(
    lengths.numpy(), splits, np.random.default_rng(1)
)


def probe_scores(
    x: Data, test: Data, sense: str, kind: str, splits: int
) -> senses.Scores:
    """A probe on rows that it has not seen."""
    fit, (label, present, halves) = x.senses[sense], test.senses[sense]
    return probes.held_out_probe(
        x.h,
        fit.label,
        fit.halves[:splits],
        test.h,
        label,
        present,
        halves[:splits],
        kind,
    )


# %% [markdown]
# ## Setting and feature, chosen together
#
# If we tried many settings and reported the best, the best would partly be luck. So the *setting* is chosen on the
# same half of the items as the latents; the other half has no say in either.

# %%
held, in_sample, nested, l0, strong = [], [], [], [], {}
for seed in tqdm(seeds, desc="seeds"):
    x = read(models[seed], parts.sae)
    test = read(models[seed], parts.test, choosing_users)
    strong[seed] = strong_dictionaries(seed, models[seed], x)
    tried, active = {}, {}
    for name in settings:
        dictionary = artifacts.get(f"{dataset}/{name}", seed=seed)
        active[name] = l0_of(dictionary, x.h)
        if active[name] <= most_active:
            label, _, halves = test.senses["current item"]
            codes = alignment.nonzero(dictionary, test.h)
            tried[name] = senses.align_labels(codes, label, halves)
    r, chosen = senses.held_out_best(tried)
    nested.append(np.nanmean(r))
    l0.append(np.mean([active[name] for name in chosen]))
    for kind, found in strong[seed].items():
        for dictionary in found:
            codes = alignment.nonzero(dictionary, test.h)
            for sense in main:
                label, _, halves = test.senses[sense]
                a = senses.align_labels(codes, label, halves)
                row = {"dictionary": kind, "seed": seed, "sense": sense}
                held.append(row | {"r": np.nanmean(a.held_out)})
                in_sample.append(row | {"r": np.nanmean(a.r.max(0))})
    for sense in main:
        row = {"dictionary": "probe", "seed": seed, "sense": sense}
        scores = probe_scores(x, test, sense, "least_squares", splits)
        held.append(row | {"r": np.nanmean(scores.r)})
    told = probes.probe(x.h, x.item, attributes)
    label, _, halves = test.senses["current item"]
    codes = alignment.nonzero(told, test.h)
    a = senses.align_labels(codes, label, halves[:1])
    row = {"dictionary": "probe", "seed": seed, "sense": "current item"}
    in_sample.append(row | {"r": np.nanmean(np.diagonal(a.r))})
    picks = pd.Series(chosen).value_counts().to_dict()
    print(f"seed {seed}: chosen in how many splits: {picks}")

# %% [markdown]
# ### How much of the way?
#
# From 0, no better than a random dictionary with as many latents at the same L0, to 1, as good as a least-squares
# probe that was told the genres. Held out, the probe is no ceiling: it learned from half of the items only.


# %%
def over_seeds(rows: list, kind: str, sense: str) -> np.ndarray:
    """One number a seed, draws averaged."""
    table = pd.DataFrame(rows)
    table = table[(table.dictionary == kind) & (table.sense == sense)]
    return table.groupby("seed").r.mean().loc[seeds].to_numpy()


def the_way(score: np.ndarray, rows: list) -> np.ndarray:
    """Where a score stands between the random dictionary and the probe, one number a seed."""
    low = over_seeds(rows, "random-dictionary", "current item")
    high = over_seeds(rows, "probe", "current item")
    return (score - low) / (high - low)


way = {
    "held out, setting and latents chosen": the_way(np.array(nested), held),
    f"held out, {best}": the_way(
        over_seeds(held, "best", "current item"), held
    ),
    f"in sample, {best}": the_way(
        over_seeds(in_sample, "best", "current item"), in_sample
    ),
}
pd.DataFrame(way, index=[f"seed {s}" for s in seeds]).T.round(3)

# %% [markdown]
# ## Every dictionary in every sense, by every measure
#
# The latent of a genre is the one with the highest correlation on the half that chooses. All four measures are then
# taken on the other half. *Precision* and *recall* count a latent as firing where it is above zero; for a signed
# dictionary that is about half of the rows, whatever it means. The probes fire where they hold the genre to be more
# likely than not. "New users" cuts the users in two instead of the items: look how little that asks of a dictionary.

# %% tags=["skip-verify"]
table, per_genre = [], {}
for seed in tqdm(seeds, desc="seeds"):
    blank = artifacts.get(f"{dataset}/untrained", seed=seed)
    x = read(models[seed], parts.sae)
    test, blank_test = (
        read(model, parts.test, choosing_users)
        for model in (models[seed], blank)
    )
    found = strong[seed] | other_dictionaries(
        seed, strong[seed]["best"][0], x
    )
    for kind, several in found.items():
        # an SAE of the untrained model reads that model's rows
        data = blank_test if kind == "untrained-model" else test
        for dictionary in several:
            codes = alignment.nonzero(dictionary, data.h)
            for sense, (label, present, halves) in data.senses.items():
                few = halves[:table_splits]
                a = senses.align_labels(codes, label, few)
                scores = senses.held_out_scores(
                    codes, label, present, few, a.latents
                )
                table.append((sense, kind, seed, scores))
                if seed == seeds[0]:
                    per_genre[kind, sense, "all r"] = a.r
    for kind in ("least_squares", "logistic"):
        for sense in main:
            scores = probe_scores(x, test, sense, kind, table_splits)
            table.append((sense, f"{kind} probe", seed, scores))
for sense, kind, seed, scores in table:
    if seed == seeds[0]:
        per_genre[kind, sense] = np.nanmean(scores.r, 0)
table = pd.DataFrame(
    {"sense": sense, "dictionary": kind, "seed": seed}
    | {name: np.nanmean(v) for name, v in scores._asdict().items()}
    for sense, kind, seed, scores in table
)
base_rate = test.senses["current item"].present.mean(0)
kinds = list(table.dictionary.unique())
by_seed = table.groupby(["sense", "dictionary", "seed"], sort=False).mean()
means = by_seed.groupby(["sense", "dictionary"], sort=False).mean()
means.round(3)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Mean over genres of the held-out correlation of the chosen latent, in three senses of genre. Marks are means over seeds, lines 95% t intervals over seeds.", "name": "fig-meaning-senses"}, "image": {"alt": "Three marks for each dictionary. In the sense of the current item the marks spread widely, in the other two senses they are lower and closer together."}}
spread = {
    (kind, sense): statistics.mean_over_seeds(
        by_seed.r.xs((sense, kind), level=(0, 1)).to_numpy()
    )
    if len(seeds) > 1
    else statistics.Interval(means.r[sense, kind], None, None)
    for kind in kinds
    for sense in main
}
ends = {
    end: [[getattr(spread[k, s], end) for k in kinds] for s in main]
    for end in ("value", "low", "high")
}
figures.compare_bars(
    ends["value"],
    kinds,
    main,
    low=ends["low"] if len(seeds) > 1 else None,
    high=ends["high"] if len(seeds) > 1 else None,
    xlabel="Mean over genres of the held-out correlation (Pearson r)",
)

# %% [markdown]
# Compare the three marks of the first rows with those of the *probes*: what a probe cannot read off the vector, no
# dictionary can. If the marks of the next item lie close together for all dictionaries, the SAE has no more to say
# about what comes next than a random one, however well it names what has just been taken. **A sense in which a null
# does as well is a sense in which the dictionary has found nothing.**

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Correlation of the best setting's top latent of each genre (chosen on all rows, in the sense of the current item) with every genre.", "name": "fig-meaning-heatmap"}, "image": {"alt": "Square heatmap with a coloured diagonal."}}
order = [a for a in np.argsort(-base_rate) if 0 < base_rate[a] < 1]
r = per_genre["best", "current item", "all r"]
top = np.nan_to_num(r, nan=-1).argmax(0)
figures.genre_heatmap(
    r[top[order]][:, order],
    [f"{names[a]} · {top[a]}" for a in order],
    [names[a] for a in order],
    own=range(len(order)),
)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "The same latents, and their correlation with the genre of the NEXT item.", "name": "fig-meaning-heatmap-next"}, "image": {"alt": "The same heatmap with much paler colours."}}
figures.genre_heatmap(
    per_genre["best", "next item", "all r"][top[order]][:, order],
    [f"{names[a]} · {top[a]}" for a in order],
    [names[a] for a in order],
    own=range(len(order)),
    xlabel="Genre of the next item",
)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Held-out correlation with each genre of the current item, most frequent genre first (Figure 4 of the paper, with nulls).", "name": "fig-meaning-genres"}, "image": {"alt": "A row of marks for each genre, one mark a dictionary."}}
shown = [
    "best",
    "SAE",
    "neurons",
    "ica",
    "random-dictionary",
    "least_squares probe",
]
drawn = [
    a
    for a in order
    if all(
        np.isfinite(per_genre[kind, sense][a])
        for kind in shown
        for sense in main
    )
]
figures.compare_bars(
    [per_genre[kind, "current item"][drawn] for kind in shown],
    [names[a] for a in drawn],
    shown,
)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "Held-out correlation with each genre's share of the recent history; latents chosen for that, on half of the users.", "name": "fig-meaning-history"}, "image": {"alt": "A row of marks for each genre, one mark a dictionary."}}
figures.compare_bars(
    [per_genre[kind, "history"][drawn] for kind in shown],
    [names[a] for a in drawn],
    shown,
    xlabel="Correlation with the genre's share of the last items (Pearson r)",
)

# %% tags=["hide-input"]
how = {
    "held out": f"chosen on half of the items, scored on the other half, {splits} splits",
    "history": f"chosen on half of the users, scored on the other half, {splits} splits",
}


def result(
    values, unit: str, better: str, note: str, against: str | None = None
) -> Result:
    """A row of the scoreboard: the mean over seeds with Student's t interval."""
    values = np.asarray(values, dtype=float)
    spread = (
        statistics.mean_over_seeds(values)
        if len(values) > 1
        else statistics.Interval(float(values[0]), None, None)
    )
    return Result(
        value=spread.value,
        low=spread.low,
        high=spread.high,
        interval="95%, t interval over seeds"
        if spread.low is not None
        else "",
        unit=unit,
        n=len(test.h),
        seeds=seeds,
        better=better,
        against=against,
        note=note,
        artifacts=[f"{dataset}/transformer"]
        + [f"{dataset}/{name}" for name in settings],
    )


nulls = [
    kind
    for kind in pd.DataFrame(held).dictionary.unique()
    if kind not in ("best", "SAE", "probe")
]
measure = {
    "current item": "mean_max_correlation_heldout",
    "next item": "next_item_correlation_heldout",
    "history": "history_share_correlation_heldout",
}
# nulls have the best setting's size and L0 here, and that of the authors' on the page on controls
subject = {kind: f"{kind}-at-best-l0" for kind in nulls} | {
    "ica": "ica",
    "best": "best",
    "SAE": sae,
    "probe": "probe",
}
on_controls = ["best", "SAE", "probe", "ica"]  # the first is below
rows_out = {}
for sense, metric in measure.items():
    strongest = max(nulls, key=lambda k: over_seeds(held, k, sense).mean())
    for kind, name in subject.items():
        if sense == "current item" and kind in on_controls:
            continue
        rows_out[f"seqrec/{name}/{metric}"] = result(
            over_seeds(held, kind, sense),
            "Pearson r",
            "higher",
            how.get(sense, how["held out"]),
            f"seqrec/{subject[strongest]}/{metric}"
            if kind in ("best", "SAE")
            else None,
        )
    if sense == "current item":
        rows_out[f"seqrec/best/{metric}"] = result(
            nested,
            "Pearson r",
            "higher",
            f"setting (L0 at most {most_active}) and latents {how['held out']}",
            f"seqrec/{subject[strongest]}/{metric}",
        )
rows_out |= {
    "seqrec/best/l0": result(
        l0,
        "latents a row",
        "lower",
        f"of the settings chosen, each at most {most_active}",
    ),
    "seqrec/best/mean_max_correlation": result(
        over_seeds(in_sample, "best", "current item"),
        "Pearson r",
        "higher",
        f"{best}: best latent chosen and scored on the same rows",
    ),
} | {
    f"seqrec/best/{key}": result(
        way[column],
        "from the random dictionary at the same L0 (0) to the least-squares probe (1)",
        "higher",
        column,
    )
    for key, column in (
        ("share_of_the_way_heldout", "held out, setting and latents chosen"),
        ("share_of_the_way", f"in sample, {best}"),
    )
}
results.write("08_meaning", rows_out)
