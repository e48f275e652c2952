"""Show every cloudBit on a web page that moves: one reactor, and a listener for each open page.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/page.py          # and look at http://127.0.0.1:8001
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator
from html import escape

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.routing import Route

from littlebits_async import InputReactor, LittleBitsError, Overflow, Session

PORT = int(os.environ.get("PORT", "8001"))
HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>cloudBits</title><link rel="icon" href="data:,"><style>meter { display: block; width: 100%; height: 2em }</style>
<h1>cloudBits</h1><script>new EventSource("events").onmessage = ({data}) => {
  const {id, percent} = JSON.parse(data);
  document.getElementById(id).value = percent;
}</script>"""


class Server(uvicorn.Server):
    """Ends the streams to the pages when it is to end, since uvicorn waits for them."""

    reactor: InputReactor

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down."""
        await self.reactor.aclose()
        await super().shutdown(sockets)


async def main() -> None:
    """Serve the page until Ctrl-C."""
    async with Session() as session:
        devices = await session.devices()
        if not devices:
            sys.exit("page: this cloud has no cloudBit; `littlebits serve --simulate 4` has four")
        page = HEAD + "".join(
            f'<p><label>{escape(device.label)} <meter id="{escape(device.id)}" max="100"></meter></label>'
            for device in devices
        )
        # Nobody iterates over the reactor itself: so it is to keep what is newest, and to hold nothing up.
        async with InputReactor(session, devices, overflow=Overflow.LATEST) as reactor:

            async def messages() -> AsyncGenerator[str, None]:
                async with reactor.listen() as events:
                    async for event in events:
                        yield f"data: {json.dumps({'id': event.device_id, 'percent': event.percent})}\n\n"

            async def show(_: Request) -> HTMLResponse:
                return HTMLResponse(page)

            async def stream(_: Request) -> StreamingResponse:
                return StreamingResponse(messages(), media_type="text/event-stream")

            app = Starlette(routes=[Route("/", show), Route("/events", stream)])
            server = Server(uvicorn.Config(app, port=PORT, access_log=False, log_level="warning"))
            server.reactor = reactor
            print(f"http://127.0.0.1:{PORT}")
            await server.serve()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except LittleBitsError as exc:
        sys.exit(f"page: {exc}")
