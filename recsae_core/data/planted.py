"""A generated world whose truth is known: what the items are, who likes what, and which taste made each choice.

A user has a few tastes, each a wish for some genres, a mood and a time. A taste lasts for a few choices, a session,
until another one takes over; over the whole history the user drifts from the first tastes to the later ones.
A choice weighs an item by its popularity, by how well it suits the taste, and by how alike it is to the
item before. Nobody takes an item twice.
"""

import math
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from recsae_core.data.interactions import Interactions


class Genre(NamedTuple):
    """A genre as planned: its share of the items, the genre that holds it (if any), and words for titles."""

    name: str
    share: float
    parent: str | None
    words: tuple[str, ...]


# The first twelve are in every world, so that each has nested genres and two rare ones.
GENRES = (
    Genre("Sea", 0.20, None, ("Tide", "Sailor", "Island", "Shore", "Storm")),
    Genre("City", 0.22, None, ("Street", "Tram", "Rooftop", "Square", "Tower")),
    Genre("Garden", 0.18, None, ("Rose", "Hedge", "Gardener", "Meadow", "Fern")),
    Genre("Machine", 0.16, None, ("Engine", "Robot", "Inventor", "Circuit", "Foundry")),
    Genre("Riddle", 0.15, None, ("Riddle", "Cipher", "Secret", "Alibi", "Maze")),
    Genre("Mountain", 0.13, None, ("Summit", "Climber", "Valley", "Ridge", "Avalanche")),
    Genre("Harbour", 0.08, "Sea", ("Harbour", "Lighthouse", "Pier", "Ferryman", "Anchor")),
    Genre("Market", 0.08, "City", ("Market", "Merchant", "Bazaar", "Stall", "Auction")),
    Genre("Orchard", 0.07, "Garden", ("Orchard", "Apple", "Cider", "Beekeeper", "Harvest")),
    Genre("Clockwork", 0.06, "Machine", ("Clock", "Automaton", "Watchmaker", "Pendulum", "Cog")),
    Genre("Whale", 0.018, "Sea", ("Whale", "Leviathan", "Harpoon")),
    Genre("Glacier", 0.018, "Mountain", ("Glacier", "Crevasse", "Ice Cave")),
    Genre("Song", 0.12, None, ("Song", "Violin", "Choir", "Ballad", "Drummer")),
    Genre("Ghost", 0.11, None, ("Ghost", "Spectre", "Haunting", "Phantom", "Crypt")),
    Genre("Kitchen", 0.10, None, ("Cook", "Bakery", "Recipe", "Banquet", "Spice")),
    Genre("Court", 0.09, None, ("Judge", "Verdict", "Trial", "Witness", "Jury")),
)
TOGETHER = {("Riddle", "Ghost"): 0.6, ("Garden", "Kitchen"): 0.5, ("Sea", "Song"): 0.4, ("City", "Machine"): 0.4}
MOODS = ("Quiet", "Last", "Crooked", "Silver", "Hidden", "Golden", "Forgotten", "Wandering", "Patient", "Broken")
MOODS += ("Borrowed", "Distant", "Early", "Painted", "Hollow", "Restless", "Honest", "Second", "Midnight", "Blue")
FIRST_YEAR, YEARS = 1950, 50  # of the items
MOOD, ERA = 0.8, 0.5  # what the mood and the year of an item count beside its genres
DAY = 86_400
OPENING = 978_307_200  # 2001-01-01, in seconds since 1970


