"""What the cloud keeps on disk."""

from ._grants import GrantTables, Issue, Outcome
from ._records import (
    ClientRecord,
    DeliveryRecord,
    DeviceRecord,
    EnrolmentRecord,
    GrantRecord,
    Snapshot,
    SubscriptionRecord,
    TokenRecord,
)
from ._store import HISTORY, Store
from ._writer import StorageError

__all__ = [
    "HISTORY",
    "ClientRecord",
    "DeliveryRecord",
    "DeviceRecord",
    "EnrolmentRecord",
    "GrantRecord",
    "GrantTables",
    "Issue",
    "Outcome",
    "Snapshot",
    "StorageError",
    "Store",
    "SubscriptionRecord",
    "TokenRecord",
]
