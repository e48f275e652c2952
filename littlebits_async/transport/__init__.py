"""How bytes reach us: the httpx client, its connections, its streams."""

from ._client import API, DEFAULT_BASE_URL, Client, Heard, Ready
from ._feed import Feed, FeedItem

__all__ = ["API", "DEFAULT_BASE_URL", "Client", "Feed", "FeedItem", "Heard", "Ready"]
