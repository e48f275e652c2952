"""Which event loop this is, told to those who ask often.

httpcore and anyio ask sniffio at each lock and each read, twenty times for a call; an answer that stands ready in the
context costs a fifth. It must not be there for users' code, which may take a copy of the context to another thread, and
run another event loop there.
"""

from contextvars import Token

import sniffio

__all__ = ["forget_library", "hide_library", "tell_library"]


def tell_library() -> Token[str | None]:
    """Have the answer stand ready; `forget_library` must follow."""
    return sniffio.current_async_library_cvar.set(sniffio.current_async_library())


def hide_library() -> Token[str | None]:
    """Have sniffio find out for itself; `forget_library` must follow."""
    return sniffio.current_async_library_cvar.set(None)


def forget_library(told: Token[str | None]) -> None:
    """Have it be as it was before."""
    sniffio.current_async_library_cvar.reset(told)
