"""The data of the explorer: recommenders, autoencoders and feature cards as one script that a page loads from disk.

    python book/_make/explorer.py            the planted world, for the book: into runs/explorer/planted
    python book/_make/explorer.py ml-1m      a page of its own, into _build/explorer/ml-1m; never to be published

A dataset needs a recipe ``NAME/transformer`` and an SAE on one of its blocks; ``NAME-hidden/mf`` joins where there is
one.
"""

import argparse
import base64
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from explorer_cards import DOSE, Lists, cards, labels
from jaxtyping import Int
from torch import Tensor

from recsae_book import artifacts, recipes
from recsae_core import paths
from recsae_core.data.interactions import Interactions
from recsae_core.files import atomic, whole, write_json
from recsae_core.recommenders import activations, cases
from recsae_core.recommenders.base import Recommender
from recsae_core.sae import SAE
from recsae_core.steer.edit import edit, units

LARGE = 100_000  # entries of a tensor
USERS = 30  # examples to choose from
FITTED = 8192  # rows that are enough to know how strongly a latent fires, and to make random directions as sparse
MEASURED = 64  # users over whom steering is measured
NOTES = {
    "planted": "A generated world: its users, titles and genres are made up.",
    "ml-1m": "MovieLens 1M (GroupLens, University of Minnesota), for research. Built from your own copy, for you: its "
    "terms forbid passing it on without permission.",
}
STATIC = Path(__file__).resolve().parents[1] / "_static" / "explorer"
SCRIPTS = ("data.js", "model.js", "view.js", "history.js", "card.js", "concepts.js", "results.js", "explorer.js")
Packed = dict[str, Any]


def pack(t: Tensor) -> Packed:
    """A tensor as base64: in half precision where that loses nothing, or eight bits and a scale a row, or in full.

    Of a tensor that needs full precision and has more than ``LARGE`` entries only half is kept.
    """
    t = t.detach().float()
    if torch.equal(t.half().float(), t):
        return _packed(t.half(), "half")
    if t.ndim == 2:
        scale = (t.abs().amax(1, keepdim=True) / 127).clamp(min=1e-30)
        eight = (t / scale).round()
        if torch.allclose(eight * scale, t, rtol=0, atol=1e-6 * float(t.abs().max())):
            return _packed(eight.to(torch.int8), "int8") | {"scale": _packed(scale[:, 0], "float")}
    return _packed(t.half(), "half") if t.numel() > LARGE else _packed(t, "float")


def _packed(t: Tensor, kind: str) -> Packed:
    raw = t.contiguous().numpy()
    little = raw.astype(raw.dtype.newbyteorder("<")).tobytes()
    return {"shape": list(t.shape), "type": kind, "data": base64.b64encode(little).decode()}


def autoencoder(sae: SAE) -> Packed:
    """All that encoding and decoding need."""
    config = sae.config
    if config.sparsifier not in ("relu", "topk") or config.row_norm != "none":
        given = f"sparsifier={config.sparsifier!r}, row_norm={config.row_norm!r}"
        raise ValueError(f"{given}: the explorer runs 'relu' and 'topk', and row_norm 'none'")
    tensors = {"W_enc": sae.encoder, "b_enc": sae.b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}
    if config.standardize != "none":
        tensors |= {"shift": sae.shift, "scale": sae.scale}
    kept = {key: value for key, value in asdict(config).items() if key in ("d", "m", "k", "sparsifier")}
    return kept | {"weights": {name: pack(t) for name, t in tensors.items()}}


def catalogue(inter: Interactions, counts: Int[np.ndarray, "i"]) -> Packed:
    """Titles, and which labels each has: genres first, then decades and words that many titles share."""
    known = labels(inter, counts)
    return {
        "titles": [str(t) for t in inter.items["title"]],
        "labels": [{"name": n, "kind": k} for n, k in zip(known.names, known.kinds, strict=True)],
        "has": [np.flatnonzero(row).tolist() for row in known.has],
    }


