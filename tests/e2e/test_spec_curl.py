"""The curl commands of the documents as they stand there, run by a shell: only host and token are changed.

Source: spec/cloud-api-v2.txt, spec/cloud-http-api-v1-and-webhooks.md.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from attrs import frozen

from littlebits_async.localcloud import Bit, LocalCloud
from tests.support.services import program

pytestmark = pytest.mark.asyncio

HOST = "https://api-http.littlebitscloud.cc"
FIRST, SECOND = "00e040000001", "00e040000002"
DEVICE = f'curl "{HOST}/v2/devices/{FIRST}" -H "Authorization: meowmeowmeow"'
SUBSCRIPTIONS = (
    f'curl "{HOST}/v2/subscriptions" -X %s -H "Authorization: meowmeowmeow" -H "Content-type: application/json" -d %s'
)


@frozen
class Answer:
    status: int
    body: Any


@frozen
class Shell:
    url: str
    token: str

    async def __call__(self, command: str) -> Answer:
        command = command.replace(HOST, self.url).replace("meowmeowmeow", self.token).replace("foobar", self.token)
        command = command.replace("curl ", "curl --silent --show-error --noproxy '*' --write-out '\\n%{http_code}' ", 1)
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        body, _, status = output.decode().rpartition("\n")
        return Answer(int(status), json.loads(body))


@pytest_asyncio.fixture
async def cloud() -> AsyncIterator[LocalCloud]:
    program("curl", "curl")
    async with LocalCloud() as cloud:
        yield cloud


@pytest_asyncio.fixture
async def first(cloud: LocalCloud) -> Bit:
    await cloud.add_device(SECOND, label="my cloudbit 2")
    return await cloud.add_device(FIRST, label="my cloudbit 1")


@pytest_asyncio.fixture
async def shell(cloud: LocalCloud, first: Bit) -> Shell:
    assert first.id in cloud.devices
    return Shell(cloud.url, await cloud.create_token())


async def test_the_root_is_no_call(shell: Shell) -> None:
    answer = await shell(f'curl "{HOST}" -H "Authorization: Bearer meowmeowmeow"')
    assert (answer.status, answer.body["statusCode"]) == (404, 404)


async def test_get_all_your_devices(shell: Shell) -> None:
    answer = await shell(f'curl "{HOST}/v2/devices" -H "Authorization: Bearer meowmeowmeow"')
    assert (answer.status, [device["label"] for device in answer.body]) == (200, ["my cloudbit 2", "my cloudbit 1"])


async def test_get_a_specific_device(shell: Shell) -> None:
    answer = await shell(DEVICE)
    assert (answer.status, answer.body["id"]) == (200, FIRST)


async def test_update_device_settings(shell: Shell, first: Bit) -> None:
    update = '{ "update": { "label": "cloudbit", "input_interval_ms": 250 } }'
    answer = await shell(f"""{DEVICE} -X PUT -H "Content-type: application/json" -d '{update}'""")
    assert (answer.status, answer.body["label"], first.label, first.input_interval_ms) == (
        200,
        "cloudbit",
        "cloudbit",
        250,
    )


async def test_output_voltage_on_device(shell: Shell, first: Bit) -> None:
    answer = await shell(
        f'curl "{HOST}/v2/devices/{FIRST}/output" -X POST -H "Authorization: meowmeowmeow"'
        """ -H "Content-type: application/json" -d '{ "percent": 100, "duration_ms": 3000 }'"""
    )
    assert (answer, first.shown) == (Answer(200, {"success": True}), 100)


@pytest.mark.parametrize("subscriber", [SECOND, "http://YOURSERVER/endpoint"])
async def test_create_list_and_delete_a_subscription(shell: Shell, subscriber: str) -> None:
    pair = f"""'{{ "publisher_id": "{FIRST}" ,"subscriber_id": "{subscriber}" }}'"""
    made = {"publisher_id": FIRST, "subscriber_id": subscriber, "publisher_events": ["amplitude:delta:ignite"]}
    assert await shell(SUBSCRIPTIONS % ("POST", pair)) == Answer(201, made)
    for query in (
        f"publisher_id={FIRST}",
        f"subscriber_id={subscriber}",
        f"publisher_id={FIRST}&subscriber_id={subscriber}",
    ):
        listed = await shell(f'curl "{HOST}/v2/subscriptions?{query}" -H "Authorization: Bearer meowmeowmeow"')
        assert listed == Answer(200, [made])
    assert (await shell(SUBSCRIPTIONS % ("DELETE", pair))).status == 200
    assert (await shell(f'curl "{HOST}/v2/subscriptions" -H "Authorization: Bearer meowmeowmeow"')).body == []


async def test_the_example_with_a_slip_of_its_quotes_is_refused_and_told_why(shell: Shell) -> None:
    slip = (
        """'{ "publisher_id": "00e040000001" ,"subscriber_id": "00e040000002", "publisher_events: "['amplitude']" }'"""
    )
    answer = await shell(SUBSCRIPTIONS % ("POST", slip))
    assert (answer.status, answer.body["message"]) == (400, "The body is not valid JSON")


async def test_version_1_by_accept_and_by_path(shell: Shell) -> None:
    by_accept = await shell(
        f'curl -XGET -H "Accept: application/vnd.littlebits.v1+json" -H "Authorization: Bearer foobar" {HOST}/devices'
    )
    by_path = await shell(f'curl -XGET -H "Authorization: Bearer foobar" {HOST}/v1/devices')
    assert by_accept == by_path
    assert by_accept.status == 200
