"""Every model is watched, so that whatever page, route, task or command changes a row leaves an event; those that are not are named here with a reason."""

from django.apps import apps

from accounts.audit.watch import is_watched

# Kept by machines for machines: nothing in them is a person's decision, or the act that wrote them left its own event.
NOT_WATCHED = {
    "accounts": {
        "the trail itself": {"AuditEvent", "AuditHead", "AuditAnchor"},
        "what follows from a mapping or a document that is watched": {"GroupGrant", "IssuerDocument"},
        "messages on their way": {"OutboxMessage", "DecisionLink", "PasswordLink"},
        "marks of a request or a sign-in whose own events are recorded": {"IdempotencyRecord", "RequestNote", "Session", "BackupCode"},
    },
    "billing": {
        "what calls hold and have cost": {"Window", "Host", "Lease", "DisputedHold", "UsageRecord", "JournalPosition", "QuarantinedReceipt"},
        "the ledger, final by itself": {"Posting", "Entry", "BudgetChange"},
        "sums of usage": {"Series", "HourRollup", "DayRollup", "LabelRollup", "RollupPosition", "StatementLine"},
        "what was looked at and told": {"AlertEvent", "WindowWatch", "AlertPosition"},
        "usage put away": {"ArchivedMonth", "ArchivedPart", "ArchivedWindow"},
        "parts of files whose making is recorded": {"ExportPart", "ReconciliationImport", "ReconciliationLine"},
    },
    "gateway": {
        "what callers keep, here and at vendors": {"StoredResponse", "StoredItem", "VendorObject", "Batch"},
        "numbers of the configuration": {"Revision", "Change"},
    },
}


def test_every_model_is_watched_or_said_not_to_be() -> None:
    found = {label: {model.__name__ for model in apps.get_app_config(label).get_models() if not is_watched(model)} for label in NOT_WATCHED}
    assert found == {label: set().union(*reasons.values()) for label, reasons in NOT_WATCHED.items()}
