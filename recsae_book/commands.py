"""The command line: ``python -m recsae_core COMMAND``; ``--help`` after a command explains it."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml


def _value(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}: expected name=value")
    return name, yaml.safe_load(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recsae_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=help)

    command("list", "editions with their notebooks, datasets, and recipes with where their artifacts are")

    one = command("data", "fetch a dataset and describe it; without a name, list the datasets")
    one.add_argument("name", nargs="?")

    one = command("train", "make the artifacts of recipes that are not there yet")
    one.add_argument("names", nargs="*", metavar="NAME")
    one.add_argument("--edition", help="everything that the notebooks of this edition name")
    one.add_argument("--seed", type=int, action="append", help="instead of the recipe's; may be repeated")
    one.add_argument("--device", default="cpu")
    one.add_argument(
        "--commit",
        action="store_true",
        help="copy them into data/checkpoints; of an edition, what was trained and is small enough to keep",
    )

    one = command("edition", "train what is missing, execute the stale notebooks, build the HTML")
    one.add_argument("name")
    one.add_argument("--only", action="append", default=[], metavar="NOTEBOOK")
    one.add_argument("--force", action="store_true", help="execute notebooks that are not stale, too")
    one.add_argument("--html", action=argparse.BooleanOptionalAction, default=True)

    one = command("html", "build an edition's HTML from its executed notebooks, executing nothing")
    one.add_argument("name")

    one = command("run", "execute one notebook with your own parameters, outside any edition")
    one.add_argument("notebook")
    one.add_argument("-p", type=_value, action="append", default=[], metavar="NAME=VALUE", help="the value is YAML")
    one.add_argument("-f", type=Path, metavar="FILE", help="parameters as a YAML file; -p wins")
    one.add_argument("--edition", help="start from the parameters of this edition")
    one.add_argument("--out", type=Path, metavar="DIR", help="instead of runs/NOTEBOOK-HASH")

    one = command("verify", "recompute stored results without training, and compare")
    one.add_argument("name")
    one.add_argument("keys", nargs="*", metavar="KEY")

    one = command("check", "report stale notebooks and a scoreboard out of step")
    one.add_argument("name")
    one.add_argument("--release", action="store_true", help="exit 1 where there is something to report")
    return parser


def _datasets() -> None:
    from recsae_book import artifacts, recipes

    for name, dataset in recipes.book().datasets.items():
        print(f"dataset {name}: {dataset.source}, {'at hand' if artifacts.at_hand(name) else 'not on this machine'}")


def _list() -> None:
    from recsae_book import artifacts, editions, recipes
    from recsae_core import paths

    for edition in yaml.safe_load((paths.root() / "book" / "profiles.yml").read_text(encoding="utf-8")):
        print(f"edition {edition}: {', '.join(editions.profile(edition).notebooks) or 'no notebook'}")
    _datasets()
    for name, recipe in recipes.book().recipes.items():
        found = artifacts.find(name)
        where = found.relative_to(paths.root()) if found and found.is_relative_to(paths.root()) else found
        print(f"{recipe.kind} {name}: {where or 'not made yet'}")


def _data(name: str) -> None:
    from recsae_book import artifacts

    whole, parts = artifacts.interactions(name), artifacts.parts(name)
    for label, part in {"all": whole, "train": parts.train, "sae": parts.sae, "test": parts.test}.items():
        users, items = part.n_users, len(set(part.item.tolist()))
        print(f"{label:>6}: {len(part):>11,} interactions  {users:>9,} users  {items:>9,} items")
    print(f"{len(whole.attribute_names)} attributes: {', '.join(whole.attribute_names[:20])}")


def _train(args: argparse.Namespace) -> None:
    from recsae_book import artifacts, editions, recipes

    wanted = [{"name": name, "seed": seed} for name in args.names for seed in args.seed or [None]]
    kept = list(wanted)
    if args.edition:
        jobs = editions.jobs(args.edition)
        named = editions.needed(jobs, kept=True)
        kept += [item for item in named if not artifacts.untrained(recipes.recipe(**item))]
        wanted += editions.needed(jobs)
    if not wanted:
        raise ValueError("nothing to train: expected names of recipes, or --edition")
    for item, folder in zip(wanted, artifacts.ensure_all(wanted, device=args.device), strict=True):
        print(artifacts.commit(**item) if args.commit and item in kept else folder)


def _edition(args: argparse.Namespace) -> None:
    from recsae_book import book, editions

    done = editions.run(args.name, args.only, args.force)
    print(f"{args.name} edition: executed {', '.join(done) or 'nothing, all notebooks are up to date'}")
    if args.html:
        print(f"the book: {book.html(args.name)}")


def _run(args: argparse.Namespace) -> None:
    from recsae_book import editions

    given = yaml.safe_load(args.f.read_text(encoding="utf-8")) or {} if args.f else {}
    if not isinstance(given, dict):
        raise ValueError(f"{args.f}: expected a mapping from parameter names to values")
    print(editions.once(args.notebook, given | dict(args.p), args.out, args.edition))


def _check(name: str, release: bool) -> int:
    from recsae_book import editions

    wrong = editions.check(name)
    print("\n".join(wrong) or f"{name} edition: up to date")
    return int(bool(wrong) and release)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; bad input is one line on stderr."""
    args = _parser().parse_args(arguments)
    try:
        match args.command:
            case "list":
                _list()
            case "data":
                _data(args.name) if args.name else _datasets()
            case "train":
                _train(args)
            case "edition":
                _edition(args)
            case "html":
                from recsae_book import book

                print(f"the book: {book.html(args.name)}")
            case "run":
                _run(args)
            case "verify":
                from recsae_book import verify

                return verify.verify(args.name, args.keys)
            case "check":
                return _check(args.name, args.release)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
