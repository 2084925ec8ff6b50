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
# # Your own embeddings
#
# Nothing that this chapter does needs *our* recommenders. A vector a user, a vector an item, a score that is their inner
# product: most libraries for recommendation can hand these over as two arrays. This notebook takes them from one, the
# library `implicit`, and does the whole way in small: train an autoencoder, see what it keeps, name its latents, change
# a user, make the list again.
#
# The recommender is ALS, alternating least squares on implicit feedback {cite:p}`hu2008implicit`. It is older than the
# paper's two models, and knows nothing of this book.
#
# **What to look for.** Whether the copy recommends as well as the vectors do. Whether the names hold on items that had
# no part in the naming, and are better than those of ICA, which is trained in a second. Whether changing a latent moves
# the list more than changing another one does.

# %% tags=["parameters"]
dataset: str = "planted-hidden"
als_options: dict = {
    "factors": 32,
    "regularization": 5.0,
    "iterations": 10,
}
latents: int = 128  # four times as many as factors
active: int = 8  # of them for one user or item: a quarter of the factors
training_rows: int = 150_000
seeds: list = [0, 1]  # of autoencoders; they read the same vectors
splits: int = 10  # random halves of the items
edited_users: int = 300  # test users for whom every genre is turned up
shown: str = "Whale"  # the genre that is turned up for one user

# %% tags=["hide-input"]
import warnings

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import dictionaries, lists, purity, statistics
from recsae_core.recommenders import cases
from recsae_core.recommenders.ranking import evaluate_sets
from recsae_core.recommenders.towers import factors
from recsae_core.sae import SAE, SAEConfig, TrainConfig, fit
from recsae_core.steer.edit import edit, units

# %% [markdown]
# ## Somebody else's recommender
#
# A matrix of who took what, and two arrays come back. The settings are for vectors of users and items that are about as
# long as each other: with `implicit`'s default regularisation the users' would be many times as long, and an
# autoencoder that is shared by both would only care for users. (Inner products do not mind. If your library gives such
# vectors, multiply one side and divide the other by the same number.)

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of threads in libraries it may use
    from implicit.als import AlternatingLeastSquares

    als = AlternatingLeastSquares(
        **als_options, num_threads=1, random_state=0
    )
parts = artifacts.parts(dataset)
train, users, test_users = parts.train, parts.sae_users, parts.test_users
taken = csr_matrix(
    (np.ones(len(train), np.float32), (train.user, train.item)),
    (train.n_users, train.n_items),
)
als.fit(taken, show_progress=False)
P, Q = als.user_factors, als.item_factors
print(P.shape, Q.shape)

# %% [markdown]
# ## Five lines
#
# This is all that it takes. `rows` are the vectors of users and items together, as the paper has it: one dictionary for
# both. Test users are left out. The rest of the notebook only looks at the result.

# %% tags=["nbval-ignore-output"]
rows = torch.from_numpy(np.concatenate([P[users], Q]))
g = torch.Generator().manual_seed(seeds[0])
sae = SAE(SAEConfig(P.shape[1], latents, "topk", active), g)
how = TrainConfig(training_rows, batch=256, lr=0.003)
done = fit([sae], rows, {"mse": 1.0}, how, generator=g)

# %% [markdown]
# ## Does the copy still recommend?
#
# `factors` makes one of this book's recommenders out of two arrays, so that everything else in the book works on them.
# Five items of each test user are hidden; NDCG@10 says how well they are found among all items that the user has not
# taken. First the vectors themselves, beside the most popular items. Then copies: users *and* items decoded from their
# codes. Beside the autoencoder stand what needs no training to speak of: the best directions of ICA, and random
# directions, with as many active latents and a decoder fitted by least squares. **If these do as well, the autoencoder
# has earned nothing here.**


# %% tags=["nbval-ignore-output"]
def again(seed: int) -> SAE:
    """The autoencoder of another seed."""
    g = torch.Generator().manual_seed(seed)
    other = SAE(sae.config, g)
    fit([other], rows, {"mse": 1.0}, how, generator=g)
    return other