@dataclass(frozen=True)
class World:
    """The laws of a planted world. The defaults are those of the planted edition."""

    users: int = 2_000
    items: int = 600  # 100 to 20,000
    genres: int = 16  # the first so many of ``GENRES``
    tastes: int = 32  # in all; each genre is the main wish of at least one
    tastes_per_user: int = 4
    length: int = 50  # mean choices of a user
    zipf: float = 0.7  # popularity of the item of rank r goes with r ** -zipf
    focus: float = 3.0  # how strongly a taste prefers what it wishes for (0 = not at all)
    follow: float = 5.0  # how strongly a choice resembles the one before it (0 = order tells nothing but the session)
    session: float = 6.0  # mean choices until a taste is drawn anew
    drift: float = 0.7  # share of a user's wishes that has moved to the later tastes by the end
    noise: float = 0.05  # share of choices made by popularity alone
    years: float = 4.0  # over which users arrive
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float) if field.type is float else int):
                raise ValueError(
                    f"{field.name}={value!r}: expected a{' number' if field.type is float else 'n integer'}"
                )
        checks = {
            "users": (1 <= self.users, "at least 1"),
            "items": (100 <= self.items <= 20_000, "100 to 20,000"),
            "genres": (12 <= self.genres <= len(GENRES), f"12 to {len(GENRES)}"),
            "tastes": (self.genres <= self.tastes, f"at least one a genre, {self.genres}"),
            "tastes_per_user": (2 <= self.tastes_per_user <= self.tastes, f"2 to tastes={self.tastes}"),
            "length": (5 <= self.length <= self.items / 4, f"5 to a quarter of the items, {self.items / 4:g}"),
            "zipf": (0 <= self.zipf <= 3, "0 to 3"),
            "focus": (0 <= self.focus <= 20, "0 to 20"),
            "follow": (0 <= self.follow <= 20, "0 to 20"),
            "session": (1 <= self.session < math.inf, "at least 1"),
            "drift": (0 <= self.drift <= 1, "0 to 1"),
            "noise": (0 <= self.noise <= 1, "0 to 1"),
            "years": (0 < self.years <= 30, "more than 0, at most 30"),
            "seed": (self.seed >= 0, "at least 0"),
        }
        for name, (fine, wanted) in checks.items():
            if not fine:
                raise ValueError(f"{name}={getattr(self, name)}: expected {wanted}")


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true in a planted world and no recommender is told; ``e`` rows are those of the interactions."""

    world: World
    user: Int[np.ndarray, "e"]
    item: Int[np.ndarray, "e"]
    taste: Int[np.ndarray, "e"]  # the taste at work at each choice
    whim: Bool[np.ndarray, "e"]  # was the choice made by popularity alone?
    profiles: Float[np.ndarray, "t g"]  # how much each taste wishes for each genre
    moods: Int[np.ndarray, "t"]  # the mood that each taste likes best, as a place in ``MOODS``
    eras: Float[np.ndarray, "t"]  # the year that each taste likes best
    mood: Int[np.ndarray, "i"]  # of each item: a concept that counts and that no attribute names
    factors: Float[np.ndarray, "i f"]  # what counts in an item: genres (length 1, rare ones weigh more), mood, year
    popularity: Float[np.ndarray, "i"]  # sums to 1
    appeal: Float[np.ndarray, "t i"]  # weight of each item under each taste, popularity included
    alike: Float[np.ndarray, "i i"]  # factor on an item's weight (column) right after another (row)
    user_tastes: Int[np.ndarray, "u c"]  # the tastes of each user
    early: Float[np.ndarray, "u c"]  # how likely each of them is to be drawn at the start; rows sum to 1
    late: Float[np.ndarray, "u c"]  # and at the end, with ``drift`` 1

    def wishes(self, rows: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n c"]:
        """Probability of each of the user's tastes (columns of ``user_tastes``) for the event, before it happens."""
        rows = self._checked(rows)
        user, place = self.user[rows], self._place[rows]
        drawn = _mix(self.world, self.early[user], self.late[user], place, self._length[user])
        stays = (self.user_tastes[user] == self.taste[rows - 1, None]) * (place > 0)[:, None]
        renew = np.where(place > 0, 1 / self.world.session, 1.0)[:, None]
        return renew * drawn + (1 - renew) * stays

    def oracle(self, rows: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n i"]:
        """The true probability of each item for the event at each of ``rows``, before it happens; rows sum to 1.

        It knows the laws, the user's tastes, and all that came before, the taste at work until then included.
        Items that the user has taken before have probability 0. ``ValueError`` for rows that are not there.
        """
        rows = self._checked(rows)
        user, place = self.user[rows], self._place[rows]
        free = self._when[user] >= place[:, None]
        follows = np.where((place > 0)[:, None], self.alike[self.item[rows - 1]], 1.0) * free
        chance = self.world.noise * _to_one(self.popularity * free)
        for taste, share in zip(self.user_tastes[user].T, self.wishes(rows).T, strict=True):
            chance += (1 - self.world.noise) * share[:, None] * _to_one(self.appeal[taste] * follows)
        return chance

    def _checked(self, rows: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self.item)):
            raise ValueError(f"rows from {rows.min()} to {rows.max()}: expected 0 to {len(self.item) - 1}")
        return rows

    @cached_property
    def _length(self) -> Int[np.ndarray, "u"]:
        return np.bincount(self.user, minlength=self.world.users)

    @cached_property
    def _place(self) -> Int[np.ndarray, "e"]:
        return np.arange(len(self.user)) - (np.cumsum(self._length) - self._length)[self.user]

    @cached_property
    def _when(self) -> Int[np.ndarray, "u i"]:
        """Place in the user's history at which an item is taken; past the end where it never is."""
        when = np.full((self.world.users, self.world.items), self.world.items, dtype=np.int32)
        when[self.user, self.item] = self._place
        return when


