"""Automatic checks of the book's exercises: each says what is wrong with an answer and never what the answer is.

``from recsae_checks import autoencoders as check``, then ``check.ex_2_1(answer)`` at the end of a cell.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Verdict:
    """What a check found: right or not, and one sentence for the student."""

    exercise: str
    ok: bool
    message: str

    def __repr__(self) -> str:
        return f"Exercise {self.exercise}: {'right' if self.ok else 'not yet'}. {self.message}"

    def _repr_markdown_(self) -> str:  # in a notebook the sentence wraps, as text does
        text = re.sub(r"([\\`*_\[\]<>$|~#])", r"\\\1", " ".join(self.message.split()))
        return f"**Exercise {self.exercise}: {'right' if self.ok else 'not yet'}.** {text}"


class Wrong(Exception):
    """Raised inside a check with the sentence that tells the student what is wrong."""


def expect(condition: Any, message: str) -> None:
    """Raise ``Wrong`` with a message unless the condition holds."""
    if not condition:
        raise Wrong(message)


def number(answer: Any) -> float:
    """An answer as a float; ``Wrong`` where it is not one finite number."""
    try:
        value = float(plain(answer))
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"The answer is {type(answer).__name__}: expected one number.") from None
    expect(math.isfinite(value), "The answer is not a finite number.")
    return value


def array(answer: Any, shape: tuple[int | None, ...], what: str = "The answer") -> np.ndarray:
    """An answer as a float array; ``Wrong`` where its shape differs (None: any length) or a value is not finite."""
    try:
        value = np.asarray(plain(answer), dtype=np.float64)
    except (TypeError, ValueError):
        raise Wrong(f"{what} is {type(answer).__name__}: expected numbers in an array.") from None
    fits = value.ndim == len(shape) and all(want in (None, n) for want, n in zip(shape, value.shape, strict=True))
    wanted = tuple("any" if n is None else n for n in shape)
    expect(fits, f"{what} has shape {value.shape}: expected {wanted}.")
    expect(np.isfinite(value).all(), f"{what} holds values that are not finite.")
    return value


def plain(answer: Any) -> Any:
    """A tensor without its gradient; anything else as it is."""
    return answer.detach() if hasattr(answer, "detach") else answer


def close(a: Any, b: Any, tolerance: float = 1e-6) -> bool:
    """Are two numbers or arrays the same up to ``tolerance``, absolute and relative?"""
    return bool(np.allclose(plain(a), plain(b), rtol=tolerance, atol=tolerance))


def exercise(number: str) -> Callable[[Callable[..., str | None]], Callable[..., Verdict]]:
    """Make a function of a student's answer a check: it raises ``Wrong``, or returns a sentence to go on with.

    An answer that is None or ``...``, or a function that raises ``NotImplementedError``, is an untouched stub.
    Any other error of the student's own code becomes part of the message; no check raises.
    """

    def decorate(check: Callable[..., str | None]) -> Callable[..., Verdict]:
        @wraps(check)
        def run(*answers: Any) -> Verdict:
            if any(answer is None or answer is ... for answer in answers):
                return Verdict(number, False, "There is no answer yet.")
            try:
                return Verdict(number, True, check(*answers) or "Go on.")
            except Wrong as wrong:
                return Verdict(number, False, str(wrong))
            except NotImplementedError:
                return Verdict(number, False, "There is no answer yet.")
            except Exception as error:  # whatever a student's code does, the lesson goes on
                return Verdict(number, False, f"Your code stopped with {type(error).__name__}: {error}")

        run.number = number
        return run

    return decorate