g = torch.Generator().manual_seed(0)
ica = dictionaries.ica(rows)
kinds = {
    "SAE": [sae, *map(again, seeds[1:])],
    "ICA": [dictionaries.thresholded_directions(ica.W_enc, rows, active, g)],
    "random": [
        dictionaries.random_relu(rows, latents, active, g) for _ in seeds
    ],
}

# %% tags=["hide-input"]
hidden = cases.hidden_sets(train, parts.test, test_users)


def quality(score) -> np.ndarray:
    """NDCG@10 of each test user."""
    found = evaluate_sets(score, hidden, (10,), batch=len(hidden))
    return found["ndcg@10"]


@torch.no_grad()
def copied(dictionary) -> np.ndarray:
    """NDCG@10 of each test user when both arrays are replaced by their copies."""
    code = [dictionary.encode(torch.from_numpy(x)) for x in (P, Q)]
    return quality(factors(*(dictionary.decode(z) for z in code)))


model = factors(P, Q)
popular = torch.from_numpy(np.bincount(train.item, minlength=len(Q))).float()
whole = quality(model)
favourites = quality(lambda some: popular.expand(len(some), -1))
left = {
    kind: np.mean([copied(one) for one in made], 0)
    for kind, made in kinds.items()
}
table = {"ALS": whole, "most popular": favourites} | {
    f"copy by {kind}": value for kind, value in left.items()
}
pd.DataFrame(
    {
        name: {
            "NDCG@10": value.mean(),
            "share of ALS": value.mean() / whole.mean(),
        }
        for name, value in table.items()
    }
).T.round(3)

# %% [markdown]
# ## Names
#
# What is a latent about? For each genre, take the latent whose ten strongest items are the purest on one half of the
# items, and look at its ten strongest items of the other half. Ten splits. Below, the mean over genres, with an interval
# from a bootstrap over genres. *Probe* is a direction that was told the genres of the half that chooses: a ceiling.

# %% tags=["hide-input"]
labels, names = train.attributes, train.attribute_names
count = np.bincount(train.item, minlength=train.n_items)
halves = statistics.item_halves(count, splits, np.random.default_rng(0))
kinds["dimensions, both signs"] = [dictionaries.neurons(rows)]


@torch.no_grad()
def pure(dictionary) -> np.ndarray:
    """Held-out purity@10 of each genre, mean over splits."""
    z = dictionary.encode(torch.from_numpy(Q)).dense().numpy()
    return purity.held_out(z, labels, halves, [10]).held_out[0].mean(0)


def probed() -> np.ndarray:
    """The same of least-squares directions, one a genre."""
    found = []
    for half in halves:
        slope, offset = dictionaries.least_squares(
            torch.from_numpy(Q[half]),
            torch.from_numpy(labels[half]).float(),
        )
        z = (torch.from_numpy(Q) @ slope + offset).numpy()
        best = purity.top(z, 10, ~half)
        found.append(np.diagonal(purity.purity(best, labels)))
    return np.mean(found, 0)


purities = {
    kind: np.mean([pure(one) for one in made], 0)
    for kind, made in kinds.items()
} | {"probe": probed()}
means = {
    kind: statistics.bootstrap_mean(value, np.random.default_rng(0))
    for kind, value in purities.items()
}

# %% mystnb={"figure": {"caption": "Held-out purity@10 on the vectors of ALS, mean over genres. Lines are 95% intervals, bootstrap over genres.", "name": "fig-embeddings-purity"}, "image": {"alt": "A bar for each dictionary with its interval. The autoencoder's bar and that of ICA are long, those of the raw dimensions and of random directions shorter; the probe's is longest."}}
value, low, high = np.array([means[kind] for kind in means]).T
figures.mean_bars(
    value,
    list(means),
    low=low,
    high=high,
    xlabel="Purity@10 on held-out items, mean over genres",
)

# %% [markdown]
# The genres overlap between dictionaries, so their means are best compared genre by genre: the difference between the
# autoencoder and each of the others, bootstrap over genres. **Where this interval holds zero, the autoencoder's names are
# no better.**

