"""Count what is pressed, in a FastAPI application that the cloud calls: nothing is streamed.

littlebits serve --simulate 4 --allow-private-webhooks
                               # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/webhooks.py    # and look at http://127.0.0.1:8001
"""

import asyncio
import os
import secrets
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from littlebits_async import AmplitudeEvent, Device, LittleBitsError, Session, WebhookReceiver

PORT = int(os.environ.get("PORT", "8001"))
URL = os.environ.get("CALLBACK_URL", f"http://127.0.0.1:{PORT}/littlebits")  # as the cloud reaches it


def make_app(session: Session, devices: Sequence[Device]) -> FastAPI:
    """Make an application that is called, while it is served, when the input of any of the devices becomes active."""
    receiver = WebhookReceiver(key=secrets.token_urlsafe())  # the last step of the path, which nobody else knows
    presses = Counter({device.label: 0 for device in devices})

    async def count() -> None:
        labels = {device.id: device.label for device in devices}
        async for event in receiver:
            presses[labels[event.device_id]] += 1

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        subscribed = receiver.subscribed(session, devices, url=URL, events=AmplitudeEvent.IGNITE)
        async with subscribed, asyncio.TaskGroup() as tasks, receiver:  # leaving the receiver ends the counting
            tasks.create_task(count())
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/littlebits", receiver)
    app.add_api_route("/", lambda: presses)
    return app


async def main() -> None:
    """Serve until Ctrl-C."""
    async with Session() as session:
        devices = await session.devices()
        if not devices:
            sys.exit("webhooks: this cloud has no cloudBit; `littlebits serve --simulate 4` has four")
        app = make_app(session, devices)
        # No access log: the key stands in the path. The lifespan is ours here, to tell in a line what goes wrong.
        config = uvicorn.Config(app, port=PORT, access_log=False, log_level="warning", lifespan="off")
        async with app.router.lifespan_context(app):
            print(f"http://127.0.0.1:{PORT}")
            await uvicorn.Server(config).serve()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except LittleBitsError as exc:
        sys.exit(f"webhooks: {exc}")
