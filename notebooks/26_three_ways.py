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
# # Three ways, measured
#
# The three papers of this book disagree on nearly everything: on the recommender, on the data, on the vectors, on the
# number of latents, on what is minimised, and on what counts as success. So their numbers cannot be compared. Here all
# that can be held equal is held equal: one recommender, one data set, one site, as many latents, the same batches, the
# same optimiser. What differs is what each paper is about: **the encoder and the objective**.
#
# | way | encoder | what training minimises | paper |
# |---|---|---|---|
# | seqrec | ReLU, decoder rows of length one | length of the error + L1 | arXiv 2507.12202 |
# | recsae | TopK: the $k$ largest | share of variance lost + AuxK | arXiv 2411.06112 |
# | monosemantic | ReLU, tied, each row by its own mean and std | error of the *scores* + a little of the vector's + KL | arXiv 2511.18024 |
# | Matryoshka | the same | the same, the vector's error of nested prefixes, + L1 | arXiv 2511.18024 |
#
# The recommender is SASRec at its last position, for there all three can be trained: the vector belongs to a moment of
# a user, it contains the item just taken, and its products with the item vectors are the scores, which the third
# objective needs. The site is the one of recsae. The sequential paper stops earlier in its model, the two-tower paper
# has no sequence at all. This page compares *ways of training a dictionary*, not whole papers.
#
# **Each way stands here twice.** With the weights of its paper, it is as sparse as it comes out. And, because a code
# that uses more latents is more faithful for that alone, all ways are trained once more with the L1 weight (or the $k$)
# that leaves the same number of active latents.
#
# **What to look for.** In each panel of the main figure: is any coloured mark above *all* grey ones? And does the
# order of the coloured marks stay the same from panel to panel? It would be a surprise if one way won throughout.

# %% tags=["parameters"]
dataset: str = "planted-recsae"
seeds: list = [0, 1]  # one recommender and one dictionary of each way
null_seeds: list = [0]  # of these, the recommenders that nulls are made for
published: dict = {  # as the papers have it, on the first seed
    "seqrec": {},
    "recsae": {},
    "monosemantic": {},
    "matryoshka": {},
}
matched: dict = {  # as few active latents as l0
    "seqrec": {"terms": {"l1": 0.25}},
    "recsae": {"sae": {"k": 8}},
    "monosemantic": {"terms": {"l1": 0.2}},
    "matryoshka": {"terms": {"l1": 5.2}},
}
l0: float = 8.0  # active latents a row, of the matched ways and of all nulls
sweep: dict = {  # other sparsities, first seed only
    "seqrec": [{"terms": {"l1": 0.15}}],
    "recsae": [],
    "monosemantic": [],
    "matryoshka": [],
}
null_l0: list = [16]  # other sparsities of the nulls, first seed only
rows: int = 6000  # vectors that nulls are fitted to
fresh_rows: int = 10000  # vectors of other users, which all is measured on
least_rows: int = 10  # without so many an item counts for no latent's top
splits: int = 4  # of the items into those that choose and those that score
few: int = 2  # of these, what is slow to compute is computed on
bar: float = 0.5  # a genre is found where the correlation is so high
k: int = 10  # top items of a latent
pure: float = 0.8  # share of them that must have the latent's genre
users: int = 300  # whose cases write descriptions
positions: list = [2, 3]  # cases of a user that write, and that try
bench_splits: int = 1  # of the items, for descriptions
changed: float = 0.3  # part of a list that steering may replace
timed_rows: int = (
    0  # that each way is trained on for its seconds; 0: not timed
)

# %% tags=["hide-input"]
from functools import cache

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from scipy.sparse import csr_array
from tqdm import tqdm

from recsae_book import artifacts, figures, recipes, results
from recsae_book.concept_test import Bench
from recsae_book.figures import three_ways
from recsae_book.results import Result
from recsae_book.training import probed
from recsae_core.interpret import (
    alignment,
    dictionaries,
    effects,
    lists,
    probes,
    purity,
    senses,
    statistics,
)
from recsae_core.recommenders import activations, cases, ranking
from recsae_core.sae import SAE, SAEConfig, TrainConfig, fit, metrics

WAYS = ("seqrec", "recsae", "monosemantic", "matryoshka")
parts = artifacts.parts(dataset)
attributes, names = parts.train.attributes, parts.train.attribute_names
popularity = np.bincount(parts.train.item, minlength=parts.train.n_items)