def generate(world: World) -> tuple[Interactions, Truth]:
    """The interactions of ``world`` and the truth behind them; the same for the same world on the same machine."""
    rng = np.random.default_rng(world.seed)
    genres = _genres(world, rng)
    years = rng.integers(FIRST_YEAR, FIRST_YEAR + YEARS, world.items)
    mood = rng.permutation(world.items) % len(MOODS)
    factors = np.hstack([_specific(genres), MOOD * np.eye(len(MOODS))[mood], ERA * _clock(years)])
    profiles, moods, eras = _tastes(world, rng)
    wishes = np.hstack([profiles, MOOD * np.eye(len(MOODS))[moods], ERA * _clock(eras)])
    popularity = _to_one((1.0 + rng.permutation(world.items)) ** -world.zipf)
    appeal = popularity * np.exp(world.focus * wishes @ factors.T)
    alike = np.exp(world.follow * factors @ factors.T)
    users = _users(world, rng)
    user, item, taste, whim, fresh = _choose(world, rng, appeal, alike, popularity, *users)
    inter = Interactions(
        user=user,
        item=item,
        time=_times(world, rng, user, fresh),
        rating=None,
        user_ids=np.arange(1, world.users + 1),
        items=pd.DataFrame({"id": np.arange(1, world.items + 1), "title": _titles(genres, mood, rng), "year": years}),
        attributes=genres,
        attribute_names=tuple(g.name for g in GENRES[: world.genres]),
        provenance={"source": "planted", "world": asdict(world)},
    )
    laws = (profiles, moods, eras, mood, factors, popularity, appeal, alike)
    truth = Truth(world, user, item, taste, whim, *laws, *users[1:])
    return inter, truth


def _genres(world: World, rng: np.random.Generator) -> Bool[np.ndarray, "i g"]:
    """Genres of their planned shares: correlated where ``TOGETHER`` says so, nested, at least one an item."""
    genres = GENRES[: world.genres]
    names = [g.name for g in genres]
    correlation = np.eye(len(genres))
    for pair, r in TOGETHER.items():
        if set(pair) <= set(names):
            a, b = (names.index(name) for name in pair)
            correlation[a, b] = correlation[b, a] = r
    score = rng.standard_normal((world.items, len(genres))) @ np.linalg.cholesky(correlation).T
    has = np.zeros(score.shape, dtype=bool)
    for g, genre in enumerate(genres):
        if genre.parent is None:
            has[:, g] = score[:, g] >= np.quantile(score[:, g], 1 - genre.share)
    roots = [g for g, genre in enumerate(genres) if genre.parent is None]
    bare = np.flatnonzero(~has.any(1))
    has[bare, np.take(roots, score[bare][:, roots].argmax(1))] = True
    for g, genre in enumerate(genres):
        if genre.parent is not None:
            within = np.flatnonzero(has[:, names.index(genre.parent)])
            has[within[np.argsort(-score[within, g])][: max(1, int(genre.share * world.items))], g] = True
    return has


def _specific(genres: Bool[np.ndarray, "i g"]) -> Float[np.ndarray, "i g"]:
    """The genres of an item as a vector of length 1, in which a rarer genre says more."""
    told = genres * np.log(1 / genres.mean(0))
    return told / np.linalg.norm(told, axis=1, keepdims=True)


