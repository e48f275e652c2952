"""All that has to do with real bits, for `LocalCloud`."""

from collections.abc import Mapping

import anyio
from anyio.abc import TaskStatus
from starlette.types import ASGIApp

from ..bits import DEFAULT_LABEL
from ..registry import Registry
from ..storage import Store
from ..ticker import Ticker
from ._enrolment import OPEN_FOR, Admission, Enrolments, check_full_scale, parse_mac, url_for
from ._gateway import Gateway
from ._localbit import Localbit
from ._tally import Tally

__all__ = ["RealBits"]


class RealBits:
    """The real cloudBits of a cloud: who may come, who is there, and how they fare.

    A bit with the stock firmware cannot come: what it speaks nobody has decoded.

    Args:
        registry: Has the devices.
        store: Keeps the enrolments.
        ticker: Gives turns.
        host: The address at which to listen for localbits.
        localbit_ports: Where to listen for them, 0 for any that is free, and where they do; None for not at all.
    """

    def __init__(
        self, registry: Registry, store: Store, ticker: Ticker, *, host: str, localbit_ports: tuple[int, int] | None
    ) -> None:
        tally = Tally()
        self._tally = tally
        self._enrolments = Enrolments(store)
        self._admission = Admission(registry, self._enrolments, self._close_revoked)
        self._gateway = Gateway(self._admission, ticker, tally)
        self._localbit = (
            None if localbit_ports is None else Localbit(self._admission, ticker, tally, host, localbit_ports)
        )
        self._base_url = ""

    async def enrol(
        self,
        mac: str | None = None,
        *,
        label: str = DEFAULT_LABEL,
        user_id: int = 1,
        full_scale: int | None = None,
        open_for: float = OPEN_FOR,
    ) -> str:
        """Let a bit of the community firmware come in.

        Args:
            mac: Its Wi-Fi address; None lets in the first that comes with the URL.
            label: What its owner calls it, if it is new.
            user_id: Whose it becomes.
            full_scale: The most that its input says, 255 or 65535; None where that shows in time.
            open_for: Seconds that it has to come. From then on it is the only one that can use the URL.

        Returns:
            The URL to write on its card, in ``/usr/local/lb/cloud_client/server_url``; it is shown only here. Its host
            is how this machine calls the cloud: put the name by which the bit can.

        Raises:
            ValueError: That is no MAC address, or no full scale.
            StorageError: It could not be kept, or the cloud is not running.
        """
        secret = await self._enrolments.open(
            None if mac is None else parse_mac(mac),
            with_secret=True,
            user_id=user_id,
            label=label,
            full_scale=check_full_scale(full_scale),
            open_for=open_for,
        )
        return url_for(self._base_url, secret)

    async def enrol_localbit(
        self, mac: str | None = None, *, label: str = DEFAULT_LABEL, user_id: int = 1, open_for: float = OPEN_FOR
    ) -> None:
        """Let a localbit come in; from then on it has to come from the same address.

        Args:
            mac: Its Wi-Fi address; None lets in the first that comes.
            label: What its owner calls it, if it is new.
            user_id: Whose it becomes.
            open_for: Seconds that it has to come.

        Raises:
            ValueError: That is no MAC address.
            StorageError: It could not be kept, or the cloud is not running.
        """
        device_id = None if mac is None else parse_mac(mac)
        await self._enrolments.open(device_id, with_secret=False, user_id=user_id, label=label, open_for=open_for)

    async def button(self, device_id: str) -> bool:
        """Ask a connected bit of the community firmware whether its button is down, and wait for as long as it takes.

        Raises:
            LookupError: It is not connected.
            ConnectionError: It left before it answered.
        """
        return await self._gateway.button(device_id)

    async def figures(self, device_id: str) -> Mapping[str, float | None]:
        """Ask a connected bit of the community firmware how it fares; that costs it a while, so do not poll.

        Raises:
            LookupError: As `button` does, and so the others.
        """
        return await self._gateway.figures(device_id)

    @property
    def localbit_port(self) -> int | None:
        """Where localbits are listened for, None while they are not."""
        return (self._localbit and self._localbit.port) or None

    def counts(self) -> Mapping[str, int]:
        """Count what happened at the doors; see `Tally` for the names."""
        return self._tally.counts()

    # What the cloud does with it

    def before(self, app: ASGIApp) -> ASGIApp:
        """Stand before an application, which gets all but websockets."""
        return self._gateway.before(app)

    def found_at(self, base_url: str) -> None:
        """Take note of where the cloud is."""
        self._base_url = base_url

    async def load(self) -> None:
        """Take over what was kept."""
        await self._admission.load()

    async def reload(self) -> None:
        """Take note of what another program has enrolled or revoked."""
        await self._enrolments.reload()
        self._close_revoked()

    async def listen(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen for localbits, where that is asked for, until cancelled.

        Raises:
            OSError: The address cannot be had.
        """
        if self._localbit is None:
            task_status.started()
        else:
            await self._localbit.run(task_status=task_status)

    def _close_revoked(self) -> None:
        """Part with the bits whose enrolment is gone, or that have come in by another door."""
        self._gateway.close_revoked()
        if self._localbit is not None:
            self._localbit.close_revoked()