# %% [markdown]
# ## The rows, and the split that keeps choosing from scoring
#
# Dictionaries are trained, and nulls fitted, on the vectors of the *sae* users. All is measured on vectors of the
# other users, whom the recommender has seen and no dictionary has. A row is a moment: what somebody had taken so far, and
# the vector from which the next list is made.
#
# Other users are not enough. They take the same films, and a latent that knows three famous westerns by heart would
# pass. So the *items* are halved, each half with popular and rare ones. What a latent is about is decided on one half
# and judged on the other; the halving is repeated.


# %% tags=["hide-input"]
@cache
def model_of(seed: int):
    """The recommender of a seed."""
    return artifacts.get(f"{dataset}/sasrec", seed=seed)


@cache
def cases_of(fresh: bool) -> cases.Cases:
    """Moments of users that trained no autoencoder, or did."""
    who = parts.test_users if fresh else parts.sae_users
    read = probed(model_of(seeds[0]), parts, who)
    most = fresh_rows if fresh else rows
    return read[
        torch.randperm(len(read), generator=torch.manual_seed(0))[:most]
    ]


@cache
def rows_of(seed: int, fresh: bool) -> activations.Rows:
    """Their vectors, with the item that was taken last."""
    return activations.collect(model_of(seed), "final", cases_of(fresh), 4096)


halves = statistics.item_halves(popularity, splits, np.random.default_rng(0))
x, fresh = rows_of(seeds[0], False), rows_of(seeds[0], True)
seen = np.bincount(fresh.item, minlength=len(popularity))
print(
    f"{len(x.h):,} vectors of width {x.h.shape[1]} to fit nulls to,",
    f"{len(fresh.h):,} of other users to measure on;",
    f"{(seen >= least_rows).sum():,} of {len(seen):,} items are there",
    f"{least_rows} times or more; {len(names)} genres",
)

# %% [markdown]
# ## The dictionaries
#
# The nulls have as many latents as the autoencoders, $2d$, and the same number of active ones, set by one threshold on
# the training rows. Where $m = 2d$, so have neurons, principal axes (PCA) and independent components (ICA) with both
# signs: nobody has more tickets in this lottery than another. Each null gets the best linear decoder that there is for
# its code. *Trained* are, of these, ICA and k-means, in seconds and without a gradient.


# %% tags=["hide-input"]
def named(way: str, **changes) -> dict:
    """The arguments that get an autoencoder."""
    return {"name": f"{dataset}/way-{way}"} | changes


def sparse(dictionary, h: torch.Tensor, active: float):
    """A dictionary cut to so many active latents, with the decoder that fits what is left best."""
    cut = dictionaries.untrained(dictionary, h, active)
    return dictionaries.Mapped(
        lambda some: cut.encode(some).dense(),
        *dictionaries.least_squares(cut.encode(h).dense(), h),
    )


def nulls_of(seed: int, config: SAEConfig) -> dict:
    """What nobody trained as an autoencoder, at the same size and sparsity."""
    h, g = rows_of(seed, False).h, torch.Generator().manual_seed(seed)
    m = config.m
    first = SAE(config, torch.Generator().manual_seed(1000 + seed)).prepare(h)
    return {
        "neurons": sparse(dictionaries.neurons(h), h, l0),
        "PCA": sparse(dictionaries.pca(h), h, l0),
        "ICA": sparse(dictionaries.ica(h), h, l0),
        "k-means": dictionaries.kmeans(h[:4000], m, l0, g),
        "random": dictionaries.random_relu(h, m, l0, g),
        "data rows": dictionaries.data_rows(h, m, l0, g),
        "untrained SAE": sparse(first, h, l0),
    }


def dictionaries_of(seed: int) -> dict:
    """All dictionaries of one recommender, by name."""
    ways = {
        way: artifacts.get(**named(way, seed=seed, **matched[way]))
        for way in WAYS
    }
    if seed == seeds[0]:
        for way in WAYS:
            own = artifacts.get(**named(way, seed=seed, **published[way]))
            ways[f"{way}, published"] = own
    if seed in null_seeds:
        ways |= nulls_of(seed, ways["seqrec"].config)
    return ways


