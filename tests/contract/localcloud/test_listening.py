"""Where the cloud can be reached."""

import socket

import httpx
import pytest

from littlebits_async.localcloud import LocalCloud

pytestmark = pytest.mark.asyncio


def has_ipv6() -> bool:
    """Whether this machine can call itself by IPv6; that Python can is not enough."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return socket.has_dualstack_ipv6()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_all_addresses_are_those_of_ipv4_too() -> None:
    async with LocalCloud(host="::") as cloud, httpx.AsyncClient(trust_env=False) as http:
        port = cloud.url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            assert (await http.get(f"http://{host}:{port}/ping")).status_code == 200
