"""Session: pool, auth, budget and retries behind typed calls."""

from ._input_stream import InputStream
from ._payer import Payer
from ._session import Session

__all__ = ["InputStream", "Payer", "Session"]
