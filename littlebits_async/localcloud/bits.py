"""A cloudBit as the cloud knows it: one input, one output, a light, an owner.

Source: spec/cloud-api-v2.txt ("Output voltage on device", "Update Device Settings"); wire-facts 4 to 6.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Hashable
from typing import Final

import anyio
from attrs import frozen

from .feeds import Feed
from .readings import Reading
from .storage import DeviceRecord
from .ticker import Ticker
from .waveforms import Waveform

__all__ = [
    "DEFAULT_INTERVAL_MS",
    "DEFAULT_LABEL",
    "FOREVER",
    "MAX_INTERVAL_MS",
    "MIN_INTERVAL_MS",
    "Bit",
    "Light",
]

logger: Final = logging.getLogger(__name__)

FOREVER: Final = -1
"""A duration without end: until the next command."""
DEFAULT_LABEL: Final = "cloudbit"
DEFAULT_INTERVAL_MS: Final = 250
MIN_INTERVAL_MS: Final = 200
MAX_INTERVAL_MS: Final = 24 * 60 * 60 * 1000
"""A day; the documents name no greatest interval, and a number without end could not be waited for."""


@frozen
class Light:
    """What a bit's light was told to show.

    Attributes:
        color: One of the eight colours, None where it was never told.
        mode: ``hold`` or ``blink``, None where it was never told.
    """

    color: str | None = None
    mode: str | None = None


class Bit:
    """A cloudBit; `LocalCloud.add_device` makes simulated ones, and a real one that comes in by a gateway is one too.

    Attributes:
        id: Its id, which is its Wi-Fi address as well.
        label: Its owner's name for it.
        user_id: Its owner, None after it was deactivated.
        feed: Its open input streams.
    """

    def __init__(
        self,
        device_id: str,
        ticker: Ticker,
        *,
        blank_line_every: float,
        label: str = DEFAULT_LABEL,
        user_id: int | None = None,
        input_interval_ms: int = DEFAULT_INTERVAL_MS,
        waveform: Waveform | None = None,
        is_connected: bool = True,
        on_reading: Callable[[Reading], None] = lambda _: None,
        on_connection: Callable[["Bit"], None] = lambda _: None,
    ) -> None:
        self.id = device_id
        self.label = label
        self.user_id = user_id
        self.feed = Feed(self, ticker, blank_line_every=blank_line_every)
        self._input_interval_ms = input_interval_ms
        self._is_connected = is_connected
        self._clock = ticker.clock
        self._began = self._clock()
        self._waveform = waveform
        self._percent = 0.0
        self._timestamp_ms = 0
        self._on_reading = on_reading
        self._on_connection = on_connection
        self._followers: dict[Hashable, Callable[[Reading], None]] = {}
        self._shown = 0.0
        self._shown_until = math.inf
        self._shown_changed = asyncio.Event()
        self._light: Light | None = None
        self._light_until = math.inf
        self._watchers: dict[Hashable, Callable[[], None]] = {}

    def __repr__(self) -> str:
        return f"<Bit {self.id} {self.label!r}, {'on' if self._is_connected else 'off'} line>"

    # What a person does to the bit

    async def set_input(self, *, percent: float) -> None:
        """Turn the input to a fixed value, in place of a waveform; the next reading has it.

        Args:
            percent: 0 to 100 of full scale.

        Raises:
            ValueError: The percent is out of range.
        """
        if not 0 <= percent <= 100:  # noqa: PLR2004 - it is a percent
            raise ValueError(f"percent must be 0 to 100, not {percent!r}")
        self.turn(percent)

    async def set_waveform(self, waveform: Waveform) -> None:
        """Let the input follow a waveform from now on, which begins at its second 0."""
        self._waveform = waveform
        self._began = self._clock()

    async def set_connected(self, is_connected: bool, /) -> None:  # noqa: FBT001 - the name says which
        """Take the bit off line, or on line again.

        Off line, open streams stay open and silent, and outputs are lost; on line, a reading is sent at once.
        """
        self.connect(is_connected=is_connected)

    async def close_streams(self, *, abort: bool = False) -> int:
        """End all its open input streams from the server's side.

        Args:
            abort: Cut the connections instead, in the middle of the answer.

        Returns:
            How many streams there were.
        """
        for reader in (readers := tuple(self.feed.readers)):
            reader.end()
            if abort:
                reader.drop()
        return len(readers)

    async def wait_shown(self, wanted: Callable[[float], bool]) -> float:
        """Wait until what the bit is told to show is as wanted.

        Args:
            wanted: Takes the percent shown; called again after each change.

        Returns:
            The percent shown.
        """
        while not wanted(self.shown):
            left = self._shown_until - self._clock()
            with anyio.move_on_after(left if left > 0 else None):
                await self._shown_changed.wait()
        return self.shown

    # What the cloud knows

    @property
    def percent(self) -> float:
        """The input now, in percent of full scale."""
        if self._waveform is not None:
            try:
                percent = self._waveform(self._clock() - self._began)
                if math.isnan(percent):
                    raise ValueError("not a number")  # noqa: TRY301 - as bad as if it had raised
            except Exception:
                # Somebody else's code: one bit stands still, the cloud goes on.
                logger.exception("the waveform of bit %s failed; its input stays as it is", self.id)
                self._waveform = None
            else:
                self._percent = min(max(float(percent), 0.0), 100.0)
        return self._percent

    @property
    def shown(self) -> float:
        """The percent that the bit is told to show right now."""
        return self._shown if self._clock() < self._shown_until else 0.0

    @property
    def light(self) -> Light | None:
        """What its light is told to show right now, None for its own business."""
        return self._light if self._clock() < self._light_until else None

    @property
    def is_connected(self) -> bool:
        """Whether the bit is on line."""
        return self._is_connected

    @property
    def is_followed(self) -> bool:
        """Whether its readings are wanted even if no stream is open."""
        return bool(self._followers)

    @property
    def input_interval_ms(self) -> int:
        """Milliseconds between two readings."""
        return self._input_interval_ms

    @input_interval_ms.setter
    def input_interval_ms(self, value: int) -> None:
        self._input_interval_ms = value
        self.feed.refresh()

    @property
    def input_interval(self) -> float:
        """Seconds between two readings."""
        return self._input_interval_ms / 1000

    @property
    def settles(self) -> float:
        """When what it is told to show changes by itself, in the ticker's time; infinity for never."""
        now = self._clock()
        return min((end for end in (self._shown_until, self._light_until) if end > now), default=math.inf)

    # What a real bit tells

    def turn(self, percent: float) -> None:
        """Have another input from now on, 0 to 100 percent of full scale."""
        self._waveform = None
        self._percent = float(percent)

    def connect(self, *, is_connected: bool) -> None:
        """Come on line, or leave it."""
        if is_connected != self._is_connected:
            self._is_connected = is_connected
            self._on_connection(self)
            self.feed.refresh(anew=True)

    # What the cloud does with it

    def watch(self, key: Hashable, tell: Callable[[], None]) -> None:
        """Have somebody told when what it is told to show has changed, but for what changes by itself."""
        self._watchers[key] = tell

    def unwatch(self, key: Hashable) -> None:
        """Have somebody told no more."""
        self._watchers.pop(key, None)

    def show(self, percent: float, duration_ms: int) -> None:
        """Tell the bit what to show, in place of what it was told before.

        Args:
            percent: 0 to 100 of full scale.
            duration_ms: Milliseconds until it shows 0 again, or `FOREVER`.
        """
        self._shown = float(percent)
        self._shown_until = self._end(duration_ms)
        self._shown_changed.set()
        self._shown_changed = asyncio.Event()
        self._tell_watchers()

    def shine(self, light: Light, duration_ms: int) -> None:
        """Tell the bit's light what to show.

        Args:
            light: What to show.
            duration_ms: Milliseconds until the light is the bit's own business again, or `FOREVER`.
        """
        self._light = light
        self._light_until = self._end(duration_ms)
        self._tell_watchers()

    def read(self) -> bytes:
        """Take a reading, tell the followers, and give it as an event of a stream."""
        # Never twice the same time, even if the clock is set back: clients take that for a repeat.
        self._timestamp_ms = max(time.time_ns() // 1_000_000, self._timestamp_ms + 1)
        reading = Reading.of(self.percent, device_id=self.id, user_id=self.user_id, timestamp_ms=self._timestamp_ms)
        self._on_reading(reading)
        for tell in self._followers.values():
            tell(reading)
        return reading.event()

    def follow(self, reading: Reading) -> None:
        """Show the amplitude of a bit that this one follows; lost when it is off line."""
        if self._is_connected:
            self.show(reading.percent, FOREVER)

    def add_follower(self, key: Hashable, tell: Callable[[Reading], None]) -> None:
        """Have somebody told of each reading."""
        self._followers[key] = tell
        self.feed.refresh()

    def remove_follower(self, key: Hashable) -> None:
        """Have somebody told no more."""
        self._followers.pop(key, None)
        self.feed.refresh()

    def release(self, record: DeviceRecord) -> None:
        """Be nobody's, and forget what the last owner told it."""
        self.label, self.user_id = record.label, record.user_id
        self.input_interval_ms = record.input_interval_ms
        self._light = None
        self.show(record.percent, FOREVER)

    def restore(self, record: DeviceRecord, now_ms: int) -> None:
        """Show what the bit was told to show before the cloud was started."""

        def end(until_ms: int | None) -> float:
            return math.inf if until_ms is None else self._clock() + (until_ms - now_ms) / 1000

        self._shown, self._shown_until = record.percent, end(record.percent_until_ms)
        if record.color is not None or record.mode is not None:
            self._light, self._light_until = Light(record.color, record.mode), end(record.light_until_ms)

    def _tell_watchers(self) -> None:
        for tell in tuple(self._watchers.values()):
            tell()

    def _end(self, duration_ms: int) -> float:
        return math.inf if duration_ms == FOREVER else self._clock() + duration_ms / 1000
