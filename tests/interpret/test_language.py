"""Every test talks to a real HTTP server on this machine, which misbehaves as the test says."""

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core.interpret import language
from recsae_core.interpret.language import Endpoint, Refused, describe, number, predict, sentence

KEY = "secret-0123456789"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("RECSAE_LLM_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def chat(text, **more):
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"} | more
    usage = {"prompt_tokens": 100, "completion_tokens": 3}
    return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()


class Server:
    """Answers what ``script(number of the request, what it asks for)`` says; remembers what came."""

    def __init__(self, script):
        self.script, self.requests, self.lock = script, [], threading.Lock()
        self.open = self.most = 0

    @contextmanager
    def running(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.requests.append((self.path, dict(self.headers), body))
                    turn = len(outer.requests) - 1
                    outer.open += 1
                    outer.most = max(outer.most, outer.open)
                try:
                    self.answer(outer.script(turn, json.loads(body["messages"][1]["content"])))
                finally:
                    with outer.lock:
                        outer.open -= 1

            def answer(self, reply):
                if isinstance(reply, float):  # slow
                    time.sleep(reply)
                    reply = chat("1")
                if reply == "cut":
                    self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices"')
                if reply in ("cut", "hang up"):
                    self.close_connection = True
                    return
                status, headers, body = reply
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def at(url, **changes):
    return Endpoint(url, "small", **({"timeout": 30, "backoff": 0.001, "attempts": 4, "workers": 1} | changes))


def levels(server, texts=("nuts",), cases=1, cache=None, **changes):
    shown = [[(["Apple"], f"Item {m}-{c}", 9) for c in range(cases)] for m in range(len(texts))]
    with server.running() as url:
        return predict(at(url, **changes), list(texts), shown, cache=cache)


ERROR = (500, {}, b"oops")
PASSING = {
    "two errors": [ERROR, (503, {}, b"")],
    "an empty body": [(200, {}, b"")],
    "no JSON": [(200, {}, b"<html>gateway</html>")],
    "half of it": [(200, {}, chat("7")[2][:40])],
    "JSON of another kind": [(200, {}, b"[]"), (200, {}, b'{"choices": []}'), (200, {}, b'{"choices": [{}]}')],
    "no text": [chat(None), chat("  ")],
    "not UTF-8": [(200, {}, b"\xff\xfe")],
    "wrong compression": [(200, {"Content-Encoding": "gzip"}, b"no gzip")],
    "a body that is cut": ["cut"],
    "no answer at all": ["hang up", "hang up"],
    "too many requests": [(429, {}, b"slow down")],
}


@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING)
def test_trouble_that_passes_costs_attempts_and_nothing_else(trouble):
    server = Server(lambda turn, _: trouble[turn] if turn < len(trouble) else chat("7"))
    values, failures, usage = levels(server)
    assert values.tolist() == [[7.0]] and failures == {}
    assert (usage.requests, usage.retries, usage.failures) == (len(trouble) + 1, len(trouble), 0)
    assert usage.seconds > 0


def test_a_slow_reply_is_cut_off_and_asked_for_again():
    values, _, usage = levels(Server(lambda turn, _: 60.0 if turn == 0 else chat("3")), timeout=0.5)
    assert values.tolist() == [[3.0]] and usage.retries >= 1 and usage.seconds < 50


def test_a_reply_that_is_always_too_slow_is_a_failure():
    values, failures, _ = levels(Server(lambda *_: 60.0), timeout=0.1, attempts=2)
    assert np.isnan(values).all() and "ReadTimeout" in failures[0, 0]


def test_an_endpoint_says_how_long_to_wait():
    server = Server(lambda turn, _: (429, {"Retry-After": "1"}, b"") if turn == 0 else chat("3"))
    values, _, usage = levels(server)
    assert values.tolist() == [[3.0]] and usage.seconds >= 1


def test_an_endpoint_that_asks_for_an_hour_is_given_up():
    server = Server(lambda *_: (429, {"Retry-After": "3600"}, b"quota"))
    _, failures, usage = levels(server)
    assert usage.requests == 1 and "quota" in failures[0, 0] and "3600 s" in failures[0, 0]


def test_the_pauses_double_and_are_spread():
    came = []
    levels(Server(lambda *_: (came.append(time.monotonic()), ERROR)[1]), backoff=0.05, attempts=5)
    gaps = np.diff(came)
    assert len(gaps) == 4 and (gaps >= 0.5 * 0.05 * 2.0 ** np.arange(4)).all()


WRONG = [
    "eleven",
    "42",
    "-1",
    "NaN",
    "10.5",
    "I cannot say",
    "3 or 4",
    "3-4",
    "7,5",
    '{"level": null}',
    "1e1",
    "Infinity",
]


@pytest.mark.parametrize("text", WRONG)
def test_a_reply_that_is_no_level_is_a_failure_and_never_a_success(text):
    answer = levels(Server(lambda *_: chat(text)))
    assert np.isnan(answer.values).all() and list(answer.failures) == [(0, 0)] and answer.usage.failures == 1
    assert answer.usage.requests == 1  # the same question gets the same answer at temperature 0
    for truth in (True, False):
        assert not answer.right(np.array([[truth]])).any()


READ = {
    "7": 7, " 7\n": 7, "7.0": 7, "7/10": 7, "7 / 10": 7, "10/10": 10, "8 out of 10": 8, "Level: 6.": 6, "**5**": 5,
    "I would say 7, because it is sweet.": 7, "```json\n{\"level\": 4}\n```": 4, '{"level": "3"}': 3, "0": 0,
    "2.5": 2.5, "a 5 of 10": 5,     "On a scale of 0 to 10: 9": 9, "On the 0-10 scale, 9": 9, "+2": 2,
}  # fmt: skip


@pytest.mark.parametrize("text", READ, ids=list(READ))
def test_levels_are_read_however_they_are_written(text):
    assert number(text) == READ[text]


@settings(deadline=None)
@given(st.text())
def test_a_level_lies_between_0_and_10_or_there_is_none(text):
    try:
        assert 0 <= number(text) <= 10
    except ValueError as error:
        assert "expected one number" in str(error)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Dark chocolate.", "Dark chocolate."),
        ('"Dark  chocolate"\n', "Dark chocolate"),
        ("```text\nDark\nchocolate\n```", "Dark chocolate"),
        ("<img onerror=alert(1)>", "<img onerror=alert(1)>"),  # text it is, and text it stays
    ],
)
def test_a_description_is_one_line(text, expected):
    assert sentence(text) == expected


