"""Everything that can go wrong, in one hierarchy.

```
LittleBitsError
├── InvalidArgumentError (ValueError)     an argument that no request could carry; nothing was sent
├── SessionClosedError (RuntimeError)     used after it was closed
├── BudgetExhaustedError                  the wait for the hourly budget would be too long
├── TransportError                        no usable answer; ``__cause__`` is the HTTP library's error
│   └── RequestTimeoutError (TimeoutError)
├── DecodeError                           an answer that is not what the API promises
├── OAuthError                            the OAuth2 server refused, or nobody has logged in
├── WebhookVerificationError              a pushed event is not known to be the cloud's
├── APIError                              the API said no
│   ├── BadRequestError 400               ├── AuthenticationError 401
│   ├── PermissionDeniedError 403         ├── NotFoundError 404
│   ├── MethodNotAllowedError 405         ├── NotAcceptableError 406
│   ├── UnprocessableError 422            ├── RateLimitedError 429
│   └── ServerError 5xx
│       └── ServiceUnavailableError 503
└── StreamError
    ├── StreamStalledError (TimeoutError) nothing came for too long
    ├── StreamClosedError                 the server ended the stream
    └── NoStreamsLeftError                no device is left that could deliver
```

Every attribute has a default, so that an error survives `copy` and `pickle`, which rebuild it from its message.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

__all__ = [
    "APIError",
    "AuthenticationError",
    "BadRequestError",
    "BudgetExhaustedError",
    "DecodeError",
    "InvalidArgumentError",
    "LittleBitsError",
    "MethodNotAllowedError",
    "NoStreamsLeftError",
    "NotAcceptableError",
    "NotFoundError",
    "OAuthError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RequestTimeoutError",
    "ServerError",
    "ServiceUnavailableError",
    "SessionClosedError",
    "StreamClosedError",
    "StreamError",
    "StreamStalledError",
    "TransportError",
    "UnprocessableError",
    "WebhookVerificationError",
]


class LittleBitsError(Exception):
    """The base of every error that this package raises on purpose."""


class InvalidArgumentError(LittleBitsError, ValueError):
    """An argument that no request could carry; raised before anything is sent."""


class SessionClosedError(LittleBitsError, RuntimeError):
    """A session or reactor was used after it was closed."""


class BudgetExhaustedError(LittleBitsError):
    """The wait for a request of the hourly budget would be longer than allowed.

    Attributes:
        wait: Seconds until a request would have been granted.
    """

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class TransportError(LittleBitsError):
    """No usable answer came; ``__cause__`` is the HTTP library's own error.

    Attributes:
        phase: How far the request got: ``pool`` and ``connect`` (surely not sent), ``send``, ``receive``.
    """

    def __init__(self, message: str, *, phase: Literal["pool", "connect", "send", "receive"] = "receive") -> None:
        super().__init__(message)
        self.phase = phase

    @property
    def surely_unsent(self) -> bool:
        """Whether the server cannot have seen the request."""
        return self.phase in ("pool", "connect")


class RequestTimeoutError(TransportError, TimeoutError):
    """No answer came in time."""


class DecodeError(LittleBitsError):
    """An answer that is not what the API promises.

    Attributes:
        excerpt: The beginning of what came instead, at most 200 characters.
    """

    def __init__(self, message: str, *, excerpt: str = "") -> None:
        super().__init__(message)
        self.excerpt = excerpt


class OAuthError(LittleBitsError):
    """The OAuth2 server, or the user there, said no; or nobody has logged in. To ask again would not help.

    Attributes:
        error: The refusal's name (``invalid_grant``, ``access_denied``), empty where it was ours.
        description: The server's explanation, or None where it gave none.
    """

    def __init__(self, message: str, *, error: str = "", description: str | None = None) -> None:
        super().__init__(message)
        self.error = error
        self.description = description


class WebhookVerificationError(LittleBitsError):
    """A webhook's key, signature or time did not verify."""


class APIError(LittleBitsError):
    """The API answered with an error, or with a redirect, which is never followed.

    Attributes:
        status: The HTTP status code.
        error: The short name in the answer (``Not Found``), or the status's own phrase.
        message: The answer's explanation, or None where it gave none.
        method: The request's method.
        path: The request's path, without query.
        retry_after: Seconds to wait that the server asked for, or None where it said nothing.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int = 0,
        error: str = "",
        message: str | None = None,
        method: str = "",
        path: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.message = message
        self.method = method
        self.path = path
        self.retry_after = retry_after


class BadRequestError(APIError):
    """400: the request is badly formed."""


class AuthenticationError(APIError):
    """401: the token is missing, unknown or expired."""


class PermissionDeniedError(APIError):
    """403: the token's scope is too small, or the device is somebody else's."""


class NotFoundError(APIError):
    """404: no such device, or (version 1) a device that is off line."""


class MethodNotAllowedError(APIError):
    """405: the path does not take this method."""


class NotAcceptableError(APIError):
    """406: the server cannot answer in JSON here."""


class UnprocessableError(APIError):
    """422: understood, and refused as it stands."""


class RateLimitedError(APIError):
    """429: the key's requests for this hour are spent."""


class ServerError(APIError):
    """5xx: the server, or a gateway before it, failed."""


class ServiceUnavailableError(ServerError):
    """503: the server is busy or being looked after."""


class StreamError(LittleBitsError):
    """An input stream ended or failed."""


class StreamStalledError(StreamError, TimeoutError):
    """Nothing came on a stream for too long; the bit may be off line."""


class StreamClosedError(StreamError):
    """The server ended the stream."""


class NoStreamsLeftError(StreamError):
    """No device is left that could deliver an event.

    Attributes:
        causes: The error of each device, by device id.
    """

    def __init__(self, message: str, *, causes: Mapping[str, LittleBitsError] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.causes = dict(causes)
