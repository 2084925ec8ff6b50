"""A reader's own datasets and editions: kept in ``runs/own``, seen by every command, never written into the book.

The commands run in a workspace, a folder of links to the checkout in which ``book/artifacts.yml`` and
``book/profiles.yml`` are the book's and the reader's together; ``$RECSAE_ROOT`` says to use it.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from recsae_book import editions, knobs, notebooks, recipes, rerun
from recsae_core import paths
from recsae_core.files import atomic, whole

if TYPE_CHECKING:
    from recsae_core.data.interactions import Interactions

LIKE = {"planted": "", "planted-hidden": "-hidden", "planted-recsae": "-recsae"}  # whose recipes an own dataset takes
LARGE = 400_000  # interactions from which models are wider and batches larger than on the planted world
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
MARK = ".workspace"  # in a workspace: the checkout that it links to, and what its two files were made from


def _base() -> Path:
    mark = paths.root() / MARK
    return Path(mark.read_text(encoding="utf-8").partition("\n")[0]) if mark.is_file() else paths.root().resolve()


def folder() -> Path:
    """Where a reader's own ``artifacts.yml`` and ``profiles.yml`` are."""
    return Path(os.environ.get("RECSAE_CACHE", _base() / "runs")).resolve() / "own"


def workspace() -> Path:
    """The folder that the commands run in once there is anything of one's own."""
    return folder() / "root"