@pytest.mark.parametrize("text", ["", "...", "``````", '""'])
def test_a_reply_without_a_word_is_no_description(text):
    with pytest.raises(ValueError, match="no sentence"):
        sentence(text)


def test_what_a_model_says_to_itself_is_not_read():
    assert levels(Server(lambda *_: chat("<think>3? no, 4</think> 8"))).values.tolist() == [[8.0]]
    unfinished = levels(Server(lambda *_: chat("<think>3? no, 4", finish_reason="length")))
    assert np.isnan(unfinished.values).all() and "max_tokens" in unfinished.failures[0, 0]


def test_descriptions_are_asked_for_with_their_cases_and_predictions_without_the_level():
    server = Server(lambda *_: chat("Snacks with fruit."))
    with server.running() as url:
        found = describe(at(url), [[(["Nuts", "Figs"], "Apple bar", 9.04)], []], subject="groceries")
        predict(Endpoint(url, "grader"), ["Snacks"], [[(["Nuts"], "Tea", 8)]])
    assert found.texts == ["Snacks with fruit.", None] and found.failures == {1: "no case"}
    (path, headers, body), (_, _, graded) = server.requests
    assert path == "/v1/chat/completions" and headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "small" and body["temperature"] == 0 and "groceries" in body["messages"][0]["content"]
    assert json.loads(body["messages"][1]["content"]) == {
        "cases": [{"taken": ["Nuts", "Figs"], "recommended": "Apple bar", "response": 9.0}]
    }
    assert graded["model"] == "grader"
    assert json.loads(graded["messages"][1]["content"]) == {
        "description": "Snacks",
        "taken": ["Nuts"],
        "recommended": "Tea",
    }
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (100, 3)


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text())
def test_no_title_breaks_the_request(title, description):
    body = Endpoint("http://localhost/v1", "small").body("system", {"description": description, "taken": [title]})
    (_, said) = json.loads(json.dumps(body))["messages"]
    assert json.loads(said["content"]) == {"description": description, "taken": [title]}


def test_parameters_are_added_and_left_out():
    point = Endpoint("http://localhost/v1", "m", parameters={"max_tokens": None, "seed": 1})
    assert {k: v for k, v in point.body("a", "b").items() if k != "messages"} == {
        "model": "m",
        "temperature": 0,
        "seed": 1,
    }


