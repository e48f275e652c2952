"""Every public call says what it costs of the hour's requests (design.md, B6)."""

import inspect
from collections.abc import Iterator

import pytest

from littlebits_async import CloudBit, InputReactor, OAuth2, OutputQueue, Session, WebhookReceiver
from littlebits_async.community import Community


def calls() -> Iterator[tuple[str, str]]:
    # Of what can make requests: a recording, its replay and the operators have nothing to make one with.
    for cls in (Session, CloudBit, Community, InputReactor, OAuth2, OutputQueue, WebhookReceiver):
        for name, member in inspect.getmembers(cls, inspect.isfunction):
            if name.endswith("auth_flow"):
                continue  # httpx calls it
            if not name.startswith("_") or name == "__aiter__":
                yield f"{cls.__name__}.{name}", inspect.getdoc(member) or ""


@pytest.mark.requirement("B6.costs")
@pytest.mark.parametrize(("name", "text"), [pytest.param(*call, id=call[0]) for call in calls()])
def test_a_call_says_what_it_costs(name: str, text: str) -> None:
    assert "Cost: " in text, name
