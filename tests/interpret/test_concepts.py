from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from recsae_core.interpret import concepts, vocabulary
from recsae_core.interpret.concepts import Concept, Evidence
from recsae_core.sae.base import Dictionary
from tests.interpret.worlds import Given

GENRES = ("Drama", "Horror", "Comedy", "Western")


def items(n: int, rng: np.random.Generator) -> pd.DataFrame:
    words = rng.choice(["moon", "river", "knife", "garden"], n)
    years = rng.integers(1950, 2000, n)
    return pd.DataFrame({"title": [f"The {w} {i} ({y})" for i, (w, y) in enumerate(zip(words, years, strict=True))]})


class Case(NamedTuple):
    z: sparse.csc_array
    user: np.ndarray
    item: np.ndarray
    vocabulary: vocabulary.Vocabulary
    genre: np.ndarray  # of each item; nine in ten recommendations are of genre 0


def world(rows: int = 1500, n: int = 240, noise: int = 60, seed: int = 0) -> Case:
    """Latent g fires where an item of genre g is recommended, the others where they please."""
    rng = np.random.default_rng(seed)
    genre = np.arange(n) % 4
    drawn = np.where(rng.random(rows) < 0.9, 0, rng.integers(1, 4, rows))
    item = rng.integers(0, n // 4, rows) * 4 + drawn
    z = np.where(rng.random((rows, 4 + noise)) < 0.05, rng.exponential(size=(rows, 4 + noise)), 0)
    z[:, :4] = (genre[item][:, None] == np.arange(4)) * rng.exponential(size=(rows, 4))
    labels = genre[:, None] == np.arange(4)
    known = vocabulary.terms(items(n, rng), labels, GENRES, np.bincount(item, minlength=n))
    return Case(sparse.csc_array(z), np.arange(rows), item, known, genre)


class TestVocabulary:
    def told(self, titles: list, **columns: object) -> vocabulary.Vocabulary:
        frame, n = pd.DataFrame({"title": titles, **columns}), len(titles)
        return vocabulary.terms(frame, np.zeros((n, 0), bool), (), np.arange(n), min_items=1)

    def of(self, v: vocabulary.Vocabulary, item: int, kind: str) -> list[str]:
        return [v.names[t] for t in v.has[[item]].indices if v.kinds[t] == kind]

    def test_the_decade_comes_from_the_year_or_from_the_end_of_the_title(self):
        v = self.told(["Casablanca (1942)", "2001 (1968)", "Nothing (of 1900) here"])
        assert [self.of(v, i, "decade") for i in range(3)] == [["1940s"], ["1960s"], []]
        v = self.told(["Casablanca (1942)", "2001"], year=pd.array([2003, None], dtype="Int64"))
        assert [self.of(v, i, "decade") for i in range(2)] == [["2000s"], []]

    def test_words_leave_out_years_numbers_and_stop_words(self):
        v = self.told(["The Friday the 13th &amp; a Fräulein (1980)", "12 Monkeys", "L.A. it's"])
        assert sorted(self.of(v, 0, "word")) == ["13th", "friday", "fräulein"]
        assert self.of(v, 1, "word") == ["monkeys"]

    @pytest.mark.parametrize("blank", ["", None, np.nan, "42", "(1999) of the", "?!"])
    def test_an_item_without_text_is_reported(self, blank):
        v = self.told([blank, "Moon"])
        assert v.without_text.tolist() == [0] and self.of(v, 1, "popularity") == ["less popular"]

    def test_no_text_at_all_leaves_the_popularity(self):
        v = self.told([None, ""])
        assert set(v.kinds) == {"popularity"} and v.without_text.tolist() == [0, 1]

    def test_bands_are_shares_of_the_items_by_popularity(self):
        counts = np.random.default_rng(0).permutation(40)
        v = vocabulary.terms(pd.DataFrame({"id": range(40)}), np.zeros((40, 0), bool), (), counts)
        assert v.names == tuple(vocabulary.BANDS) and v.has.sum(0).tolist() == [4, 16, 20]
        assert counts[v.has[:, [0]].toarray()[:, 0]].min() == 36

    def test_rare_terms_are_left_out_but_count_as_text(self):
        frame = pd.DataFrame({"title": ["moon", "moon", "river"]})
        v = vocabulary.terms(frame, np.eye(3, dtype=bool), ("a_b", "c", "d"), np.ones(3, int), kind="tag", min_items=2)
        assert [name for kind, name in zip(v.kinds, v.names, strict=True) if kind != "popularity"] == ["moon"]
        assert len(v.without_text) == 0
        v = vocabulary.terms(frame, np.eye(3, dtype=bool), ("a_b", "c", "d"), np.ones(3, int), kind="tag", min_items=1)
        assert v.names[:3] == ("a b", "c", "d") and v.kinds[:3] == ("tag",) * 3

    @pytest.mark.parametrize(
        ("n", "names", "kind"), [(3, ("a", "b"), "genre"), (3, ("a",), "colour"), (0, ("a",), "tag")]
    )
    def test_what_does_not_fit_is_named(self, n, names, kind):
        with pytest.raises(
            ValueError, match=f"kind='{kind}'.*expected genre or tag, a name an attribute and {n} > 0 items"
        ):
            vocabulary.terms(pd.DataFrame({"id": range(n)}), np.ones((n, 1), bool), names, np.ones(n, int), kind=kind)


class TestChance:
    @given(st.integers(2, 60), st.integers(1, 20), st.integers(0, 2**31))
    @settings(max_examples=25, deadline=None)
    def test_with_equal_weights_it_is_hypergeometric(self, n, draws, seed):
        draws, rng = min(draws, n), np.random.default_rng(seed)
        has = rng.random((n, 3)) < rng.random()
        law = concepts.chance(np.full(n, 7.0), sparse.csr_array(has), draws)
        expected = stats.hypergeom.pmf(np.arange(draws + 1), n, has.sum(0)[:, None], draws)
        np.testing.assert_allclose(law, expected, atol=1e-6)

    def test_it_is_what_drawing_without_replacement_gives(self):
        rng, n, draws = np.random.default_rng(0), 60, 8
        weights = rng.zipf(1.6, n).clip(max=200).astype(float)
        has = np.stack([weights > 3, rng.random(n) < 0.3], 1)
        order = np.argsort(rng.exponential(size=(40_000, n)) / weights, axis=1)[:, :draws]
        for term, law in zip(has.T, concepts.chance(weights, sparse.csr_array(has), draws), strict=True):
            seen = np.bincount(term[order].sum(1), minlength=draws + 1) / len(order)
            np.testing.assert_allclose(law[::-1].cumsum()[::-1], seen[::-1].cumsum()[::-1], atol=0.02)

    def test_items_of_no_weight_are_never_drawn(self):
        has = sparse.csr_array(np.array([[True], [True], [False]]))
        np.testing.assert_allclose(concepts.chance(np.array([0.0, 1, 1]), has, 1), [[0.5, 0.5]], atol=1e-9)
        np.testing.assert_allclose(concepts.chance(np.array([0.0, 1, 9]), has, 2), [[0, 1, 0]], atol=1e-4)

    @pytest.mark.parametrize("draws", [0, 3])
    def test_more_than_there_are_cannot_be_drawn(self, draws):
        with pytest.raises(ValueError, match=f"draws={draws}: expected 1 <= draws <= 2"):
            concepts.chance(np.array([0.0, 1, 1]), sparse.csr_array((3, 1), dtype=bool), draws)


class TestStrongest:
    @given(st.integers(0, 2**31), st.integers(1, 4))
    @settings(max_examples=25, deadline=None)
    def test_it_is_the_plain_loop(self, seed, most):
        rng = np.random.default_rng(seed)
        rows, m = 30, 5
        z = rng.permutation(rows * m).reshape(rows, m) * (rng.random((rows, m)) < 0.5) - 5.0
        user, item = rng.integers(0, 12, rows), rng.integers(-1, 9, rows)
        found = concepts.strongest(sparse.csc_array(z), user, item, most)
        for j in range(m):
            left = [r for r in np.argsort(-z[:, j]) if z[r, j] > 0 and item[r] >= 0]
            assert found.active[j] == len(left)
            for group in (user, item):
                left = [r for k, r in enumerate(left) if group[r] not in group[left[:k]]]
            assert found.row[found.latent == j].tolist() == left[:most]

    def test_rows_must_agree(self):
        z, two = sparse.csc_array(np.ones((3, 2))), np.zeros(2, int)
        with pytest.raises(ValueError, match=r"z \(3, 2\), 2 users, 2 items, cases=20"):
            concepts.strongest(z, two, two)
        with pytest.raises(ValueError, match="cases=0"):
            concepts.strongest(z[:2], two, two, 0)


class TestTfidf:
    def test_it_is_the_definition(self):
        sums = np.array([[2.0, 2, 0], [1, 0, 3], [0, 0, 0]])
        idf = np.log(2 / np.array([2, 1, 1]))
        np.testing.assert_allclose(
            concepts.tfidf(sparse.csr_array(sums)).toarray(), sums / np.array([[4], [4], [1]]) * idf
        )

    def test_what_every_latent_has_says_nothing(self):
        assert not concepts.tfidf(sparse.csr_array(np.ones((4, 3)))).toarray().any()
        assert not concepts.tfidf(sparse.csr_array((4, 3))).toarray().any()


class TestDescribe:
    def test_it_finds_what_was_planted_and_nothing_else(self):
        case = world()
        found = concepts.describe(*case[:4])
        for g in (1, 2, 3):
            best = found[g].terms[0]
            assert (best.kind, best.term) == ("genre", GENRES[g]) and best.count == best.of == found[g].cases == 20
            assert found[g].text.startswith(GENRES[g]) and best.expected < 2 and best.weight > 2 and best.q < 0.001
            assert {case.genre[i] for i in found[g].items} == {g}
        noise = found[4:]
        assert sum(bool(c.text) for c in noise) <= 2
        assert all(c.note.startswith("nothing in common") for c in noise if not c.text)

    def test_what_is_recommended_to_all_is_no_news(self):
        """Nearly all recommendations are dramas, a quarter of the catalogue."""
        case = world()
        drama = ("genre", "Drama")
        naive = concepts.describe(*case[:4], weights=np.ones(len(case.genre)))
        said = [
            sum(drama in [e[:2] for e in c.terms] for c in some[4:]) for some in (naive, concepts.describe(*case[:4]))
        ]
        assert said[0] > 50 and said[1] <= 1

    def test_permuted_activations_describe_nothing(self):
        rng, case = np.random.default_rng(1), world(noise=0)
        z, shares = case.z.toarray(), []
        for _ in range(5):
            mixed = sparse.csc_array(np.hstack([rng.permutation(z) for _ in range(15)]))
            shares.append(np.mean([bool(c.terms) for c in concepts.describe(mixed, *case[1:4])]))
        assert np.mean(shares) < 0.03

    def test_one_item_is_no_pattern(self):
        case = world()
        z = sparse.csc_array((case.item == 4).astype(float)[:, None])
        (found,) = concepts.describe(z, *case[1:4])
        assert z.sum() > 1 and found.active == z.sum() and found.cases == 1 and not found.text
        assert found.note == "nothing in common beyond chance; 1 cases, fewer than the 20 asked for"

    def test_a_silent_latent_says_so_and_has_nothing(self):
        case = world(noise=0)
        z = sparse.csc_array(
            np.hstack([case.z.toarray(), np.zeros((len(case.user), 1)), -np.ones((len(case.user), 1))])
        )
        for found in concepts.describe(z, *case[1:4])[-2:]:
            assert found == Concept(found.latent, "", (), (), 0, 0, "never fires")

    def test_only_the_items_marked_count(self):
        case = world()
        half = np.random.default_rng(0).random(len(case.genre)) < 0.5
        found = concepts.describe(*case[:4], within_items=half)
        assert all(half[list(c.items)].all() for c in found) and found[1].text.startswith("Horror")
        kept = half[case.item]
        again = concepts.describe(case.z[kept], case.user[kept], case.item[kept], case.vocabulary)
        assert found == again

    def test_one_user_is_one_case(self):
        case = world(noise=0)
        found = concepts.describe(case.z, np.zeros_like(case.user), *case[2:4])
        assert [c.cases for c in found] == [1] * 4 and found[1].active > 1

    def test_the_rate_must_be_one(self):
        with pytest.raises(ValueError, match=r"fdr=0\.0: expected 0 < fdr < 1"):
            concepts.describe(*world(noise=0)[:4], fdr=0.0)


def evidence(kind: str, term: str, weight: float = 1.0) -> Evidence:
    return Evidence(kind, term, 3, 4, 0.5, 0.01, weight)


class TestText:
    def test_it_reads_like_a_sentence(self):
        said = [("word", "friday"), ("decade", "1980s"), ("genre", "Horror"), ("word", "13th"), ("popularity", "rare")]
        said += [("genre", g) for g in ("Thriller", "Crime", "Mystery")]
        text = concepts._text([evidence(*pair) for pair in said])
        assert text == "Horror, Thriller and Crime; from the 1980s; titles with 'friday' or '13th'; rare items"
        assert concepts._text([evidence("decade", "1980s")]) == "From the 1980s"
        assert concepts._text([]) == ""

    def test_what_fewer_than_half_of_the_cases_have_is_said_to_be_a_part(self):
        said = [("genre", "War", 3), ("genre", "Drama", 9), ("word", "hill", 4), ("popularity", "rare", 5)]
        found = [Evidence(kind, term, count, 10, 0.5, 0.01, 1.0) for kind, term, count in said]
        assert concepts._text(found) == "Drama; rare items; partly War; partly titles with 'hill'"
        assert concepts._text(found[:1]) == "Partly War"


class TestScores:
    def test_weights_add_up_where_an_item_has_the_terms(self):
        known = world(noise=0).vocabulary
        two = (evidence("genre", "Horror", 2.5), evidence("popularity", "rare", 0.5))
        found = concepts.scores([Concept(0, "x", two, (), 4), Concept(1, "", (), (), 4)], known)
        horror, rare = (known.has[:, [known.names.index(name)]].toarray()[:, 0] for name in ("Horror", "rare"))
        assert found.dtype == np.float32 and not found[1].any()
        np.testing.assert_allclose(found[0], 2.5 * horror + 0.5 * rare)

    def test_they_tell_new_cases_of_a_planted_latent(self):
        case = world()
        half = np.random.default_rng(0).random(len(case.genre)) < 0.5
        found = concepts.scores(concepts.describe(*case[:4], within_items=half), case.vocabulary)
        assert found[1][~half & (case.genre == 1)].min() > found[1][~half & (case.genre != 1)].max()

    def test_a_profile_counts_what_is_no_evidence_too(self):
        case = world()
        found = concepts.describe(*case[:4])
        profile = concepts.scores(found, case.vocabulary, naive_bayes=True)
        for c, row in zip(found, profile, strict=True):
            assert bool(c.profile) == bool(c.terms) == row.any()
        about = {name: weight for _, name, weight in found[1].profile}
        assert about["Horror"] > 2 and about["Drama"] < -2 and not {"rare", "moon"} & set(about)
        item = int(np.flatnonzero(case.genre == 1)[0])
        own = [case.vocabulary.names[t] for t in case.vocabulary.has[[item]].indices]
        np.testing.assert_allclose(profile[1, item], sum(about.get(name, 0) for name in own), rtol=1e-5)

    def test_an_unknown_term_is_named(self):
        unknown = Concept(0, "x", (evidence("genre", "Opera"),), (), 4)
        with pytest.raises(ValueError, match=r"term \('genre', 'Opera'\): expected one of the \d+ terms"):
            concepts.scores([unknown], world(noise=0).vocabulary)


def test_codes_are_the_positive_activations():
    h = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    dictionary = Given(6)
    assert isinstance(dictionary, Dictionary)
    z = concepts.codes(dictionary, h, batch=7)
    assert z.dtype == np.float32 and z.nnz == int((h > 0).sum())
    np.testing.assert_array_equal(z.toarray(), h.clamp(min=0).numpy())
