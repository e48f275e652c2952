"""Where a browser comes back to from an OAuth2 server: an address of this machine, for one answer.

Source: RFC 8252, sections 7.3 and 8.3: the loopback address itself, never its name, and any port that is free.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import anyio.abc
from attrs import define, field

from ._errors import CommandError, ExitCode

__all__ = ["Loopback", "loopback"]

_PATH: Final = "/callback"
_MOST_READ: Final = 16 * 1024
_READ_WITHIN: Final = 5.0
_HEAD: Final = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n"
    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n\r\n"
)
_PAGE: Final = "<!doctype html><title>littlebits</title><p>{text}</p>"


@define
class Loopback:
    """A listener that waits for a browser.

    Attributes:
        url: What to tell the OAuth2 server.
    """

    _listener: anyio.abc.Listener[anyio.abc.SocketStream]
    url: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        port = self._listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - there is no Django
        self.url = f"http://127.0.0.1:{port}{_PATH}"

    async def answer_to(self, is_answer: Callable[[str], bool]) -> str:
        """Wait until a browser comes with an answer, and return the URL that it came to.

        Args:
            is_answer: Tells an answer from what anybody else on this machine, or any page in the browser, may ask for.
        """
        found: list[str] = []
        async with anyio.create_task_group() as group:

            async def serve(stream: anyio.abc.SocketStream) -> None:
                async with stream:
                    with anyio.move_on_after(_READ_WITHIN):
                        target = await _read_target(stream)
                        url = self.url.removesuffix(_PATH) + (target or "")
                        is_ours = target is not None and target.partition("?")[0] == _PATH and is_answer(url)
                        await _reply(stream, is_ours=is_ours)
                        if is_ours:
                            found.append(url)
                            group.cancel_scope.cancel()

            await self._listener.serve(serve, task_group=group)
        return found[0]


@asynccontextmanager
async def loopback(port: int) -> AsyncGenerator[Loopback, None]:
    """Listen until the block is left.

    Args:
        port: The port; 0 is any that is free.

    Raises:
        CommandError: It is taken, or not ours to take.
    """
    try:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    except OSError as exc:
        raise CommandError(f"cannot listen at port {port}: {exc.strerror or exc}", ExitCode.UNREACHABLE) from exc
    async with listener:
        yield Loopback(listener)


async def _read_target(stream: anyio.abc.SocketStream) -> str | None:
    """Read a request, and return what it asks for; None where it is not one for us."""
    head = b""
    try:
        while b"\r\n\r\n" not in head:
            if len(head) > _MOST_READ:
                return None
            head += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return None
    method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    target = rest.partition(b" ")[0]
    return target.decode("ascii", "replace") if method == b"GET" and target.startswith(b"/") else None


async def _reply(stream: anyio.abc.SocketStream, *, is_ours: bool) -> None:
    text = "The littlebits command has your answer. You can close this page." if is_ours else "Nothing is here."
    body = _PAGE.format(text=text).encode()
    head = _HEAD.format(status="200 OK" if is_ours else "404 Not Found", length=len(body))
    with suppress(anyio.BrokenResourceError):  # the browser did not wait
        await stream.send(head.encode() + body)
