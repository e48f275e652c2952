"""From a host's name to a connection, on asyncio: whichever of its addresses answers first."""

import asyncio
from collections.abc import Iterable
from typing import Final

import anyio
import httpcore

from ._connection import Connection, Shared, in_time
from ._discretion import credentials
from ._names import Names

__all__ = ["Network", "SocketOption"]

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]

_NEXT_ADDRESS_AFTER: Final = 0.25
"""Seconds, as RFC 8305 has them."""


class Network:
    """Makes the connections of one session's streams.

    Args:
        socket_options: Set on each.
    """

    def __init__(self, socket_options: Iterable[SocketOption] = ()) -> None:
        self._socket_options = tuple(socket_options)
        self._names = Names()
        self._shared = Shared()

    async def connect(self, host: str, port: int, *, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 - as httpcore
        """Connect to whichever address answers first.

        Raises:
            httpcore.ConnectError: None does.
            httpcore.ConnectTimeout: None did in time.
        """
        # The event loop calls a connection in the context that made it, and users' hooks with it: none of our requests.
        ours = credentials.set(None)
        try:
            with in_time(timeout, httpcore.ConnectTimeout):
                transport, connection = await self._connect_first(await self._names.addresses(host, port), port)
        except OSError as exc:
            raise httpcore.ConnectError(exc) from exc
        finally:
            credentials.reset(ours)
        try:
            if not transport.is_closing():  # else the first read tells
                for option in self._socket_options:
                    transport.get_extra_info("socket").setsockopt(*option)
        except OSError as exc:
            connection.close()
            raise httpcore.ConnectError(exc) from exc
        return connection

    async def _connect_first(self, addresses: list[str], port: int) -> tuple[asyncio.Transport, Connection]:
        errors: list[OSError] = []
        if len(addresses) > 1:
            connected = await self._race(addresses, port, errors)
            if connected is not None:
                return connected
        else:  # no task for what there mostly is
            try:
                return await self._connect(addresses[0], port)
            except OSError as exc:
                errors.append(exc)
        raise OSError("All connection attempts failed") from (
            errors[0] if len(errors) == 1 else ExceptionGroup("multiple connection attempts failed", errors)
        )

    async def _race(
        self, addresses: list[str], port: int, errors: list[OSError]
    ) -> tuple[asyncio.Transport, Connection] | None:
        """Try addresses, each a moment after the one before it; source: RFC 8305."""
        connected: list[tuple[asyncio.Transport, Connection]] = []

        async def connect(address: str, failed: anyio.Event) -> None:
            try:
                connected.append(await self._connect(address, port))
            except OSError as exc:
                errors.append(exc)
                failed.set()
            else:
                group.cancel_scope.cancel()

        first = None
        try:
            async with anyio.create_task_group() as group:
                for address in addresses:
                    failed = anyio.Event()
                    group.start_soon(connect, address, failed)
                    with anyio.move_on_after(_NEXT_ADDRESS_AFTER):
                        await failed.wait()
            first = connected[0] if connected else None
        finally:
            for each in connected:
                if each is not first:
                    each[1].close()
        return first

    async def _connect(self, address: str, port: int) -> tuple[asyncio.Transport, Connection]:
        return await asyncio.get_running_loop().create_connection(lambda: Connection(self._shared), address, port)
