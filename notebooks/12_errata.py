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
# # What the faults of the code do to the numbers
#
# The authors of the sequential paper (arXiv 2507.12202) put their working code and notebooks online before the paper
# was out, for review. Working code has faults, and this is a list of those that we found by reading it (repository
# `duny-explorer/SAE` at 4a7af26). Most change little or nothing. A reader who builds on the code should know which do.
#
# Every fault here is *run*: once as it is coded, once as it should be, on the same model, the same rows and the same
# users. None of them is in the library. Each is a few lines in this notebook, passed in as an edit, a dictionary or a
# row of vectors, so that you can switch it on and off.
#
# **What to look for.** The last table: which faults change a number by more than the noise between users, and which
# way. A fault that makes the method look *worse* than it is deserves to be told as much as one that flatters it.

# %% tags=["parameters"]
dataset: str = "planted"
sae: str = "sae-256"
seed: int = 0
dose: float = 1.0  # of an edit, in each latent's own 99th percentile
sizes: list = [32, 128, 512]  # of the random dictionaries, in latents
random_draws: int = 2
splits: int = 20  # random halves of the items
chosen_on: int = 40_000  # rows of the sae users that choose the latents
squared: dict = {"mse": 1.0, "l2": 0.0}  # terms in place of the length
standard: dict = {"standardize": "scalar"}  # as in the main configuration

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import alignment, dictionaries, probes, statistics
from recsae_core.recommenders import activations, cases
from recsae_core.recommenders.ranking import evaluate
from recsae_core.sae import SAE, metrics
from recsae_core.steer.edit import coded, edit, units

# %% [markdown]
# One transformer, its autoencoder, the rows after the first block, and the list that each test user gets.

# %%
parts = artifacts.parts(dataset)
model = artifacts.get(f"{dataset}/transformer", seed=seed)
trained = artifacts.get(f"{dataset}/{sae}", seed=seed)
length = model.config.length
attributes, names = parts.test.attributes, parts.test.attribute_names
x, test = (
    activations.collect(model, "block0", cases.inputs(part, length))
    for part in (parts.sae, parts.test)
)
holdout = cases.leave_last_out(parts.test, length)
split = model.before("block0", holdout.cases)
rng = np.random.default_rng(seed)


def lists(h: torch.Tensor):
    """The ranking of every test user when the recommender goes on from ``h``."""
    with torch.no_grad():
        scores = split.finish(h)
    return evaluate(lambda _: scores, holdout, ks=(10,), batch=len(holdout))


base = lists(split.h)
table = []  # one row a fault


def compare(
    fault: str, what: str, measure: str, as_coded: object, intended: object
) -> None:
    """Keep a fault's two numbers. Where they are one a user, the effect gets an interval."""
    a, b = (np.atleast_1d(np.asarray(v, float)) for v in (as_coded, intended))
    low = high = None
    if len(a) > 1:
        drawn = statistics.resample_counts(len(a), 2000, rng)
        low, high = np.percentile((drawn @ a) / (drawn @ b) - 1, [2.5, 97.5])
    n, a, b = len(a), float(a.mean()), float(b.mean())
    table.append(
        {
            "fault": fault,
            "what": what,
            "measure": measure,
            "as coded": a,
            "as it should be": b,
            "relative effect": a / b - 1,
            "low": low,
            "high": high,
            "n": n,
        }
    )


def best_latents(dictionary) -> np.ndarray:
    """For each genre the latent with the highest correlation, on rows of other users than those who are tested."""
    rows = slice(None, chosen_on)
    found = alignment.align(dictionary, x.h[rows], x.item[rows], attributes)
    return np.where(np.isnan(found.r), -np.inf, found.r).argmax(0)


def mean_max(dictionary) -> float:
    """The paper's measure: chosen and scored on the same rows."""
    return alignment.mean_max_correlation(
        alignment.align(dictionary, test.h, test.item, attributes)
    )


