"""A picture in steps in its page: by keyboard, by itself, calmly, in both themes and on a telephone."""

import shutil
from pathlib import Path

import pytest
from book_source import ROOT

from recsae_book.figures.player import HIGH, Player

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
VALUES = [[0.1, 0.3, 0.2], [0.5, 0.4, 0.95], [0.92, 0.6, 1.0]]
CAPTIONS = ["Step 0: none found.", "Step 10: one found.", "Step 20: two found."]
NAMES = ("text-base", "text-muted", "background", "primary")  # as in custom.css
COLOURS = {"light": ("#20262b", "#4c565e", "#fff", "#1f5f8b"), "dark": ("#dde3e8", "#a9b4bd", "#14191d", "#8cc4ea")}
HEIGHTS = "[...document.querySelectorAll('.player:first-of-type rect')].map(r => +r.getAttribute('height'))"
FOUND = "[...document.querySelectorAll('.player:first-of-type rect')].map(r => r.classList.contains('found'))"
CAPTION = "document.querySelector('.player-caption').textContent"
SLIDER = "document.querySelector('.player input')"
BUTTON = "document.querySelector('.player button')"


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A page with two players and the theme's colours."""
    folder = tmp_path_factory.mktemp("player")
    (folder / "_static").mkdir()
    for name in ("player.js", "player.css"):
        shutil.copy2(ROOT / "book" / "_static" / name, folder / "_static")
    shown = Player(VALUES, ["step 0", "step 10", "step 20"], CAPTIONS, label="Three bars", goal=0.9, chance=0.4)
    light, dark = (
        "".join(f"--pst-color-{name}: {colour}; " for name, colour in zip(NAMES, colours, strict=True))
        for colours in COLOURS.values()
    )
    theme = f":root {{ {light} }} @media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    style = f"<style>{theme} body {{ background: var(--pst-color-background); }}</style>"
    body = f'<article class="bd-article"><section>{2 * shown._repr_html_()}</section></article>'
    (folder / "notebooks").mkdir()
    target = folder / "notebooks" / "page.html"
    target.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Toy</title>{style}{body}</html>')
    return target


@pytest.fixture
def opened(file, page):
    page.open(file)
    yield page
    assert page.errors == []
    page.call("Emulation.setEmulatedMedia", features=[])


def heights(step: int) -> list[float]:
    return [HIGH * v for v in VALUES[step]]


def press(page, key: str, code: int) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)


@pytest.mark.browser
class TestInABrowser:
    def test_it_begins_where_the_page_without_a_script_stands(self, opened):
        assert opened.evaluate(HEIGHTS) == pytest.approx(heights(2))
        assert opened.evaluate(FOUND) == [True, False, True] and opened.evaluate(CAPTION) == CAPTIONS[2]
        controls = "[...document.querySelectorAll('.player')].map(p => p.querySelectorAll('input, button').length)"
        assert opened.evaluate(controls) == [2, 2]  # the file is there once for each player, and works once
        assert [url for url in opened.requests if not url.startswith("file:")] == []

    def test_the_keyboard_moves_the_slider_and_the_picture(self, opened):
        opened.evaluate(f"{SLIDER}.focus()")
        press(opened, "ArrowLeft", 37)
        assert opened.evaluate(f"{SLIDER}.value") == "1"
        assert opened.evaluate(HEIGHTS) == pytest.approx(heights(1))
        assert opened.evaluate(FOUND) == [False, False, True] and opened.evaluate(CAPTION) == CAPTIONS[1]
        assert opened.evaluate(f"{SLIDER}.getAttribute('aria-valuetext')") == "step 10"
        press(opened, "Home", 36)
        assert opened.evaluate(HEIGHTS) == pytest.approx(heights(0))
        assert opened.evaluate("+document.querySelectorAll('.player input')[1].value") == 2  # the other one stays

    def test_everything_has_a_name(self, opened):
        assert opened.evaluate(f"{SLIDER}.getAttribute('aria-label')") == "Training step"
        assert opened.evaluate(f"{BUTTON}.textContent") == "Play"
        assert opened.evaluate("document.querySelector('.player-label').textContent") == "Three bars"
        live = "document.querySelector('.player-caption').getAttribute('aria-live')"
        assert opened.evaluate(live) == "polite"
        opened.evaluate(f"{BUTTON}.click()")
        assert opened.evaluate(live) == "off"  # not a sentence a step

    def test_it_plays_from_the_start_to_the_end_and_stops(self, opened):
        opened.evaluate(
            f"""window.seen = [];
            new MutationObserver(() => seen.push({CAPTION})).observe(
                document.querySelector('.player-caption'), {{childList: true}});
            {BUTTON}.click()"""
        )
        assert opened.evaluate(f"{BUTTON}.textContent") == "Pause"
        ended = f"{BUTTON}.textContent === 'Play' && {CAPTION} === {CAPTIONS[2]!r}"
        wait = f"new Promise(done => {{ const look = () => {ended} ? done(true) : setTimeout(look, 20); look(); }})"
        assert opened.evaluate(wait)
        assert opened.evaluate("seen") == CAPTIONS and opened.evaluate(HEIGHTS) == pytest.approx(heights(2))

    def test_a_second_press_pauses(self, opened):
        opened.evaluate(f"{BUTTON}.click(); {BUTTON}.click()")
        assert opened.evaluate(f"{BUTTON}.textContent") == "Play"
        still = f"new Promise(done => setTimeout(() => done({CAPTION}), 400))"
        assert opened.evaluate(still) == CAPTIONS[0]

    def test_who_wants_little_motion_gets_the_slider_alone(self, opened):
        assert "height" in opened.evaluate(
            "getComputedStyle(document.querySelector('.player rect')).transitionProperty"
        )
        calm = [{"name": "prefers-reduced-motion", "value": "reduce"}]
        opened.call("Emulation.setEmulatedMedia", features=calm)
        opened.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        assert opened.evaluate(f"{BUTTON}.offsetWidth") == 0 and opened.evaluate(f"{SLIDER}.offsetWidth") > 90
        assert opened.evaluate("getComputedStyle(document.querySelector('.player rect')).transitionDuration") == "0s"

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_it_is_readable_and_fits_a_telephone(self, file, page, theme):
        page.open(file, 420, 900, theme)
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 420
        size = "[...document.querySelectorAll('.player svg text')].map(t => t.getBoundingClientRect().height)"
        assert min(page.evaluate(size)) >= 10