# %% [markdown]
# ## Five questions to each
#
# 1. **Genres** (seqrec's question). For each genre the latent with the highest correlation on one half of the items:
#    how high is it on the other? A genre is *found* at 0.5.
# 2. **Pure latents** (monosemantic's). The other way round: each latent names the genre that its ten top items of one
#    half have most beyond chance. It counts as pure if eight of its ten top items of the other half have that genre,
#    and if that is beyond chance after Benjamini and Hochberg over all latents.
# 3. **Descriptions** (recsae's). From what is recommended where a latent fires, a description is written (see [the
#    page on confidence](22_confidence.ipynb)); it must tell active from silent cases of *other* users and *other*
#    items, equally popular, with a balanced accuracy of 0.8.
# 4. **A handle.** The genre's latent of question 1 is pushed until three of ten recommendations have changed. How much
#    larger is the share of the genre, among recommendations of the half that had no say?
# 5. **The copy.** How much of the top ten and of NDCG@10 is left if each vector is replaced by what the dictionary
#    makes of it? FVU is the share of the variance that is lost.
#
# The first asks whether there is a latent *for each genre*, the second and the third whether *each latent* is about
# something. A dictionary may be good at one and poor at the other.


# %% tags=["hide-input"]
def at_items(item: np.ndarray) -> csr_array:
    """Which rows an item is the last one of."""
    ones = np.ones(len(item))
    where = item, np.arange(len(item))
    return csr_array((ones, where), shape=(len(attributes), len(item)))


def halved(z, item: np.ndarray) -> senses.Halved:
    """The correlation of every latent with every genre of the last item, on both halves of the items."""
    at, count = at_items(item), np.bincount(item, minlength=len(attributes))
    sums, squares = ((at @ some).toarray() for some in (z, z.power(2)))
    weight = np.vstack([np.ones(len(attributes)), halves])
    with_a = (weight * count) @ attributes
    both = (weight[:, :, None] * attributes).transpose(1, 0, 2)
    joint = sums.T @ both.reshape(len(attributes), -1)
    joint = joint.reshape(len(sums.T), *with_a.shape).swapaxes(0, 1)
    found = [weight @ count, weight @ sums, weight @ squares]
    found += [with_a, with_a, joint]
    chosen, scored = (
        np.array([alignment.pearson(*(c[i] for c in of)) for i in places])
        for of, places in (
            (found, range(1, len(weight))),
            ([c[:1] - c for c in found], range(1, len(weight))),
        )
    )
    return senses.Halved(
        alignment.pearson(*(c[0] for c in found)), chosen, scored
    )


def by_item(z, item: np.ndarray) -> np.ndarray:
    """Mean activation at each item, 0 where it is rare."""
    count = np.bincount(item, minlength=len(attributes))[:, None]
    mean = (at_items(item) @ z).toarray() / np.maximum(count, 1)
    return np.where(count >= least_rows, mean, 0)


def purities(z, item: np.ndarray) -> tuple:
    """In which splits each latent is pure, and by what genre; is that genre beyond chance?"""
    label = purity.labelled(by_item(z, item), attributes, halves[:few], k)
    surprising = label.q < 0.05
    return surprising & (label.purity >= pure), label.label, surprising


@cache
def bench(seed: int) -> Bench:
    """Cases that write descriptions, and that try them."""
    return Bench.of(
        model_of(seed), parts, users=users, positions=tuple(positions)
    )


def described(seed: int, dictionary) -> np.ndarray:
    """Share of the splits in which each latent's description foretells new cases."""
    at = bench(seed)
    z = at.codes(dictionary)
    return np.mean(
        [
            at.trials(z, marks, i)["held out", "top"].confident() & z.alive
            for i, marks in enumerate(at.halves(bench_splits, seed))
        ],
        axis=0,
    )


def handle(seed: int, direction: torch.Tensor) -> np.ndarray:
    """Change of each genre's share where its direction has replaced a part of the list."""
    h, items = (
        rows_of(seed, True).h[:100],
        model_of(seed).item.weight.detach(),
    )
    scores, other = h @ items.T, torch.from_numpy(~halves[0])
    first = scores.topk(10).indices
    unit = torch.nn.functional.normalize(direction, dim=1)
    doses = h.norm(dim=1).mean() * torch.tensor([0.0, 0.1, 0.25, 0.6, 1.5])
    out = []
    for a, effect in enumerate(unit @ items.T):
        top = (scores + doses[:, None, None] * effect).topk(10).indices
        same = (top[..., None] == first[:, None]).any(3).double()
        moved = 1 - same.mean((1, 2))
        has = torch.from_numpy(attributes[:, a].copy())[top] & other[top]
        share = has.sum((1, 2)) / other[top].sum((1, 2))
        out.append(np.interp(changed, moved, share) - float(share[0]))
    return np.array(out)