# %% [markdown]
# ## Control: what goes back into the model
#
# An edit encodes the state at the last position, changes one latent, decodes, and lets the model go on. Three faults
# sit in the last step.
#
# **The error is thrown away.** The code replaces the state by the decoder's output. What the autoencoder could not
# explain is lost at every dose, also at dose 0. The loss then looks like a price of *steering*, although it is a price
# of *decoding*. To keep it is one addition: $h + \hat x(z') - \hat x(z)$.
#
# The numbers are means over all genres; each edit adds the latent's own 99th percentile, times `dose`.

# %%
latents = best_latents(trained)
top = units(trained, x.h).top
code = coded(split, trained)


def steered(autoencoder: SAE, latent: int, **options) -> torch.Tensor:
    """Rows in which ``latent`` is turned up."""
    step = float(dose * units_of[id(autoencoder)][latent])
    return edit(split, autoencoder, [latent], "add", step, **options)


units_of = {id(trained): top}
kept, lost, share = [], [], []
for a, latent in enumerate(latents):
    runs = [
        lists(steered(trained, latent, keep_error=keep, code=code))
        for keep in (True, False)
    ]
    kept.append(runs[0]["ndcg@10"])
    lost.append(runs[1]["ndcg@10"])
    share.append(attributes[runs[0].top, a].mean(1))
nothing = edit(split, trained, [0], "add", 0.0, keep_error=False, code=code)
compare(
    "error-at-zero",
    "error dropped, dose 0: NDCG",
    "NDCG@10, dose 0",
    lists(nothing)["ndcg@10"],
    base["ndcg@10"],
)
compare(
    "error-at-dose",
    "error dropped, edited: NDCG",
    "NDCG@10, mean over genres",
    np.mean(lost, 0),
    np.mean(kept, 0),
)

# %% [markdown]
# **The write-back is not de-normalised.** The main configuration trains on standardised vectors. One steering notebook
# computes the de-normalised state, and then writes the standardised one into the model. (The evaluation script does it
# right.) Below, an autoencoder that is trained as in that configuration edits the same users, both ways. The state has
# a LayerNorm ahead of it, which forgives a wrong scale; what it does not forgive is that the second block's own
# writing now counts for less.

# %%
scalar = artifacts.get(f"{dataset}/{sae}", seed=seed, sae=standard)
units_of[id(scalar)] = units(scalar, x.h).top
right, wrong = [], []
for latent in best_latents(scalar):
    h = steered(scalar, latent, keep_error=False)
    written = split.h.clone()
    written[split.last] = scalar.standardized(h[split.last])
    right.append(lists(h)["ndcg@10"])
    wrong.append(lists(written)["ndcg@10"])
compare(
    "write-back",
    "written back standardised: NDCG",
    "NDCG@10, mean over genres",
    np.mean(wrong, 0),
    np.mean(right, 0),
)

# %% [markdown]
# **Feature 0 cannot be chosen.** `if config.neuron_id:` is false for the number 0, so a run that asks for the first
# feature silently changes nothing. It takes one genre whose best latent happens to be number 0; here the latents are
# renumbered so that this is so for every genre in turn, which changes nothing else.


# %%
def neuron_id_of_the_script(neuron_id: int, latent: int):
    """The lists after the official script's condition, for the latent that has this number."""
    if neuron_id:
        return lists(steered(trained, latent, code=code))
    return base


untouched = [
    attributes[neuron_id_of_the_script(0, latent).top, a].mean(1)
    for a, latent in enumerate(latents)
]
compare(
    "feature-zero",
    "latent 0 left alone: share",
    "share of the genre in the list, mean over genres",
    np.mean(untouched, 0),
    np.mean(share, 0),
)
print(
    f"chance that it strikes at least one of {len(names)} genres by accident: "
    f"{1 - (1 - 1 / trained.m) ** len(names):.1%}"
)

# %% [markdown]
# ## Reading: which vector is it?
#
# **The feed-forward write instead of the residual stream.** For BERT4Rec the notebook asks the tracing library for
# `layer[0].output[0].output`. In the version of the time that path ends at the *feed-forward layer's* output
# projection, before it is added to the stream. The stream carries the embedding of the item at the position; the write
# is only what one layer adds to it. The hook below does the same to our transformer. Nothing is trained: neurons,
# random directions and a probe that is told the genres are enough to say what there is to read.


