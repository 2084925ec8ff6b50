import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from recsae_core.data import download


def archive(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in ({"set/a.csv": "a" * 50_000, "set/b.csv": "b"} | files).items():
            opened.writestr(name, text)
    return buffer.getvalue()


GOOD = archive()
SHA256 = hashlib.sha256(GOOD).hexdigest()


class Server(BaseHTTPRequestHandler):
    """/good/ the archive, /cut/ half of it, /short/ half of it and no length, /wrong/ another file."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        kind = self.path.split("/")[1]
        body = {"good": GOOD, "cut": GOOD[: len(GOOD) // 2], "short": GOOD[: len(GOOD) // 2], "wrong": b"<html>"}.get(
            kind
        )
        self.send_response(200 if body else 404)
        if kind != "short":
            self.send_header("Content-Length", str(len(GOOD) if kind == "cut" else len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_an_archive_is_downloaded_once(server, tmp_path, capsys):
    path = download.fetch(f"{server}/good/set.zip", SHA256, tmp_path / "new")
    assert path.read_bytes() == GOOD
    assert "100%" in capsys.readouterr().err  # the progress bar
    before = len(Server.asked)
    assert download.fetch(f"{server}/good/set.zip", SHA256, tmp_path / "new") == path
    assert len(Server.asked) == before
    assert [file.name for file in path.parent.iterdir()] == ["set.zip"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut", "cannot be downloaded .*(IncompleteRead|incomplete|closed).*by hand"),
        ("short", f"the download's sha256 is not {SHA256}, nothing was kept; .*by hand"),
        ("wrong", f"the download's sha256 is not {SHA256}, nothing was kept"),
        ("gone", "cannot be downloaded .HTTPError: 404"),
    ],
)
def test_a_bad_download_is_refused_and_leaves_nothing(server, tmp_path, kind, message):
    with pytest.raises(ValueError, match=f"/{kind}/set.zip: {message}"):
        download.fetch(f"{server}/{kind}/set.zip", SHA256, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []
    assert download.fetch(f"{server}/good/set.zip", SHA256, tmp_path, progress=False).read_bytes() == GOOD


def test_no_network_is_said_with_the_remedy(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as closed:
        port = closed.server_port
    with pytest.raises(ValueError, match=r"cannot be downloaded \(ConnectionError.*RECSAE_DATA as set.zip"):
        download.fetch(f"http://127.0.0.1:{port}/set.zip", SHA256, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive_in_the_cache_is_fetched_again(server, tmp_path):
    (tmp_path / "set.zip").write_bytes(GOOD[:100])
    with pytest.raises(ValueError, match="sha256"):
        download.fetch(f"{server}/wrong/set.zip", SHA256, tmp_path, progress=False)
    assert download.fetch(f"{server}/good/set.zip", SHA256, tmp_path, progress=False).read_bytes() == GOOD


def read(path, content, names=("a.csv", "b.csv")):
    path.write_bytes(content)
    return download.members(path, "set", names, "delete it")


def test_members_are_read_without_touching_the_disk(tmp_path):
    files = read(tmp_path / "set.zip", GOOD)
    assert files["b.csv"].content == b"b"
    assert files["b.csv"].where == f"{tmp_path / 'set.zip'}, set/b.csv"
    assert [file.name for file in tmp_path.iterdir()] == ["set.zip"]


def link():
    info = zipfile.ZipInfo("set/link")
    info.external_attr = 0o120777 << 16
    buffer = io.BytesIO(GOOD)
    with zipfile.ZipFile(buffer, "a") as opened:
        opened.writestr(info, "/etc/passwd")
    return buffer.getvalue()


flipped = bytearray(GOOD)
flipped[60] ^= 0xFF


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated or corrupt archive"),
        (b"<html>", "truncated or corrupt archive"),
        (GOOD[:-30], "truncated or corrupt archive"),
        (GOOD[: len(GOOD) // 2], "truncated or corrupt archive"),
        (bytes(flipped), "truncated or corrupt archive"),
        (archive(**{"../evil.txt": "x"}), r"member '../evil.txt' leads out of the archive"),
        (archive(**{"set/../../evil.txt": "x"}), "member .* leads out of the archive"),
        (archive(**{"/etc/evil.txt": "x"}), "member .* leads out of the archive"),
        (archive(**{"..\\evil.txt": "x"}), "member .* leads out of the archive"),
        (archive(**{"C:/evil.txt": "x"}), "member .* leads out of the archive"),
        (link(), "member 'set/link' leads out of the archive"),
    ],
)
def test_a_bad_archive_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=f"set.zip: {message}.*; delete it"):
        read(tmp_path / "set.zip", content)


def test_a_missing_member_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"set.zip: no set/c.csv in the archive; delete it"):
        read(tmp_path / "set.zip", GOOD, ["a.csv", "c.csv"])
