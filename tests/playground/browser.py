"""A headless browser, driven through a pair of pipes, for which the standard library is enough."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
LIMIT = 60.0
"""Seconds that no answer takes, on any machine."""


def find_browser() -> str | None:
    """A Chromium on the path, or that which the environment variable names."""
    named = os.environ.get("DRAWGRAD_BROWSER")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One tab of a browser.

    Args:
        program: the browser.
        profile: an empty folder for what it keeps.
    """

    def __init__(self, program: str, profile: Path) -> None:
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        self._received = b""
        its_input, self._write = os.pipe()
        self._read, its_output = os.pipe()

        def place_pipes() -> None:
            # It reads from descriptor 3 and writes to 4; copies first, for these numbers may be those of the pipes.
            copies = os.dup(its_input), os.dup(its_output)
            os.dup2(copies[0], 3)
            os.dup2(copies[1], 4)

        self._log = (profile / "log.txt").open("w")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
                   f"--user-data-dir={profile}", "--no-first-run", "--hide-scrollbars", "about:blank"]  # fmt: skip
        self._process = subprocess.Popen(
            [program, *options], preexec_fn=place_pipes, close_fds=False, stdout=self._log, stderr=self._log
        )
        os.close(its_input)
        os.close(its_output)
        self._session = ""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
        self._log.close()

    def call(self, method: str, **parameters: Any) -> Any:
        """A command of the protocol, and its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._events.append(answer)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + LIMIT
        while b"\0" not in self._received:
            if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._read, 1 << 16)
            if not part:
                raise RuntimeError(f"the browser ended: {Path(self._log.name).read_text()[-2000:]}")
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, address: str, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Load a page and wait until it has drawn itself."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")
        self.settle()

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + LIMIT
        while not self.evaluate(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {condition}")
            time.sleep(0.01)

    def settle(self) -> None:
        """Wait for two frames: what changed is drawn then."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)
        self.settle()

    def type(self, text: str) -> None:
        """Type into what has the focus, in the place of what is selected."""
        self.call("Input.insertText", text=text)
        self.settle()

    def complaints(self) -> list[str]:
        """What the console and the log say of errors and warnings so far, and what was not loaded."""
        self.evaluate("0")  # What came before it is read then.
        found = []
        for event in self._events:
            parameters = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    details = parameters["exceptionDetails"]
                    found.append(str(details.get("exception", {}).get("description", details["text"])))
                case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                    found.append(str([argument.get("value") for argument in parameters["args"]]))
                case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                    found.append(parameters["entry"]["text"])
                case "Network.loadingFailed":
                    found.append(parameters["errorText"])
        return found

    def forget(self) -> None:
        """What was said so far is no news."""
        self._events.clear()

    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        sent = [event for event in self._events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def picture(self, path: Path) -> None:
        """Write the whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))
