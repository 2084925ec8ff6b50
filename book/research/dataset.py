"""A dataset of one's own, in whatever form it has: a log of lines, read into ``Interactions``."""

import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from recsae_core.data import planted, split
from recsae_core.data.interactions import Interactions
from recsae_core.recommenders import build, cases, ranking

LINE = re.compile(
    r"(?P<time>\S+) (?P<user>\S+) took (?P<item>.+) \[(?P<tags>.*)\]"
)  # a line of the log


def load(path: Path) -> Interactions:
    """The log as interactions; ``ValueError`` with the line that is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    matched = [LINE.fullmatch(line) for line in lines]
    if None in matched:
        raise ValueError(
            f"{path.name}, line {matched.index(None) + 1}: expected TIME USER took ITEM [tag, tag]"
        )
    log = pd.DataFrame([m.groupdict() for m in matched])
    log["time"] = (
        pd.to_datetime(log["time"]).astype("datetime64[s]").astype("int64")
    )
    log["user"], user_ids = pd.factorize(log["user"], sort=True)
    log["item"], titles = pd.factorize(log["item"], sort=True)
    log = log.sort_values(
        ["user", "time"], kind="stable"
    )  # by user, then by time: what everything else relies on
    tags = (
        log.drop_duplicates("item")
        .set_index("item")["tags"]
        .sort_index()
        .str.get_dummies(", ")
    )
    return Interactions(
        user=log["user"].to_numpy(),
        item=log["item"].to_numpy(),
        time=log["time"].to_numpy(),
        rating=None,
        user_ids=np.asarray(user_ids),
        items=pd.DataFrame({"id": titles, "title": titles}),
        attributes=tags.to_numpy().astype(bool),
        attribute_names=tuple(tags.columns),
    )


def example(path: Path) -> None:
    """Write such a log, of a planted world."""
    world, _ = planted.generate(planted.World(users=300, items=150, length=20))
    tags = [
        ", ".join(np.array(world.attribute_names)[row])
        for row in world.attributes
    ]
    when = np.datetime_as_string(world.time.astype("datetime64[s]"))
    rows = zip(
        when,
        world.user,
        world.items["title"].iloc[world.item],
        [tags[i] for i in world.item],
        strict=True,
    )
    path.write_text(
        "".join(
            f"{t} u{user} took {title} [{tag}]\n" for t, user, title, tag in rows
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        example(Path(folder, "log.txt"))
        inter = load(Path(folder, "log.txt"))
    parts = split.by_rule(inter)
    print(
        f"{len(inter)} events of {inter.n_users} users, {inter.n_items} items, {len(inter.attribute_names)} tags"
    )
    for name in ("most-popular", "item-knn"):
        model = build(name, n_items=parts.train.n_items).learn(parts.train)
        found = ranking.evaluate(model, cases.leave_last_out(parts.test, 20))
        print(f"{name:13} NDCG@10 {found.mean()['ndcg@10']:.3f} on new users")
