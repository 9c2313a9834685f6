"""Vendors' own figures beside ours, day by day and model by model."""

import hashlib
from dataclasses import dataclass
from datetime import date

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Sum

from accounts.models import User
from billing import vendor_usage
from billing.models import DayRollup, ReconciliationImport, ReconciliationLine
from billing.vendor_usage.cells import Unreadable


@dataclass(frozen=True)
class Difference:
    """Our tokens and cost in nano-USD of a model on a day, and the vendor's."""

    day: date
    upstream_model: str
    our_tokens: int
    their_tokens: int
    our_cost: int
    their_cost: int

    @property
    def cost_difference(self) -> int:
        """Return how much more the vendor states, in nano-USD."""
        return self.their_cost - self.our_cost

    @property
    def token_difference(self) -> int:
        """Return how many more tokens the vendor states."""
        return self.their_tokens - self.our_tokens

    @property
    def permille(self) -> int | None:
        """Return the difference in cost as thousandths of ours, None when ours is nothing."""
        return self.cost_difference * 1000 // self.our_cost if self.our_cost else None


def import_usage(vendor: str, file_name: str, content: bytes, actor: User) -> ReconciliationImport:
    """Take a vendor's export in; raises ValidationError that names row and column, or says that the file is known."""
    try:
        found = vendor_usage.read(vendor, content)
    except Unreadable as error:
        raise ValidationError(str(error)) from error
    row = ReconciliationImport(
        vendor=vendor,
        provider=vendor_usage.shelf()[vendor].PROVIDER,
        file_name="".join(character for character in file_name if character.isprintable())[-200:],
        sha256=hashlib.sha256(content).hexdigest(),
        first_day=found[0].day,
        last_day=found[-1].day,
        has_tokens=any(line.input_tokens is not None or line.output_tokens is not None for line in found),
        has_cost=any(line.cost_nanousd is not None for line in found),
        imported_by=actor,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            ReconciliationLine.objects.bulk_create(
                [
                    ReconciliationLine(
                        source=row,
                        day=line.day,
                        upstream_model=line.upstream_model,
                        input_tokens=line.input_tokens or 0,
                        output_tokens=line.output_tokens or 0,
                        cost_nanousd=line.cost_nanousd or 0,
                    )
                    for line in found
                ],
                batch_size=500,
            )
    except IntegrityError as error:
        raise ValidationError("This very file was imported before.") from error
    return row


def differences(row: ReconciliationImport) -> tuple[Difference, ...]:
    """Return every day and model that the import or our usage has within the import's days, in order."""
    theirs = {(line.day, line.upstream_model): line for line in row.lines.all()}
    rollups = DayRollup.objects.filter(day__range=(row.first_day, row.last_day), series__provider=row.provider)
    sums = rollups.values_list("day", "series__upstream_model").order_by().annotate(tokens=Sum("input_tokens") + Sum("output_tokens"), cost=Sum("cost_nanousd"))
    ours = {(day, model): (int(tokens), int(cost)) for day, model, tokens, cost in sums}
    table = []
    for day, model in sorted(ours.keys() | theirs.keys()):
        tokens, cost = ours.get((day, model), (0, 0))
        line = theirs.get((day, model))
        table.append(Difference(day, model, tokens, line.input_tokens + line.output_tokens if line else 0, cost, line.cost_nanousd if line else 0))
    return tuple(table)
