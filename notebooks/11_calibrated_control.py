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
# # Ask for a share, get it
#
# A dose of .4 on latent 160 means nothing to anybody. "Make forty percent of my list westerns" does. The share of a
# genre rises smoothly with the dose, so the dose for a share can be *solved for*. That is control in the sense of an
# engineer: a set point, and an error that can be measured.
#
# Two ways to solve it:
#
# - **One dose for everybody.** Found on other users than those it is used on. It hits the mean share if the new users
#   are like the old ones; single lists may be far off.
# - **A dose for each list.** While a list is being made, bisection tries doses until the list itself has the share. It
#   needs no label of the user, only the genres of the items, and can be done for every request.
#
# **What to look for.** How far the marks are from the diagonal, and which asks cannot be met at all.

# %% tags=["parameters"]
dataset: str = "planted"
sae: str = "sae-256"
seed: int = 0  # of the transformer and the autoencoder
length: int = 50  # positions that the transformer reads; one less is used
positions: int = (
    5  # lists a user for the single dose: those of the last positions
)
validation_users: int = 40  # the dose for everybody is found on them
validation_positions: int = 3
asks: list = [0.2, 0.4, 0.6]  # shares of the list
rule: str = "add"
bisections: int = 6  # halvings of the range of doses, for each list
example: str = (
    ""  # a genre to look at closely; none named: one of middling size
)

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from recsae_book import artifacts, figures, results
from recsae_book.results import Result
from recsae_core.interpret import alignment, statistics
from recsae_core.recommenders import activations, cases
from recsae_core.steer import calibrate, methods, response
from recsae_core.steer.edit import units

# %%
parts = artifacts.parts(dataset)
attributes, names = parts.test.attributes, list(parts.test.attribute_names)
model = artifacts.get(f"{dataset}/transformer", seed=seed)
autoencoder = artifacts.get(f"{dataset}/{sae}", seed=seed)
x = activations.collect(
    model, "block0", cases.inputs(parts.sae, model.config.length)
)
window = model.config.length - 1
test = cases.tails(parts.test, window, positions)
last = cases.tails(parts.test, window, 1)
users = np.sort(
    np.random.default_rng(seed).choice(
        np.unique(parts.sae.user), validation_users, replace=False
    )
)
others = cases.tails(
    parts.sae.rows(np.isin(parts.sae.user, users)),
    window,
    validation_positions,
)
trial = calibrate.Calibrator(model, "block0", others)
latent = alignment.align(autoencoder, x.h, x.item, attributes).r.argmax(0)
unit = units(autoencoder, x.h).top
items = [torch.from_numpy(attributes[:, a].copy()) for a in range(len(names))]
turn = [
    methods.Latents(autoencoder, [int(latent[a])], rule, unit)
    for a in range(len(names))
]

# %% [markdown]
# ## One dose for everybody
#
# For every genre and every ask the dose is found on the validation users, by doubling until the share is passed and
# then by root finding. Where even a large dose falls short, the nearest is taken and **counted with its full error**.
# A share that is smaller than what the lists already have asks for a negative dose.

# %%
solved = {}
for a in tqdm(range(len(names)), desc="doses"):
    for ask in asks:
        solved[a, ask] = trial.dose(turn[a], items[a], ask, start=0.2)
given, before = {}, {}
for a in tqdm(range(len(names)), desc="lists"):
    doses = [0.0] + [solved[a, ask].dose for ask in asks]
    found = response.respond(
        model,
        "block0",
        test,
        {"turn": turn[a]},
        {"turn": doses},
        progress=False,
    )["turn"]
    share = response.by_user(found.share(attributes[:, a]), found.case)
    before[a] = float(share[0].mean())
    for ask, users_share in zip(asks, share[1:], strict=True):
        given[a, ask] = users_share
error = {key: abs(given[key].mean() - key[1]) for key in given}
unreached = sum(not found.reached for found in solved.values())
print(
    f"mean error {np.mean(list(error.values())):.3f}; "
    f"{unreached} of {len(solved)} asks out of reach"
)

# %% [markdown]
# ## A dose for each list
#
# Now each of the test users' last lists gets its own dose. A list of ten can only have shares that are tenths, and the
# same dose that gives one user three westerns gives another nine; here both get four.

