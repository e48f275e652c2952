"""The cloud's OAuth2, as Authlib's client sees it: a second opinion on the same RFCs."""

import warnings
from importlib import import_module
from typing import Any

import pytest

from littlebits_async.localcloud import LocalCloud
from tests.support.consent import BACK, allow, browser, register

pytestmark = pytest.mark.asyncio

# Modules without types.
with warnings.catch_warnings(record=True):  # of their own future
    client_module: Any = import_module("authlib.integrations.httpx_client")
errors: Any = import_module("authlib.integrations.base_client.errors")
metadata: Any = import_module("authlib.oauth2.rfc8414")

VERIFIER = "v" * 64


async def callback_of(cloud: LocalCloud, url: str, token: str) -> str:
    async with browser(cloud.url) as http:
        return str((await allow(http, url, token)).headers["location"])


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
async def test_authlib_logs_in_renews_and_revokes(cloud: LocalCloud, token: str, method: str) -> None:
    await cloud.add_device("b1")
    secret = await register(cloud, "shop", confidential=method != "none")
    async with browser(cloud.url) as http:
        told = (await http.get("/.well-known/oauth-authorization-server")).json()
    metadata.AuthorizationServerMetadata(
        {**told, "issuer": told["issuer"].replace("http:", "https:")}
    ).validate_issuer()
    assert method in told["token_endpoint_auth_methods_supported"]
    async with client_module.AsyncOAuth2Client(
        client_id="shop",
        client_secret=secret,
        scope="read write",
        redirect_uri=BACK,
        code_challenge_method="S256",
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        token_endpoint=told["token_endpoint"],
        trust_env=False,
    ) as client:
        url, state = client.create_authorization_url(told["authorization_endpoint"], code_verifier=VERIFIER)
        got = await client.fetch_token(
            authorization_response=await callback_of(cloud, url, token), code_verifier=VERIFIER, state=state
        )
        assert got["expires_at"] > 0
        assert [each["id"] for each in (await client.get(f"{cloud.url}/v2/devices")).json()] == ["b1"]
        client.token["expires_at"] = 1
        await client.get(f"{cloud.url}/v2/devices")  # renews it first
        assert client.token["access_token"] != got["access_token"]
        response = await client.revoke_token(
            told["revocation_endpoint"], token=client.token["refresh_token"], token_type_hint="refresh_token"
        )
        assert response.status_code == 200
        with pytest.raises(errors.OAuthError, match="invalid_grant"):
            await client.refresh_token(told["token_endpoint"])


async def test_authlib_is_told_why_not(cloud: LocalCloud, token: str) -> None:
    async with client_module.AsyncOAuth2Client(
        client_id="littlebits", redirect_uri=BACK, code_challenge_method="S256", scope="read", trust_env=False
    ) as client:
        url, state = client.create_authorization_url(f"{cloud.url}/oauth/authorize", code_verifier=VERIFIER)
        callback = await callback_of(cloud, url, token)
        with pytest.raises(errors.OAuthError, match="invalid_grant"):
            await client.fetch_token(
                f"{cloud.url}/oauth/token", authorization_response=callback, code_verifier="w" * 64, state=state
            )
