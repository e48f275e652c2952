"""The hour's requests, shared fairly: `TokenBucket` grants them, `Unlimited` lets everything pass.

`_ledger` counts, without I/O, clock or event loop; `_bucket` lets tasks wait for it, on asyncio and trio alike.

Source: spec/cloud-api-v2.txt, "Rate limiting": 1800 requests an hour for each API key or app.
"""

from ._api import Budget, BudgetReport, Correctable, Grant, Predictable, Priority
from ._bucket import TokenBucket
from ._unlimited import Unlimited

__all__ = [
    "Budget",
    "BudgetReport",
    "Correctable",
    "Grant",
    "Predictable",
    "Priority",
    "TokenBucket",
    "Unlimited",
]
