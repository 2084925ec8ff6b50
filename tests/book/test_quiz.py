"""A quiz in its page: what is written wrongly is named, every answer is there, and a keyboard is enough to answer."""

import re
import shutil
from pathlib import Path

import book_quiz
import pytest
import yaml
from book_source import ROOT, build

QUIZZES = sorted((ROOT / "book" / "quizzes").glob("*.md"))
BLOCK = re.compile(r"^```\{quiz\} ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GOOD = """\
- ask: What is `x`?
  options:
    - right: One
      why: Because.
    - wrong: Two
      why: No.
"""
FEEDBACK = "document.querySelectorAll('.quiz-feedback')[{}].textContent"
FOCUSED = "document.activeElement.id || document.activeElement.className"


def questions(path: Path) -> list[book_quiz.Question]:
    (block,) = BLOCK.finditer(path.read_text(encoding="utf-8"))
    return book_quiz.read(block[2], path.name, 2)


@pytest.mark.parametrize("path", QUIZZES, ids=lambda p: p.stem)
def test_a_quiz_has_three_or_four_questions_with_a_reason_for_every_answer(path):
    found = questions(path)
    assert 3 <= len(found) <= 4
    for question in found:
        assert 3 <= len(question.options) <= 5
        assert all(option.why.endswith((".", "?")) for option in question.options), question.ask
        assert len({option.why for option in question.options}) == len(question.options)


def test_right_answers_stand_everywhere_and_not_always_at_the_same_place():
    single = [q for path in QUIZZES for q in questions(path) if q.kind == "one"]
    places = [next(i for i, o in enumerate(q.options) if o.right) for q in single]
    assert len(QUIZZES) >= 8
    assert max(map(places.count, range(3))) <= 0.6 * len(places)
    assert any(q.kind == "many" for path in QUIZZES for q in questions(path))


def test_every_quiz_is_on_the_page_of_quizzes():
    page = (ROOT / "book" / "quizzes.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\{include\} quizzes/(\S+)", page)) == [path.name for path in QUIZZES]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "page.md:7: expected a list"),
        ("ask: What?", "page.md:7: expected a list"),
        (GOOD + "- ask: What: this?\n", "page.md:13: mapping values"),
        (GOOD + "- ask: More?\n", "page.md:13: question 2: options: Field required"),
        (GOOD.replace("wrong: Two", "right: Two"), "page.md:7: question 1: .*all 2 options are right"),
        (GOOD.replace("right: One", "wrong: One"), "page.md:7: question 1: .*2 options, 0 right"),
        (GOOD.replace("Two", "One"), "question 1: .*two options say the same"),
        (GOOD.replace("why: No.", 'why: " "'), "question 1, option 2: .*why is empty"),
        (GOOD.replace("wrong: Two", "maybe: Two"), "question 1, option 2: .*maybe: Extra inputs"),
        (GOOD.replace("ask", "asks"), "question 1: .*asks: Extra inputs"),
        (GOOD + "- 3\n", "page.md:13: question 2: 3: expected names with values"),
    ],
)
def test_what_is_wrong_is_named_with_its_page_and_line(body, message):
    with pytest.raises(ValueError, match=message):
        book_quiz.read(body, "page.md", 7)


def staged(folder: Path, pages: dict[str, str]) -> Path:
    """The source of a small book with quizzes."""
    source = folder / "src"
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / name, source / "book" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "book" / "references.bib", source / "book")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["sphinx"]["local_extensions"] = {"book_quiz": "book/_ext", "book_pages": "book/_ext"}
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    first, *others = [{"file": f"book/{name}"} for name in pages if "/" not in name]
    toc = {"format": "jb-book", "root": first["file"], "chapters": others}
    (source / "_toc.yml").write_text(yaml.safe_dump(toc))
    for name, text in pages.items():
        path = source / "book" / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return source


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page of quizzes, a quiz of ours on another page, and a page without any."""
    folder = tmp_path_factory.mktemp("quiz")
    one = GOOD.replace("Because.", "Because of *that*.")
    several = "- ask: Which?\n  options:\n    - {right: A, why: Yes A.}\n    - {wrong: B, why: No B.}\n"
    several += "    - {right: C, why: Yes C.}\n"
    pages = {
        "intro": "# Toy\n\nNothing is asked.\n",
        "asks": f"# Asks\n\n```{{quiz}} Letters & <signs>\n{one}{several}```\n",
        "quizzes": (ROOT / "book" / "quizzes.md").read_text(),
    }
    pages |= {f"quizzes/{path.stem}": path.read_text() for path in QUIZZES}
    done = build(staged(folder, pages), folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder / "_build" / "html" / "book"


def test_a_page_without_a_quiz_loads_nothing_for_one(site):
    assert "quiz.js" not in (site / "intro.html").read_text()
    assert "quiz.js" in (site / "asks.html").read_text() and "quiz.css" in (site / "asks.html").read_text()


def test_without_scripts_the_answers_can_be_opened(site):
    text = (site / "asks.html").read_text()
    assert text.count('<details class="quiz-answers">') == text.count("<fieldset") == 2
    assert text.count('<li class="quiz-right">') == 3 and "<code" in text and "<em>that</em>" in text
    assert "Quiz: Letters &amp; &lt;signs&gt;" in text
    names = re.findall(r'type="(radio|checkbox)" name="([^"]+)"', text)
    assert len(set(names)) == 2 and [kind for kind, _ in names] == ["radio"] * 2 + ["checkbox"] * 3


def test_a_mistake_in_an_included_quiz_is_named_where_it_stands(tmp_path):
    pages = {"intro": "# Toy\n\n```{include} quizzes/bad.md\n```\n", "more": "# More\n"}
    pages["quizzes/bad"] = "```{quiz} Bad\n" + GOOD + "- ask: More?\n```\n"
    done = build(staged(tmp_path, pages), tmp_path)
    assert done.returncode != 0
    assert re.search(r"quizzes/bad\.md:8: question 2: options: Field required", done.stdout + done.stderr)


def press(page, key: str) -> None:
    code = {"Space": " ", "Enter": "\r"}.get(key, "")
    name = " " if key == "Space" else key
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=name, code=key, text=code if kind == "keyDown" else "")


@pytest.mark.browser
def test_a_keyboard_answers_a_question_and_hears_why(site, page):
    page.open(site / "asks.html")
    assert page.evaluate("[...document.querySelectorAll('.quiz-answers')].every(d => d.hidden)")
    assert page.evaluate("[...document.querySelectorAll('.quiz-feedback')].every(d => d.ariaLive === 'polite')")
    page.evaluate("document.querySelector('.quiz input').focus()")
    press(page, "Space")
    press(page, "ArrowDown")
    assert page.evaluate("document.activeElement.checked && document.activeElement.value") == "1"
    tab = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    page.call("Input.dispatchKeyEvent", type="rawKeyDown", **tab)
    assert page.evaluate(FOCUSED) == "quiz-check"
    press(page, "Enter")
    assert page.evaluate(FEEDBACK.format(0)) == "Not quite.No."
    assert page.evaluate("document.querySelectorAll('.quiz-option.quiz-no').length") == 1
    page.evaluate("document.querySelector('.quiz input').focus()")
    press(page, "Space")
    assert page.evaluate(FEEDBACK.format(0)) == ""
    page.evaluate("document.querySelector('.quiz-check').focus()")
    press(page, "Enter")
    assert page.evaluate(FEEDBACK.format(0)) == "Right.Because of that."
    assert page.evaluate("document.querySelector('.quiz-score').textContent") == "1 of 2 answered right."
    assert page.errors == []


@pytest.mark.browser
def test_of_several_right_answers_the_missing_are_counted_and_not_named(site, page):
    page.open(site / "asks.html")
    box = "document.querySelectorAll('.quiz-question')[1]"
    click = f"{box}.querySelector('.quiz-check').click()"
    page.evaluate(click)
    assert page.evaluate(FEEDBACK.format(1)) == "Choose an answer first."
    page.evaluate(f"{box}.querySelectorAll('input')[0].click(), {click}")
    assert page.evaluate(FEEDBACK.format(1)) == "Not quite. Right so far, and 1 more is right.A Yes A."
    page.evaluate(f"{box}.querySelectorAll('input')[2].click(), {click}")
    assert page.evaluate(FEEDBACK.format(1)) == "Right.A Yes A.C Yes C."
    page.evaluate(f"{box}.querySelectorAll('input')[1].click(), {click}")
    assert page.evaluate(FEEDBACK.format(1)).startswith("Not quite.A Yes A.B No B.")
    assert page.errors == []


@pytest.mark.browser
def test_the_page_of_quizzes_fits_a_telephone_and_prints_its_answers(site, page):
    page.open(site / "quizzes.html", 420)
    assert page.errors == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 420
    assert page.evaluate("document.querySelectorAll('form.quiz').length") == len(QUIZZES)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    named = "[...document.querySelectorAll('.quiz input')].every(i => i.labels.length === 1 && i.closest('fieldset'))"
    assert page.evaluate(named)
    page.call("Emulation.setEmulatedMedia", media="print")
    shown = "[...document.querySelectorAll('.quiz-answers li')].every(e => e.getBoundingClientRect().height > 0)"
    assert page.evaluate(shown)
    assert page.evaluate("[...document.querySelectorAll('.quiz-check')].every(b => !b.getClientRects().length)")
    page.call("Emulation.setEmulatedMedia", media="")