# %%
@torch.no_grad()
def feed_forward_write(part) -> torch.Tensor:
    """What the first block's feed-forward net writes, at the rows of ``activations.collect``."""
    caught = []
    hook = model.blocks[0].ffn_out.register_forward_hook(
        lambda _module, _input, output: caught.append(output)
    )
    try:
        every, out = cases.inputs(part, length), []
        for start in range(0, len(every), 256):
            some = every[start : start + 256]
            caught.clear()
            model(some)  # as a whole: a split would run on a copy
            width = caught[0].shape[1]
            out.append(caught[0][some.history[:, :width] >= 0])
    finally:
        hook.remove()
    return torch.cat(out)


# %%
write_x, write_test = map(feed_forward_write, (parts.sae, parts.test))
sparsity = metrics.reconstruction(trained, test.h).l0
hooked = {}
for place, (fit_on, score_on) in {
    "residual stream": (x.h, test.h),
    "feed-forward write": (write_x, write_test),
}.items():
    g = torch.Generator().manual_seed(seed)
    found = {
        "neurons": dictionaries.neurons(fit_on),
        "random directions": dictionaries.random_relu(
            fit_on, trained.m, sparsity, g
        ),
        "probe": probes.probe(fit_on, x.item, attributes),
    }
    hooked[place] = {
        kind: alignment.mean_max_correlation(
            alignment.align(dictionary, score_on, test.item, attributes)
        )
        for kind, dictionary in found.items()
    }
for kind in ("neurons", "probe"):
    compare(
        f"hook-{kind}",
        f"feed-forward write read: r, {kind}",
        f"mean max correlation, {kind}",
        hooked["feed-forward write"][kind],
        hooked["residual stream"][kind],
    )
pd.DataFrame(hooked).round(3)

# %% [markdown]
# **A negative neuron is not credited.** The baseline takes the largest *signed* correlation over the neurons. A neuron
# that goes down whenever a western comes is as good a detector as one that goes up. (A latent behind a ReLU has no
# other side, so nothing changes for the autoencoder.) This fault flatters the autoencoder's lead.

# %%
label = torch.as_tensor(attributes[test.item.numpy()], dtype=torch.float64)
z, y = test.h.double() - test.h.double().mean(0), label - label.mean(0)
r = (z.T @ y) / (z.norm(dim=0)[:, None] * y.norm(dim=0))
varies = ~torch.isnan(r).any(0)
compare(
    "one-sign",
    "one sign only: neurons' r",
    "mean max correlation, neurons",
    float(r[:, varies].amax(0).mean()),
    float(r[:, varies].abs().amax(0).mean()),
)

# %% [markdown]
# **More active latents than dimensions.** An L1 penalty of .1 leaves more latents above zero than the vector has
# coordinates. Such a code is not sparse in any useful sense. But most of its values are faint, so one can ask what the
# faint ones are for: here every value below .1 (the threshold that the authors use beside zero) is set to zero.


# %%
class WithoutFaint:
    """The autoencoder with every value up to .1 set to zero."""

    d, m = trained.d, trained.m

    def encode(self, rows):
        z = trained.encode(rows)
        value = z.dense()
        return z.with_dense(torch.where(value > 0.1, value, 0.0))

    def decode(self, z, prefix=None):
        return trained.decode(z, prefix)


full, bare = (
    metrics.reconstruction(dictionary, test.h)
    for dictionary in (trained, WithoutFaint())
)

as_published = mean_max(trained)
compare(
    "faint",
    "faint values kept: latents' r",
    "mean max correlation, autoencoder",
    as_published,
    mean_max(WithoutFaint()),
)
pd.DataFrame(
    {
        "active latents": [full.l0, bare.l0],
        "explained variance": [
            full.explained_variance,
            bare.explained_variance,
        ],
    },
    index=["all values", "values above .1"],
).round(3)

# %% [markdown]
# ## Scoring: who chose the latent?
#
# **Chosen and scored on the same rows, out of very different numbers.** The best of several thousand latents is
# compared with the best of 64 neurons. If every candidate were pure noise this would hardly matter with so many rows.
# But candidates are not noise: each is a direction of the same state. Below are random directions behind a ReLU, with
# *nothing learned*, of three sizes. Look at how the score of the rows that chose grows with the size, and at what is
# left of it on items that did not choose.

