"""Makes the README's picture of the dashboard: simulated bits after a minute, one of which was lost for a while.

``python -m tests.browser.picture .github/dashboard.png``, from the root of the repository. Needs Chromium, and
Pillow, which comes with matplotlib.
"""

import argparse
import time
from functools import partial
from pathlib import Path

from PIL import Image

from littlebits_async.localcloud import Button, LocalCloud, Noise, Ramp, Sine, Waveform
from littlebits_async.testing import RunningCloud, run_cloud
from tests.support.dashboard import open_eyes, run_dashboard

BITS: tuple[tuple[str, Waveform], ...] = (
    ("greenhouse", Sine(period=28)),
    ("doorbell", Button(period=14, held=0.2)),
    ("dimmer", Ramp(period=33)),
    ("windmill", Noise(period=4, seed=3)),
    ("kettle", Noise(period=9, seed=5)),
    ("fish tank", Sine(period=45, phase=0.4)),
)
LOST = "00e040000005"
MINUTE = 60


async def fill(cloud: LocalCloud) -> None:
    for number, (label, waveform) in enumerate(BITS, 1):
        await cloud.add_device(f"00e04{number:07x}", label=label, waveform=waveform)


async def switch(cloud: RunningCloud, *, on: bool) -> None:
    await (await cloud.bit(LOST)).set_connected(to=on)


def take(path: Path, seconds: float) -> None:
    """Let the bits run, lose one for a while and again at the end, steer some, and take the picture."""
    with run_cloud() as cloud, open_eyes() as eyes:
        cloud.portal.call(partial(cloud.do, fill))
        with run_dashboard(cloud) as dashboard, eyes.page(dashboard.url, height=780) as page:
            page.wait_for_selector(".state[data-tone=live]")
            for device_id, percent, color in (("00e040000001", "72", "green"), ("00e040000003", "35", "purple")):
                card = page.locator(f".card[data-device='{device_id}']")
                card.get_by_role("slider").fill(percent)
                card.get_by_role("button", name=color).click()
            time.sleep(seconds * 0.35)
            cloud.portal.call(partial(switch, cloud, on=False))
            time.sleep(seconds * 0.2)
            cloud.portal.call(partial(switch, cloud, on=True))
            time.sleep(seconds * 0.3)
            cloud.portal.call(partial(switch, cloud, on=False))
            time.sleep(seconds * 0.15)
            page.mouse.move(0, 0)
            path.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=path)
    with Image.open(path) as picture:  # few colours are enough, and make a small file
        few = picture.convert("RGB").quantize(128)
    few.save(path, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make a picture of the dashboard.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seconds", type=float, default=MINUTE)
    options = parser.parse_args()
    take(options.path, options.seconds)
