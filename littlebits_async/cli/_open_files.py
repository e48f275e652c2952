"""How many files this process may have open: each stream takes one, at either end."""

import math

__all__ = ["allow_many_open_files"]

_WANTED = 10_000  # macOS refuses more than 10240


def allow_many_open_files() -> float:
    """Raise the soft limit, 1024 on most systems and 256 on some, as far as the hard one lets us.

    Returns:
        How many files may be open now; infinity where there is no limit.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows, which has no such limit
    except ModuleNotFoundError:
        return math.inf
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft == resource.RLIM_INFINITY:
        return math.inf
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