def chosen_sae(parent: str) -> str:
    """The first SAE recipe on the users or on a block of ``parent`` that runs in the page, TopK before others."""
    fitting = [
        name
        for name, r in recipes.book().recipes.items()
        if r.kind == "sae" and r.parent == parent and (r.site == "user+item" or r.site.startswith("block"))
    ]
    fitting.sort(key=lambda name: recipes.recipe(name).preset != "topk")
    if not fitting:
        raise ValueError(f"{parent}: no SAE on its users or one of its blocks in book/artifacts.yml")
    return next((name for name in fitting if artifacts.find(name, seed=0) is not None), fitting[0])


def some(n: int, count: int) -> list[int]:
    """``count`` of ``n`` places, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(count, n)).round().astype(int)).tolist()


def mask(seen: Int[Tensor, "n s"], n_items: int) -> Tensor:
    """Which items are no longer news to each user, from padded lists."""
    return torch.stack([torch.bincount(row[row >= 0], minlength=n_items) > 0 for row in seen])


def transformer(dataset: str) -> tuple[Packed, Packed]:
    """The transformer with its SAE, cards and example users, and its catalogue."""
    name, parts = f"{dataset}/transformer", artifacts.parts(dataset)
    model, sae_name = artifacts.get(name, seed=0), chosen_sae(name)
    if model.config.block != "gpt2":
        raise ValueError(f"{name}: block {model.config.block!r}: the explorer runs 'gpt2'")
    sae, site = artifacts.get(sae_name, seed=0), recipes.recipe(sae_name).site
    fit, rows = (
        activations.collect(model, site, cases.inputs(part, model.config.length)) for part in (parts.sae, parts.test)
    )
    x = fit.h[torch.tensor(some(len(fit.h), FITTED))]
    counts = np.bincount(parts.train.item, minlength=parts.train.n_items)
    found, holdout = catalogue(parts.test, counts), cases.leave_last_out(parts.test, model.config.length)
    asked = holdout[torch.tensor(some(len(holdout), MEASURED))]
    lists = Lists(model.tail(site, asked.cases), mask(asked.seen, model.n_items))
    unit = units(sae, x).top
    histories = [h[h >= 0].tolist() for h in holdout.cases.history]
    examples = some(len(histories), USERS)
    return {
        "kind": "transformer",
        "name": "Transformer",
        "recipe": name,
        "sae_recipe": sae_name,
        "site": site,
        "heads": model.config.heads,
        "layers": model.config.layers,
        "length": model.config.length,
        "weights": {key: pack(t) for key, t in model.state_dict().items()},
        "sae": autoencoder(sae),
        "users": [
            {"id": str(parts.test.user_ids[int(holdout.cases.user[n])]), "history": histories[n]} for n in examples
        ],
        "concepts": cards(sae, x, rows.h, rows.item, labels(parts.test, counts), lists, unit),
    }, found


def factorisation(dataset: str) -> tuple[Packed, Packed]:
    """The matrix factorisation with its SAE, cards and fixed users, and its catalogue."""
    name, parts = f"{dataset}/mf", artifacts.parts(dataset)
    model, sae_name = artifacts.get(name, seed=0), chosen_sae(name)
    sae, train = artifacts.get(sae_name, seed=0), parts.train
    P, Q = (t.detach() for t in model.vectors())
    fit = torch.cat([P[torch.from_numpy(parts.sae_users.astype(np.int64))], Q])
    counts, taken = np.bincount(train.item, minlength=train.n_items), train.histories()
    asked = torch.from_numpy(parts.test_users.astype(np.int64))
    measured, users = (asked[torch.tensor(some(len(asked), n))] for n in (MEASURED, USERS))
    seen = mask(cases.pad([taken[u] for u in measured.tolist()]), model.n_items)
    lists = Lists(model.before("user", cases.of_users(measured)), seen)
    weights = {"P": P[users], "Q": Q, "b_user": model.b_user[users], "b_item": model.b_item, "b": model.b}
    return {
        "kind": "mf",
        "name": "Matrix factorisation",
        "recipe": name,
        "sae_recipe": sae_name,
        "site": "user",
        "weights": {key: pack(t) for key, t in weights.items()},
        "sae": autoencoder(sae),
        "users": [{"id": str(train.user_ids[u]), "row": u, "seen": taken[u].tolist()} for u in users.tolist()],
        "concepts": cards(sae, fit, Q, torch.arange(len(Q)), labels(train, counts), lists, units(sae, fit).top),
    }, catalogue(train, counts)


def explorer(dataset: str) -> Packed:
    """All that the page needs."""
    made = [transformer(dataset)]
    if f"{dataset}-hidden/mf" in recipes.book().recipes:
        made.append(factorisation(f"{dataset}-hidden"))
    catalogues: list[Packed] = []
    for model, found in made:
        if found not in catalogues:
            catalogues.append(found)
        model["catalogue"] = catalogues.index(found)
    note = NOTES.get(dataset, f"The data {dataset!r}, as book/artifacts.yml names them.")
    return {"dataset": dataset, "note": note, "dose": DOSE, "catalogues": catalogues, "models": [m for m, _ in made]}


def cut(data: Packed) -> Packed:
    """What the control on the first page needs: the first example user and the best concept that is a genre."""
    model = dict(data["models"][0])
    known = data["catalogues"][model["catalogue"]]
    best = next(c for c in model["concepts"] if known["labels"][c["label"]]["kind"] == "genre")
    model |= {"users": model["users"][:1], "concepts": [best]}
    return data | {"catalogues": [known], "models": [model]}


@torch.no_grad()
def still(small: Packed, model: Recommender, sae: SAE, doses: Sequence[float] = (0.0, DOSE)) -> Packed:
    """The lists of that user at two doses, for a reader without scripts."""
    about, known = small["models"][0], small["catalogues"][0]
    concept, history = about["concepts"][0], about["users"][0]["history"]
    split, unit = model.before(about["site"], cases.from_lists([history])), torch.zeros(sae.m)
    unit[concept["latent"]] = concept["unit"]
    lists = []
    for dose in doses:
        scores = split.finish(edit(split, sae, [concept["latent"]], "add", dose, unit=unit))[0]
        scores[history] = -torch.inf
        top = scores.topk(10).indices.tolist()
        lists.append(
            {
                "dose": dose,
                "titles": [known["titles"][i] for i in top[:5]],
                "with": [concept["label"] in known["has"][i] for i in top[:5]],
                "share": sum(concept["label"] in known["has"][i] for i in top),
            }
        )
    return {"concept": known["labels"][concept["label"]]["name"], "lists": lists}


def script(data: Packed) -> str:
    """The data as a script: a page on a disk may not read files, but it may run them."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False).replace("<", r"\u003c")
    return f"window.RECSAE_EXPLORER = {text};\n"


