"""OAuth2 over real sockets, against a server that takes each refresh token once; on asyncio and trio."""

import asyncio
import copy
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest

from littlebits_async import (
    AuthenticationError,
    DecodeError,
    InputReactor,
    InvalidArgumentError,
    OAuthError,
    Priority,
    RequestTimeoutError,
    Session,
    TokenBucket,
    TransportError,
    Unlimited,
)
from littlebits_async.auth import FileTokenStore, MemoryTokenStore, OAuth2, OAuthToken, TokenStore
from tests.chaos.secrets_watch import SecretsWatch
from tests.support.local_cloud import free_port
from tests.support.oauth_server import Held, OAuthServer, Reply, oauth_server
from tests.support.raw_server import Exchange

pytestmark = pytest.mark.anyio

PATIENCE = 10


def session_of(oauth: OAuthServer, auth: OAuth2) -> Session:
    return Session(auth, base_url=oauth.server.url, budget=Unlimited())


def reply(status: int, body: object = None, **options: object) -> Reply:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(status, body, **options)  # type: ignore[arg-type]  # per test

    return handler


async def until(wanted: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not wanted():  # noqa: ASYNC110 - counted, not told
            await anyio.sleep(0.002)


@asynccontextmanager
async def standing(token: OAuthToken | None = None) -> AsyncGenerator[tuple[OAuthServer, MemoryTokenStore], None]:
    """A server, and a store with a token that the API refuses."""
    async with oauth_server() as oauth:
        yield oauth, MemoryTokenStore(token or oauth.stale_token())


# Renewing


async def test_a_token_that_is_good_is_sent_as_it_is() -> None:
    async with oauth_server() as oauth:
        async with session_of(oauth, oauth.auth(MemoryTokenStore(oauth.new_token()))) as session:
            assert len(await session.devices()) == 1
    assert oauth.grants == []


async def test_a_refused_token_is_renewed_kept_and_the_request_sent_again() -> None:
    async with standing() as (oauth, store):
        async with session_of(oauth, oauth.auth(store)) as session:
            assert len(await session.devices()) == 1
            assert len(await session.devices()) == 1
    kept = await store.load()
    assert kept is not None
    assert kept.access_token in oauth.access
    assert kept.refresh_token in oauth.refresh
    assert kept.scopes == ("read", "write")
    assert [form["grant_type"] for form in oauth.grants] == ["refresh_token"]
    assert oauth.refused == 1


class Unlocked:
    """A store that locks nobody out."""

    def __init__(self, token: OAuthToken) -> None:
        self._inner = MemoryTokenStore(token)
        self.load = self._inner.load
        self.save = self._inner.save

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()


@pytest.mark.parametrize("kind", [MemoryTokenStore, Unlocked])
async def test_fifty_requests_that_are_refused_at_once_renew_the_token_once(
    kind: Callable[[OAuthToken], TokenStore],
) -> None:
    async with oauth_server() as oauth:
        store = kind(oauth.stale_token())
        held = oauth.before_token = Held(oauth)
        async with session_of(oauth, oauth.auth(store)) as session, anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(session.devices)
            await until(lambda: oauth.refused == 50)
            held.released.set()
        assert oauth.refused == 50
    assert len(oauth.grants) == 1


async def test_streams_are_opened_again_with_the_new_token() -> None:
    async with standing() as (oauth, store):
        async with session_of(oauth, oauth.auth(store)) as session:
            with pytest.raises(DecodeError, match="without an event stream"):  # it has none, and took the token
                async with session.inputs("00e040000001"):
                    pass
    assert (oauth.refused, len(oauth.grants)) == (1, 1)


async def test_a_request_that_is_sent_again_is_paid_for_at_its_own_priority() -> None:
    async with standing() as (oauth, store):
        budget = TokenBucket()
        async with Session(oauth.auth(store), base_url=oauth.server.url, budget=budget) as session:
            await session.devices()
            oauth.access.clear()
            with pytest.raises(DecodeError):
                async with session.inputs("00e040000001"):
                    pass
            oauth.access.clear()
            await session.devices()
        spent = (await budget.report()).spent
    assert spent == {
        (Priority.COMMAND, "devices"): 2,
        (Priority.COMMAND, "sent again"): 2,
        (Priority.STREAM, "input"): 1,
        (Priority.STREAM, "sent again"): 1,
    }
    assert sum(spent.values()) == len([request for request in oauth.server.requests if "oauth" not in request.path])


async def test_a_token_that_has_ended_is_renewed_before_it_is_sent() -> None:
    async with oauth_server() as oauth:
        token = oauth.stale_token()
        store = MemoryTokenStore(OAuthToken(token.access_token, token.refresh_token, expires_at=time.time() - 1))
        async with session_of(oauth, oauth.auth(store)) as session:
            await session.devices()
    assert (oauth.refused, len(oauth.grants)) == (0, 1)


async def test_a_short_lived_token_is_not_renewed_for_each_request() -> None:
    async with standing() as (oauth, store):
        oauth.lifetime = 10
        async with session_of(oauth, oauth.auth(store)) as session:
            for _ in range(5):
                await session.devices()
    assert len(oauth.grants) == 1


async def test_a_server_that_keeps_the_refresh_token_may_leave_it_out() -> None:
    async with standing() as (oauth, store):
        before = await store.load()
        oauth.access.add("another")
        oauth.before_token = reply(200, {"access_token": "another", "expires_in": "3600", "scope": None})
        async with session_of(oauth, oauth.auth(store)) as session:
            await session.devices()
    kept = await store.load()
    assert before is not None
    assert kept is not None
    assert kept.refresh_token == before.refresh_token
    assert kept.expires_at == pytest.approx(time.time() + 3570, abs=60)


async def test_what_another_process_renewed_is_taken_without_asking() -> None:
    async with standing() as (oauth, store):
        async with session_of(oauth, oauth.auth(store)) as session:
            await session.devices()
            oauth.access.clear()
            await store.save(oauth.new_token())
            await session.devices()
    assert len(oauth.grants) == 1


async def test_two_clients_of_one_store_do_not_use_a_refresh_token_twice(tmp_path: Path) -> None:
    path = str(tmp_path / "token.json")
    async with standing() as (oauth, store):
        await FileTokenStore(path).save(await store.load())
        held = oauth.before_token = Held(oauth)
        async with session_of(oauth, oauth.auth(path)) as one, session_of(oauth, oauth.auth(path)) as other:
            async with anyio.create_task_group() as group:
                group.start_soon(one.devices)
                group.start_soon(other.devices)
                await until(lambda: oauth.refused == 2)
                held.released.set()
    assert len(oauth.grants) == 1


async def test_an_oauth2_serves_one_event_loop_after_another_and_several_at_a_time(anyio_backend_name: str) -> None:
    async with standing() as (oauth, store):
        auth = oauth.auth(store)
        held = oauth.before_token = Held(oauth)

        async def work() -> None:
            async with session_of(oauth, auth) as session:
                await session.devices()

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, lambda: anyio.run(work, backend="asyncio"))
            group.start_soon(anyio.to_thread.run_sync, lambda: anyio.run(work, backend="trio"))
            group.start_soon(work)
            await until(lambda: oauth.refused == 3)
            held.released.set()
        assert len(oauth.grants) == 1
        assert anyio_backend_name


