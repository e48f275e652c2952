"""The dashboard as people see it, in a browser. Screenshots are kept in a folder beside this, which git ignores."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from nicegui import Client
from playwright.sync_api import Locator, Page, Response, ViewportSize, WebSocket, expect

from littlebits_async.localcloud import Bit, Light, LocalCloud, Sine
from littlebits_async.models import StreamState, Subscription
from littlebits_async.testing import RunningBit, RunningCloud, run_cloud
from tests.support.dashboard import PATIENCE_MS, Eyes, RunningDashboard, open_eyes, run_dashboard

LAMP, DIAL, WAVE = "00e040000001", "00e040000002", "00e040000003"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 860}

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningCloud]:
    with run_cloud() as cloud:
        add(cloud, LAMP, label="lamp", is_connected=True)
        add(cloud, DIAL, label="dial")
        add(cloud, WAVE, label="wave", waveform=Sine(period=10))
        yield cloud


@pytest.fixture(scope="module")
def dashboard(cloud: RunningCloud) -> Iterator[RunningDashboard]:
    with run_dashboard(cloud) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def browser() -> Iterator[Eyes]:
    with open_eyes() as eyes:
        yield eyes


@pytest.fixture
def eyes(browser: Eyes) -> Iterator[Eyes]:
    """A browser in which nothing may complain."""
    browser.complaints.clear()
    yield browser
    assert browser.complaints == []


@pytest.fixture(scope="module")
def shared(browser: Eyes, dashboard: RunningDashboard) -> Iterator[Page]:
    with browser.page(dashboard.url) as page:
        yield page


@pytest.fixture
def page(shared: Page, eyes: Eyes) -> Page:  # noqa: ARG001 - nothing may complain
    """A page that many tests share: opening one takes a second."""
    return shared


def add(cloud: RunningCloud, device_id: str, **options: object) -> RunningBit:
    return cloud.portal.call(lambda: cloud.add_device(device_id, **options))


def turn(cloud: RunningCloud, device_id: str, *percents: float) -> None:
    cloud.portal.call(bit(cloud, device_id).turn, *percents)


def bit(cloud: RunningCloud, device_id: str) -> RunningBit:
    return cloud.portal.call(cloud.bit, device_id)


def look(cloud: RunningCloud, device_id: str) -> Bit:
    """A bit as the cloud itself knows it, to be looked at."""

    def find(cloud: LocalCloud) -> Bit:
        return cloud.devices[device_id]

    return cloud.portal.call(cloud.see, find)


def card(page: Page, device_id: str) -> Locator:
    return page.locator(f".card[data-device='{device_id}']")


def percent(page: Page, device_id: str) -> Locator:
    return card(page, device_id).locator(".percent .value")


def until(what: Callable[[], bool]) -> None:
    """Wait for what happens on the server's side."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def inked(page: Page, device_id: str) -> int:
    """How many pixels of the upper half of a chart are of a curve's red."""
    return int(
        card(page, device_id)
        .locator("canvas")
        .evaluate(
            """(canvas) => {
                const copy = new OffscreenCanvas(canvas.width, canvas.height);
                const pen = copy.getContext("2d", { willReadFrequently: true });
                pen.drawImage(canvas, 0, 0);
                const { data } = pen.getImageData(0, 0, canvas.width, canvas.height / 2);
                let count = 0;
                for (let i = 0; i < data.length; i += 4) if (data[i] - data[i + 1] > 60 && data[i + 3] > 120) count++;
                return count;
            }"""
        )
    )


# The first of all: pages of others would have to be waited for.
def test_pages_that_close_leave_nothing_behind(eyes: Eyes, dashboard: RunningDashboard) -> None:
    until(lambda: not Client.instances)
    until(lambda: all(each.state is StreamState.LIVE for each in dashboard.dashboard.board.cards.values()))
    tasks = dashboard.portal.call(count_tasks)
    with eyes.page(dashboard.url) as page, eyes.page(dashboard.url) as other:
        expect(card(page, LAMP).locator(".state")).to_have_text("live")
        expect(card(other, LAMP).locator(".state")).to_have_text("live")
        assert len(Client.instances) == 2
        page.reload(wait_until="domcontentloaded")
        expect(card(page, LAMP).locator(".state")).to_have_text("live")
    until(lambda: not Client.instances)
    assert dashboard.dashboard.pages == 0
    until(lambda: dashboard.portal.call(count_tasks) <= tasks)