# %% tags=["hide-input"]
held = cases.dated(parts, "test", 20, parts.test_users)
KEPT = 1500  # fresh rows whose lists are compared


@cache
def before(seed: int) -> tuple:
    """The top ten of fresh rows, and the recommender stopped at the held-out rows."""
    model = model_of(seed)
    h, items = rows_of(seed, True).h[:KEPT], model.item.weight.detach()
    top = (h @ items.T).topk(10).indices.numpy()
    return h, items, top, model.before("final", held.cases)


@torch.no_grad()
def copied(seed: int, change) -> tuple:
    """Share of each top ten that changed vectors keep, on fresh rows; NDCG@10 of each held-out row."""
    h, items, top, split = before(seed)
    kept = lists.overlap(top, (change(h) @ items.T).topk(10).indices.numpy())
    scores = split.finish(change(split.h))
    rank = ranking.evaluate(lambda _: scores, held, (10,), batch=len(held))
    return kept, rank["ndcg@10"]


def measured(seed: int, dictionary) -> dict:
    """All that is asked of a dictionary."""
    there, item = rows_of(seed, True), rows_of(seed, True).item.numpy()
    z = alignment.nonzero(dictionary, there.h)
    found = halved(z, item)
    is_pure, label, surprising = purities(z, item)
    copy = metrics.reconstruction(
        dictionary, there.h[:10000], mean=rows_of(seed, False).h.mean(0)
    )
    kept, ndcg = copied(
        seed, lambda h: dictionary.decode(dictionary.encode(h))
    )
    high = np.where(np.isnan(found.held_out), np.nan, found.held_out >= bar)
    covered = [
        len(np.unique(one[ok]))
        for one, ok in zip(label, is_pure, strict=True)
    ]
    toward = effects.directions(dictionary)[found.latents[0]]
    return {
        "r": np.nanmean(found.held_out, 0),
        "found": np.nanmean(high, 0),
        "pure": is_pure.mean(0),
        "significant": surprising.mean(0),
        "covered": np.mean(covered),
        "described": described(seed, dictionary),
        "handle": handle(seed, toward),
        "kept": kept,
        "ndcg": ndcg,
        "fvu": copy.fvu,
        "l0": copy.l0,
        "alive": float((copy.fire_rate > 1e-3).double().mean()),
    }


# %%
answers: dict = {}
for seed in tqdm(seeds, desc="recommenders"):
    for kind, dictionary in dictionaries_of(seed).items():
        answers.setdefault(kind, []).append(measured(seed, dictionary))
whole = {seed: copied(seed, lambda h: h)[1] for seed in seeds}
papers = [f"{way}, published" for way in WAYS]
nulls = [kind for kind in answers if kind not in (*WAYS, *papers)]

# %% [markdown]
# ## The answers
#
# Intervals are 95% and draw the trainings together with genres (questions 1 and 4), latents (2 and 3) or users (5). *L0*
# is measured on other users' vectors. *Beyond chance* is question 2 without the bar of eight in ten. **Look how little
# that weaker question asks: dictionaries that nobody trained pass it with most of their latents.**


# %% tags=["hide-input"]
FRESH_USERS = np.unique(cases_of(True).user[:KEPT], return_inverse=True)[1]
DRAWS = 1000  # bootstrap samples
G, L, U = "genres", "latents", "users"
MEASURES = {  # field, what intervals draw, key, unit
    "Held-out r": ("r", G, "r_heldout", "Pearson r, mean over genres"),
    "Genres found": ("found", G, "genres_found", "genres"),
    "Pure latents": ("pure", L, "pure_latents", "latents"),
    "Descriptions": ("described", L, "described_latents", "latents"),
    "Handle": ("handle", G, "handle", "change of the genre's share"),
    "Top ten kept": ("kept", U, "top10_kept", "share of the top ten"),
}


