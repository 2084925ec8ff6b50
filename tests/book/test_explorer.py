"""The explorer: its models are PyTorch's, its cards are honest, and its page can be used by everybody."""

import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import book_explorer
import numpy as np
import pytest
import torch
import yaml
from book_source import ROOT, build

from recsae_book import artifacts
from recsae_core.interpret import statistics
from recsae_core.recommenders import cases
from recsae_core.recommenders.base import Split
from recsae_core.sae import SAE, SAEConfig
from recsae_core.sae.base import Code
from recsae_core.steer.edit import edit

sys.path.insert(0, str(ROOT / "book" / "_make"))
import explorer
import explorer_cards

EVIL = "<img src=x onerror=\"document.title='taken'\">"
DOSES = (-2.0, 0.0, 0.5, 4.0)
CLOSE = 1e-4
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
TITLES = "[...document.querySelectorAll('{} .x-title')].map(t => t.firstChild.textContent)"
AFTER, BEFORE = (TITLES.format(f".x-result > section:nth-child({n})") for n in (2, 1))
SAID = "document.querySelector('.x-said').textContent"
HISTORY = "[...document.querySelectorAll('.x-history li > span')].map(t => t.textContent)"
SOON = "new Promise(done => setTimeout(done, 50)).then(() => true)"
WAIT = "new Promise(done => setTimeout(done, 400)).then(() => true)"


@pytest.fixture(scope="module")
def data():
    """All that the exporter makes of the planted world; the book's pages are built from the same files."""
    text = (book_explorer.exported() / "data.js").read_text()
    return json.loads(text[text.index("{") : text.rindex(";")])


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """A page of its own."""
    folder = tmp_path_factory.mktemp("explorer") / "planted"
    explorer.page(data, folder)
    return folder / "index.html"


@pytest.fixture
def opened(alone, page):
    """That page in a browser, as it is after loading."""
    return load(page, alone)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A book with both controls and a page with neither, from data that are in the cache."""
    folder = tmp_path_factory.mktemp("explorer-book")
    source = folder / "src"
    for name in ("_ext", "_static", "_make"):
        ignore = shutil.ignore_patterns("__pycache__", "vendor")
        shutil.copytree(ROOT / "book" / name, source / "book" / name, ignore=ignore)
    shutil.copy2(ROOT / "book" / "references.bib", source / "book")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["sphinx"]["local_extensions"] = {"book_explorer": "book/_ext", "book_pages": "book/_ext"}
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    chapters = [{"file": "book/explorer"}, {"file": "book/none"}]
    (source / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/intro", "chapters": chapters}))
    (source / "book" / "intro.md").write_text("# Toy\n\n```{steer}\n```\n")
    (source / "book" / "explorer.md").write_text("# Explore\n\nText.\n\n```{explorer}\n```\n")
    (source / "book" / "none.md").write_text("# None\n\nNothing.\n")
    made = (book_explorer.exported() / "data.js").stat().st_mtime_ns
    done = build(source, folder)
    assert (book_explorer.exported() / "data.js").stat().st_mtime_ns == made, "the exporter ran again"
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder / "_build" / "html"


def load(page, path: Path, state: str = "", anew: bool = False):
    """The page, with a state in its address: followed by the page that is there, or loaded with it from nothing."""
    page.open(path)
    assert page.evaluate("!!document.querySelector('.x-card h2')")
    if state:
        page.evaluate(f"location.hash = {state!r}")
        page.evaluate(SOON)
    if anew:
        page.evaluate("window.old = true")
        page.call("Page.reload")
        for _ in range(100):
            try:
                if page.evaluate("!window.old && !!document.querySelector('.x-card h2')"):
                    break
                page.evaluate(SOON)
            except RuntimeError:  # the page went away while it was asked
                continue
    return page


def press(page, *keys: str) -> None:
    """Real keys, one after another; a text is typed letter by letter."""
    codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39}
    codes |= {"ArrowDown": 40, "Home": 36, "End": 35}
    for key in keys:
        if key in codes:
            text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
            given = {"key": key, "code": {" ": "Space"}.get(key, key), "windowsVirtualKeyCode": codes[key]}
            page.call("Input.dispatchKeyEvent", type="keyDown", **given, **text)
            page.call("Input.dispatchKeyEvent", type="keyUp", **given)
        else:
            page.call("Input.insertText", text=key)


def focus(page, selector: str) -> None:
    page.evaluate(f"document.querySelector({selector!r}).focus()")


# --- The models


def asked(page, number: int, case, latents: list[int], rule: str, units: dict[int, float]) -> dict:
    """Scores of the page's model without an edit and with each latent at each dose, and the code."""
    return page.evaluate(
        f"""(() => {{
          const {{ build, edit }} = RecsaeModel;
          window.built ??= {{}};
          const model = window.built[{number}] ??= build(RECSAE_EXPLORER.models[{number}]);
          const stop = model.stop({json.dumps(case)});
          const units = {json.dumps(units)};
          const steered = {json.dumps(latents)}.map((j) => {json.dumps(DOSES)}.map((dose) =>
            Array.from(stop.finish(edit(model.sae, stop.h, j, {rule!r}, dose, units[j])))));
          return {{ scores: Array.from(stop.scores), z: Array.from(model.sae.encode(stop.h)), steered }};
        }})()"""
    )


