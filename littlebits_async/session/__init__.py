"""Session: pool, auth, budget and retries behind typed calls."""

from ._input_stream import InputStream
from ._session import Session

__all__ = ["InputStream", "Session"]