# %%
single = {}
low, high = (
    {
        a: float(end([solved[a, ask].dose for ask in asks] + [0.0]))
        for a in range(len(names))
    }
    for end in (min, max)
)
with torch.no_grad():
    for _, lists in tqdm(
        list(response.batches(model, "block0", last, 128)), desc="users"
    ):
        for a in range(len(names)):
            for ask in asks:
                dose = calibrate.dose_of_each_list(
                    turn[a],
                    lists,
                    items[a],
                    ask,
                    2 * low[a] - 1.0,
                    2 * high[a] + 1.0,
                    bisections,
                )
                top, _ = response.ranked(
                    turn[a](lists, dose),
                    lists.seen,
                    torch.zeros(len(dose), dtype=torch.int64),
                )
                single.setdefault((a, ask), []).append(
                    items[a][top].float().mean(1)
                )
single = {key: torch.cat(parts).numpy() for key, parts in single.items()}
error_single = {key: abs(single[key].mean() - key[1]) for key in single}
print(f"mean error {np.mean(list(error_single.values())):.3f}")

# %% mystnb={"figure": {"caption": "Mean share given against share asked for, one mark a genre and ask. A grey line runs from the share before to the share given.", "name": "fig-calibrated"}, "image": {"alt": "Two panels with marks near the diagonal; on the right they sit closer to it."}}
keys = [(a, ask) for ask in asks for a in range(len(names))]
figures.asked_and_given(
    [ask for _, ask in keys],
    {
        "One dose for everybody": [given[key].mean() for key in keys],
        "A dose for each list": [single[key].mean() for key in keys],
    },
    low=[before[a] for a, _ in keys],
)

# %% [markdown]
# ## How far single lists are off
#
# The mean over users can be right while every single user is wrong. The spread of the lists around the ask tells the
# two ways apart.

# %%
spread = pd.DataFrame(
    {
        "one dose: error of the mean": {
            ask: np.mean([error[a, ask] for a in range(len(names))])
            for ask in asks
        },
        "each list: error of the mean": {
            ask: np.mean([error_single[a, ask] for a in range(len(names))])
            for ask in asks
        },
        "one dose: mean |list - ask|": {
            ask: np.mean(
                [
                    np.abs(given[a, ask] - ask).mean()
                    for a in range(len(names))
                ]
            )
            for ask in asks
        },
        "each list: mean |list - ask|": {
            ask: np.mean(
                [
                    np.abs(single[a, ask] - ask).mean()
                    for a in range(len(names))
                ]
            )
            for ask in asks
        },
    }
)
spread.rename_axis("share asked for").round(3)

# %% [markdown]
# ## One genre closely

# %%
if not example:
    example = names[sorted(before, key=before.get)[len(names) // 2]]
if example not in names:
    raise ValueError(f"genre {example!r}: expected one of {', '.join(names)}")
a = names.index(example)
pd.DataFrame(
    {
        "asked": asks,
        "dose": [solved[a, ask].dose for ask in asks],
        "given, one dose": [given[a, ask].mean() for ask in asks],
        "given, each list": [single[a, ask].mean() for ask in asks],
        "reached": [solved[a, ask].reached for ask in asks],
    }
).set_index("asked").rename_axis(f"{example} asked for").round(3)


# %% tags=["hide-input"]
def row(values: dict, errors: dict, n: int, how: str) -> Result:
    """The mean error over genres and asks, with its interval over users."""
    table = np.stack([values[key] - key[1] for key in values])
    counts = statistics.resample_counts(
        table.shape[1], 500, np.random.default_rng(0)
    )
    drawn = np.abs(counts @ table.T / table.shape[1]).mean(1)
    mean = float(np.mean(list(errors.values())))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Result(
        value=mean,
        low=min(low, mean),
        high=max(high, mean),
        interval="95%, bootstrap over users",
        unit="|mean share over users - share asked for|, mean over genres and asks",
        n=n,
        seeds=[seed],
        better="lower",
        note=f"asks of {', '.join(map(str, asks))}, {how}; {unreached} of {len(solved)} out of reach and counted",
        artifacts=[f"{dataset}/transformer", f"{dataset}/{sae}"],
    )


results.write(
    "11_calibrated_control",
    {
        "seqrec/control-sae/calibration_error": row(
            given, error, len(test), "one dose, found on other users"
        ),
        "seqrec/control-sae/calibration_error_each_list": row(
            single, error_single, len(last), "a dose for each list"
        ),
    },
)