# %%
halves = statistics.item_halves(
    np.bincount(parts.sae.item, minlength=parts.sae.n_items),
    splits,
    np.random.default_rng(0),
)
grown = []
for m in sizes:
    for draw in range(random_draws):
        g = torch.Generator().manual_seed(1000 * seed + draw)
        rate = full.l0 / trained.m
        dictionary = dictionaries.random_relu(x.h, m, max(rate * m, 1), g)
        found = alignment.align(dictionary, test.h, test.item, attributes)
        grown.append(
            {
                "random directions": m,
                "same rows": alignment.mean_max_correlation(found),
                "other items": float(
                    np.nanmean(alignment.held_out_max(found, halves))
                ),
            }
        )
grown = pd.DataFrame(grown).groupby("random directions").mean()
compare(
    "selection",
    "scored on what chose: random r",
    f"mean max correlation, {sizes[-1]} random directions",
    grown["same rows"].iloc[-1],
    grown["other items"].iloc[-1],
)
compare(
    "candidates",
    "many beside few: random r",
    "mean max correlation, random directions",
    grown["same rows"].iloc[-1],
    grown["same rows"].iloc[0],
)
grown.round(3)

# %% [markdown]
# ## Training: which loss?
#
# **The same number before another loss.** The training library of the time minimised the *length* of the error plus
# $\lambda = .1$ times the L1 norm. Half a year later it changed to the squared length. Whoever installs the library
# today and copies the paper's $\lambda$ trains another autoencoder. No one is at fault here, but it is the trap in
# which a replication falls first.

# %%
other = artifacts.get(f"{dataset}/{sae}", seed=seed, terms=squared)
square = metrics.reconstruction(other, test.h)
compare(
    "squared-l0",
    "squared error: L0",
    "active latents a row",
    square.l0,
    full.l0,
)
compare(
    "squared-variance",
    "squared error: explained variance",
    "explained variance",
    square.explained_variance,
    full.explained_variance,
)
compare(
    "squared-correlation",
    "squared error: latents' r",
    "mean max correlation, autoencoder",
    mean_max(other),
    as_published,
)
pd.DataFrame({"length": full, "squared": square}, index=square._fields).T[
    ["explained_variance", "l0", "dead"]
]

# %% [markdown]
# ## Counting: novelty, and the vocabulary
#
# **Novelty is 1 whatever the model does.** It is computed as the share of recommendations that the user has not seen
# *in the training data*. Test users are by construction not in the training data. A random list, the list of the most
# popular items and the transformer all score the same. What tells them apart is how surprising an item is: the mean
# of $-\log_2$ of the share of training users who took it.

# %%
takers = np.bincount(parts.train.item, minlength=parts.train.n_items)
surprise = -np.log2((takers + 1) / (parts.train.n_users + 1))
popular = artifacts.get(f"{dataset}/most-popular", seed=seed)
with torch.no_grad():
    favourites = evaluate(popular, holdout, ks=(10,))
shuffled = torch.rand(
    len(holdout),
    parts.train.n_items,
    generator=torch.Generator().manual_seed(seed),
)
chance = evaluate(lambda _: shuffled, holdout, ks=(10,), batch=len(holdout))


def novelty(top: np.ndarray) -> float:
    """Share of the recommendations that the user did not take in the training data."""
    trained_on = dict(
        zip(
            parts.train.user_ids.tolist(),
            map(set, parts.train.histories()),
            strict=True,
        )
    )
    users = parts.test.user_ids[holdout.cases.user.numpy()].tolist()
    new = [
        item not in trained_on.get(user, ())
        for user, row in zip(users, top.tolist(), strict=True)
        for item in row
    ]
    return float(np.mean(new))


counted = pd.DataFrame(
    {
        name: {
            "novelty as coded": novelty(found.top),
            "surprise (bits)": surprise[found.top].mean(),
        }
        for name, found in {
            "transformer": base,
            "most popular": favourites,
            "random": chance,
        }.items()
    }
).T
compare(
    "novelty",
    "novelty against training data",
    "random list against most popular, ratio of novelty",
    counted["novelty as coded"]["random"]
    / counted["novelty as coded"]["most popular"],
    counted["surprise (bits)"]["random"]
    / counted["surprise (bits)"]["most popular"],
)
counted.round(3)