def _read(path: Path, *keys: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(found or {}, dict) or (keys and set(found or {}) - set(keys)):
        raise ValueError(f"{path}: expected {' and '.join(keys) or 'names of editions'}, each with names below")
    return found or {}


def _join(book: Mapping[str, Any], own: Mapping[str, Any], where: Path) -> dict[str, Any]:
    if twice := sorted(book.keys() & own.keys()):
        raise ValueError(f"{where}: {', '.join(twice)}: the book has that already; take another name")
    return {**book, **own}


def enter(profiles: Path | None = None) -> None:
    """Run in the workspace from here on, if there is anything of one's own; ``profiles`` is one more file of editions.

    Raises ``ValueError`` for a file that cannot be read, and for a name that the book has already.
    """
    base, home = _base(), folder()
    files = [home / "artifacts.yml", home / "profiles.yml", *([profiles] if profiles else [])]
    if profiles is not None and not profiles.is_file():
        raise ValueError(f"{profiles}: no such file of editions")
    if not any(path.is_file() for path in files):
        return
    merged = {
        "artifacts.yml": _read(base / "book" / "artifacts.yml"),
        "profiles.yml": _read(base / "book" / "profiles.yml"),
    }
    own = _read(files[0], "datasets", "recipes")
    for key, found in own.items():
        merged["artifacts.yml"][key] = _join(merged["artifacts.yml"][key], found, files[0])
    for path in files[1:]:
        merged["profiles.yml"] = _join(merged["profiles.yml"], _read(path), path)
    os.environ["RECSAE_CACHE"] = str(home.parent)
    os.environ["RECSAE_ROOT"] = str(_build(base, merged))


def _build(base: Path, merged: Mapping[str, Any]) -> Path:
    texts = {name: yaml.safe_dump(value, sort_keys=False, width=120) for name, value in merged.items()}
    inside = sorted(path.name for path in [*base.iterdir(), *(base / "book").iterdir()])
    wanted, target = "\n".join([str(base), recipes.digest([texts, inside])]), workspace()
    if (target / MARK).is_file() and (target / MARK).read_text(encoding="utf-8") == wanted:
        return target
    for name in ("_build", "runs"):
        (base / name).mkdir(exist_ok=True)
    with whole(target) as fresh:
        for path in base.iterdir():
            if path.name != "book":
                (fresh / path.name).symlink_to(path)
        (fresh / "book").mkdir()
        for path in (base / "book").iterdir():
            if path.name not in texts:
                (fresh / "book" / path.name).symlink_to(path)
        for name, text in texts.items():
            (fresh / "book" / name).write_text(text, encoding="utf-8")
        (fresh / MARK).write_text(wanted, encoding="utf-8")
    return target


def _store(
    name: str, datasets: Mapping[str, Any], models: Mapping[str, Any], edition: Mapping[str, Any] | None
) -> None:
    """Put an entry into the reader's own files in the place of an older one of the name, or take it out."""
    path = folder() / "artifacts.yml"
    there = _read(path, "datasets", "recipes")
    mine = {f"{name}{tail}" for tail in LIKE.values()}
    kept = {
        key: {one: value for one, value in there.get(key, {}).items() if one.partition("/")[0] not in mine}
        for key in ("datasets", "recipes")
    }
    profiles = {one: value for one, value in _read(folder() / "profiles.yml").items() if one != name}
    for file, value in (
        (path, {"datasets": kept["datasets"] | dict(datasets), "recipes": kept["recipes"] | dict(models)}),
        (folder() / "profiles.yml", profiles | ({name: dict(edition)} if edition else {})),
    ):
        with atomic(file) as temporary:
            plain = json.loads(json.dumps(value))  # no object twice, so that the file has no anchors
            temporary.write_text(yaml.safe_dump(plain, sort_keys=False, width=120), encoding="utf-8")


def remove(name: str) -> None:
    """Forget a dataset of one's own; what was trained on it stays in the cache. ``ValueError`` where there is none."""
    own = _read(folder() / "artifacts.yml", "datasets", "recipes").get("datasets", {})
    if name not in own:
        raise ValueError(f"dataset {name!r}: not one of your own, which are {', '.join(own) or '(none)'}")
    _store(name, {}, {}, None)


def _fitted(recipe: Mapping[str, Any], inter: "Interactions", trial: bool) -> dict[str, Any]:
    """A recipe of the planted world for other data; a trial is only to see that everything runs."""
    new = {key: value for key, value in recipe.items() if key != "committed"}
    if neighbours := new.get("config", {}).get("neighbours"):
        new["config"] = new["config"] | {"neighbours": max(1, min(neighbours, inter.n_items // 2))}
    if len(inter) >= LARGE:
        if new.get("model") in ("transformer", "sasrec", "sasrec-last"):
            new["config"] = new["config"] | {"d": 64}
        if (new.get("fit") or {}).get("batch"):
            new["fit"] = new["fit"] | {"batch": 4 * new["fit"]["batch"]}
    if trial and (new.get("fit") or {}).get("epochs"):
        new["fit"] = new["fit"] | {"epochs": 2}
    if trial and new["kind"] == "sae":
        new["train"] = new.get("train", {}) | {"rows": 20_000, "log_every": 20_000, "warmup": 0}
    return new


def _asks(notebook: str) -> set[str]:
    """The datasets of the planted edition that a notebook names in its parameters."""
    values = {name: value for name, value, _ in knobs.parameters_with_comments(notebooks.source(notebook))}
    return {text.partition("/")[0] for text in rerun.texts(values | editions.parameters("planted", notebook))}


def _genres(inter: "Interactions") -> dict[str, dict[str, Any]]:
    """What the notebooks ask for by name: a genre of middling size, the largest, a small one, a known item of it."""
    sizes = inter.attributes.sum(0)
    order = [int(j) for j in sizes.argsort(kind="stable")[::-1] if sizes[j]]
    if len(order) < 3:
        return {}
    large, middling, small = order[0], order[len(order) // 2], order[-1]
    counts = [0] * inter.n_items
    for item in inter.item.tolist():
        counts[item] += 1
    best = max((int(i) for i in inter.attributes[:, small].nonzero()[0]), key=counts.__getitem__)
    names = inter.attribute_names
    nudged = {"nudge": names[middling], "suppress": names[large], "promote": names[small]}
    title = str(inter.items["title"].iloc[best])
    return {
        "16_interventions": {"parameters": nudged | {"promoted": title}},
        "18_embeddings": {"parameters": {"shown": names[middling]}},
    }


def add(name: str, interactions: Path, items: Path | None, options: Mapping[str, Any], trial: bool) -> list[str]:
    """Make a dataset of two tables known to every command, with models for it and an edition of the book.

    Returns what a reader should know, line by line. Raises ``ValueError`` for a name that cannot be used, and for
    a table that cannot be read, with its file, line and column.
    """
    from recsae_core.data import sources, split

    own = _read(folder() / "artifacts.yml", "datasets", "recipes").get("datasets", {})
    book, taken = recipes.book(), {*recipes.book().datasets} - {*own}
    if not NAME.fullmatch(name) or taken & {f"{name}{tail}" for tail in LIKE.values()}:
        raise ValueError(
            f"name {name!r}: expected small letters, digits and hyphens, and none of {', '.join(sorted(taken))}"
        )
    files = {key: str(path.resolve()) for key, path in (("interactions", interactions), ("items", items)) if path}
    inter = sources.load("csv", **files, **options)
    said = [f"{len(inter):,} interactions of {inter.n_users:,} users with {inter.n_items:,} items"]
    said.append(f"attributes: {', '.join(inter.attribute_names[:12]) or 'none, so pages on genres cannot run'}")
    datasets, models = {}, {}
    for template, tail in LIKE.items():
        rule = book.datasets[template].split
        try:
            split.by_rule(inter, **rule)
        except ValueError as error:
            said.append(f"{name}{tail} is left out, the pages that read it cannot run: {error}")
            continue
        given = {"source": "csv", "options": dict(options), "files": files, "split": rule}
        datasets[f"{name}{tail}"] = {key: value for key, value in given.items() if value}
        for one, recipe in book.recipes.items():
            if one.startswith(f"{template}/"):
                short = {"kind": recipe.kind} | recipe.model_dump(exclude_defaults=True)
                renamed = editions.renamed(_fitted(short, inter, trial), {k: f"{name}{t}" for k, t in LIKE.items()})
                models[editions.renamed(one, {template: f"{name}{tail}"})] = renamed
    if not datasets:
        raise ValueError(f"{name}: no way of dividing the data works\n" + "\n".join(said))
    instead = {template: f"{name}{tail}" for template, tail in LIKE.items() if f"{name}{tail}" in datasets}
    pages = editions.profile("planted").notebooks
    leave = [one for one in pages if _asks(one) & (LIKE.keys() - instead.keys())]
    banner = (
        f"Edition of {name}: the notebooks of this copy ran on data of your own. Chapters quote the published results."
    )
    edition = {"banner": banner, "like": "planted", "instead": instead, "leave": leave}
    given = {one: entry for one, entry in _genres(inter).items() if one in pages and one not in leave}
    _store(name, datasets, models, edition | {"notebooks": given})
    return said