async def count_tasks() -> int:
    """Those of the websockets' engine aside: one is for all pages, and one of each page sleeps on for some seconds."""
    engine = ("AsyncServer._service_task", "AsyncSocket._send_ping", "Event.wait")
    return sum(not any(name in repr(task) for name in engine) for task in asyncio.all_tasks())


def test_a_bit_s_input_moves_percent_volts_and_the_chart(page: Page, cloud: RunningCloud) -> None:
    turn(cloud, DIAL, 0)
    expect(percent(page, DIAL)).to_have_text("0")
    before = inked(page, DIAL)
    turn(cloud, DIAL, 80)
    expect(percent(page, DIAL)).to_have_text("80")
    expect(card(page, DIAL).locator(".volts")).to_have_text("4.00 V")
    expect(card(page, DIAL).locator(".state")).to_have_text("live")
    until(lambda: inked(page, DIAL) > before + 2)
    expect(card(page, DIAL).locator("canvas")).to_have_attribute(
        "aria-label", re.compile("Input of dial in the last 60 seconds: 0 to 80 percent, last 80 percent")
    )


def test_the_slider_moves_the_bit_and_other_pages_see_it(
    page: Page, eyes: Eyes, cloud: RunningCloud, dashboard: RunningDashboard
) -> None:
    with eyes.page(dashboard.url) as other:
        slider = page.get_by_role("slider", name="Output of lamp")
        slider.fill("61")
        cloud.portal.call(bit(cloud, LAMP).until_shown, 61)
        expect(card(page, LAMP).locator(".level")).to_have_text("61 %")
        expect(card(other, LAMP).locator(".level")).to_have_text("61 %")
        assert dashboard.dashboard.pages == 2


def test_a_light_button_lights_and_blinks(page: Page, cloud: RunningCloud) -> None:
    button = card(page, LAMP).get_by_role("button", name="purple")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert look(cloud, LAMP).light == Light("purple", "hold")
    card(page, LAMP).get_by_label("blink").check()
    card(page, LAMP).get_by_role("button", name="cyan").click()
    expect(card(page, LAMP).get_by_role("button", name="cyan")).to_have_attribute("aria-pressed", "true")
    assert look(cloud, LAMP).light == Light("cyan", "blink")


def test_a_lost_bit_greys_out_and_comes_back(page: Page, eyes: Eyes, cloud: RunningCloud) -> None:
    turn(cloud, DIAL, 40)
    expect(percent(page, DIAL)).to_have_text("40")
    cloud.portal.call(lambda: bit_connected(cloud, DIAL, to=False))
    expect(card(page, DIAL).locator(".state")).to_have_text("silent")
    expect(card(page, DIAL)).to_have_attribute("data-current", "false")
    expect(card(page, DIAL).locator(".aside")).to_contain_text("ago")
    expect(page.locator("[role=status]").first).to_contain_text("dial: silent.")
    eyes.shoot(page, "silent")
    cloud.portal.call(lambda: bit_connected(cloud, DIAL, to=True))
    turn(cloud, DIAL, 55)
    expect(card(page, DIAL).locator(".state")).to_have_text("live")
    expect(card(page, DIAL)).to_have_attribute("data-current", "true")
    expect(percent(page, DIAL)).to_have_text("55")


async def bit_connected(cloud: RunningCloud, device_id: str, *, to: bool) -> None:
    await (await cloud.bit(device_id)).set_connected(to=to)