# Cancellation


async def test_a_cancelled_refresher_does_not_strand_the_others() -> None:
    async with standing() as (oauth, store):
        held = oauth.before_token = Held(oauth)
        first = anyio.CancelScope()
        done: list[str] = []
        async with session_of(oauth, oauth.auth(store)) as session:

            async def call(name: str, scope: anyio.CancelScope) -> None:
                with scope:
                    await session.devices()
                    done.append(name)

            async with anyio.create_task_group() as group:
                group.start_soon(call, "first", first)
                with anyio.fail_after(PATIENCE):
                    await held.asked.wait()
                group.start_soon(call, "second", anyio.CancelScope())
                await until(lambda: oauth.refused == 2)
                first.cancel()
                held.released.set()
    assert done == ["second"]
    assert len(oauth.grants) == 1


async def test_the_answer_to_a_cancelled_refresher_is_kept() -> None:
    async with standing() as (oauth, store):
        held = oauth.before_token = Held(oauth)
        async with session_of(oauth, oauth.auth(store)) as session, anyio.create_task_group() as group:
            scope = anyio.CancelScope()

            async def call() -> None:
                with scope:
                    await session.devices()

            group.start_soon(call)
            with anyio.fail_after(PATIENCE):
                await held.asked.wait()
            scope.cancel()
            held.released.set()
        kept = await store.load()
        assert kept is not None
        assert kept.access_token in oauth.access


