"""The directive ``quiz``: questions with several answers, each with a reason, in the page that asks them.

The body is a list in YAML. An option is ``right`` or ``wrong`` and says why; several right ones make check boxes::

    ```{quiz} Nulls
    - ask: What is a null for?
      options:
        - right: To see what chance gives.
          why: A number means something beside it.
        - wrong: To make the number smaller.
          why: It may, and that is not what it is for.
    ```

A reader without scripts finds all answers under a summary to open. ``quiz.js`` hides them and speaks up instead.
"""

import re
from html import escape
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from pydantic import BaseModel, Field, model_validator
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from recsae_core.strict import STRICT, parse


class Option(BaseModel):
    """One answer to choose."""

    model_config = STRICT

    right: str | None = None
    wrong: str | None = None
    why: str

    @model_validator(mode="after")
    def _either(self) -> "Option":
        if bool(self.right) == bool(self.wrong):
            raise ValueError("an option is either right or wrong: expected one of the two, with a text")
        if not self.why.strip():
            raise ValueError("why is empty: expected what speaks for or against this answer")
        return self

    @property
    def text(self) -> str:
        """What stands beside the button."""
        return self.right or self.wrong or ""


class Question(BaseModel):
    """A question with its answers in the order of the page."""

    model_config = STRICT

    ask: str = Field(min_length=1)
    options: list[Option]

    @model_validator(mode="after")
    def _answerable(self) -> "Question":
        right = sum(bool(o.right) for o in self.options)
        if len(self.options) < 2 or not right:
            raise ValueError(
                f"{len(self.options)} options, {right} right: expected 2 or more, one of them right at least"
            )
        if right == len(self.options):
            raise ValueError(f"all {right} options are right: expected a wrong one")
        if len({o.text for o in self.options}) < len(self.options):
            raise ValueError("two options say the same")
        return self

    @property
    def kind(self) -> str:
        """``one`` where a single answer is right, else ``many``."""
        return "one" if sum(bool(o.right) for o in self.options) == 1 else "many"


def read(text: str, where: str, first: int = 1) -> list[Question]:
    """The questions in the body of a directive whose first line is line ``first`` of ``where``.

    ``ValueError`` begins with the page and the line of what is wrong: the YAML, or a question.
    """
    try:
        found, marks = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = first + (error.problem_mark.line if error.problem_mark else 0)
        raise ValueError(f"{where}:{line}: {error.problem}") from error
    if not isinstance(found, list) or not found:
        raise ValueError(f"{where}:{first}: expected a list of questions, each with ask and options")
    lines = [first + node.start_mark.line for node in marks.value]
    pairs = enumerate(zip(found, lines, strict=True), start=1)
    return [_question(given, f"{where}:{line}: question {number}") for number, (given, line) in pairs]


def opening(source: str, line: int) -> int:
    """The line on which a quiz begins: MyST counts the lines of an included file from 2."""
    text = Path(source).read_text(encoding="utf-8").splitlines()
    return next((n for n in (line, line - 1) if "{quiz}" in "".join(text[n - 1 : n])), line)


def _question(given: Any, where: str) -> Question:
    if isinstance(given, dict) and isinstance(given.get("options"), list):
        options = enumerate(given["options"], start=1)
        given = given | {"options": [parse(Option, one, f"{where}, option {number}") for number, one in options]}
    return parse(Question, given, where)


class Quiz(SphinxDirective):
    """A quiz; the argument is what it is about."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        source, line = self.get_source_info()
        try:
            questions = read("\n".join(self.content), source, opening(source, line) + 1)
        except ValueError as error:
            raise self.error(str(error)) from error
        page = re.sub(r"\W+", "-", self.env.docname)
        name = f"quiz-{page}-{self.env.new_serialno('quiz')}"
        title = escape(self.arguments[0])
        box = nodes.container(classes=["quiz-box"])
        box += self.html(f'<form class="quiz" id="{name}" aria-label="Quiz: {title}" autocomplete="off">')
        for number, question in enumerate(questions):
            box += self.question(question, f"{name}-{number + 1}", f"{number + 1} of {len(questions)}")
        box += self.html("</form>")
        return [box]

    def question(self, question: Question, name: str, place: str) -> list[nodes.Node]:
        """A group of buttons with the question as its name, and the answers to open."""
        how = "Choose one." if question.kind == "one" else "Choose all that are right."
        button = "radio" if question.kind == "one" else "checkbox"
        out = [self.html(f'<fieldset class="quiz-question" data-kind="{question.kind}" aria-describedby="{name}-how">')]
        out += [self.html(f'<legend><span class="quiz-place">Question {place}.</span> '), *self.said(question.ask)]
        out += [self.html(f'</legend><p class="quiz-how" id="{name}-how">{how}</p>')]
        for i, option in enumerate(question.options):
            box = f'<div class="quiz-option"><input type="{button}" name="{name}" id="{name}-{i}" value="{i}">'
            out += [self.html(f'{box}<label for="{name}-{i}">'), *self.said(option.text), self.html("</label></div>")]
        out += [self.html('<details class="quiz-answers"><summary>Answers</summary><ul>')]
        for option in question.options:
            kind = "right" if option.right else "wrong"
            out += [self.html(f'<li class="quiz-{kind}"><span class="quiz-said">'), *self.said(option.text)]
            out += [self.html(f'</span> <strong>{kind.capitalize()}.</strong> <span class="quiz-why">')]
            out += [*self.said(option.why), self.html("</span></li>")]
        return [*out, self.html("</ul></details></fieldset>")]

    def said(self, text: str) -> list[nodes.Node]:
        """Text with what a line of the book may have: emphasis, code, mathematics, links."""
        found, messages = self.parse_inline(" ".join(text.split()))
        return [*found, *messages]

    @staticmethod
    def html(text: str) -> nodes.raw:
        """Markup between the texts."""
        return nodes.raw("", text, format="html")


def only_where_needed(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Script and style on the pages that ask something."""
    if 'class="quiz"' in (context.get("body") or ""):
        app.add_css_file("quiz.css")
        app.add_js_file("quiz.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("quiz", Quiz)
    app.connect("html-page-context", only_where_needed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
