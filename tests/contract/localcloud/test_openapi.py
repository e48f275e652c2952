"""`/openapi.json`: what the cloud speaks, neither more nor less; and schemathesis holds the cloud to it."""

import json
import re
from collections.abc import Generator, Mapping
from typing import Any, Final, cast
from unittest.mock import Mock

import anyio
import httpx
import jsonschema_rs
import pytest
import requests
import schemathesis
from attrs import frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks
from starlette.types import ASGIApp

from littlebits_async.localcloud import LocalCloud
from littlebits_async.testing import RunningCloud, run_cloud

PATIENCE: Final = 10
VERSIONS: Final = ("", "/v1", "/v2", "/v3")
BESIDE: Final = {"/health", "/ready", "/openapi.json"}
METHODS: Final = {"DELETE", "GET", "PATCH", "POST", "PUT"}
DEVICE, OTHER, SPARE = "00e040000001", "00e040000002", "00e040000003"
WITHOUT_OLDER: Final = {"", "/v1", "/v3"}
"""Versions whose older forms, made of the same as the others, need not be asked again."""
EXAMPLES: Final = {"": 1, "/v1": 2, "/v2": 2, "/v3": 1}
"""Requests of each kind that schemathesis makes to an operation, all that come after them not counted."""

# Numbers as text, and fields that nobody knows, are taken on purpose.
NOT_KEPT: Final = cast("Any", checks).negative_data_rejection