def values_of(kind: str, measure: str) -> tuple[np.ndarray, float]:
    """Seeds by units, and the factor that their mean is shown with."""
    field = MEASURES[measure][0]
    values = np.array([one[field] for one in answers[kind]])
    values = values[:, np.isfinite(values).all(0)]
    counted = field in ("found", "pure", "described")
    return values, values.shape[1] if counted else 1


@cache
def bootstrap(kind: str, measure: str) -> np.ndarray:
    """Means over drawn seeds and units, which are the same for all dictionaries but for latents."""
    (values, factor), unit = values_of(kind, measure), MEASURES[measure][1]
    place, (s, n) = list(answers).index(kind), values.shape
    own = place if unit == L else 0
    per_seed, per_unit = map(np.random.default_rng, ([place, 1], [own, 2]))
    if s > 1:
        values = statistics.resample_counts(s, DRAWS, per_seed) @ values / s
    if unit == U:
        n = FRESH_USERS.max() + 1
    counts = statistics.resample_counts(n, DRAWS, per_unit)
    if unit == U:
        counts = counts[:, FRESH_USERS]
    return factor * (counts * values).sum(1) / counts.sum(1)


def end_of(kind: str, measure: str) -> statistics.Interval:
    """A dictionary's answer."""
    values, factor = values_of(kind, measure)
    bounds = np.quantile(bootstrap(kind, measure), [0.025, 0.975])
    return statistics.Interval(factor * values.mean(), *bounds)


def lead(kind: str, other: str, measure: str) -> statistics.Interval:
    """How far one is ahead of another, paired by genres and users."""
    apart = end_of(kind, measure).value - end_of(other, measure).value
    both = bootstrap(kind, measure) - bootstrap(other, measure)
    return statistics.Interval(apart, *np.quantile(both, [0.025, 0.975]))


def recovered(kind: str) -> statistics.Interval:
    """NDCG@10 of the copies' lists over that of the vectors'."""
    used = seeds[: len(answers[kind])]
    who = np.unique(held.cases.user.numpy(), return_inverse=True)[1]
    left = np.mean([one["ndcg"] for one in answers[kind]], axis=0)
    there = np.mean([whole[seed] for seed in used], axis=0)
    top, bottom = (np.bincount(who, of) for of in (left, there))
    g = np.random.default_rng(0)
    counts = statistics.resample_counts(len(top), DRAWS, g)
    bounds = np.quantile((counts @ top) / (counts @ bottom), [0.025, 0.975])
    return statistics.Interval(top.sum() / bottom.sum(), *bounds)


ends = {m: {kind: end_of(kind, m) for kind in answers} for m in MEASURES}
ndcg = {kind: recovered(kind) for kind in answers}


def plain(kind: str, field: str) -> float:
    """The mean over seeds."""
    return float(np.mean([one[field] for one in answers[kind]]))


pd.DataFrame(
    {
        kind: {
            "L0": round(plain(kind, "l0"), 1),
            **{m: round(ends[m][kind].value, 3) for m in MEASURES},
            "NDCG kept": round(ndcg[kind].value, 3),
            "FVU": round(plain(kind, "fvu"), 3),
            "alive": round(plain(kind, "alive"), 2),
            "genres of pure": round(plain(kind, "covered"), 1),
            "beyond chance": round(
                len(answers[kind][0]["pure"]) * plain(kind, "significant"), 1
            ),
        }
        for kind in answers
    }
).T


# %% mystnb={"figure": {"caption": "What each dictionary finds on items that had no say (up), over how much of a list its copy keeps (across). Filled: the ways of the papers at one sparsity. Hollow and joined to them: with the weights of the papers. Grey: nulls. Lines: 95% intervals.", "name": "fig-three-ways"}, "image": {"alt": "Four panels. In the panels on genres and on handles the coloured marks lie above most of the grey ones; in the panels on pure latents and on descriptions two or three grey marks lie far above all coloured ones. The coloured marks lie to the right of nearly all grey ones."}}
def place(kind: str, measure: str) -> tuple:
    """Where a dictionary stands in a panel."""
    return ends["Top ten kept"][kind].value, *ends[measure][kind]