@pytest.mark.parametrize("status", [401, 403, 404, 400, 422, 301])
def test_an_endpoint_that_refuses_is_an_error_at_once(status, tmp_path):
    server = Server(lambda *_: (status, {"Location": "http://127.0.0.1:1/"}, f"no, {KEY} is no key".encode()))
    with pytest.raises(Refused, match=rf"'small': HTTP {status}: no, \*\*\* is no key") as error:
        levels(server, texts=["a"] * 20, cache=tmp_path)
    assert len(server.requests) == 1
    assert KEY not in str(error.value) and list(tmp_path.iterdir()) == []


def test_one_case_that_is_refused_among_others_that_are_not_is_a_failure():
    def script(_, asked):
        return (400, {}, b"too long") if asked["recommended"] == "Item 1-0" else chat("6")

    answer = levels(Server(script), texts=["a", "b", "c"])
    assert answer.values[[0, 2], 0].tolist() == [6.0, 6.0] and np.isnan(answer.values[1, 0])
    assert list(answer.failures) == [(1, 0)] and "too long" in answer.failures[1, 0]


def test_one_case_that_always_fails_does_not_take_the_others_along():
    server = Server(lambda _, asked: ERROR if asked["recommended"] == "Item 0-2" else chat("6"))
    answer = levels(server, cases=6)
    assert np.isnan(answer.values).tolist() == [[False, False, True, False, False, False]]
    assert "HTTP 500" in answer.failures[0, 2] and len(server.requests) == 5 + 4


def test_an_unreachable_endpoint_leaves_failures_and_a_warning():
    with Server(None).running() as url:
        pass  # nobody listens there any more
    with pytest.warns(UserWarning, match="silent: 30 cases"):
        values, failures, usage = predict(at(url, workers=2), ["a"], [[([], f"Item {i}", 9) for i in range(30)]])
    assert np.isnan(values).all() and len(failures) == usage.failures == 30
    assert "ConnectError" in failures[0, 0] and failures[0, 29] == "not asked any more"
    assert usage.requests <= 4 * (language.PATIENCE + 1)


def test_a_run_that_is_refused_half_way_goes_on_without_asking_again(tmp_path):
    server = Server(lambda turn, _: (401, {}, b"key expired") if turn == 3 else chat("6"))
    cases = [[(["Apple"], f"Item {c}", 9) for c in range(8)]]
    with server.running() as url:
        with pytest.raises(Refused, match="key expired"):
            predict(at(url), ["nuts"], cases, cache=tmp_path)
        assert len(server.requests) == 4 and len(list(tmp_path.iterdir())) == 3
        again = predict(at(url), ["nuts"], cases, cache=tmp_path)
    assert again.values.tolist() == [[6.0] * 8] and again.failures == {}
    assert again.usage.cached == 3 and again.usage.requests == 5


KILLED = """
import sys, pathlib
from recsae_core.interpret.language import Endpoint, predict
cases = [[(["Apple"], f"Item {c}", 9) for c in range(30)]]
predict(Endpoint(sys.argv[1], "small", workers=2), ["nuts"], cases, cache=pathlib.Path(sys.argv[2]))
"""


def test_a_run_that_is_killed_goes_on_without_asking_again(tmp_path):
    server = Server(lambda turn, _: 60.0 if turn in (10, 11) else chat("1"))  # both workers wait there
    with server.running() as url:
        run = subprocess.Popen([sys.executable, "-c", KILLED, url, tmp_path], stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while len(server.requests) < 12 and time.monotonic() < until:
            time.sleep(0.01)
        run.kill()
        run.wait()
        assert len(server.requests) == 12 and len(list(tmp_path.glob("[!.]*.json"))) == 10
        again = predict(at(url), ["nuts"], [[(["Apple"], f"Item {c}", 9) for c in range(30)]], cache=tmp_path)
    assert again.values.tolist() == [[1.0] * 30] and again.failures == {}
    assert again.usage.cached == 10 and again.usage.requests == 20


def test_a_cache_serves_whoever_asks_the_same_and_nobody_else(tmp_path):
    server = Server(lambda *_: chat("6"))
    cases = [[(["Apple"], f"Item {c}", 9) for c in range(6)]]
    with server.running() as url:
        first = predict(at(url), ["nuts"], cases, cache=tmp_path)
        second = predict(at(url, workers=3), ["nuts"], cases, cache=tmp_path)
        assert len(server.requests) == 6 and second.usage.cached == 6 and second.usage.requests == 0
        assert second.usage.prompt_tokens == 0 and np.array_equal(first.values, second.values)
        predict(Endpoint(url, "another"), ["nuts"], cases, cache=tmp_path)
        predict(at(url), ["tea"], cases, cache=tmp_path)
        predict(at(url, parameters={"seed": 1}), ["nuts"], cases, cache=tmp_path)
        predict(at(url), ["nuts"], cases, subject="films", cache=tmp_path)
    assert len(server.requests) == 5 * 6


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"request": {}, "reply": "9"}', '{"reply": "9"}', "\x00"])
def test_a_damaged_cache_is_ignored_and_mended(damage, tmp_path):
    server = Server(lambda *_: chat("6"))
    with server.running() as url:
        for requests in (1, 2, 2):
            values = predict(at(url), ["nuts"], [[([], "Tea", 9)]], cache=tmp_path).values
            assert values.tolist() == [[6.0]] and len(server.requests) == requests
            (path,) = tmp_path.iterdir()
            if requests == 1:
                path.write_text(damage)