@frozen
class Spoken:
    """A cloud, and what it says that it speaks."""

    cloud: RunningCloud
    local: LocalCloud
    http: httpx.Client
    document: Mapping[str, Any]

    @property
    def operations(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Path, method and description of all."""
        return [
            (path, method.upper(), operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        ]

    def validator(self, name: str) -> jsonschema_rs.Validator:
        return jsonschema_rs.validator_for(
            {"$ref": f"#/components/schemas/{name}", "components": self.document["components"]}
        )


async def _fill(cloud: LocalCloud) -> LocalCloud:
    for device_id in (DEVICE, OTHER, SPARE):
        await cloud.add_device(device_id, input_interval_ms=200)
    return cloud


async def _end_streams(cloud: LocalCloud) -> None:
    """Have an end for each stream: who reads whole answers would wait for ever."""
    while True:
        await anyio.sleep(0.01)
        await cloud.close_streams()


@pytest.fixture(scope="module")
def spoken() -> Generator[Spoken, None, None]:
    with run_cloud(limit=1_000_000) as cloud:
        local: LocalCloud = cloud.portal.call(cloud.do, _fill)
        with httpx.Client(base_url=cloud.url, trust_env=False, timeout=PATIENCE) as http:
            http.post("/subscriptions", json={"publisher_id": DEVICE, "subscriber_id": OTHER}, headers=bearer(cloud))
            yield Spoken(cloud, local, http, http.get("/openapi.json").raise_for_status().json())


def bearer(cloud: RunningCloud) -> dict[str, str]:
    return {"Authorization": f"Bearer {cloud.token}"}


def test_where_tokens_are_had_is_there(spoken: Spoken) -> None:
    [flow] = spoken.document["components"]["securitySchemes"]["oauth2"]["flows"].values()
    told = spoken.http.get("/.well-known/oauth-authorization-server").json()
    assert flow["authorizationUrl"] == told["authorization_endpoint"]
    assert flow["tokenUrl"] == flow["refreshUrl"] == told["token_endpoint"]
    assert flow["scopes"].keys() == set(told["scopes_supported"])
    for *_, operation in spoken.operations:
        assert [[*required] for required in operation["security"]] in ([], [["bearer"], ["oauth2"]])


def test_it_is_a_valid_document(spoken: Spoken) -> None:
    schema = schemathesis.openapi.from_dict(dict(spoken.document))
    schema.validate()
    assert schema.specification.version == "3.1.0"
    ids = [operation["operationId"] for *_, operation in spoken.operations if "operationId" in operation]
    assert len(ids) == len(set(ids))


def test_anybody_may_read_it(spoken: Spoken) -> None:
    answer = spoken.http.get("/openapi.json", headers={"Origin": "https://editor.test"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert spoken.cloud.token not in answer.text


def test_each_path_in_it_is_a_route_with_these_methods_and_no_other(spoken: Spoken) -> None:
    for path, methods in spoken.document["paths"].items():
        refused = spoken.http.request("NONE", path.replace("{device_id}", DEVICE))
        assert refused.status_code == 405, path
        allowed = set(refused.headers["allow"].split(", "))
        assert allowed & METHODS == {method.upper() for method in methods}, path


def test_each_route_is_in_it(spoken: Spoken, monkeypatch: pytest.MonkeyPatch) -> None:
    routes = set[str]()
    make = LocalCloud._make_app  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - only it knows all routes

    def note_route(path: str, _: object) -> None:
        routes.add(path)

    def note_pages(pages: Mapping[str, object], app: ASGIApp) -> ASGIApp:
        routes.update(pages)
        return app

    monkeypatch.setattr("littlebits_async.localcloud.app.Route", note_route)
    monkeypatch.setattr("littlebits_async.localcloud.app.Router", Mock())
    monkeypatch.setattr("littlebits_async.localcloud.cloud.Aside", note_pages)
    make(LocalCloud(), lambda _: None)
    described = {re.sub(r"^/v[123](?=/)", "", path) for path in spoken.document["paths"]}
    assert routes == described
    for version in VERSIONS:
        assert {f"{version}{path}" for path in routes - BESIDE} <= spoken.document["paths"].keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_routes_tell_of_themselves_is_in_it(spoken: Spoken, version: str) -> None:
    for route in spoken.http.get(f"{version}/options").json():
        described = spoken.document["paths"][version + route["path"]][route["method"].lower()]
        assert bool(described["security"]) == bool(route["auth"])
        assert "deprecated" not in described


def test_who_shows_no_token_or_one_without_the_scope_is_refused_as_it_says(spoken: Spoken) -> None:
    tokens = {
        scope: spoken.cloud.portal.call(spoken.local.create_token, {scope}) for scope in ("read", "write", "admin")
    }
    protected = 0
    for path, method, operation in spoken.operations:
        if not operation["security"]:
            continue
        [[scope], *_] = [scopes for required in operation["security"] for scopes in required.values()]
        target = path.replace("{device_id}", DEVICE)
        assert spoken.http.request(method, target).status_code == 401, (method, path)
        for other in tokens.keys() - {scope}:
            answer = spoken.http.request(method, target, headers={"Authorization": tokens[other]})
            assert answer.status_code == 403, (method, path, other)
        protected += 1
    assert protected > 100


def test_an_input_event_is_as_it_says(spoken: Spoken) -> None:
    validator = spoken.validator("InputEvent")
    for version in VERSIONS:
        with spoken.http.stream("GET", f"{version}/devices/{DEVICE}/input", headers=bearer(spoken.cloud)) as stream:
            event = json.loads(next(stream.iter_lines()).removeprefix("data:"))
        validator.validate(event)
        properties = spoken.document["components"]["schemas"]["InputEvent"]["properties"]
        assert event.keys() == properties.keys()


@pytest.mark.parametrize(
    ("path", "name"),
    [("devices", "Device"), ("subscriptions", "Subscription")],
)
def test_no_field_of_an_answer_is_missing_in_it(spoken: Spoken, path: str, name: str) -> None:
    for version, schema in (("/v1", f"{name}V1"), ("/v2", name), ("/v3", name)):
        properties = spoken.document["components"]["schemas"][schema]["properties"]
        answer = spoken.http.get(f"{version}/{path}", headers=bearer(spoken.cloud)).json()
        assert answer[0].keys() == properties.keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cloud_answers_whatever_is_asked_as_it_says(spoken: Spoken, version: str) -> None:
    load_all_checks()
    schema: Any = schemathesis.openapi.from_dict(dict(spoken.document))  # its types are generic, and partly unknown
    with requests.Session() as session:
        session.trust_env = False
        ending = spoken.cloud.portal.start_task_soon(_end_streams, spoken.local)
        try:
            for result in schema.get_all_operations():
                operation = result.ok()
                is_older = operation.definition.raw.get("deprecated", False)
                if is_older and version in WITHOUT_OLDER:
                    continue
                if (re.match(r"/v[123](?=/)", operation.path) or [""])[0] == version:
                    _ask(spoken, operation, session, EXAMPLES[version])
        finally:
            ending.cancel()


def _ask(spoken: Spoken, operation: Any, session: requests.Session, examples: int) -> None:
    """Make requests of an operation: good ones, bad ones, and good ones of what is there."""
    of_what_is_there = dict[str, Any]()
    if "{device_id}" in operation.path:
        device_id = SPARE if operation.method == "delete" else DEVICE
        of_what_is_there["path_parameters"] = {"device_id": device_id}
    if operation.path.endswith("/subscriptions"):
        of_what_is_there["path_parameters"] = {"device_id": DEVICE}
        if operation.body:
            pair = {"publisher_id": DEVICE, "subscriber_id": OTHER}
            of_what_is_there |= {"body": pair, "media_type": "application/json"}
    strategies: list[st.SearchStrategy[Any]] = [operation.as_strategy()]
    if of_what_is_there:
        strategies.append(operation.as_strategy(**of_what_is_there))
    if operation.body or operation.query:
        strategies.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    spoken.http.post(f"/devices/{SPARE}", headers=bearer(spoken.cloud))  # the last operation may have given it up
    statuses = set[int]()
    for strategy in strategies:

        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
        )
        @given(strategy)
        def check(case: Any) -> None:
            answer = case.call_and_validate(
                base_url=spoken.cloud.url,
                session=session,
                headers=bearer(spoken.cloud),
                excluded_checks=[NOT_KEPT],
                timeout=PATIENCE,
            )
            statuses.add(answer.status_code)

        check()
    assert min(statuses) < 300, f"{operation.label}: nothing but {statuses}"
