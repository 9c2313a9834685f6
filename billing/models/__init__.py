"""What is stored about money."""

from billing.models.alerts import AlertEvent, AlertPosition, WindowWatch
from billing.models.archive import ArchivedMonth, ArchivedPart, ArchivedWindow
from billing.models.budgets import Budget, DisputedHold, Host, Lease, Limit, Unit, Window
from billing.models.exports import Export, ExportPart
from billing.models.ledger import CreditAccount, CreditGrant, Entry, Posting
from billing.models.prices import Price, PriceDecision
from billing.models.rollups import DayRollup, HourRollup, LabelRollup, RollupPosition, Series
from billing.models.statements import ReconciliationImport, ReconciliationLine, Statement, StatementLine
from billing.models.trail import BudgetChange
from billing.models.usage import JournalPosition, QuarantinedReceipt, UsageRecord

__all__ = [
    "AlertEvent",
    "AlertPosition",
    "ArchivedMonth",
    "ArchivedPart",
    "ArchivedWindow",
    "Budget",
    "BudgetChange",
    "CreditAccount",
    "CreditGrant",
    "DayRollup",
    "DisputedHold",
    "Entry",
    "Export",
    "ExportPart",
    "Host",
    "HourRollup",
    "JournalPosition",
    "LabelRollup",
    "Lease",
    "Limit",
    "Posting",
    "Price",
    "PriceDecision",
    "QuarantinedReceipt",
    "ReconciliationImport",
    "ReconciliationLine",
    "RollupPosition",
    "Series",
    "Statement",
    "StatementLine",
    "Unit",
    "UsageRecord",
    "Window",
    "WindowWatch",
]