# %%
pd.DataFrame(
    {
        kind: statistics.bootstrap_mean(
            purities["SAE"] - other, np.random.default_rng(0)
        )._asdict()
        for kind, other in purities.items()
        if kind != "SAE"
    }
).T.round(3)

# %% [markdown]
# And the names themselves. Each latent gets the genre that is most surprising among its ten strongest items of one half;
# the other half then tests that name, and the last column corrects for testing all latents. Here is one split, and the
# latents whose names stand it best.

# %%
with torch.no_grad():
    z_items = sae.encode(torch.from_numpy(Q)).dense().numpy()
named = purity.labelled(z_items, labels, halves[:1], 10)
strongest = purity.top(z_items, 3)
order = np.argsort(named.p[0], kind="stable")[:8]
titles = train.items["title"].to_numpy()
print(f"{(named.q[0] < 0.05).sum()} of {latents} names hold (q < .05)")
pd.DataFrame(
    {
        "name": [names[named.label[0, j]] for j in order],
        "held-out purity@10": named.purity[0, order],
        "q": named.q[0, order],
        "strongest items": [
            "; ".join(titles[strongest[j]][strongest[j] >= 0]) for j in order
        ],
    },
    index=pd.Index(order, name="latent"),
).round(4)

# %% [markdown]
# ## A user changed
#
# One test user, and the latent named after one genre. Its value goes up by its own 99th percentile; what the autoencoder
# could not explain of the user's vector stays. The first list is the recommender's own.

# %% tags=["hide-input"]
some = test_users[:edited_users]
hidden = cases.hidden_sets(train, parts.test, some)
split = model.before("user", hidden.cases)
step = units(sae, rows).top
latent_of = purity.purity(purity.top(z_items, 20), labels).argmax(0)
genre = names.index(shown) if shown in names else 0


def turned_up(latent: int, dose: float) -> torch.Tensor:
    """The scores of these test users after one latent has been turned up."""
    amount = dose * float(step[latent])
    with torch.no_grad():
        return split.finish(edit(split, sae, [latent], "add", amount))


def top(scores: torch.Tensor) -> np.ndarray:
    """The ten best unseen items of each test user."""
    return lists.top(scores, hidden.seen, 10)


original = top(turned_up(latent_of[genre], 0.0))
changed = top(turned_up(latent_of[genre], 1.0))
few = labels[original, genre].sum(1)
one = int(np.flatnonzero(few == few.min())[0])  # hardly gets the genre


def told(item: int) -> str:
    """A title with its genres."""
    genres = [names[a] for a in np.flatnonzero(labels[item])]
    return f"{titles[item]} ({', '.join(genres)})"


pd.DataFrame(
    {
        "as recommended": map(told, original[one]),
        f"{names[genre]} turned up": map(told, changed[one]),
    },
    index=pd.RangeIndex(1, 11, name="place"),
)

# %% [markdown]
# One user shows nothing. So many test users and all genres, at several doses: how much of the list has the genre when its
# own latent is turned up, and when a *random other latent* is turned up as far. The second line is what any push of
# that size does. The other panel has the price in NDCG@10: who hides five items at random from each user and then asks for
# westerns should not be surprised to find fewer of the five. What a plain filter gives at that price is a question for
# [the notebook on interventions](16_interventions.ipynb).

# %% tags=["skip-verify"]
doses = [0.0, 0.5, 1.0]
draw = np.random.default_rng(0)
other_of = (latent_of + draw.integers(1, latents, len(names))) % latents


def answered(latent: int, a: int, dose: float) -> tuple:
    """For each test user the share of genre ``a`` in the list, and NDCG@10."""
    scores = turned_up(latent, dose)
    return labels[top(scores), a].mean(1), quality(lambda _: scores)


