"""InputReactor: the inputs of many devices in one ``async for``."""

from ._reactor import InputReactor

__all__ = ["InputReactor"]
