"""A dashboard in a thread of its own, and a browser to look at it with."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import define, field
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from littlebits_async.dashboard import Dashboard
from littlebits_async.testing import RunningCloud
from tests.support.services import missing, program

PATIENCE_MS = 15_000
SHOTS = Path(__file__).parents[1] / "browser" / "screenshots"


@define
class RunningDashboard:
    """A running dashboard, seen from any thread."""

    portal: BlockingPortal
    dashboard: Dashboard

    @property
    def url(self) -> str:
        return self.dashboard.url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def run_dashboard(cloud: RunningCloud, **options: Any) -> Generator[RunningDashboard, None, None]:
    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(cloud.session()) as session:
        dashboard = portal.call(partial(Dashboard, session, **options))
        with portal.wrap_async_context_manager(dashboard):
            yield RunningDashboard(portal, dashboard)


@define(slots=False)  # Playwright notes what it wraps on the object
class Eyes:
    """A browser, and what its pages complain of."""

    browser: Browser
    complaints: list[str] = field(factory=list[str])

    @contextmanager
    def page(self, url: str, *, width: int = 1280, height: int = 860, **options: Any) -> Generator[Page, None, None]:
        """Open a page in a browser of its own: its cookies and its theme are nobody else's."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE_MS)
        try:
            page = context.new_page()
            page.on("console", self._hear)
            page.on("pageerror", self._see_error)
            page.goto(url, wait_until="domcontentloaded")
            yield page
        finally:
            context.close()

    def shoot(self, page: Page, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _see_error(self, error: Error) -> None:
        self.complaints.append(str(error))


@contextmanager
def open_eyes() -> Generator[Eyes, None, None]:
    """Start a browser; skip where there is none."""
    chromium = program("chromium", "chromium")
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        except Error as exc:
            missing("chromium", f"it does not start: {exc.message.splitlines()[0]}")
        yield Eyes(browser)
        browser.close()