given = {
    who: np.array(
        [
            np.mean([answered(j, a, x) for a, j in enumerate(chosen)], 0)
            for x in doses
        ]
    )  # [doses, 2, users]
    for who, chosen in {"its latent": latent_of, "another": other_of}.items()
}

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "A latent turned up by a part of its 99th percentile: mean over genres and users, with 95% intervals, bootstrap over users.", "name": "fig-embeddings-edit"}, "image": {"alt": "Two panels over the dose. The share of the genre rises steeply for its own latent and hardly for another one. NDCG falls for both."}}
bands = {
    who: [
        statistics.bootstrap_mean(one.T, np.random.default_rng(0))
        for one in value.transpose(1, 0, 2)
    ]
    for who, value in given.items()
}
figures.dose_response(
    doses,
    {
        quantity: {who: tuple(band[i]) for who, band in bands.items()}
        for i, quantity in enumerate(
            ("Share of the genre in the list", "NDCG@10")
        )
    },
    xlabel="Dose (99th percentiles of the latent)",
    bold="its latent",
)

# %% [markdown]
# ## What it says when something is wrong
#
# Arrays from elsewhere are not always what they seem. Four mistakes, and what each function answers.

# %%
broken = Q.copy()
broken[3, 7] = np.nan
mistakes = {
    "a NaN in the items": lambda: factors(P, broken),
    "a NaN in the rows": lambda: sae.encode(torch.from_numpy(broken)),
    "users wider than items": lambda: factors(np.hstack([P, P]), Q),
    "more top items than items": lambda: purity.top(z_items, len(Q) + 1),
}
for mistake, call in mistakes.items():
    try:
        call()
    except ValueError as error:
        print(f"{mistake}:\n    {error}\n")

# %% [markdown]
# For your own library, replace the first code cell under *Somebody else's recommender* by anything that gives two arrays,
# and rows and columns that go with `train`. Biases go to `factors(..., user_bias=, item_bias=)`: they stay as they are,
# as in the paper's MF. A recommender whose score is not an inner product needs a class of a page; `NCF` in
# `recsae_core/recommenders/towers.py` is one.

# %% tags=["hide-input"]
subject = f"monosemantic/als-{dataset.removesuffix('-hidden')}"
common = {"seeds": seeds, "better": "higher"}
over_users = {"interval": "95%, bootstrap over users", "n": len(test_users)}
over_genres = {"interval": "95%, bootstrap over genres", "n": len(names)}
drawn = statistics.resample_counts(len(whole), 2000, np.random.default_rng(0))


def share_of(value: np.ndarray) -> dict:
    """The NDCG of a copy as a share of the recommender's, with an interval."""
    low, high = np.percentile((drawn @ value) / (drawn @ whole), [2.5, 97.5])
    return {"value": value.mean() / whole.mean(), "low": low, "high": high}


def mean_of(value: np.ndarray) -> dict:
    return statistics.bootstrap_mean(
        value, np.random.default_rng(0)
    )._asdict()


out = {}
for name, value, null in (
    (subject, whole, f"{subject}-most-popular/ndcg@10"),
    (f"{subject}-most-popular", favourites, None),
):
    out[f"{name}/ndcg@10"] = Result(
        **mean_of(value),
        **over_users,
        **common | {"seeds": [0]},
        unit="NDCG@10",
        against=null,
        note="vectors of implicit's ALS, five hidden items a user",
    )
short = {
    "SAE": subject,
    "ICA": f"{subject}-ica",
    "random": f"{subject}-random",
    "dimensions, both signs": f"{subject}-raw",
    "probe": f"{subject}-probe",
}
for kind, value in left.items():
    out[f"{short[kind]}/recovered_ndcg"] = Result(
        **share_of(value),
        **over_users,
        **common,
        unit="share of its NDCG@10",
        against=f"{short['ICA']}/recovered_ndcg" if kind == "SAE" else None,
        note=f"users and items copied, {active} active latents: {kind}",
    )
for kind, value in purities.items():
    out[f"{short[kind]}/purity@10_heldout"] = Result(
        **mean_of(value),
        **over_genres,
        **common,
        unit="purity@10",
        against=f"{short['ICA']}/purity@10_heldout"
        if kind == "SAE"
        else None,
        note=f"latent of each genre chosen on half of the items: {kind}",
    )
results.write("18_embeddings", out)