# %% [markdown]
# **Raw ids are tokens.** The vocabulary has a row for every number up to the largest id, whether or not there is such
# an item, and the softmax runs over all of them. It costs time and memory, not accuracy. For BERT4Rec there is a
# second effect: the mask is token 1, and so is the item whose id is 1. With one position in five masked, nearly all
# that the model ever learns about token 1 is that it is the mask.

# %%
ids = pd.to_numeric(parts.train.items["id"], errors="coerce").to_numpy()
rows_raw = int(np.nanmax(ids)) + 1
compare(
    "raw-ids",
    "raw ids: rows of the embedding",
    "rows of the embedding",
    rows_raw,
    parts.train.n_items,
)
taken = float((ids[parts.train.item] == 1).mean())
masks = 0.2 / (0.2 + 0.8 * taken)
print(
    f"token 1 stands for the item in {taken:.2%} of the training positions; "
    f"of all times that the model reads it, {masks:.1%} are masks"
)

# %% [markdown]
# ## What it comes to
#
# Read the last columns: the relative effect, and whether its interval (over test users, where users are what varies)
# is clear of zero. A plus sign means that the code reports a *larger* number than it should.

# %% tags=["hide-input"]
found = pd.DataFrame(table).set_index("fault")
found[
    [
        "what",
        "measure",
        "as coded",
        "as it should be",
        "relative effect",
        "low",
        "high",
    ]
].round(3)

# %% mystnb={"figure": {"caption": "What each fault does to the number that it touches, relative to the number without the fault. Lines: 95% bootstrap over test users, where the number is a mean over users.", "name": "fig-errata"}, "image": {"alt": "A bar for each fault. A few are long to one side or the other; most are short."}}
shown = found.sort_values("relative effect", ascending=False)
effect = shown["relative effect"].to_numpy()
figures.mean_bars(
    effect,
    list(shown["what"]),
    low=np.where(shown["low"].isna(), effect, shown["low"]).astype(float),
    high=np.where(shown["high"].isna(), effect, shown["high"]).astype(float),
    xlabel="As coded / as it should be, minus 1",
    ylabel="Fault",
    digits="+.2f",
    first=False,
)

# %% [markdown]
# ## What was read and not run
#
# - For BERT4Rec the test lists come from the loader of the causal model: no mask is appended, and the position of the
#   last *item* is scored, which the model was never trained to do.
# - A table called `max_by_feature_sae` is overwritten before it is printed: it shows the neurons' values twice.
# - `get_block_activations` tests a name that is not defined there, and compares `Bert` with `BERT`: as committed it
#   does not run.
# - The attribute is that of the item *at* the position, whose embedding is part of the vector. This is a choice and not
#   a fault, but it does not show that a latent knows what the user wants.

# %% tags=["hide-input"]
rows_out = {}
for fault, row in found.iterrows():
    per_user = row["n"] > 1
    common = {
        "n": int(row["n"]) if per_user else len(test.h),
        "seeds": [seed],
        "better": "none",
        "artifacts": [f"{dataset}/transformer", f"{dataset}/{sae}"],
    }
    for key in ("as coded", "as it should be"):
        rows_out[f"seqrec/errata-{fault}/{key.replace(' ', '_')}"] = Result(
            value=row[key],
            unit=row["measure"],
            note=row["what"] if key == "as coded" else "",
            **common,
        )
    rows_out[f"seqrec/errata-{fault}/relative_effect"] = Result(
        value=row["relative effect"],
        low=row["low"] if per_user else None,
        high=row["high"] if per_user else None,
        interval="95%, bootstrap over users" if per_user else "",
        unit="as coded / as it should be - 1",
        note=f"{row['measure']}: {row['what']}",
        **common,
    )
rows_out["seqrec/errata-mask/share_of_token_1"] = Result(
    value=masks,
    unit="share of the times that token 1 is read",
    n=len(parts.train),
    better="none",
    note="with raw ids the mask and the item with id 1 are the same token",
)
results.write("12_errata", rows_out)