def test_a_cloud_that_is_away_greys_all_out_and_all_come_back(page: Page, eyes: Eyes, cloud: RunningCloud) -> None:
    expect(card(page, WAVE).locator(".state")).to_have_text("live")
    with cloud.portal.wrap_async_context_manager(cloud.faults.away()):
        for device_id in (LAMP, DIAL, WAVE):
            expect(card(page, device_id)).to_have_attribute("data-current", "false")
        expect(card(page, WAVE).locator(".state")).to_have_text(re.compile("backing off|connecting"))
        expect(card(page, WAVE)).to_contain_text("the cloud cannot be reached")
        page.get_by_role("slider", name="Output of lamp").fill("7")
        card(page, LAMP).get_by_role("button", name="red").click()
        expect(page.locator(".problems")).to_contain_text("lamp: the cloud cannot be reached")
        expect(page.locator(".problems")).to_contain_text(
            "lamp: the output was not written: the cloud cannot be reached"
        )
        expect(card(page, LAMP)).to_contain_text("Output not written: the cloud cannot be reached")
        eyes.shoot(page, "cloud-away")
    for device_id in (LAMP, DIAL, WAVE):
        expect(card(page, device_id)).to_have_attribute("data-current", "true")
    expect(card(page, WAVE).locator(".aside")).to_contain_text("reconnect")
    page.get_by_role("slider", name="Output of lamp").fill("8")
    expect(card(page, LAMP)).not_to_contain_text("Output not written")


def test_a_bit_is_renamed_for_all_pages(page: Page, cloud: RunningCloud) -> None:
    card(page, WAVE).get_by_role("button", name="Name, subscriptions").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("<b>sea</b>")
    dialog.get_by_role("button", name="Rename").click()
    expect(dialog.get_by_role("heading", name="<b>sea</b>")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(card(page, WAVE).get_by_role("heading")).to_have_text("<b>sea</b>")
    assert look(cloud, WAVE).label == "<b>sea</b>"


def test_subscriptions_are_listed_added_and_removed_and_keys_in_urls_stay_on_the_server(
    page: Page, cloud: RunningCloud
) -> None:
    card(page, DIAL).get_by_role("button", name="Name, subscriptions").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nobody yet.")
    dialog.get_by_label("Tell", exact=True).select_option("lamp")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("listitem")).to_contain_text("lamp")
    turn(cloud, DIAL, 33)
    cloud.portal.call(bit(cloud, LAMP).until_shown, 33)
    dialog.get_by_role("button", name="Tell lamp no more").click()
    expect(dialog).to_contain_text("Nobody yet.")
    dialog.get_by_label("Tell", exact=True).select_option("a URL …")
    dialog.get_by_label("URL").fill("http://127.0.0.1:9/hook?key=secret-of-mine")
    dialog.get_by_label("when").select_option("it goes up (ignite)")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("listitem")).to_contain_text("http://127.0.0.1/…")
    page.keyboard.press("Escape")
    page.reload(wait_until="domcontentloaded")
    card(page, DIAL).get_by_role("button", name="Name, subscriptions").click()
    expect(dialog.get_by_role("listitem")).to_contain_text("http://127.0.0.1/…")
    assert "secret-of-mine" not in page.content()
    dialog.get_by_role("button", name="no more").click()
    expect(dialog).to_contain_text("Nobody yet.")
    assert cloud.portal.call(subscriptions_of, cloud, DIAL) == []
    page.keyboard.press("Escape")


async def subscriptions_of(cloud: RunningCloud, device_id: str) -> list[Subscription]:
    async with cloud.session() as session:
        return await session.subscriptions(publisher_id=device_id)


