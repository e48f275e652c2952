"""Who is asking: an access token, OAuth2, or a key of the community, as an httpx.Auth."""

from ._authorization import Authorization
from ._bearer import TOKEN_VARIABLE, BearerAuth, resolve_auth
from ._mobile import MobileAppAuth
from ._oauth2 import OAuth2, pay_again
from ._stores import FileTokenStore, MemoryTokenStore, TokenStore
from ._token import OAuthToken, is_sendable

__all__ = [
    "TOKEN_VARIABLE",
    "Authorization",
    "BearerAuth",
    "FileTokenStore",
    "MemoryTokenStore",
    "MobileAppAuth",
    "OAuth2",
    "OAuthToken",
    "TokenStore",
    "is_sendable",
    "pay_again",
    "resolve_auth",
]
