"""What is stored about money."""

from billing.models.alerts import AlertEvent, AlertPosition, WindowWatch
from billing.models.archive import ArchivedMonth, ArchivedPart, ArchivedWindow
from billing.models.budgets import Budget, DisputedHold, Host, Lease, Limit, Unit, Window
from billing.models.ledger import CreditAccount, CreditGrant, Entry, Posting
from billing.models.prices import Price
from billing.models.usage import JournalPosition, QuarantinedReceipt, UsageRecord

__all__ = [
    "AlertEvent",
    "AlertPosition",
    "ArchivedMonth",
    "ArchivedPart",
    "ArchivedWindow",
    "Budget",
    "CreditAccount",
    "CreditGrant",
    "DisputedHold",
    "Entry",
    "Host",
    "JournalPosition",
    "Lease",
    "Limit",
    "Posting",
    "Price",
    "QuarantinedReceipt",
    "Unit",
    "UsageRecord",
    "Window",
    "WindowWatch",
]