@pytest.mark.asyncio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_answer_is_kept_when_the_refresher_is_cancelled_natively() -> None:
    async with standing() as (oauth, store):
        held = oauth.before_token = Held(oauth)
        async with session_of(oauth, oauth.auth(store)) as session:
            task = asyncio.create_task(session.devices())
            await asyncio.wait_for(held.asked.wait(), PATIENCE)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            held.released.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        kept = await store.load()
        assert kept is not None
        assert kept.access_token in oauth.access


async def test_a_refresher_that_gets_no_answer_gives_up_soon_after_it_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("littlebits_async.auth._flight.GRACE", 0.05)
    async with standing() as (oauth, store):
        waited_for: list[bool] = []

        async def say_nothing(exchange: Exchange) -> None:
            with anyio.move_on_after(PATIENCE) as scope:
                await exchange.until_closed()
            waited_for.append(scope.cancelled_caught)
            await exchange.close()  # who waits, waits shielded

        oauth.before_token = say_nothing
        async with session_of(oauth, oauth.auth(store, timeout=3600)) as session:
            async with anyio.create_task_group() as group:
                group.start_soon(session.devices)
                await until(lambda: len(oauth.grants) == 1)
                group.cancel_scope.cancel()
        await oauth.server.until_connections(0)
    assert waited_for == [False]


# Failures


async def test_a_refusal_is_the_api_s_401_and_is_not_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    async with standing() as (oauth, store):
        oauth.refresh.clear()
        async with session_of(oauth, oauth.auth(store)) as session:
            for _ in range(3):
                with pytest.raises(AuthenticationError):
                    await session.devices()
            assert len(oauth.grants) == 1
            await store.save(oauth.new_token())  # somebody has logged in
            await session.devices()
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "invalid_grant (used, or never given)" in record.getMessage()


async def test_a_refusal_reaches_all_who_wait_without_being_asked_for_again() -> None:
    async with standing() as (oauth, store):
        held = oauth.before_token = Held(oauth)
        oauth.refresh.clear()
        refused: list[None] = []
        async with session_of(oauth, oauth.auth(store)) as session:

            async def call() -> None:
                with pytest.raises(AuthenticationError):
                    await session.devices()
                refused.append(None)

            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(call)
                await until(lambda: oauth.refused == 20)
                held.released.set()
    assert (len(refused), len(oauth.grants)) == (20, 1)


async def test_a_failure_that_may_pass_is_shared_by_who_waits_and_tried_by_who_comes_later() -> None:
    async with standing() as (oauth, store):
        failed: list[TransportError] = []
        release = anyio.Event()

        async def unavailable(exchange: Exchange) -> None:
            await release.wait()
            await exchange.answer(503)

        oauth.before_token = unavailable
        auth = oauth.auth(store)

        async def refresh() -> None:
            with pytest.raises(TransportError, match="503") as caught:
                await auth.refresh()
            failed.append(caught.value)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(refresh)
            await until(lambda: len(oauth.grants) == 1)
            await anyio.wait_all_tasks_blocked()
            release.set()
        assert (len(failed), len(oauth.grants)) == (20, 1)
        assert len({id(error) for error in failed}) == 20
        oauth.before_token = None
        assert (await auth.refresh()).access_token in oauth.access


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(503), TransportError),
        (reply(429), TransportError),
        (reply(500, {"error": "server_error"}), TransportError),
        (reply(404, b"<p>not here", kind="text/html"), DecodeError),
        (reply(302, headers={"Location": "/login"}), DecodeError),
        (reply(200, b"<p>log in to the hotel", kind="text/html"), DecodeError),
        (reply(200, []), DecodeError),
        (reply(200, {"access_token": ""}), DecodeError),
        (reply(200, {"access_token": "two words"}), DecodeError),
        (reply(200, {"access_token": "a\nb"}), DecodeError),
        (reply(200, {"access_token": "a", "token_type": "mac"}), DecodeError),
        (reply(200, b"[" * 60_000), DecodeError),
        (reply(200, b"x" * 70_000), DecodeError),
        (reply(401, {"error": "invalid_client"}), OAuthError),
        (reply(200, {"error": "bad_verification_code"}), OAuthError),
    ],
)
async def test_whatever_the_server_answers_is_an_error_of_ours(answer: Reply, error: type[Exception]) -> None:
    async with standing() as (oauth, store):
        before = await store.load()
        oauth.before_token = answer
        with pytest.raises(error) as caught:
            await oauth.auth(store).refresh()
        assert isinstance(caught.value, OAuthError) == (error is OAuthError)
        assert await store.load() == before


