"""What a client can be made of: each check gives the argument back as it is used, or says what is wrong with it.

Messages never show a URL: its user name, password or query may be secret.
"""

import sys
from importlib.util import find_spec
from typing import Final

import httpx

from ..errors import InvalidArgumentError

__all__ = ["check_base_url", "check_http2", "check_proxy", "check_timeout", "check_user_agent"]

_LONGEST_BASE: Final = 4096
_LAST_PORT: Final = 65535


def check_base_url(text: object) -> httpx.URL:
    """An http or https URL, which may have a path."""
    url = _url("base_url", text)
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidArgumentError("base_url: an http or https URL with a host is needed")
    if url.query or url.fragment or url.userinfo:
        raise InvalidArgumentError("base_url: query, fragment and user name have no place in it")
    if len(str(url)) > _LONGEST_BASE:
        raise InvalidArgumentError(f"base_url: {_LONGEST_BASE} characters at most")
    return url


def check_timeout(seconds: object) -> float:
    """A positive number of seconds."""
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds <= sys.float_info.max  # NaN is in no range
    ):
        raise InvalidArgumentError("timeout: a positive number of seconds or an httpx.Timeout is needed")
    return float(seconds)


def check_proxy(proxy: object) -> str | None:
    """A proxy's URL, whose scheme httpx can speak here."""
    if proxy is None:
        return None
    if not isinstance(proxy, str):
        raise InvalidArgumentError(f"proxy: a str is needed, not {type(proxy).__name__}")
    url = _url("proxy", proxy)
    if url.scheme not in ("http", "https", "socks5", "socks5h") or not url.host:
        raise InvalidArgumentError("proxy: an http, https, socks5 or socks5h URL with a host is needed")
    if url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise InvalidArgumentError(
            "proxy: for a SOCKS proxy the package socksio is missing; install it,"
            " or say trust_env=False where the environment names the proxy"
        )
    return proxy


def check_http2(http2: object) -> bool:
    """Whether calls may speak HTTP/2, which needs an extra."""
    if http2 and find_spec("h2") is None:
        raise InvalidArgumentError("http2: the package h2 is missing; install littlebits-async[http2]")
    return bool(http2)


def check_user_agent(user_agent: object) -> str | None:
    """A text that a header can carry."""
    if user_agent is None:
        return None
    if not isinstance(user_agent, str):
        raise InvalidArgumentError(f"user_agent: a str is needed, not {type(user_agent).__name__}")
    if not user_agent.isascii() or not user_agent.isprintable() or user_agent != user_agent.strip():
        raise InvalidArgumentError("user_agent: printable ASCII without blanks around it is needed")
    return user_agent


def _url(name: str, text: object) -> httpx.URL:
    if not isinstance(text, str | httpx.URL):
        raise InvalidArgumentError(f"{name}: a str is needed, not {type(text).__name__}")
    try:
        url = httpx.URL(text)
        url.host  # noqa: B018 # pyright: ignore[reportUnusedExpression] - decodes, and may fail
    except (httpx.InvalidURL, ValueError) as exc:
        failure, url = type(exc).__name__, None
    else:
        failure = ""
    if url is None:  # raised here, not above: httpx's error may show a password, and would be its context
        raise InvalidArgumentError(f"{name}: {failure}: no URL")
    if url.port is not None and not 0 < url.port <= _LAST_PORT:
        raise InvalidArgumentError(f"{name}: a port is a number from 1 to {_LAST_PORT}")
    return url
