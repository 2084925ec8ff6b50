"""A headless Chromium over its debugging port: open pages, ask questions in JavaScript, print, take pictures."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recsae_core.files import atomic

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
]


def find() -> str | None:
    """The browser's program, None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Page:
    """The one tab: what it asked for and what it complained about since the last ``open``."""

    def __init__(self, address: str, patience: float = 60.0):
        import websocket

        self.socket = websocket.create_connection(address, timeout=patience, suppress_origin=True)
        self.count = 0
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.loaded = False
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one protocol command; ``RuntimeError`` where the browser refuses it."""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def open(self, path: Path | str, width: int = 1280, height: int = 900, theme: str = "light") -> None:
        """Load a file or an address in a window of this width with a colour theme, and wait for its mathematics."""
        self.requests, self.errors, self.loaded = [], [], False
        self.resize(width, height)
        preference = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", features=preference)
        self.call("Page.navigate", url=path if isinstance(path, str) else path.resolve().as_uri())
        self.loads()
        self.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true")

    def loads(self) -> None:
        """Wait until the page that is on its way is there."""
        deadline = time.monotonic() + self.socket.gettimeout()
        while not self.loaded and time.monotonic() < deadline:
            self._note(json.loads(self.socket.recv()))

    def resize(self, width: int, height: int = 900) -> None:
        """Another window for the same page."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression, waited for if it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", script))
        return answer["result"].get("value")

    def printed(self, path: Path, **options: Any) -> None:
        """The page on paper: a PDF; ``options`` are those of the protocol's ``Page.printToPDF``."""
        stream = self.call("Page.printToPDF", transferMode="ReturnAsStream", **options)["stream"]
        with atomic(path) as temporary, temporary.open("wb") as file:
            done = False
            while not done:
                part = self.call("IO.read", handle=stream, size=1 << 20)
                file.write(base64.b64decode(part["data"]))
                done = part["eof"]

    def picture(self, path: Path, whole: bool = True) -> None:
        """A PNG of the page, from top to bottom or only the window."""
        self.evaluate("Promise.allSettled(document.getAnimations().map(a => a.finished)).then(() => true)")
        self.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(i => i.loading = 'eager')")
        clip = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}}
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **clip)["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser(patience: float = 60.0) -> Iterator[Page]:
    """A fresh browser with one empty tab, which ends with the block; an answer may take ``patience`` seconds."""
    program = find()
    if program is None:
        raise RuntimeError(f"no browser: expected one of {', '.join(NAMES)} on the PATH")
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            page = Page(_address(Path(profile) / "DevToolsActivePort", process), patience)
            yield page
            page.socket.close()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(file: Path, process: subprocess.Popen) -> str:
    import urllib.request

    deadline = time.monotonic() + 30
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy must not see the loopback
    while time.monotonic() < deadline and process.poll() is None:
        if file.is_file() and (lines := file.read_text().splitlines()):
            tabs = json.load(opener.open(f"http://127.0.0.1:{lines[0]}/json/list", timeout=10))
            found = [tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"]
            if found:
                return found[0]
        time.sleep(0.05)
    raise RuntimeError("the browser did not start within 30 seconds")