shown = {
    "r": ("Held-out r", "1. Genres: correlation"),
    "pure": ("Pure latents", "2. Pure latents"),
    "described": ("Descriptions", "3. Descriptions that hold"),
    "handle": ("Handle", "4. Handle: gain in share"),
}
three_ways.found_and_kept(
    {
        title: {kind: place(kind, m) for kind in [*WAYS, *nulls]}
        for m, title in shown.values()
    },
    {
        title: {way: place(f"{way}, published", m) for way in WAYS}
        for m, title in shown.values()
    },
    ways=WAYS,
)

# %% [markdown]
# **How to read it.** *Up* is concepts, *right* is fidelity. A way that were simply better would lie up and to the right
# of everything in every panel. Grey marks high on the left of panels 2 and 3 are dictionaries of *places*: each latent
# is a spot where vectors lie, its strongest items are neighbours, and neighbours share a genre. Many such latents are
# about the same few genres, and the copy is poor. What stands high in panel 1 has one latent for each genre.
#
# ## Told the genres
#
# How high could question 1 go? A least-squares direction a genre, fitted to the labels of half of the items and scored
# on the other half, and for question 4 the difference of means.

# %%
x, fresh = rows_of(seeds[0], False), rows_of(seeds[0], True)
half, label = halves[:few], attributes[fresh.item]
ceiling = np.nanmean(
    probes.held_out_probe(
        x.h,
        attributes[x.item].astype(float),
        half[:, x.item],
        fresh.h,
        label.astype(float),
        label,
        half[:, fresh.item],
    ).r,
    axis=0,
)
chosen = halves[0][x.item]
mine = torch.from_numpy(attributes[x.item][chosen]).float()
h = x.h[torch.from_numpy(chosen)]
means = (mine.T @ h) / mine.sum(0)[:, None] - ((1 - mine).T @ h) / (
    1 - mine
).sum(0)[:, None]
answers["told the genres"] = [
    {"r": ceiling, "handle": handle(seeds[0], means)}
]
told = {m: end_of("told the genres", m) for m in ("Held-out r", "Handle")}
pd.DataFrame(told, index=["value", "low", "high"]).round(3)

# %% [markdown]
# ## Which sparsity suits which way?
#
# One common number of active latents is fair and arbitrary. Below, each way is trained at several. **Look for
# crossings**: where lines cross, whoever picks the sparsity picks the winner. Each mark is one training; where a line
# jumps between two neighbours, that is how much two trainings differ.

# %% tags=["hide-input", "skip-verify"]
first = seeds[0]
item = rows_of(first, True).item.numpy()
settings: dict = {}


def tried(dictionary) -> tuple:
    """L0, correlations and the number of pure latents of another setting."""
    z = alignment.nonzero(dictionary, rows_of(first, True).h)
    many = purities(z, item)[0].mean(0).mean()
    return z.nnz / z.shape[0], halved(z, item), many


wanted = {
    way: [
        named(way, seed=first, **of)
        for of in (published[way], matched[way], *sweep[way])
    ]
    for way in WAYS
}
artifacts.ensure_all([one for of in wanted.values() for one in of])
for way, of in wanted.items():
    settings[way] = sorted(
        (tried(artifacts.get(**one)) for one in of), key=lambda t: t[0]
    )
h, g = rows_of(first, False).h, torch.Generator().manual_seed(first)
m = artifacts.get(**wanted["seqrec"][0]).m
components = dictionaries.ica(h)
for active in sorted([l0, *null_l0]):
    for name, null in {
        "ICA": lambda n=active: dictionaries.untrained(components, h, n),
        "k-means": lambda n=active: dictionaries.kmeans(h[:4000], m, n, g),
        "data rows": lambda n=active: dictionaries.data_rows(h, m, n, g),
    }.items():
        settings.setdefault(name, []).append(tried(null()))


# %% tags=["skip-verify"] mystnb={"figure": {"caption": "The held-out correlation and the share of pure latents, over the number of active latents. Thin: nulls. One seed.", "name": "fig-three-ways-sparsity"}, "image": {"alt": "Two panels over the number of active latents on a logarithmic axis. On the left the lines of the four ways and of ICA rise and fall and cross; on the right the lines of k-means and data rows lie above all others."}}
def line(name: str, value) -> tuple:
    """A measure over the sparsities of a way."""
    return tuple(np.array([(at[0], value(at)) for at in settings[name]]).T)


def correlation(at: tuple) -> float:
    """Mean over splits and genres."""
    return float(np.nanmean(at[1].held_out))


