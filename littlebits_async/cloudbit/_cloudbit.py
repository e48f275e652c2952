"""A session bound to one device."""

from attrs import field, frozen

from ..errors import InvalidArgumentError
from ..models import FOREVER, Device, InputEvent, LightColor, LightMode
from ..session import InputStream, Session
from ._samples import Samples

__all__ = ["CloudBit"]


@frozen
class CloudBit:
    """One device of a session; each call is the session's, without the id.

    Attributes:
        session: The session.
        device_id: The device.
    """

    session: Session = field(repr=False)
    device_id: str

    async def get(self) -> Device:
        """Return the device as the API describes it. Cost: 1 request; see `Session.device`."""
        return await self.session.device(self.device_id)

    async def update(self, *, label: str | None = None, input_interval_ms: int | None = None) -> Device:
        """Change the label or the input interval. Cost: 1 request; see `Session.update_device`."""
        return await self.session.update_device(self.device_id, label=label, input_interval_ms=input_interval_ms)

    async def output(self, percent: float = 100, *, duration_ms: int = 3000) -> None:
        """Set the output for a while. Cost: 1 request; see `Session.output`."""
        await self.session.output(self.device_id, percent, duration_ms=duration_ms)

    async def hold(self, percent: float) -> None:
        """Set the output until the next one. Cost: 1 request; see `Session.output`."""
        await self.session.output(self.device_id, percent, duration_ms=FOREVER)

    async def light(
        self,
        *,
        color: LightColor | str | None = None,
        mode: LightMode | str | None = None,
        duration_ms: int | None = None,
    ) -> None:
        """Set the light. Cost: 1 request; see `Session.light`."""
        await self.session.light(self.device_id, color=color, mode=mode, duration_ms=duration_ms)

    async def read(self, *, timeout: float = 10.0) -> InputEvent:  # noqa: ASYNC109 - the session's word
        """Read the input once. Cost: 1 request; see `Session.read`."""
        return await self.session.read(self.device_id, timeout=timeout)

    def inputs(self, *, stall_after: float | None = 30.0) -> InputStream:
        """Stream the input, once. Cost: 1 request; see `Session.inputs`."""
        return self.session.inputs(self.device_id, stall_after=stall_after)

    def samples(self, *, every: float, timeout: float = 10.0) -> Samples:
        """Read the input now and then: ``async for event in bit.samples(every=300): …``.

        The first reading is at once, the others keep their distance from it, however long each takes. Looks that were
        missed meanwhile are made up for by one. A look that fails is logged, counted, and left out; what would fail
        each time is raised: a refused token or request, a closed session. A 404 is not, since a bit that is off line
        is one to some servers.

        Cost: 1 request each time, more where the session tries again; see `Session.read`.

        Args:
            every: Seconds from one reading to the next.
            timeout: Seconds that each may take once its stream is open.

        Raises:
            InvalidArgumentError: An argument is out of range.
            AuthenticationError: The token was refused.

        Cancellation: loses nothing; a reading that was on its way is begun anew, for another request.
        """
        if not timeout > 0:
            raise InvalidArgumentError(f"timeout: seconds over 0, not {timeout!r}")
        return Samples(self.device_id, lambda: self.read(timeout=timeout), every=every)
