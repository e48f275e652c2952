"""What the cloud keeps on disk."""

from ._records import DeliveryRecord, DeviceRecord, Snapshot, SubscriptionRecord, TokenRecord
from ._store import HISTORY, Store
from ._writer import StorageError

__all__ = [
    "HISTORY",
    "DeliveryRecord",
    "DeviceRecord",
    "Snapshot",
    "StorageError",
    "Store",
    "SubscriptionRecord",
    "TokenRecord",
]
