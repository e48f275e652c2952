"""OAuth2: how an application gets an access token without being told one, and how it renews that."""

from ._app import OAuth
from ._clients import BadClientError, new_client
from ._grants import REFRESH_WITHIN, digest_family

__all__ = ["REFRESH_WITHIN", "BadClientError", "OAuth", "digest_family", "new_client"]
