"""The dashboard of ``littlebits serve``."""

import ssl
from contextlib import AsyncExitStack

from ..budget import TokenBucket
from ..dashboard._dashboard import Dashboard
from ..localcloud import LocalCloud
from ..session import Session

__all__ = ["open_dashboard"]


async def open_dashboard(
    stack: AsyncExitStack,
    cloud: LocalCloud,
    *,
    limit: int,
    trusted: ssl.SSLContext | None,
    host: str,
    port: int,
    password: str | None,
    ssl_context: ssl.SSLContext | None,
) -> Dashboard:
    """Start a dashboard of a cloud, with a token of its own.

    Args:
        stack: Ends it.
        cloud: What it shows.
        limit: Requests that the cloud grants in an hour.
        trusted: Knows the cloud's certificate, where there is one.
        host: As `Dashboard` has it, and so are the rest.
        port: The port.
        password: What its pages ask for.
        ssl_context: For HTTPS.
    """
    token = await stack.enter_async_context(cloud.lend_token({"read", "write"}))
    session = Session(
        token,
        base_url=cloud.url,
        budget=TokenBucket(limit),
        ssl_context=trusted,
        trust_env=False,  # a proxy in the environment has no business between two ends of one process
    )
    await stack.enter_async_context(session)
    board = Dashboard(session, host=host, port=port, password=password, ssl_context=ssl_context)
    return await stack.enter_async_context(board)
