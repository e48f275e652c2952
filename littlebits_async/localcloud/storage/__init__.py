"""What the cloud keeps on disk."""

from ._community import CommentRecord, CommunityTables, GoneError, Standing
from ._community_members import MemberRecord, MemberTables
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
    "CommentRecord",
    "CommunityTables",
    "DeliveryRecord",
    "DeviceRecord",
    "EnrolmentRecord",
    "GoneError",
    "GrantRecord",
    "GrantTables",
    "Issue",
    "MemberRecord",
    "MemberTables",
    "Outcome",
    "Snapshot",
    "Standing",
    "StorageError",
    "Store",
    "SubscriptionRecord",
    "TokenRecord",
]
