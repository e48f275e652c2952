"""CloudBit: a Session bound to one device; OutputQueue: outputs that wait for the budget."""

from ._cloudbit import CloudBit
from ._output_queue import OutputQueue

__all__ = ["CloudBit", "OutputQueue"]