def test_the_budget_is_told(page: Page) -> None:
    expect(page.locator(".budget .figure")).to_have_text(re.compile(r"1[67]\d\d of 1800"))
    expect(page.get_by_role("meter", name="Requests left this hour")).to_be_visible()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_fits_phone_and_desktop_in_the_system_s_colours(eyes: Eyes, page: Page, size: ViewportSize) -> None:
    width = size["width"]
    page.set_viewport_size(size)
    expect(card(page, WAVE).locator(".state")).to_have_text("live")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        until(partial(is_dark, page, to=scheme == "dark"))
        assert page.evaluate("document.documentElement.scrollWidth") == width
        eyes.shoot(page, f"{scheme}-{width}")
        card(page, WAVE).get_by_role("button", name="Name, subscriptions").click()
        expect(page.get_by_role("dialog")).to_contain_text("Nobody yet.")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        eyes.shoot(page, f"{scheme}-{width}-dialog")
        page.keyboard.press("Escape")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)


def test_colours_can_be_chosen_and_are_kept(eyes: Eyes, dashboard: RunningDashboard) -> None:
    with eyes.page(dashboard.url, color_scheme="dark") as page:
        switch = page.get_by_role("button", name="Theme")
        expect(switch).to_have_text("Theme: system")
        assert is_dark(page)
        switch.click()
        expect(switch).to_have_text("Theme: light")
        assert not is_dark(page)
        switch.click()
        expect(switch).to_have_text("Theme: dark")
        assert is_dark(page)
        page.reload(wait_until="domcontentloaded")
        expect(switch).to_have_text("Theme: dark")
        assert is_dark(page)


def is_dark(page: Page, *, to: bool = True) -> bool:
    """Whether the page is dark, or is not, by the colours that it has."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return (sum(map(int, re.findall(r"\d+", colour)[:3])) < 200) is to


def test_all_is_done_by_keyboard(page: Page, cloud: RunningCloud) -> None:
    page.reload(wait_until="domcontentloaded")  # the focus is nowhere
    expect(card(page, LAMP).locator(".state")).to_have_text("live")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("To the devices")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_attribute("type", "range")
    page.keyboard.press("End")
    cloud.portal.call(bit(cloud, LAMP).until_shown, 100)
    page.keyboard.press("ArrowLeft")
    cloud.portal.call(bit(cloud, LAMP).until_shown, 99)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(card(page, LAMP).get_by_role("button", name="green")).to_have_attribute("aria-pressed", "true")
    for _ in range(9):  # seven more lights, whether they blink, and then the dialog
        page.keyboard.press("Tab")
    opener = page.locator(":focus")
    expect(opener).to_have_text("Name, subscriptions")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(12):  # the focus does not leave it
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(opener).to_be_focused()


def test_everything_that_can_be_used_has_a_name(page: Page) -> None:
    expect(card(page, LAMP).locator(".state")).to_have_text("live")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas, meter, a, dialog[open]")]
            .filter((each) => each.checkVisibility())
            .filter((each) => !(each.getAttribute("aria-label") || each.labels?.length || each.textContent.trim()
                || each.getAttribute("aria-labelledby")))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.locator("html").get_attribute("lang") == "en-US"
    assert page.get_by_role("main").count() == 1


def test_the_token_is_nowhere_in_the_page(eyes: Eyes, dashboard: RunningDashboard, cloud: RunningCloud) -> None:
    heard: list[str] = []

    def hear(frame: str | bytes) -> None:
        heard.append(str(frame))

    def hear_response(response: Response) -> None:
        heard.append(f"{response.url} {response.all_headers()}")

    def hear_socket(socket: WebSocket) -> None:
        socket.on("framereceived", hear)
        socket.on("framesent", hear)

    with eyes.page("about:blank") as page:
        page.on("response", hear_response)
        page.on("websocket", hear_socket)
        page.goto(dashboard.url, wait_until="domcontentloaded")
        expect(card(page, WAVE).locator(".state")).to_have_text("live")
        card(page, LAMP).get_by_role("button", name="blue").click()
        expect(card(page, LAMP).get_by_role("button", name="blue")).to_have_attribute("aria-pressed", "true")
        heard.append(page.content())
        heard.append(page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"))
    assert len(heard) > 10
    assert any("samples" in each for each in heard)
    assert not any(cloud.token in each for each in heard)
    urls = [each.split()[0] for each in heard if each.startswith("http")]
    assert all(url.startswith(dashboard.url) for url in urls)