figures.against_density(
    {
        "Held-out correlation": {
            name: line(name, correlation) for name in settings
        },
        "Share of pure latents": {
            name: line(name, lambda at: at[2]) for name in settings
        },
    },
    quiet=[name for name in settings if name not in WAYS],
    ylabel="",
)

# %% [markdown]
# *Each at its best* lets every way, and ICA, choose its sparsity on the half of the items that also chooses latents,
# and scores that choice on the other half.


# %% tags=["skip-verify"]
def over_genres(values: np.ndarray) -> statistics.Interval:
    """The mean, genres drawn."""
    there = values[np.isfinite(values)]
    return statistics.bootstrap_mean(there, np.random.default_rng(0))


best = {}
for name, tries in settings.items():
    r, _ = senses.held_out_best({f"{at[0]:.1f}": at[1] for at in tries})
    best[name] = np.nanmean(r, 0)
pd.DataFrame(
    {
        name: over_genres(values)._asdict() | {"tried": len(settings[name])}
        for name, values in best.items()
    }
).T.round(3)

# %% [markdown]
# ## What each costs
#
# Products of two numbers say what the hardware must do at least. *In use*: encoding by all latents, decoding by the
# active ones. *In training*, forward, for one vector: the same with all latents of a ReLU, and, where scores are to
# come back, the scores of all items for the vector and for its copy. Seconds are of this machine and this code, all
# ways on the same batches, and include the recommender's own work for the teacher; only their ratio means anything.
# They are left out where `timed_rows` is 0.


# %% tags=["hide-input"]
def products(way: str, kind: str) -> dict:
    """Parameters and multiplications a vector."""
    sae = artifacts.get(**named(way, seed=seeds[0], **matched[way]))
    active, scored = plain(kind, "l0"), way in ("monosemantic", "matryoshka")
    decoded = active if way == "recsae" else sae.m
    teacher = 2 * len(attributes) * sae.d if scored else 0
    return {
        "parameters": sum(p.numel() for p in sae.parameters()),
        "in use": round((sae.m + active) * sae.d),
        "in training": round((sae.m + decoded) * sae.d) + teacher,
    }


cost = {way: products(way, way) for way in WAYS}
pd.DataFrame(cost).T

# %% tags=["skip-verify"]
seconds = {}
for way in WAYS if timed_rows else ():
    values = recipes.recipe(**named(way, **matched[way])).merged()
    source = activations.Probed(
        model_of(seeds[0]),
        "final",
        cases_of(False),
        torch.Generator().manual_seed(0),
        values["train"]["batch"],
    )
    sae = SAE(
        SAEConfig(d=source.h.shape[1], **values["sae"]),
        torch.Generator().manual_seed(0),
    ).prepare(source.h)
    train = TrainConfig(**values["train"] | {"rows": timed_rows})
    seconds[way] = fit(
        [sae],
        source,
        values["terms"],
        train,
        generator=torch.Generator().manual_seed(0),
        progress=False,
    )[0].seconds
if seconds:
    least = min(seconds.values())
    times = {way: round(taken / least, 1) for way, taken in seconds.items()}
    print("seconds, times the cheapest:", times)


# %% [markdown]
# ## The verdict, by rule
#
# For each question: the best way at the common sparsity against the null that did best, and against the second way.
# *Better* means that the interval of the difference lies above 0. **Bold is where a null does as well or better.**


# %%
def compared(difference: statistics.Interval) -> str:
    """A difference in words, with its interval."""
    text = "not told apart from"
    if difference.low > 0:
        text = "better than"
    elif difference.high < 0:
        text = "worse than"
    return text, "{:+.3g} ({:+.3g} to {:+.3g})".format(*difference)


def ranked(kinds: list, measure: str) -> list:
    """The best first."""
    return sorted(kinds, key=lambda kind: -ends[measure][kind].value)


def verdict(measure: str) -> str:
    """Who is first, and whether that means anything."""
    (one, two, *_), null = ranked(WAYS, measure), ranked(nulls, measure)[0]
    said = f"- *{measure}*: {one} is first ({ends[measure][one].value:.3g}), "
    for other in (two, null):
        text, numbers = compared(lead(one, other, measure))
        plainly = f"{text} {other}: {numbers}"
        loses = other == null and text != "better than"
        said += f"**{plainly}**" if loses else f"{plainly}; "
    return said.rstrip("; ")


