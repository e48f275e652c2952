"""CloudBit: a Session bound to one device; OutputQueue: outputs that wait for the budget; Samples: seldom readings."""

from ._cloudbit import CloudBit
from ._output_queue import OutputQueue
from ._samples import Samples

__all__ = ["CloudBit", "OutputQueue", "Samples"]
