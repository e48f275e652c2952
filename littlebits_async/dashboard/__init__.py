"""The web dashboard: many devices on one page (extra ``dashboard``).

`Board`, what is to be seen of many devices, needs no extra, and importing this loads none.
"""

from typing import TYPE_CHECKING

from ._board import Board, Card, Gap, Sample

if TYPE_CHECKING:
    from ._dashboard import Dashboard

__all__ = ["Board", "Card", "Dashboard", "Gap", "Sample"]


def __getattr__(name: str) -> object:
    if name != "Dashboard":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from ._dashboard import Dashboard  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as exc:
        missing = str(exc.name).partition(".")[0]
        raise ModuleNotFoundError(
            f'{missing} is missing, which the dashboard needs: pip install "littlebits-async[dashboard]"', name=missing
        ) from exc
    globals()[name] = Dashboard
    return Dashboard