def compare(page, data, number: int, splits: dict, rule: str) -> None:
    """The page's scores against those of ``steer.edit``, for some of the latents on the cards."""
    about = data["models"][number]
    sae = artifacts.get(about["sae_recipe"], seed=0)
    chosen = [about["concepts"][n] for n in (0, 7, len(about["concepts"]) // 2, -1)]
    units = {c["latent"]: c["unit"] for c in chosen}
    unit = torch.zeros(sae.m)
    for latent, size in units.items():
        unit[latent] = size
    for case, split in splits.items():
        found = asked(page, number, json.loads(case), list(units), rule, units)
        with torch.no_grad():
            assert np.abs(split.finish(split.h)[0].numpy() - found["scores"]).max() < CLOSE
            code = sae.encode(split.h[split.last]).dense()[0].numpy()
            assert np.abs(code - found["z"]).max() < CLOSE
            for latent, rows in zip(units, found["steered"], strict=True):
                for dose, scores in zip(DOSES, rows, strict=True):
                    own = split.finish(edit(split, sae, [latent], rule, dose, unit=unit))[0].numpy()
                    assert np.abs(own - scores).max() < CLOSE, (case, latent, rule, dose)
                    if rule == "add" and dose == 0:
                        assert scores == found["scores"]  # to the last bit


@pytest.mark.browser
class TestTheModelsArePyTorchs:
    @pytest.mark.parametrize("rule", ["add", "set", "scale"])
    def test_the_transformer_is(self, opened, data, rule):
        model = artifacts.get("planted/transformer", seed=0)
        whole = next(u["history"] for u in data["models"][0]["users"] if len(u["history"]) == 50)
        histories = [whole[:1], whole[9:16], whole, [*range(20), *whole[:45]]]  # the last is longer than what is read
        splits = {json.dumps(h): model.before("block0", cases.from_lists([h])) for h in histories}
        compare(opened, data, 0, splits, rule)

    @pytest.mark.parametrize("rule", ["add", "set"])
    def test_the_factorisation_is(self, opened, data, rule):
        model = artifacts.get("planted-hidden/mf", seed=0)
        users = [user["row"] for user in data["models"][1]["users"]]
        splits = {str(n): model.before("user", cases.of_users(torch.tensor([users[n]]))) for n in (0, 11, 29)}
        compare(opened, data, 1, splits, rule)

    def test_every_half_float_is_read_as_it_is(self, opened):
        halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
        halves = torch.from_numpy(halves[np.isfinite(halves)])
        packed = explorer.pack(halves.float())
        assert packed["type"] == "half"
        assert opened.evaluate(f"Array.from(RecsaeModel.unpack({json.dumps(packed)}))") == halves.tolist()
        odd = torch.tensor([1 / 3, -1e-20, 70000.0])
        packed = explorer.pack(odd)
        assert packed["type"] == "float"
        assert opened.evaluate(f"Array.from(RecsaeModel.unpack({json.dumps(packed)}))") == odd.tolist()

    def test_weights_of_eight_bits_are_read_and_large_ones_are_rounded(self, opened):
        g = torch.Generator().manual_seed(0)
        scale = torch.rand(5, 1, generator=g) / 3
        eight = torch.randint(-127, 128, (5, 7), generator=g)
        eight[:, 0] = 127
        packed = explorer.pack(eight * scale)
        assert packed["type"] == "int8"
        found = np.array(opened.evaluate(f"Array.from(RecsaeModel.unpack({json.dumps(packed)}))")).reshape(5, 7)
        assert np.abs(found - (eight * scale).numpy()).max() < 1e-6
        free = torch.rand(400, 300, generator=g)
        assert explorer.pack(free)["type"] == "half" and explorer.pack(free[:9])["type"] == "float"

    def test_a_list_on_the_page_is_the_list_of_pytorch(self, alone, page, data):
        about, known = data["models"][0], data["catalogues"][0]
        history, concept = about["users"][4]["history"], about["concepts"][2]
        model, sae = (artifacts.get(about[key], seed=0) for key in ("recipe", "sae_recipe"))
        split, unit = model.before("block0", cases.from_lists([history])), torch.full((sae.m,), concept["unit"])
        load(page, alone, f"model=transformer&user=4&latent={concept['latent']}&dose=1.5")
        for dose, shown in ((0.0, BEFORE), (1.5, AFTER)):
            with torch.no_grad():
                scores = split.finish(edit(split, sae, [concept["latent"]], "add", dose, unit=unit))[0]
            scores[history] = -torch.inf
            assert page.evaluate(shown) == [known["titles"][i] for i in scores.topk(10).indices]


# --- The cards


def test_a_latent_is_named_on_one_half_of_the_items_and_scored_on_the_other():
    g = np.random.default_rng(0)
    has = g.random((200, 3)) < 0.5
    item = torch.arange(200).repeat_interleave(3)
    half = statistics.item_halves(np.full(200, 3), 1, np.random.default_rng(0))[0]
    both, chosen_only = has[:, 0].astype(float), np.where(half, has[:, 1], g.random(200))
    h = torch.tensor(np.stack([both, chosen_only, g.random(200), g.random(200)], 1), dtype=torch.float32)[item]
    known = explorer_cards.Labels(has, ["genre"] * 3, ["a", "b", "c"])

    class Identity:
        d = m = 4

        def encode(self, x):
            return Code(x.clone(), None, 4)

        def decode(self, z, prefix=None):
            return z.dense()

    n, none = len(h[::60]), torch.full((len(h[::60]),), -1)
    split = Split(h[::60], none, none, torch.ones(n, dtype=torch.bool), lambda h: h @ torch.ones(4, 200))
    lists = explorer_cards.Lists(split, torch.zeros(n, 200, dtype=torch.bool))
    cards = {c["latent"]: c for c in explorer_cards.cards(Identity(), h, h, item, known, lists, torch.ones(4))}
    assert cards[0]["label"] == 0 and cards[0]["r"][0] == cards[0]["chosen"] == 1.0
    assert cards[1]["label"] == 1 and cards[1]["chosen"] > 0.99
    assert cards[1]["r"][1] < 0 < cards[1]["r"][2], "what holds on the choosing half only must not be believed"
    assert cards[0]["items"] == sorted(cards[0]["items"]) and has[cards[0]["items"], 0].all()
    assert sum(cards[0]["with"]) == 3 * has[:, 0].sum() and sum(cards[0]["without"]) == 0


def test_cards_say_what_a_reader_must_know(data):
    for model in data["models"]:
        known = data["catalogues"][model["catalogue"]]["labels"]
        kinds = {label["kind"] for label in known}
        assert kinds == {"genre", "decade", "word"}
        quality = [c["r"][0] for c in model["concepts"]]
        assert quality == sorted(quality, reverse=True) and len(quality) > 70
        for c in model["concepts"]:
            assert c["r"][1] <= c["r"][0] + 1e-9 <= c["r"][2] + 2e-9
            assert sum(c["with"]) + sum(c["without"]) == round(c["fires"] * c["rows"][1]) or model["kind"] == "mf"
        better = [c["r"][1] > c["null"] for c in model["concepts"]]
        assert 0.05 < np.mean(better) < 0.6  # some names hold, and many are no better than chance
        strong = [c for c in model["concepts"][:10] if known[c["label"]]["kind"] == "genre"]
        assert all(c["steer"][2] > max(c["steer"][0], c["steer"][4]) for c in strong)
        before, _, _, _, step, rival = np.transpose([c["steer"] for c in model["concepts"]])
        assert abs(step.mean() - before.mean()) < 0.05 < rival.mean() - before.mean()  # a weak null and a strong one


def test_no_name_of_a_frequent_word_is_rare(data):
    known = data["catalogues"][0]
    share = {label["name"]: np.mean([a in has for has in known["has"]]) for a, label in enumerate(known["labels"])}
    words = [label["name"] for label in known["labels"] if label["kind"] == "word"]
    assert "silver" in words and min(share[w] for w in words) >= explorer_cards.WORDS
    assert min(share.values()) < explorer_cards.WORDS  # rare genres stay


def test_what_cannot_run_in_a_page_is_refused():
    with pytest.raises(ValueError, match="dataset 'nowhere'"):
        explorer.explorer("nowhere")
    other = SAE(SAEConfig(d=4, m=8, sparsifier="batchtopk", k=2), torch.Generator())
    with pytest.raises(ValueError, match="sparsifier='batchtopk'"):
        explorer.autoencoder(other)
    with pytest.raises(ValueError, match="no SAE"):
        explorer.chosen_sae("planted/most-popular")


# --- The page


class Head(HTMLParser):
    """Scripts of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.scripts: list[dict] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "script":
            self.scripts.append(dict(attrs))


def test_the_page_is_small_and_its_scripts_wait(alone, site):
    sizes = {path.name: path.stat().st_size for path in alone.parent.iterdir()}
    assert sum(sizes.values()) < 3_000_000
    assert sum((site / "_static/explorer" / name).stat().st_size for name in sizes if name != "index.html") < 3_000_000
    for text, least in ((alone.read_text(), 8), ((site / "book/explorer.html").read_text(), 8)):
        own = [s for s in Head(text).scripts if re.search(r"(^|explorer/)[a-z-]+\.js$", s.get("src") or "")]
        own = [s for s in own if "explorer/" in s["src"] or "/" not in s["src"]]
        assert len(own) == least and all("defer" in s for s in own)
    assert "landing-data.js" in (site / "book/intro.html").read_text()
    assert (site / "_static/explorer/landing-data.js").stat().st_size < 250_000
    assert "_static/explorer/" not in (site / "book/none.html").read_text()


def test_a_reader_without_scripts_sees_the_lists_and_is_told(site, data):
    still = (site / "book/intro.html").read_text()
    assert "As it is: 0 of the top 10 are Orchard" in still and "With Orchard turned up: 10 of the top 10" in still
    assert still.count('class="x-title"') == 10
    assert "needs JavaScript" in (site / "book/explorer.html").read_text()


def test_the_data_are_made_anew_when_what_they_depend_on_changes(monkeypatch, tmp_path):
    before = book_explorer.fingerprint()
    assert book_explorer.fingerprint() == before
    for name in ("explorer.py", "explorer_cards.py"):
        shutil.copy2(ROOT / "book" / "_make" / name, tmp_path)
    monkeypatch.setattr(book_explorer, "MAKE", tmp_path)
    assert book_explorer.fingerprint() == before
    (tmp_path / "explorer_cards.py").write_text((tmp_path / "explorer_cards.py").read_text() + "\nX = 1\n")
    assert book_explorer.fingerprint() != before
    (tmp_path / "explorer.py").write_text("raise SystemExit('no such luck')")
    monkeypatch.setenv("RECSAE_CACHE", str(tmp_path))
    with pytest.raises(RuntimeError, match="no such luck"):
        book_explorer.exported()


@pytest.mark.browser
class TestInABrowser:
    def test_nothing_is_fetched_and_nothing_complains(self, opened):
        assert opened.errors == []
        assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
        assert opened.evaluate(AFTER) == opened.evaluate(BEFORE)
        assert "0 of 10 titles changed" in opened.evaluate(SAID)

    def test_the_slider_moves_with_keys_and_the_page_says_what_happened(self, opened):
        focus(opened, "#x-slider")
        press(opened, *["ArrowRight"] * 20)
        opened.evaluate(WAIT)
        assert opened.evaluate("document.querySelector('.x-dose').textContent") == "+2.0"
        said = opened.evaluate(SAID)
        found = re.fullmatch(r"Dose 2: (\d+) of 10 titles changed; share of Orchard from 0 to (\d+) of 10.", said)
        new = len(set(opened.evaluate(AFTER)) - set(opened.evaluate(BEFORE)))
        assert found and int(found[1]) == new and int(found[2]) >= 8
        assert opened.evaluate("document.querySelector('.x-said').getAttribute('aria-live')") == "polite"
        shares = "[...document.querySelector('.x-shares tbody tr').querySelectorAll('td:not(.x-wide)')]"
        assert opened.evaluate(f"{shares}.map(c => +c.textContent)") == [0, int(found[2])]
        press(opened, "Home")
        assert opened.evaluate("document.querySelector('#x-slider').getAttribute('aria-valuetext')") == "dose -3"
        assert opened.evaluate(AFTER) != opened.evaluate(BEFORE)
        opened.evaluate("[...document.querySelectorAll('.x-button')].find(b => b.textContent === 'Reset').click()")
        assert opened.evaluate(AFTER) == opened.evaluate(BEFORE)

    def test_a_history_is_typed_moved_and_removed_with_keys(self, opened, data):
        titles = data["catalogues"][0]["titles"]
        silver = [t for t in titles if "Silver" in t]
        opened.evaluate("[...document.querySelectorAll('.x-button')].find(b => /empty/.test(b.textContent)).click()")
        assert opened.evaluate(HISTORY) == [] and "history is empty" in opened.evaluate(SAID)
        assert opened.evaluate("document.querySelector('.x-result').hidden")
        state = "['aria-expanded', 'aria-activedescendant'].map(a => document.activeElement.getAttribute(a))"
        assert opened.evaluate("document.activeElement.id") == "x-add"  # where one goes on
        press(opened, "silv")
        assert opened.evaluate(state) == ["true", None]
        press(opened, "ArrowDown", "ArrowDown")
        assert opened.evaluate(state) == ["true", "x-offer-1"]
        press(opened, "Enter", "silver", "Enter", "QUIET", "Enter")
        shown = opened.evaluate(HISTORY)
        assert shown[1:] == [silver[0], silver[1]] and "Quiet" in shown[0]  # the latest first, none offered twice
        press(opened, "no such title", "Enter")
        assert opened.evaluate(HISTORY) == shown
        press(opened, "Escape")
        focus(opened, ".x-history li:nth-child(3) button.later")
        press(opened, "Enter", "Enter")
        assert opened.evaluate(HISTORY) == [silver[1], *shown[:1], silver[0]]
        assert "number 1 from the latest" in opened.evaluate(
            "document.querySelector('.x-editor [role=status]').textContent"
        )
        one = opened.evaluate(BEFORE)
        focus(opened, ".x-history li:nth-child(1) button.remove")
        press(opened, " ")
        assert opened.evaluate(HISTORY) == [shown[0], silver[0]] and opened.evaluate(BEFORE) != one
        assert opened.evaluate("document.activeElement.className") == "remove"
        assert silver[0] not in opened.evaluate(BEFORE)  # what was taken is not recommended

    def test_concepts_are_found_by_name_and_chosen_with_keys(self, opened, data):
        focus(opened, "#x-search")
        press(opened, "song genre")
        names = "[...document.querySelectorAll('.x-concepts .x-name')].map(n => n.textContent)"
        assert set(opened.evaluate(names)) == {"Song"} and len(opened.evaluate(names)) > 1
        press(opened, "Tab", "Tab", " ")
        head = "document.querySelector('.x-card h2').textContent"
        first = opened.evaluate(head)
        press(opened, "ArrowDown")
        assert (
            first.endswith("Song genre")
            and opened.evaluate(head) != first
            and opened.evaluate(head).endswith("Song genre")
        )
        focus(opened, "#x-search")
        press(opened, " nothing like it")
        assert "No latent matches." in opened.evaluate("document.querySelector('.x-concepts ~ .x-hint').textContent")

    def test_a_weak_name_is_called_weak(self, alone, page, data):
        weak = next(c for c in data["models"][0]["concepts"] if c["r"][1] <= c["null"])
        load(page, alone, f"model=transformer&user=0&latent={weak['latent']}&dose=0")
        assert "The best random direction does as well" in page.evaluate(
            "document.querySelector('.x-pane strong').textContent"
        )
        row = f"document.querySelector('.x-concepts [value=\"{weak['latent']}\"]').parentElement"
        assert page.evaluate(
            f"{row}.className"
        ) == "weak chosen" and "no better than the best random direction" in page.evaluate(f"{row}.textContent")

    def test_the_address_keeps_the_state_and_survives_nonsense(self, alone, page, data):
        latent = data["models"][0]["concepts"][5]["latent"]
        load(page, alone, f"model=transformer&user=2&latent={latent}&dose=-1.5&items=3.1.4")
        titles = data["catalogues"][0]["titles"]
        assert page.evaluate(HISTORY) == [titles[4], titles[1], titles[3]]
        assert page.evaluate("document.querySelector('#x-slider').value") == "-1.5"
        link = page.evaluate("document.querySelector('.x-slide a').getAttribute('href')")
        shown = page.evaluate(AFTER)
        load(page, alone, link[1:], anew=True)
        assert page.evaluate(AFTER) == shown and page.evaluate(HISTORY) == [titles[4], titles[1], titles[3]]
        for nonsense in (
            "model=nothing",
            "model=mf&user=999&latent=abc&dose=1e9",
            "model=transformer&user=-1&latent=&dose=NaN&items=9999.x.-3",
            "a-heading",
            "%E0%A4%A",
        ):
            page.evaluate(f"location.hash = {nonsense!r}")
            page.evaluate(SOON)
            assert page.errors == [] and page.evaluate("!!document.querySelector('.x-card h2')"), nonsense

    def test_the_factorisation_has_fixed_users(self, opened, data):
        opened.evaluate("document.querySelector('.x-models input[value=mf]').click()")
        about = data["models"][1]
        titles = data["catalogues"][about["catalogue"]]["titles"]
        assert opened.evaluate(HISTORY) == [titles[i] for i in about["users"][0]["seen"]]
        assert opened.evaluate("document.querySelectorAll('#x-add, .x-history button').length") == 0
        first = opened.evaluate(BEFORE)
        focus(opened, "#x-user")
        press(opened, "ArrowDown")
        assert (
            opened.evaluate(BEFORE) != first and len(set(opened.evaluate(BEFORE)) & set(opened.evaluate(HISTORY))) == 0
        )

    def test_titles_and_names_stay_text(self, data, page, tmp_path):
        evil = json.loads(json.dumps(data))
        for known in evil["catalogues"]:
            known["titles"] = [EVIL + t for t in known["titles"]]
            for label in known["labels"]:
                label["name"] = EVIL + label["name"]
        evil["note"] = evil["models"][0]["users"][0]["id"] = EVIL
        explorer.page(evil, tmp_path / "evil")
        load(page, tmp_path / "evil" / "index.html", "model=transformer&user=0&latent=91&dose=2")
        press(page, "Tab")
        focus(page, "#x-add")
        press(page, "silver", "ArrowDown", "Enter")
        page.evaluate(WAIT)
        assert page.evaluate("document.title") != "taken" and page.errors == []
        assert page.evaluate("document.querySelectorAll('.explorer img').length") == 0
        assert EVIL in page.evaluate(AFTER)[0]
        assert "<img" not in (tmp_path / "evil" / "data.js").read_text()

    def test_every_field_has_a_name_for_a_screen_reader(self, opened):
        fields = "[...document.querySelectorAll('.explorer :is(input, select, button)')]"
        nameless = f"{fields}.filter(f => !f.labels?.length && !f.getAttribute('aria-label') && !f.textContent.trim())"
        assert opened.evaluate(f"{nameless}.map(f => f.outerHTML)") == []
        pictures = "[...document.querySelectorAll('.explorer svg')].filter(s => !s.getAttribute('aria-label'))"
        assert opened.evaluate(f"{pictures}.length") == 0
        assert opened.evaluate("document.querySelectorAll('.explorer [id]').length") == opened.evaluate(
            "new Set([...document.querySelectorAll('.explorer [id]')].map(e => e.id)).size"
        )

    def test_in_the_book_it_is_readable_in_both_themes_and_fits_a_telephone(self, site, page):
        for name in ("explorer", "intro"):
            page.open(site / "book" / f"{name}.html")
            page.evaluate(
                "document.head.insertAdjacentHTML('beforeend', '<style>* {transition: none !important}</style>')"
            )
            for _ in range(2):
                page.evaluate("document.querySelector('.theme-switch-button').click()")
                assert page.evaluate(CONTRAST) == []
            page.resize(420)
            assert page.evaluate("document.scrollingElement.scrollWidth") <= 420
            wide = "[...document.querySelectorAll('.bd-article *')].filter(e => e.getBoundingClientRect().right > 425)"
            assert page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 99))") == []
            assert page.errors == []

    def test_the_control_of_the_first_page_moves_its_list(self, site, page, data):
        page.open(site / "book" / "intro.html")
        shown = TITLES.format(".steer")
        still = json.loads(json.dumps(explorer.still(explorer.cut(data), *models(data))))
        assert page.evaluate(shown) == still["lists"][0]["titles"]
        focus(page, "#steer-dose")
        press(page, *["ArrowRight"] * 20)
        assert page.evaluate(shown) == still["lists"][1]["titles"]
        assert page.evaluate("document.querySelectorAll('.steer .x-squares .on').length") == still["lists"][1]["share"]
        assert "of 10 are Orchard" in page.evaluate("document.querySelector('.steer [role=status]').textContent")
        assert page.errors == [] and page.evaluate("document.querySelector('#steer-dose').labels.length") == 1


def models(data):
    """Recommender and SAE of the first model."""
    return (artifacts.get(data["models"][0][key], seed=0) for key in ("recipe", "sae_recipe"))