Markdown("\n".join(verdict(measure) for measure in MEASURES))

# %% [markdown]
# And every way against the best null of each question:

# %%
table = {
    way: {
        measure: compared(lead(way, ranked(nulls, measure)[0], measure))[0]
        + f" {ranked(nulls, measure)[0]}"
        for measure in MEASURES
    }
    for way in WAYS
}
pd.DataFrame(table)

# %% tags=["hide-input"]
short = {
    kind: kind.lower().replace(", ", "-").replace(" ", "-")
    for kind in answers
}
sizes = {G: len(names), U: FRESH_USERS.max() + 1}
CORE = (
    "Held-out r",
    "Pure latents",
    "Descriptions",
    "Handle",
    "Top ten kept",
)


def row(kind: str, measure: str, end, **more) -> Result:
    """A row of the scoreboard."""
    _, unit, _, what = MEASURES[measure]
    used = seeds[: len(answers[kind])]
    drew = f"{unit} and seeds" if len(used) > 1 else unit
    given = end._asdict() | {"unit": what, "seeds": used, "better": "higher"}
    given["interval"] = f"95%, bootstrap over {drew}"
    given["n"] = sizes.get(unit) or values_of(kind, measure)[0].size
    return Result(**given | more)


def said_of(kind: str) -> dict:
    """What an autoencoder is."""
    note = f"{l0:g} active latents" if kind in WAYS else "the paper's weights"
    name = f"{dataset}/way-{kind.split(',')[0]}"
    return {"note": note, "artifacts": [name]}


out = {}
for measure, (_, _, metric, _) in MEASURES.items():
    null = ranked(nulls, measure)[0]
    against = {"against": f"compare/{short[null]}/{metric}"}
    for kind in [*WAYS, *papers]:
        if kind in WAYS or measure in CORE:
            out[f"compare/{short[kind]}/{metric}"] = row(
                kind, measure, ends[measure][kind], **said_of(kind) | against
            )
    for kind in nulls:
        if measure in CORE or kind == null:
            key = f"compare/{short[kind]}/{metric}"
            out[key] = row(kind, measure, ends[measure][kind])
    for way in WAYS if measure in ("Held-out r", "Handle") else ():
        out[f"compare/{short[way]}-lead/{metric}"] = row(
            way,
            measure,
            lead(way, null, measure),
            note=f"less {null}, paired",
        )
null = max(nulls, key=lambda kind: ndcg[kind].value)
for kind in [*WAYS, null]:
    out[f"compare/{short[kind]}/recovered_ndcg"] = Result(
        **ndcg[kind]._asdict(),
        interval="95%, bootstrap over users",
        unit="share of NDCG@10",
        n=len(np.unique(held.cases.user)),
        seeds=seeds[: len(answers[kind])],
        better="higher",
        against=f"compare/{short[null]}/recovered_ndcg"
        if kind in WAYS
        else None,
    )
for kind in [*WAYS, *papers]:
    for field, unit, better in (
        ("l0", "active latents a row", "none"),
        ("fvu", "share of variance lost", "lower"),
    ):
        out[f"compare/{short[kind]}/{field}"] = Result(
            value=plain(kind, field),
            unit=unit,
            n=len(fresh.h),
            seeds=seeds[: len(answers[kind])],
            better=better,
        )
for way in WAYS:
    for what, key, unit in (
        ("parameters", "parameters", "numbers"),
        ("in training", "products", "products a vector"),
    ):
        out[f"compare/{way}/{key}"] = Result(
            value=cost[way][what], unit=unit, n=1, better="none"
        )
for measure, end in told.items():
    key = f"compare/told-the-genres/{MEASURES[measure][2]}"
    out[key] = row("told the genres", measure, end)
for name, values in globals().get("best", {}).items():  # not where verified
    out[f"compare/{short[name]}-best/r_heldout"] = Result(
        **over_genres(values)._asdict(),
        interval="95%, bootstrap over genres",
        unit="Pearson r, mean over genres",
        n=len(names),
        seeds=seeds[:1],
        better="higher",
        against="compare/ica-best/r_heldout" if name in WAYS else None,
        training=True,
        note="sparsity chosen on the half of the items that chooses latents",
    )
results.write("26_three_ways", out)