def write(data: Packed, folder: Path) -> None:
    """What the book's pages load: ``data.js`` for the explorer, ``landing-data.js`` and ``landing.json`` for the
    first."""
    small, about = cut(data), data["models"][0]
    model, sae = (artifacts.get(about[key], seed=0) for key in ("recipe", "sae_recipe"))
    for name, value in (("data.js", data), ("landing-data.js", small)):
        with atomic(folder / name) as temporary:
            temporary.write_text(script(value), encoding="ascii")
    write_json(folder / "landing.json", still(small, model, sae))


def page(data: Packed, folder: Path) -> None:
    """A folder with a page of its own, to be opened from the disk."""
    title = f"The explorer: {escape(data['dataset'])}"
    tags = "\n".join(f'<script defer src="{name}"></script>' for name in SCRIPTS)
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="explorer.css">
{tags}
</head>
<body class="explorer-alone">
<main>
<h1>{title}</h1>
<div class="explorer"><p class="x-without">This page is a program and needs JavaScript.</p></div>
</main>
</body>
</html>
"""
    with whole(folder) as fresh:
        for name in (*SCRIPTS[1:], "explorer.css"):
            shutil.copy2(STATIC / name, fresh)
        (fresh / SCRIPTS[0]).write_text(script(data), encoding="ascii")
        (fresh / "index.html").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="planted", help="a dataset of book/artifacts.yml")
    parser.add_argument("--out", type=Path, help="the folder to write to")
    parser.add_argument("--page", action="store_true", help="a page of its own also for the planted world")
    args = parser.parse_args()
    alone = args.page or args.dataset != "planted"
    default = paths.root() / "_build" / "explorer" / args.dataset if alone else paths.cache() / "explorer" / "planted"
    folder, data = args.out or default, explorer(args.dataset)
    (page if alone else write)(data, folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder / 'index.html' if alone else folder}: {size / 1e6:.2f} MB. {data['note']}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"error: {error}")