async def test_a_refusal_says_its_name_and_why() -> None:
    async with standing() as (oauth, store):
        oauth.before_token = reply(400, {"error": "invalid_grant", "error_description": "line\n" * 100})
        with pytest.raises(OAuthError) as caught:
            await oauth.auth(store).refresh()
    error = copy.copy(caught.value)
    assert error.error == "invalid_grant"
    assert error.description is not None
    assert len(error.description) <= 200
    assert "\n" not in str(error)


async def test_a_server_that_is_not_there_is_a_transport_error_and_nothing_was_sent() -> None:
    async with oauth_server() as oauth:
        store = MemoryTokenStore(OAuthToken("a" * 20, "b" * 20, expires_at=0))
        nowhere = f"http://127.0.0.1:{free_port()}/token"
        async with session_of(oauth, oauth.auth(store, token_url=nowhere)) as session:
            with pytest.raises(TransportError, match="token endpoint") as caught:
                await session.output("00e040000001")
        assert caught.value.surely_unsent
        assert oauth.server.requests == []


async def test_a_token_with_life_left_is_sent_while_no_other_is_to_be_had() -> None:
    async with oauth_server() as oauth:
        token = oauth.new_token()
        expires_at = time.time() - 1  # from which it is to be renewed; it is good for up to 30 s more
        store = MemoryTokenStore(OAuthToken(token.access_token, token.refresh_token, expires_at=expires_at))
        oauth.before_token = reply(503)
        async with session_of(oauth, oauth.auth(store)) as session:
            assert len(await session.devices()) == 1
            oauth.before_token = None
            assert len(await session.devices()) == 1
    assert len(oauth.grants) == 2


async def test_a_server_that_says_nothing_is_a_timeout() -> None:
    async with standing() as (oauth, store):
        oauth.before_token = lambda exchange: exchange.until_closed()
        with pytest.raises(RequestTimeoutError):
            await oauth.auth(store, timeout=0.05).refresh()


async def test_who_has_not_logged_in_is_told_so_and_nothing_is_sent() -> None:
    async with oauth_server() as oauth:
        async with session_of(oauth, oauth.auth()) as session:
            with pytest.raises(OAuthError, match="log in first"):
                await session.devices()
        assert oauth.server.requests == []


async def test_who_has_not_logged_in_pays_nothing_and_no_stream_tries_again() -> None:
    async with oauth_server() as oauth:
        budget = TokenBucket()
        async with Session(oauth.auth(), base_url=oauth.server.url, budget=budget) as session:
            with anyio.fail_after(PATIENCE), pytest.raises(OAuthError, match="log in first"):
                async with InputReactor(session, ["00e040000001"]) as reactor:
                    await anext(aiter(reactor))
        assert budget.available == 1800
        assert oauth.server.requests == []


async def test_a_token_that_cannot_be_renewed_is_sent_all_the_same() -> None:
    async with oauth_server() as oauth:
        token = oauth.new_token()
        store = MemoryTokenStore(OAuthToken(token.access_token, expires_at=0))  # or is it this clock that is wrong?
        async with session_of(oauth, oauth.auth(store)) as session:
            await session.devices()
            oauth.access.clear()
            with pytest.raises(AuthenticationError):
                await session.devices()
    assert oauth.grants == []


