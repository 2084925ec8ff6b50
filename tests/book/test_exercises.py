"""Every check passes the solution, and says what is wrong with a stub and with stored mistakes, never the answer."""

import re
import sys
from functools import cache

import numpy as np
import pytest
from book_source import ROOT

sys.path.insert(0, str(ROOT / "book" / "_make"))
import exercises
from exercises import Exercise, Played

from recsae_book import notebooks
from recsae_checks import Verdict, Wrong, array, exercise, expect, number

NAMES = [path.stem for path in exercises.sources()]
ALL = 8  # notebooks of exercises in the book
each = pytest.mark.parametrize("name", NAMES)


@cache
def read(name: str) -> list[Exercise]:
    return exercises.read(notebooks.parse(notebooks.source(name)))


@cache
def played(name: str) -> Played:
    return exercises.play(notebooks.source(name), exercises.wrong_answers(name))


@each
def test_each_exercise_has_a_stub_a_solution_a_reason_a_check_and_two_mistakes(name):
    found, chapter = read(name), int(name[:2]) - 30
    assert [e.number for e in found] == [f"{chapter}.{place + 1}" for place in range(len(found))]
    assert len(found) >= 5
    for e in found:
        assert e.label == "ex-" + e.number.replace(".", "-")
        assert [len(e.stub), len(e.check)] == [1, 1] and e.solution and e.why, e.number
        assert re.search(r"raise NotImplementedError|= None", e.stub[0]), f"{e.number}: not a stub"
    wrong = exercises.wrong_answers(name)
    assert set(wrong) == {e.number for e in found}
    assert all(len({code for code, _ in mistakes}) >= 2 for mistakes in wrong.values())


@each
def test_the_solution_of_a_notebook_is_behind_a_click(name):
    for cell in notebooks.parse(notebooks.source(name)).cells:
        if notebooks.has(cell, "solution") and cell.cell_type == "code":
            assert notebooks.has(cell, "hide-cell")
            assert cell.metadata["mystnb"]["code_prompt_show"] == "Show a solution"
        elif notebooks.has(cell, "solution"):
            assert cell.source.startswith("```{dropdown} ")


@each
def test_the_check_passes_the_solution_and_fails_the_stub_and_the_stored_mistakes(name):
    found = played(name)
    assert list(found.solution) == [e.number for e in read(name)]
    for key, verdict in found.solution.items():
        assert verdict.ok and verdict.exercise == key, verdict
    for verdict in found.stub.values():
        assert not verdict.ok and verdict.message.startswith("There is no answer yet"), verdict
    for key, mistakes in exercises.wrong_answers(name).items():
        for (code, word), verdict in zip(mistakes, found.wrong[key], strict=True):
            assert not verdict.ok and verdict.exercise == key, f"{code}\n{verdict}"
            assert word in verdict.message, f"{code}\n{verdict}"


def spoken(value) -> set[str]:
    """How a message could give a value away: numbers to two and three places, one word for a word."""
    if isinstance(value, dict):
        return set().union(*map(spoken, value.values())) if value else set()
    if isinstance(value, (bool, np.bool_)) or callable(value):
        return set()
    if isinstance(value, str):
        return {f'"{value}"', f"'{value}'"}
    if isinstance(value, (int, np.integer)):
        return {str(value)}
    if isinstance(value, (float, np.floating)):
        return {f"{value:.2f}", f"{value:.3f}", f"{100 * value:.0f}%", f"{100 * value:.1f}%"}
    return set()


@each
def test_no_message_gives_the_answer_away(name):
    found = played(name)
    for e in read(name):
        asked = set(re.findall(r"^(\w+)(?:: \w+)? = None", e.stub[0], re.MULTILINE))
        for answer in (found.answers[e.number][key] for key in asked):
            for verdict in (found.stub[e.number], *found.wrong[e.number]):
                told = [s for s in spoken(answer) if re.search(rf"(?<![\w.]){re.escape(s)}(?![\w])", verdict.message)]
                assert told == [], f"{verdict} tells {told}"


@each
def test_a_student_who_has_answered_nothing_can_run_the_notebook_to_its_end(name):
    verdicts = exercises.play_stubs(notebooks.source(name))
    assert list(verdicts) == [e.number for e in read(name)]
    assert not any(v.ok for v in verdicts.values())


@pytest.mark.skipif(len(NAMES) < ALL, reason="not all notebooks of exercises are there")
def test_there_are_thirty_exercises_in_three_grades():
    grades = [e.grade for name in NAMES for e in read(name)]
    assert len(NAMES) == ALL and len(grades) >= 30
    assert min(grades.count(stars) for stars in (1, 2, 3)) >= 5


def test_no_check_raises_whatever_it_is_given():
    @exercise("0.1")
    def ask(answer):
        """One number."""
        expect(number(answer) == 3, "Another number.")
        return "Go on."

    assert ask(None) == ask(...) == Verdict("0.1", False, "There is no answer yet.")
    assert ask(3).ok and str(ask(3)) == "Exercise 0.1: right. Go on."
    assert ask(3)._repr_markdown_() == "**Exercise 0.1: right.** Go on."
    assert Verdict("0.1", False, "a_b * <c>\n[d]")._repr_markdown_().endswith(r"** a\_b \* \<c\> \[d\]")
    assert not ask(4).ok and ask(4).message == "Another number."
    assert "one number" in ask("three").message and "one number" in ask([1, 2]).message
    assert "finite" in ask(float("nan")).message

    @exercise("0.2")
    def call(function):
        """A function."""
        return f"{array(function(), (2, None)).sum()}"

    def stub():
        raise NotImplementedError

    def broken():
        return {}["nothing"]

    assert call(stub).message == "There is no answer yet."
    assert "KeyError" in call(broken).message
    assert "shape (3,)" in call(lambda: [1, 2, 3]).message
    assert "finite" in call(lambda: [[1.0], [np.inf]]).message
    assert "expected numbers" in call(lambda: object()).message
    assert call(lambda: np.ones((2, 4))).ok
    with pytest.raises(Wrong):
        expect(False, "no")


def test_no_check_holds_a_line_of_a_solution():
    import student

    hidden = student.secrets(exercises.sources())
    checks = {p.name: student.squeezed(p.read_text(encoding="utf-8")) for p in student.CHECKS.glob("*.py")}
    assert hidden and checks
    assert [f"{name}: {line}" for name, text in checks.items() for line in hidden if line in text] == []
