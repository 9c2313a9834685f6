"""The admin of batches: which are held for, and which cannot be settled. What they are made of is nobody's to read here."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from accounts.admin.governed import ReadOnlyAdmin
from billing.money import shown_usd
from gateway.models import Batch


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Batches, with why they wait."""

    list_display = ("id", "project", "account", "object_id", "shown_state", "held", "created_at", "settled_at", "problem")
    list_filter = ("state", "account")
    list_select_related = ("project",)
    search_fields = ("id__exact", "object_id__exact", "project__name")
    search_help_text = "The id of the call that began it, the vendor's name for it, or the project."
    ordering = ("-created_at",)
    exclude = ("tickets", "items")

    @display(description="state", ordering="state", label={"opening": "info", "open": "info", "settled": "success", "lost": "danger"})
    def shown_state(self, batch: Batch) -> str:
        """How it stands."""
        return batch.state

    @display(description="may cost", ordering="quote_nanousd")
    def held(self, batch: Batch) -> str:
        """What its requests may cost together."""
        return shown_usd(batch.quote_nanousd)
