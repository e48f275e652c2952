"""What tests ask of a cloud, of ports and of sockets beside what the test kit has."""

import os
import socket
import stat
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from littlebits_async.localcloud import LocalCloud
from littlebits_async.testing import RunningCloud

PATIENCE = 5
SLOWEST = 24 * 60 * 60 * 1000
"""An input interval so long that a bit is read only when its stream opens, and when it is turned."""


async def add_devices(cloud: RunningCloud, device_ids: Iterable[str], **options: Any) -> None:
    async def add(cloud: LocalCloud) -> None:
        for device_id in device_ids:
            await cloud.add_device(device_id, **options)

    await cloud.do(add)


def port_of(cloud: RunningCloud) -> int:
    port = urlsplit(cloud.url).port
    assert port is not None
    return port


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def sockets_to(port: int) -> int:
    """Count this process's sockets whose peer is at a port, by asking the kernel about every open file."""
    return sum(_peer_port(int(name)) == port for name in os.listdir("/dev/fd"))  # noqa: PTH208 - numbers, no paths


def _peer_port(descriptor: int) -> int | None:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            _, port, *_ = copy.getpeername()
    except (OSError, ValueError):  # closed meanwhile, not connected, or a pair without addresses
        return None
    return int(port)
