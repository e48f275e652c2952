"""An asyncio client for littleBits cloudBits, and a cloud of your own that speaks the same API.

`Session` makes typed calls; `InputReactor` streams many devices into one ``async for``; `TokenBucket` keeps the hour's
1800 requests. `littlebits_async.localcloud` (extra ``server``) is the cloud.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .auth import Authorization, FileTokenStore, MemoryTokenStore, OAuth2, OAuthToken, TokenStore
    from .backoff import Backoff, RetryPolicy
    from .budget import Budget, BudgetReport, Grant, Priority, TokenBucket, Unlimited
    from .buffer import Overflow
    from .cloudbit import CloudBit, OutputQueue, Samples
    from .errors import (
        APIError,
        AuthenticationError,
        BadRequestError,
        BudgetExhaustedError,
        DecodeError,
        InvalidArgumentError,
        LittleBitsError,
        MethodNotAllowedError,
        NoStreamsLeftError,
        NotAcceptableError,
        NotFoundError,
        OAuthError,
        PermissionDeniedError,
        RateLimitedError,
        RequestTimeoutError,
        ServerError,
        ServiceUnavailableError,
        SessionClosedError,
        StreamClosedError,
        StreamError,
        StreamStalledError,
        TransportError,
        UnprocessableError,
        WebhookVerificationError,
    )
    from .hooks import Hooks, LoggingHooks, RequestDone
    from .models import (
        FOREVER,
        AccessPoint,
        AmplitudeEvent,
        ConnectionChange,
        Device,
        EventSource,
        InputEvent,
        InputGap,
        LightColor,
        LightMode,
        ReactorStats,
        StreamState,
        StreamStatus,
        Subscription,
    )
    from .reactor import InputReactor
    from .recording import Recorder, Replay, recorded
    from .session import InputStream, Session
    from .webhooks import WebhookReceiver, WebhookStats

__all__ = [
    "FOREVER",
    "APIError",
    "AccessPoint",
    "AmplitudeEvent",
    "AuthenticationError",
    "Authorization",
    "Backoff",
    "BadRequestError",
    "Budget",
    "BudgetExhaustedError",
    "BudgetReport",
    "CloudBit",
    "ConnectionChange",
    "DecodeError",
    "Device",
    "EventSource",
    "FileTokenStore",
    "Grant",
    "Hooks",
    "InputEvent",
    "InputGap",
    "InputReactor",
    "InputStream",
    "InvalidArgumentError",
    "LightColor",
    "LightMode",
    "LittleBitsError",
    "LoggingHooks",
    "MemoryTokenStore",
    "MethodNotAllowedError",
    "NoStreamsLeftError",
    "NotAcceptableError",
    "NotFoundError",
    "OAuth2",
    "OAuthError",
    "OAuthToken",
    "OutputQueue",
    "Overflow",
    "PermissionDeniedError",
    "Priority",
    "RateLimitedError",
    "ReactorStats",
    "Recorder",
    "Replay",
    "RequestDone",
    "RequestTimeoutError",
    "RetryPolicy",
    "Samples",
    "ServerError",
    "ServiceUnavailableError",
    "Session",
    "SessionClosedError",
    "StreamClosedError",
    "StreamError",
    "StreamStalledError",
    "StreamState",
    "StreamStatus",
    "Subscription",
    "TokenBucket",
    "TokenStore",
    "TransportError",
    "Unlimited",
    "UnprocessableError",
    "WebhookReceiver",
    "WebhookStats",
    "WebhookVerificationError",
    "__version__",
    "recorded",
]


# The modules that the names above are from, what costs least first; each needs most of those before it.
_MODULES = (
    *("errors", "buffer", "models", "backoff", "budget", "hooks", "auth", "session", "cloudbit"),
    *("reactor", "recording", "webhooks"),
)

if not TYPE_CHECKING:  # else every misspelt name would be one to type checkers

    def __getattr__(name: str) -> object:
        """Import what is asked for (PEP 562): httpx and all that it needs take a third of a second."""
        if name in _MODULES:
            return import_module(f".{name}", __name__)
        if name in __all__:
            for module in (import_module(f".{module}", __name__) for module in _MODULES):
                if name in module.__all__:
                    globals()[name] = value = getattr(module, name)
                    return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES, *__all__})