def _clock(year: np.ndarray) -> Float[np.ndarray, "n 2"]:
    """A year on half a circle: two have the product 1 if they are the same, -1 if they are all the years apart."""
    angle = (year - FIRST_YEAR) / YEARS * math.pi
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _tastes(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What tastes wish for: a main genre, a second one and none of a third; a mood; a year."""
    profiles = np.zeros((world.tastes, world.genres))
    for t in range(world.tastes):
        second, shunned = rng.choice(world.genres, 2, replace=False)
        profiles[t, shunned] = -0.5
        profiles[t, second] = 0.6
        profiles[t, t % world.genres] = 1.0
    moods = rng.permutation(world.tastes) % len(MOODS)
    return profiles, moods, rng.uniform(FIRST_YEAR, FIRST_YEAR + YEARS, world.tastes)


def _users(world: World, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Lengths of the histories, the tastes of the users, their shares at the start and at the end."""
    spread = 0.5
    length = np.exp(rng.normal(math.log(world.length) - spread**2 / 2, spread, world.users))
    length = np.clip(length.round(), 5, 3 * world.length).astype(np.int64)
    tastes = rng.random((world.users, world.tastes)).argsort(1)[:, : world.tastes_per_user]
    early, late = rng.exponential(size=(2, *tastes.shape))
    half = world.tastes_per_user // 2
    early[:, half:] = late[:, :half] = 0
    return length, tastes, _to_one(early), _to_one(late)


def _choose(
    world: World,
    rng: np.random.Generator,
    appeal: Float[np.ndarray, "t i"],
    alike: Float[np.ndarray, "i i"],
    popularity: Float[np.ndarray, "i"],
    length: Int[np.ndarray, "u"],
    tastes: Int[np.ndarray, "u c"],
    early: Float[np.ndarray, "u c"],
    late: Float[np.ndarray, "u c"],
) -> tuple[np.ndarray, ...]:
    """Of each event the user, the item, the taste, whether it was a whim, and whether the taste was drawn anew.

    All users choose at once, place after place of their histories; the longest lead, so that who goes on is a slice.
    """
    order = np.argsort(-length, kind="stable")
    length, tastes, early, late = (x[order] for x in (length, tastes, early, late))
    free = np.ones((world.users, world.items))
    column = np.zeros(world.users, dtype=np.int64)
    out = []
    for place in range(int(length[0])):
        n = int((length > place).sum())
        who = np.arange(n)
        fresh = rng.random(n) * world.session < 1 if place else np.ones(n, dtype=bool)
        drawn = _draw(rng, _mix(world, early[:n], late[:n], np.full(n, place), length[:n]))
        column[:n] = np.where(fresh, drawn, column[:n])
        taste, whim = tastes[who, column[:n]], rng.random(n) < world.noise
        weight = appeal[taste]
        if place:
            weight *= alike[item[:n]]
        weight[whim] = popularity
        item = _draw(rng, weight * free[:n])
        free[who, item] = 0
        out.append((order[:n], item, taste, whim, fresh))
    user, *rest = (np.concatenate(x) for x in zip(*out, strict=True))
    rows = np.argsort(user, kind="stable")
    return user[rows], *(x[rows] for x in rest)


def _times(
    world: World, rng: np.random.Generator, user: Int[np.ndarray, "e"], fresh: Bool[np.ndarray, "e"]
) -> Int[np.ndarray, "e"]:
    """Seconds since 1970: users arrive over the years, minutes pass within a session and days between two."""
    gap = np.where(fresh, rng.exponential(3 * DAY, len(user)) + DAY / 4, rng.exponential(900, len(user)) + 60)
    first = np.flatnonzero(np.diff(user, prepend=-1))
    gap[first] = 0
    total = np.cumsum(gap)
    arrival = OPENING + rng.uniform(0, world.years * 365.25 * DAY, world.users)
    return (arrival[user] + total - total[first][user]).astype(np.int64)


def _titles(genres: Bool[np.ndarray, "i g"], mood: Int[np.ndarray, "i"], rng: np.random.Generator) -> list[str]:
    """Titles that name the mood and one or two genres, the most special first; sequels are numbered."""
    names = [g.name for g in GENRES]
    titles: dict[str, None] = {}
    for row, of_item in zip(genres, mood, strict=True):
        special = sorted(np.flatnonzero(row), key=lambda g: GENRES[g].share)
        parents = {names.index(GENRES[g].parent) for g in special if GENRES[g].parent}
        words = [rng.choice(GENRES[g].words) for g in special if g not in parents][:2]
        title = base = f"The {MOODS[of_item]} {' and the '.join(words)}"
        part = 2
        while title in titles:
            title, part = f"{base} {part}", part + 1
        titles[title] = None
    return list(titles)


def _mix(
    world: World,
    early: Float[np.ndarray, "n c"],
    late: Float[np.ndarray, "n c"],
    place: Int[np.ndarray, "n"],
    length: Int[np.ndarray, "n"],
) -> Float[np.ndarray, "n c"]:
    """How likely each taste is to be drawn at a place of the history."""
    moved = world.drift * (place / np.maximum(length - 1, 1))[:, None]
    return (1 - moved) * early + moved * late


def _to_one(weight: Float[np.ndarray, "*n c"]) -> Float[np.ndarray, "*n c"]:
    return weight / weight.sum(-1, keepdims=True)


def _draw(rng: np.random.Generator, weight: Float[np.ndarray, "n c"]) -> Int[np.ndarray, "n"]:
    """A column a row, with probability proportional to the weights; never one of weight 0."""
    total = np.cumsum(weight, axis=1)
    mark = rng.random(len(weight)) * total[:, -1] * (1 - 1e-12)
    return (total > mark[:, None]).argmax(1)
