"""The command line: ``python -m recsae_core COMMAND``; ``--help`` after a command explains it."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

PROFILE = "a file of further editions, in the form of book/profiles.yml"


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

    one = command("add", "make data of your own known to every command: two tables, models for them, and an edition")
    one.add_argument("name", help="small letters, digits and hyphens")
    one.add_argument("--interactions", type=Path, metavar="FILE", help="columns user, item, time; rating is optional")
    one.add_argument("--items", type=Path, metavar="FILE", help="columns id, attributes; title is optional")
    one.add_argument(
        "--column", type=_value, action="append", default=[], metavar="NAME=COLUMN", help="as in user=userId"
    )
    one.add_argument("--sep", help="between columns, a comma if not given")
    one.add_argument("--attribute-sep", help="between the attributes of an item, | if not given")
    one.add_argument("--duplicates", choices=("drop", "keep"), help="what to do with a row that is there twice")
    one.add_argument("--unlabelled", choices=("keep",), help="items without an attribute are welcome")
    one.add_argument("--trial", action="store_true", help="train briefly: only to see that everything runs")
    one.add_argument("--remove", action="store_true", help="forget the dataset again")

    one = command("train", "make the artifacts of recipes that are not there yet")
    one.add_argument("names", nargs="*", metavar="NAME")
    one.add_argument("--edition", help="everything that the notebooks of this edition name")
    one.add_argument("--seed", type=int, action="append", help="instead of the recipe's; may be repeated")
    one.add_argument("--device", default="cpu")
    one.add_argument("--profile", type=Path, metavar="FILE", help=PROFILE)
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
    one.add_argument("--profile", type=Path, metavar="FILE", help=PROFILE)

    one = command("html", "build an edition's HTML from its executed notebooks, executing nothing")
    one.add_argument("name")
    one.add_argument(
        "--over", type=Path, nargs="+", default=[], metavar="DIR", help="lay the notebooks of your runs over its own"
    )
    one.add_argument("--profile", type=Path, metavar="FILE", help=PROFILE)
    one.add_argument("--open", action="store_true", help="in the browser")

    one = command("run", "execute one notebook with your own parameters, outside any edition")
    one.add_argument("notebook", help="its name, or a beginning such as 04")
    one.add_argument("--list", action="store_true", help="print its parameters and what they are, and run nothing")
    one.add_argument("-p", type=_value, action="append", default=[], metavar="NAME=VALUE", help="the value is YAML")
    one.add_argument("-f", type=Path, metavar="FILE", help="parameters as a YAML file; -p wins")
    one.add_argument("--edition", help="start from the parameters of this edition")
    one.add_argument("--out", type=Path, metavar="DIR", help="instead of runs/NOTEBOOK-HASH")
    one.add_argument("--profile", type=Path, metavar="FILE", help=PROFILE)
    one.add_argument("--html", action=argparse.BooleanOptionalAction, default=True, help="make a page of it")
    one.add_argument("--open", action="store_true", help="open the page in the browser")

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
        print(f"the book: {book.html(args.name).resolve()}")


def _open(page: Path, now: bool) -> None:
    import webbrowser

    if not now or not webbrowser.open(page.as_uri()):
        print(f"open it in a browser: {page.as_uri()}")


def _run(args: argparse.Namespace) -> None:
    from recsae_book import book, editions, rerun

    source = rerun.find(args.notebook)
    given = yaml.safe_load(args.f.read_text(encoding="utf-8")) or {} if args.f else {}
    if not isinstance(given, dict):
        raise ValueError(f"{args.f}: expected a mapping from parameter names to values")
    given |= dict(args.p)
    if args.list:
        start = editions.parameters(args.edition, source.stem) if args.edition else {}
        print(f"{source.stem} has\n{rerun.listing(source, start | given)}")
        return
    done = rerun.once(args.notebook, given, args.out, args.edition)
    print(f"notebook: {done}")
    if (done.parent / "results" / f"{done.stem}.json").is_file():
        print(f"results:  {done.parent / 'results' / done.stem}.json")
    if text := rerun.compared(done):
        print(text)
    if args.html:
        page = book.page(done)
        print(f"page:     {page}")
        _open(page, args.open)


def _add(args: argparse.Namespace) -> None:
    from recsae_book import own

    if args.remove:
        own.remove(args.name)
        print(f"{args.name}: forgotten; what was trained on it is still under {own.folder().parent / 'artifacts'}")
        return
    if args.interactions is None:
        raise ValueError("expected --interactions FILE, a table with the columns user, item and time")
    options = {name: getattr(args, name) for name in ("sep", "attribute_sep", "duplicates", "unlabelled")}
    options |= {"columns": {name: str(column) for name, column in args.column}}
    chosen = {name: value for name, value in options.items() if value}
    for line in own.add(args.name, args.interactions, args.items, chosen, args.trial):
        print(line)
    own.enter()
    print(f"""kept in {own.folder()}; nothing of the book was changed
one notebook:    python -m recsae_core run 04 -p dataset={args.name}
another one:     python -m recsae_core run NOTEBOOK --edition {args.name}
the whole book:  python -m recsae_core edition {args.name}
in Jupyter:      export RECSAE_ROOT={own.workspace()}""")


def _check(name: str, release: bool) -> int:
    from recsae_book import editions

    wrong = editions.check(name)
    print("\n".join(wrong) or f"{name} edition: up to date")
    return int(bool(wrong) and release)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; bad input is one line on stderr."""
    args = _parser().parse_args(arguments)
    try:
        from recsae_book import own

        own.enter(getattr(args, "profile", None))
        match args.command:
            case "add":
                _add(args)
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

                page = book.html(args.name, args.over).resolve()
                print(f"the book: {page}")
                _open(page, args.open)
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
    except KeyboardInterrupt:
        print("stopped; nothing half-written is left, and a training goes on where it was", file=sys.stderr)
        return 130
    return 0
