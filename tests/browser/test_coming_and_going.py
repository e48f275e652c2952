"""Who may see the dashboard, and what its pages do when it goes away and comes back."""

import logging
import re
from collections.abc import Iterator

import httpx
import pytest
from nicegui import Client
from playwright.sync_api import Page, expect

from littlebits_async.localcloud import Light, LocalCloud
from littlebits_async.testing import RunningCloud, run_cloud
from tests.support.dashboard import PATIENCE_MS, Eyes, open_eyes, run_dashboard
from tests.support.local_cloud import free_port

LAMP = "00e040000001"
PASSWORD = "correct horse"

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningCloud]:
    with run_cloud() as cloud:
        cloud.portal.call(lambda: cloud.add_device(LAMP, label="lamp"))
        yield cloud


@pytest.fixture(scope="module")
def eyes() -> Iterator[Eyes]:
    with open_eyes() as eyes:
        yield eyes


def is_live(page: Page) -> None:
    expect(page.locator(".state")).to_have_text("live")


def light_of_the_lamp(cloud: LocalCloud) -> Light | None:
    return cloud.devices[LAMP].light


def log_in(page: Page, password: str) -> None:
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_a_password_opens_it_for_one_browser_and_stays_out_of_the_log(
    cloud: RunningCloud, eyes: Eyes, caplog: pytest.LogCaptureFixture
) -> None:
    eyes.complaints.clear()
    caplog.set_level(logging.NOTSET + 1)
    with run_dashboard(cloud, password=PASSWORD) as dashboard:
        with eyes.page(dashboard.url, width=390, height=844) as page:
            expect(page).to_have_url(re.compile("/login$"))
            expect(page.get_by_label("Password")).to_be_focused()
            eyes.shoot(page, "login-light-390")
            assert eyes.complaints == []
            log_in(page, "wrong horse")
            expect(page.get_by_role("alert")).to_have_text("That is not the password.")
            assert all("401" in complaint for complaint in eyes.complaints)
            eyes.complaints.clear()
            log_in(page, PASSWORD)
            is_live(page)
            (cookie,) = page.context.cookies()
            assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
            assert page.evaluate("document.cookie") == ""
            assert "WebSocket" in caplog.text
            for secret in (PASSWORD, cookie.get("value", ""), cloud.token):
                assert secret not in caplog.text
            with eyes.page(dashboard.url, color_scheme="dark") as other:
                expect(other.get_by_role("heading")).to_have_text("cloudBits")
                expect(other.get_by_label("Password")).to_be_visible()
                eyes.shoot(other, "login-dark-1280")
            assert websocket_status(dashboard.url, cookie="") == 403
            assert websocket_status(dashboard.url, cookie=f"{cookie.get('name')}={cookie.get('value')}") == 101
            tab = page.context.new_page()
            tab.goto(dashboard.url, wait_until="domcontentloaded")
            is_live(tab)
            page.get_by_role("button", name="Log out").click()
            expect(page.get_by_label("Password")).to_be_visible()
            assert eyes.complaints == []
            tab.get_by_role("button", name="red").click()
            expect(tab.get_by_label("Password")).to_be_visible()
            assert cloud.portal.call(cloud.see, light_of_the_lamp) is None


def test_websockets_of_pages_elsewhere_and_of_other_names_are_refused(cloud: RunningCloud) -> None:
    with run_dashboard(cloud) as dashboard:
        assert websocket_status(dashboard.url) == 101
        assert websocket_status(dashboard.url, origin="http://evil.example") == 403
        assert websocket_status(dashboard.url, host="evil.example") == 403


def websocket_status(url: str, *, cookie: str = "", **headers: str) -> int:
    """Try to open the page's websocket, and return the status of the answer."""
    wanted = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "origin": url,
        "cookie": cookie,
    }
    where = f"{url}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with httpx.stream("GET", where, headers=wanted | headers, trust_env=False) as answer:
        return answer.status_code


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_it_ends_with_pages_open_which_say_so_and_come_back_with_it(
    cloud: RunningCloud, eyes: Eyes, password: str | None
) -> None:
    port = free_port()
    with eyes.page("about:blank") as page:
        with run_dashboard(cloud, port=port, password=password) as dashboard:
            page.goto(dashboard.url, wait_until="domcontentloaded")
            if password is not None:
                log_in(page, password)
            is_live(page)
        assert not Client.instances
        expect(page.get_by_role("alert").first).to_contain_text("server is away")
        expect(page.locator("#devices")).to_have_attribute("data-away", "true")
        expect(page.locator(".state")).to_have_text("not known")
        expect(page.locator(".card")).to_have_attribute("data-current", "false")
        expect(page.locator(".summary")).to_have_text("")
        page.get_by_role("slider").fill("61")
        expect(page.locator(".problems")).to_have_text("lamp: the dashboard's server is away")
        expect(page.get_by_role("slider")).to_have_value("0")
        page.get_by_role("button", name="red").click()
        expect(page.locator(".problems")).to_have_text("lamp: the dashboard's server is away")
        eyes.shoot(page, "away")
        with run_dashboard(cloud, port=port, password=password):
            if password is None:
                is_live(page)
                expect(page.locator("#devices")).to_have_attribute("data-away", "false")
            else:  # a server that was started anew knows nobody
                expect(page.get_by_label("Password")).to_be_visible()
