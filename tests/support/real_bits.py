"""Scripted cloudBits: one of the community firmware over a websocket, and one with localbit over UDP."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 5
MAC = "00:E0:4C:00:00:01"
DEVICE = "00e04c000001"
CB_ID = "0123abcd"


class ScriptedBit:
    """What littleBitsman/cloudbit-software does: serde_json writes keys in order of the alphabet."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.outputs: list[int] = []
        self.lights: list[str] = []
        self.button = False
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._changed = asyncio.Event()

    async def turn(self, value: int) -> None:
        await self.websocket.send(f'{{"data":{{"value":{value}}},"opcode":1}}')

    async def until(self, wanted: Callable[["ScriptedBit"], bool]) -> None:
        with anyio.fail_after(PATIENCE):
            while not wanted(self):
                self._changed.clear()
                await self._changed.wait()

    async def live(self) -> None:
        """Do as told until the cloud closes."""
        with contextlib.suppress(ConnectionClosed):
            async for text in self.websocket:
                await self._obey(text)

    async def _obey(self, text: str | bytes) -> None:
        frame: dict[str, Any] = json.loads(text)
        match frame["opcode"]:
            case 0x2:
                self.outputs.append(frame["data"]["value"])
            case 0xF0:
                self.lights.append(frame["led_command"])
            case 0xF1:
                self.was_asked.set()
                await self.may_answer.wait()
                down = "true" if self.button else "false"
                await self.websocket.send(f'{{"data":{{"button":{down}}},"opcode":242}}')
            case 0xF3:
                await self.websocket.send(
                    '{"opcode":244,"stats":{"cpu_temp_kelvin":null,"cpu_usage":1.5,"memory_usage":2015232,'
                    '"memory_usage_percent":3.25,"total_memory":62005248}}'
                )
            case other:
                raise AssertionError(f"the firmware does not know {other}")
        self._changed.set()


@asynccontextmanager
async def firmware(
    url: str,
    *,
    mac: str = MAC,
    cb_id: str = CB_ID,
    id_header: str = "CB-Id",
    sock: socket.socket | None = None,
) -> AsyncGenerator[ScriptedBit, None]:
    """Connect as the firmware does, and live until the block is left or the cloud closes."""
    headers = {"MAC-Address": mac, id_header: cb_id}
    agent = "littleARCH cloudBit"
    async with connect(
        url, additional_headers=headers, user_agent_header=agent, compression=None, sock=sock
    ) as websocket:
        bit = ScriptedBit(websocket)
        await websocket.send(f'{{"cb_id":"{cb_id}","mac_address":"{mac}","opcode":3}}')
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bit.live)
            yield bit
            tasks.cancel_scope.cancel()


class ScriptedLocalbit:
    """What Hixie/localbit does, at an address of its own on this machine."""

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        mac: str = DEVICE,
        address: str = "127.0.0.1",
        listens_at: int = 0,
    ) -> None:
        self.mac = bytes.fromhex(mac)
        self.received = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.received.bind((address, listens_at))
        self.received.setblocking(False)  # noqa: FBT003 - the socket's own
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.bind((address, 0))
        self._host = host
        self._port = port

    @property
    def port(self) -> int:
        number: int = self.received.getsockname()[1]
        return number

    def reach(self, port: int) -> None:
        self._port = port

    def tell(self, value: int, *, button: bool = False) -> None:
        self.send(self.mac + bytes([0, int(button), value >> 8, value & 0xFF]))

    def send(self, packet: bytes) -> None:
        self.sender.sendto(packet, (self._host, self._port))

    async def told(self, wanted: Callable[[bytes], bool] = lambda _: True) -> bytes:
        loop = asyncio.get_running_loop()
        with anyio.fail_after(PATIENCE):
            while True:
                packet = await loop.sock_recv(self.received, 100)
                if len(packet) == 10 and packet.startswith(self.mac) and wanted(packet):
                    return packet

    def close(self) -> None:
        self.received.close()
        self.sender.close()
