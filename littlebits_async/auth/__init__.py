"""Who is asking: an access token, or OAuth2, as an httpx.Auth."""

from ._authorization import Authorization
from ._bearer import TOKEN_VARIABLE, BearerAuth, resolve_auth
from ._oauth2 import OAuth2, pay_again
from ._stores import FileTokenStore, MemoryTokenStore, TokenStore
from ._token import OAuthToken

__all__ = [
    "TOKEN_VARIABLE",
    "Authorization",
    "BearerAuth",
    "FileTokenStore",
    "MemoryTokenStore",
    "OAuth2",
    "OAuthToken",
    "TokenStore",
    "pay_again",
    "resolve_auth",
]