async def test_a_token_that_cannot_be_kept_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with oauth_server() as oauth:
        store = FileTokenStore(tmp_path / "token.json")
        await store.save(oauth.stale_token())

        def full(_: int) -> None:
            raise OSError("no space left")

        async with session_of(oauth, oauth.auth(store)) as session:
            with monkeypatch.context() as patch:
                patch.setattr("os.fsync", full)
                await session.devices()
                oauth.access.clear()
                await session.devices()
            assert "no space left" in caplog.text
            oauth.access.clear()
            await session.devices()
        assert len(oauth.grants) == 3
        kept = await store.load()
        assert kept is not None
        assert kept.access_token in oauth.access


@pytest.mark.parametrize("broken", ["load", "exclusive"])
async def test_a_store_that_fails_is_an_error_of_ours(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    async with oauth_server() as oauth:
        if broken == "load":
            path.mkdir()
        else:
            await FileTokenStore(path).save(oauth.stale_token())
            (tmp_path / "token.json.lock").mkdir()
        with pytest.raises(TransportError, match="the token cannot be") as caught:  # it may pass: EMFILE
            await oauth.auth(str(path)).refresh()
        assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("ended", [False, True])
async def test_why_a_token_cannot_be_renewed_is_logged_once(caplog: pytest.LogCaptureFixture, *, ended: bool) -> None:
    async with oauth_server() as oauth:
        access = oauth.stale_token().access_token
        store = MemoryTokenStore(OAuthToken(access, expires_at=0 if ended else None))
        async with session_of(oauth, oauth.auth(store)) as session:
            for _ in range(3):
                with pytest.raises(AuthenticationError):
                    await session.devices()
            (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
            assert "no refresh token" in record.getMessage()
            await store.save(OAuthToken(oauth.new_token().access_token))  # somebody has logged in
            await session.devices()
            oauth.access.clear()
            with pytest.raises(AuthenticationError):
                await session.devices()
    assert caplog.text.count("no refresh token") == 2


async def test_a_store_that_holds_no_token_any_more_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with oauth_server() as oauth:
        store = FileTokenStore(tmp_path / "token.json")
        await store.save(oauth.new_token())
        async with session_of(oauth, oauth.auth(store)) as session:
            await session.devices()
            oauth.access.clear()
            store.path.write_text("notes", encoding="utf-8")
            with pytest.raises(AuthenticationError):
                await session.devices()
    assert "token.json holds no token" in caplog.text


@pytest.mark.parametrize("broken", ["load", "exclusive"])
async def test_a_store_that_fails_for_a_while_is_no_refusal(broken: str) -> None:
    class Failing(MemoryTokenStore):
        fails = True

        async def load(self) -> OAuthToken | None:
            self._fail("load")
            return await super().load()

        @asynccontextmanager
        async def exclusive(self) -> AsyncGenerator[None, None]:
            self._fail("exclusive")
            async with super().exclusive():
                yield

        def _fail(self, call: str) -> None:
            if self.fails and call == broken:
                raise OSError(24, "Too many open files")

    async with oauth_server() as oauth:
        store = Failing(oauth.stale_token())
        async with session_of(oauth, oauth.auth(store)) as session:
            with pytest.raises(TransportError, match="Too many open files"):
                await session.devices()
            store.fails = False
            assert len(await session.devices()) == 1


async def test_forgetting_keeps_no_token() -> None:
    async with standing() as (oauth, store):
        auth = oauth.auth(store)
        await auth.refresh()
        await auth.forget()
        assert await store.load() is None
        with pytest.raises(OAuthError):
            await auth.token()


async def test_forgetting_forgets_what_a_renewal_on_its_way_brings() -> None:
    async with standing() as (oauth, store):
        held = oauth.before_token = Held(oauth)
        auth = oauth.auth(store)
        async with anyio.create_task_group() as group:
            group.start_soon(auth.refresh)
            with anyio.fail_after(PATIENCE):
                await held.asked.wait()
            group.start_soon(auth.forget)
            await anyio.wait_all_tasks_blocked()
            held.released.set()
        assert await store.load() is None
        with pytest.raises(OAuthError, match="log in first"):
            await auth.token()


# Logging in


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_login_is_not_undone_by_a_renewal_on_its_way(*, elsewhere: bool) -> None:
    async with standing() as (oauth, store):
        held = oauth.before_token = Held(oauth)
        renews = oauth.auth(store)
        auth = oauth.auth(store) if elsewhere else renews
        got: list[OAuthToken] = []

        async def log_in() -> None:
            question = auth.authorize("http://127.0.0.1:1/callback")
            got.append(await auth.redeem(question, oauth.consent(question.url)))

        async with anyio.create_task_group() as group:
            group.start_soon(renews.refresh)
            with anyio.fail_after(PATIENCE):
                await held.asked.wait()
            oauth.before_token = None
            group.start_soon(log_in)
            await until(lambda: len(oauth.grants) == 2)
            await anyio.wait_all_tasks_blocked()
            held.released.set()
        assert [await store.load()] == got
        assert await auth.token() == got[0]


async def test_a_code_is_exchanged_for_tokens_with_the_proof_that_it_was_asked_for_here() -> None:
    async with oauth_server() as oauth:
        auth = oauth.auth(scopes="read")
        question = auth.authorize("http://127.0.0.1:1/callback")
        token = await auth.redeem(question, oauth.consent(question.url))
        assert token == await auth.store.load()
        async with session_of(oauth, auth) as session:
            await session.devices()
    (form,) = oauth.grants
    assert form["client_id"] == "app"
    assert 43 <= len(form["code_verifier"]) <= 128


async def test_a_client_with_a_secret_proves_it_in_a_header() -> None:
    async with oauth_server() as oauth:
        auth = oauth.auth(client_secret="a secret: with äöü%")
        question = auth.authorize("http://127.0.0.1:1/callback")
        await auth.redeem(question, oauth.consent(question.url))
    (request,) = oauth.server.requests
    expected = httpx.BasicAuth("app", "a+secret%3A+with+%C3%A4%C3%B6%C3%BC%25")
    assert (
        request.headers["authorization"]
        == next(expected.auth_flow(httpx.Request("GET", "http://a"))).headers["Authorization"]
    )
    assert b"client_id" not in request.body


CHANGES: list[tuple[Callable[[str], str], str]] = [
    (lambda url: url.replace("state=", "state=x"), "state is another"),
    (lambda url: url.partition("&state")[0], "state is another"),
    (lambda url: f"{url}&state=x", "state is another"),
    (lambda url: url.replace("code=", "other="), "no code"),
    (lambda url: url.replace("code=", "error=access_denied&error_description=not+now&c="), "access_denied"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
async def test_what_is_no_answer_to_the_question_is_not_exchanged(change: Callable[[str], str], said: str) -> None:
    async with oauth_server() as oauth:
        auth = oauth.auth()
        question = auth.authorize("http://127.0.0.1:1/callback")
        with pytest.raises(OAuthError, match=said):
            await auth.redeem(question, change(oauth.consent(question.url)))
    assert oauth.grants == []


async def test_a_code_is_good_for_its_own_question_only() -> None:
    async with oauth_server() as oauth:
        auth = oauth.auth()
        mine, other = (auth.authorize("http://127.0.0.1:1/callback") for _ in range(2))
        stolen = oauth.consent(other.url).partition("&state=")[0]
        state = oauth.consent(mine.url).partition("&state=")[2]
        with pytest.raises(OAuthError, match="invalid_grant"):
            await auth.redeem(mine, f"{stolen}&state={state}")


async def test_a_login_ends_a_refusal() -> None:
    async with standing() as (oauth, store):
        auth = oauth.auth(store)
        oauth.refresh.clear()
        with pytest.raises(OAuthError):
            await auth.refresh()
        question = auth.authorize("http://127.0.0.1:1/callback")
        await auth.redeem(question, oauth.consent(question.url))
        await auth.refresh()


# httpx


async def test_it_serves_an_httpx_client_of_ones_own() -> None:
    async with standing() as (oauth, store):
        async with httpx.AsyncClient(auth=oauth.auth(store), trust_env=False) as client:
            response = await client.get(f"{oauth.server.url}/v2/devices")
            assert (response.status_code, len(response.history)) == (200, 1)


async def test_a_refused_request_is_not_read_to_its_end() -> None:
    async with standing() as (oauth, store):
        plain = oauth.handle

        async def endless(exchange: Exchange) -> None:
            if exchange.request.path == "/v2/devices" and not oauth.grants:
                await exchange.send(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n")
                await exchange.until_closed()
            else:
                await plain(exchange)

        oauth.server.handler = endless
        async with session_of(oauth, oauth.auth(store)) as session:
            with anyio.fail_after(PATIENCE):
                await session.devices()


async def test_a_transport_of_ones_own_is_used_and_stays_open() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"access_token": f"token{len(asked)}", "refresh_token": "r"})

    auth = OAuth2("app", store=MemoryTokenStore(OAuthToken("a", "b")), transport=httpx.MockTransport(answer))
    assert (await auth.refresh()).access_token == "token1"
    assert (await auth.refresh()).access_token == "token2"
    assert asked == ["/oauth/token"] * 2


def test_a_blocking_client_is_refused() -> None:
    with httpx.Client(auth=OAuth2("app"), transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        with pytest.raises(RuntimeError, match="AsyncClient"):
            client.get("http://cloud.example")


@pytest.mark.parametrize(
    "options",
    [
        {"client_id": ""},
        {"token_url": "nothing"},
        {"token_url": "ftp://a.example"},
        {"token_url": "http://user:password@a.example"},
        {"authorize_url": "http://a.example/#fragment"},
        {"timeout": 0},
        {"proxy": "ftp://user:password@proxy.example"},
        {"proxy": "password"},
    ],
)
def test_what_cannot_be_used_is_refused_and_not_shown(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        OAuth2(**{"client_id": "app", **options})  # type: ignore[arg-type]  # per test
    assert "password" not in str(caught.value)


# Secrets


SECRET = "clientsecretK3v9QzRmT7"
CODE = "codeYp5Wn8LcXe2Bd6Hs4J"


ANSWERS: list[Reply | str | None] = [
    None,
    "echo",
    "chunk",
    reply(503),
    reply(200, b"no json"),
    lambda exchange: exchange.close(),
    lambda exchange: exchange.until_closed(),
]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_no_secret_shows_in_logs_errors_or_reprs(answer: Reply | str | None) -> None:
    async with oauth_server() as oauth:
        token = oauth.stale_token()
        assert token.refresh_token is not None
        watch = SecretsWatch(token.access_token, token.refresh_token, SECRET, CODE)

        async def echo(exchange: Exchange) -> None:
            body = {"error": "invalid_request", "error_description": exchange.request.body.decode()}
            await exchange.answer(400, body, headers={"X-Request": exchange.request.headers["authorization"]})

        async def broken_chunk(exchange: Exchange) -> None:
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            await exchange.send(head + f'{{"refresh_token": "{token.refresh_token}"}}\r\n'.encode())

        oauth.before_token = {"echo": echo, "chunk": broken_chunk}.get(answer) if isinstance(answer, str) else answer
        auth = oauth.auth(MemoryTokenStore(token), client_secret=SECRET, timeout=0.2)
        question = auth.authorize("http://127.0.0.1:1/callback")
        answered = question.url.replace("response_type=code", f"code={CODE}")
        if question.verifier is not None:
            watch.guard(question.verifier)
        watch.see_value("auth", auth)
        watch.see_value("question", question)
        watch.see_value("token", token)
        watch.see_value("store", auth.store)
        calls: list[Callable[[], Awaitable[object]]] = [auth.refresh, lambda: auth.redeem(question, answered)]
        with watch.watching():
            for call in calls:
                try:
                    await call()
                except Exception as exc:  # noqa: BLE001 - whatever it is
                    watch.see_error("an error", exc)
            async with session_of(oauth, auth) as session:
                try:
                    await session.devices()
                except Exception as exc:  # noqa: BLE001 - whatever it is
                    watch.see_error("an error of the session", exc)
        watch.check()
        assert watch.records
