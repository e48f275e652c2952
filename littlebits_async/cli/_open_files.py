"""How many files this process may have open: each stream takes one, at either end."""

__all__ = ["allow_many_open_files"]

_WANTED = 10_000  # macOS refuses more than 10240


def allow_many_open_files() -> None:
    """Raise the soft limit, 1024 on most systems and 256 on some, as far as the hard one lets us."""
    try:
        import resource  # noqa: PLC0415 - not on Windows, which has no such limit
    except ModuleNotFoundError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
