import signal
from pathlib import Path

import httpx
import pytest

from littlebits_async.testing import RunningCloud
from tests.support.command import command, run

pytestmark = pytest.mark.asyncio


async def test_with_nothing_at_hand_there_is_a_page_of_simulated_bits() -> None:
    async with command("dashboard", "--demo", "--devices", "3", "--no-open") as running:
        url = (await running.until(r"url (http://127\.0\.0\.1:\d+)")).group(1)
        async with httpx.AsyncClient(trust_env=False) as http:
            page = await http.get(url)
        assert page.status_code == 200
        assert "cloudBits" in page.text
        result = await running.result(send=signal.SIGINT)
    assert (result.code, result.errors) == (0, "")


async def test_it_shows_whose_token_it_is_given_behind_a_password_from_the_environment(
    running_cloud: RunningCloud,
) -> None:
    account = {"LITTLEBITS_BASE_URL": running_cloud.url, "LITTLEBITS_TOKEN": running_cloud.token}
    async with command("dashboard", "--json", LITTLEBITS_DASHBOARD_PASSWORD="correct horse", **account) as running:
        url = (await running.until(r'{"url": "(http:.*)"}')).group(1)
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(url)).headers["location"] == "/login"
            assert (await http.post(f"{url}/login", data={"password": "correct horse"})).headers["location"] == "/"
            assert (await http.get(url)).status_code == 200
        result = await running.result(send=signal.SIGTERM)
    assert (result.code, result.errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--host", "0.0.0.0"), 2, "password"),  # noqa: S104 - refused
        (("--password-file", "nowhere.txt"), 2, "cannot read"),
        (("--password-file", "short.txt"), 2, "8 characters"),
        (("--password-file", "empty.txt"), 2, "empty"),
        (("--tls-key", "nowhere.pem"), 2, "--tls-cert"),
        (("--host", "203.0.113.1", "--password-file", "good.txt"), 3, "cannot listen"),
    ],
)
async def test_what_cannot_be_is_told_in_a_line(
    arguments: tuple[str, ...], code: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "short.txt").write_text("1234567\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "good.txt").write_text("correct horse\n", encoding="utf-8")
    words = [str(tmp_path / word) if word.endswith((".txt", ".pem")) else word for word in arguments]
    result = await run("dashboard", "--demo", "--no-open", *words)
    assert result.code == code
    assert says in result.errors
    assert result.errors.count("\n") == 1
    assert result.output == ""