def test_requests_run_side_by_side_but_no_more_than_asked_for():
    server = Server(lambda *_: 0.1)
    values, _, usage = levels(server, texts=["a", "b", "c", "d"], cases=3, workers=4)
    assert (values == 1).all() and server.most <= 4
    assert server.most >= 2 and usage.requests == 12


def test_equal_questions_are_asked_once():
    server = Server(lambda *_: chat("6"))
    with server.running() as url:
        values = predict(at(url), ["a", "a"], [[([], "Tea", 9), ([], "Tea", 0)], [([], "Tea", 9)]]).values
    assert len(server.requests) == 1
    np.testing.assert_array_equal(values, [[6, 6], [6, np.nan]])


def test_a_latent_without_a_description_is_a_failure_that_costs_nothing():
    server = Server(lambda *_: chat("6"))
    answer = levels(server, texts=[None, "nuts"], cases=2)
    assert answer.failures == {(0, 0): "no description", (0, 1): "no description"} and len(server.requests) == 2
    assert answer.right(np.array([[True, False], [True, False]])).tolist() == [[False, False], [True, False]]


def test_nothing_to_ask_is_no_error():
    answer = predict(Endpoint("http://localhost:1/v1", "m"), [], [])
    assert answer.values.shape == (0, 0) and answer.failures == {}


def test_the_key_is_nowhere_but_in_the_header(tmp_path, capfd, monkeypatch):
    script = [ERROR, (500, {}, KEY.encode()), chat(f"6 {KEY}"), chat(f"a 6 for {KEY}", finish_reason="length")]
    answer = levels(Server(lambda turn, _: script[min(turn, 3)]), cases=2, cache=tmp_path)
    shown = capfd.readouterr()
    text = "".join([*(path.read_text() for path in tmp_path.iterdir()), str(answer), shown.out, shown.err])
    assert KEY not in text and KEY not in repr(Endpoint("http://localhost/v1", "m"))
    for wrong in (f"{KEY}\n{KEY}", f"{KEY} x", KEY + "é"):
        monkeypatch.setenv("RECSAE_LLM_KEY", wrong)
        with pytest.raises(ValueError, match="RECSAE_LLM_KEY") as error:
            describe(Endpoint("http://localhost:1/v1", "m"), [])
        assert KEY not in str(error.value)


def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.delenv("RECSAE_LLM_KEY")
    monkeypatch.setenv("ANOTHER", "another-key")
    server = Server(lambda *_: chat("6"))
    levels(server)
    levels(server, key_variable="ANOTHER")
    assert [headers.get("Authorization") for _, headers, _ in server.requests] == [None, "Bearer another-key"]


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "http://", "http://me:word@x/v1", "http://x/v1?key=1"])
def test_an_address_is_http_and_holds_no_secret(url):
    with pytest.raises(ValueError, match="expected http") as error:
        Endpoint(url, "m")
    assert "word" not in str(error.value).replace("password", "")


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"attempts": 0}, {"workers": 0}])
def test_impossible_settings(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=0: expected more than 0"):
        Endpoint("http://localhost/v1", "m", **wrong)


def test_descriptions_and_cases_are_of_the_same_latents():
    with pytest.raises(ValueError, match="1 descriptions and cases of 2 latents"):
        predict(Endpoint("http://localhost/v1", "m"), ["a"], [[], []])
