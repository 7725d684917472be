"""Drives a headless Chromium over its debugging pipe, as far as the tests of the admin page need it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import trio

_numbers = itertools.count(0, 1_000_000)  # where each test's requests begin to be numbered
COMMANDS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 20.0
LOOK_OFTEN = """
    const patient = setTimeout;
    window.setTimeout = (work, pause, ...more) => patient(work, pause / 10, ...more);
"""  # the page looks once a second: ten times of that are enough of a wait for a test
KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "ArrowDown": (40, ""),
}


def chromium() -> str | None:
    return next((found for each in COMMANDS if (found := shutil.which(each))), None)


class Browser:
    """The process, and what it answers."""

    def __init__(self, to: trio.lowlevel.FdStream, came: trio.lowlevel.FdStream) -> None:
        self._to = to
        self._came = came
        self._number = next(_numbers)
        self._targets: list[str] = []
        self._waiting: dict[int, tuple[trio.Event, list[Any]]] = {}
        self.pages: dict[str, Page] = {}

    async def asks(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        self._number += 1
        number, event, answer = self._number, trio.Event(), []  # type: ignore[var-annotated]
        self._waiting[number] = event, answer
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        await self._to.send_all(json.dumps(message).encode() + b"\0")
        with trio.fail_after(PATIENCE):
            await event.wait()
        assert "error" not in answer[0], (method, answer[0])
        return answer[0]["result"]

    async def close_pages(self) -> None:
        for target in self._targets:
            await self.asks("Target.closeTarget", targetId=target)

    async def listen(self) -> None:
        buffer = b""
        async for data in self._came:
            *messages, buffer = (buffer + data).split(b"\0")
            for raw in messages:
                self._heard(json.loads(raw))

    def _heard(self, message: dict[str, Any]) -> None:
        if message.get("id") in self._waiting:  # else it was asked by a test before this one
            event, answer = self._waiting.pop(message["id"])
            answer.append(message)
            event.set()
        elif message.get("sessionId") in self.pages:
            self.pages[message["sessionId"]].told(message["method"], message["params"])

    async def open(self, url: str, *, width: int = 1280, height: int = 900, language: str = "en-US", dark: bool = False) -> Page:
        target = (await self.asks("Target.createTarget", url="about:blank"))["targetId"]
        self._targets.append(target)
        session = (await self.asks("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.asks(f"{domain}.enable")
        await page.asks("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await page.asks("Emulation.setEmulatedMedia", features=features)
        await page.asks("Emulation.setUserAgentOverride", userAgent="test", acceptLanguage=language)
        await page.asks("Page.addScriptToEvaluateOnNewDocument", source=LOOK_OFTEN)
        await page.asks("Page.navigate", url=url)
        return page


class Page:
    """One tab. What it keeps belongs to its router's port, which no other test's has."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.wrong: list[str] = []  # what the console says is wrong

    async def asks(self, method: str, **parameters: Any) -> Any:
        return await self._browser.asks(method, self._session, **parameters)

    def told(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.wrong.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.wrong.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.wrong.append(str(parameters["args"]))

    async def says(self, script: str) -> Any:
        """The value of an expression of JavaScript; a promise's, once it has one."""
        found = await self.asks("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, (script, found["exceptionDetails"])
        return found["result"].get("value")

    async def until(self, script: str, seconds: float = 5.0) -> None:
        """Wait until an expression is true."""
        with trio.move_on_after(seconds):
            while not await self.says(f"(() => {{ try {{ return Boolean({script}) }} catch {{ return false }} }})()"):  # noqa: ASYNC110 - the page announces nothing
                await trio.sleep(0.02)
            return
        raise AssertionError(f"never came true: {script}; wrong: {self.wrong}; {await self.says('document.body.innerText')}")

    async def press(self, key: str) -> None:
        code, text = KEYS[key]
        more = {"text": text} if text else {}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.asks("Input.dispatchKeyEvent", type="keyDown", **common, **more)
        await self.asks("Input.dispatchKeyEvent", type="keyUp", **common)

    async def types(self, text: str) -> None:
        await self.asks("Input.insertText", text=text)

    async def tabs_to(self, script: str, most: int = 200) -> None:
        """Press Tab until the focused element `e` is the one meant."""
        for _ in range(most):
            await self.press("Tab")
            if await self.says(f"(e => {script})(document.activeElement)"):
                return
        raise AssertionError(f"the keyboard does not reach {script}")


class Process:
    """A Chromium without a window, and the two ends of its pipe. One serves many tests."""

    def __init__(self, profile: str) -> None:
        self._profile = profile
        command = chromium()
        assert command is not None, "Chromium is not installed"
        to_child, self.to = os.pipe()
        self.came, from_child = os.pipe()
        flags = (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"),
            *(
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--remote-debugging-pipe",
                "--process-per-site",
            ),
            *(f"--user-data-dir={profile}", "--lang=en-US", "--hide-scrollbars", "--disable-features=Translate"),
        )
        # The browser reads its orders from descriptor 3 and answers on 4.
        script = f'exec 3<&{to_child} 4>&{from_child}; exec "$0" "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", script, command, *flags, "about:blank"],
            pass_fds=(to_child, from_child),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
            start_new_session=True,
        )
        os.close(to_child)
        os.close(from_child)

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # and whatever it has started
        self._process.wait()
        os.close(self.to)
        os.close(self.came)
        left = [each for each in Path("/proc").glob("[0-9]*") if self._is_of(each)]
        for each in left:  # those that have made themselves another group
            with suppress(ProcessLookupError):
                os.kill(int(each.name), signal.SIGKILL)

    def _is_of(self, process: Path) -> bool:
        with suppress(OSError):
            return self._profile.encode() in (process / "cmdline").read_bytes()
        return False


@contextmanager
def chromium_process() -> Iterator[Process]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = Process(profile)
        try:
            yield process
        finally:
            process.end()


@asynccontextmanager
async def browsing(process: Process) -> AsyncIterator[Browser]:
    """A running Chromium's pages, for as long as the `async with` lasts; they are closed then."""
    writing, reading = trio.lowlevel.FdStream(os.dup(process.to)), trio.lowlevel.FdStream(os.dup(process.came))
    browser = Browser(writing, reading)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(browser.listen)
            try:
                yield browser
            finally:
                with trio.move_on_after(PATIENCE, shield=True):
                    await browser.close_pages()
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await writing.aclose()
            await reading.aclose()
