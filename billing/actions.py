"""What may be done to prices and to receipts put aside. Faces call these; nothing else writes those rows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import audit
from accounts.models import User
from billing import access, money
from billing.consumption import disputed_id
from billing.credits import release_dispute
from billing.intake import record
from billing.models import DisputedHold, Price, PriceDecision, QuarantinedReceipt
from billing.prices.book import as_terms, with_state
from billing.receipts import Settle, decode
from billing.rows import mended, row_of


class NotReleasable(Exception):
    """The bytes put aside are no receipt; the message says so to the person who asked."""


@audit.act()
def add_price(
    *,
    provider: str,
    upstream_model: str,
    valid_from: datetime,
    rates: Mapping[str, int | None],
    request_nanousd: int = 0,
    tiers: list[dict[str, Any]] | None = None,
    modes: list[dict[str, Any]] | None = None,
    entered_by: User | None = None,
) -> Price:
    """Propose a price in nano-USD per million tokens, valid from a moment on; raises ValidationError. It is never edited, and holds once approved."""
    price = Price(
        provider=provider,
        upstream_model=upstream_model,
        valid_from=valid_from,
        request_nanousd=request_nanousd,
        tiers=tiers or [],
        modes=modes or [],
        entered_by=entered_by,
        **rates,
    )
    check(price)
    price.save(force_insert=True)
    return price


@audit.act()
def approve_price(price: Price, actor: User, reason: str) -> PriceDecision:
    """Let a proposed price hold from its date on; raises ValidationError unless somebody else than its author approves it."""
    _check_decider(actor)
    _check_state(price, "proposed")
    if price.entered_by_id == actor.pk:
        others = access.deciders_of_prices().exclude(pk=actor.pk)
        if others.exists():
            raise ValidationError("You entered this price. Ask somebody else in finance or IT administration to approve it.")
        raise ValidationError("You entered this price and nobody else may approve it yet. Give a second person the role finance or IT administrator.")
    return _decide(price, PriceDecision.Decision.APPROVED, actor, reason)


@audit.act()
def reject_price(price: Price, actor: User, reason: str) -> PriceDecision:
    """Refuse a proposed price for good; raises ValidationError when it is decided already."""
    _check_decider(actor)
    _check_state(price, "proposed")
    return _decide(price, PriceDecision.Decision.REJECTED, actor, reason)


@audit.act()
def withdraw_price(price: Price, actor: User, reason: str) -> PriceDecision:
    """End an entered price now, or take a proposal back; calls made until now keep it. Raises ValidationError for any other price."""
    _check_decider(actor)
    if price.source != Price.Source.ENTERED:
        raise ValidationError("Only entered prices are withdrawn. Enter a price: it wins over this one.")
    _check_state(price, "proposed", "approved")
    return _decide(price, PriceDecision.Decision.WITHDRAWN, actor, reason)


def _check_decider(actor: User) -> None:
    if not access.may_decide_prices(actor):
        raise ValidationError("Only finance and IT administrators decide about prices.")


def _check_state(price: Price, *wanted: str) -> None:
    """Lock the price until the transaction ends, so that nobody else decides meanwhile."""
    Price.objects.select_for_update(no_key=True).get(pk=price.pk)
    state = with_state().values_list("state", flat=True).get(pk=price.pk)
    if state not in wanted:
        raise ValidationError(f"{price} is {state} already.")


def _decide(price: Price, decision: str, actor: User, reason: str) -> PriceDecision:
    if not reason.strip():
        raise ValidationError({"reason": "Say why: it is kept with the decision."})
    made = PriceDecision(price=price, decision=decision, decided_by=actor, reason=reason.strip())
    made.save(force_insert=True)
    return made


def check(price: Price) -> None:
    """Raise ValidationError unless the price can be billed with."""
    price.full_clean()
    try:
        money.check_price(as_terms(price))
    except msgspec.ValidationError as error:
        told = f"A mode has name, rates and tiers, a tier above_input_tokens, and both input_nanousd and output_nanousd: {error}"
        raise ValidationError(told) from error
    except ValueError as error:
        raise ValidationError(str(error)) from error


def release_quarantined(receipt: QuarantinedReceipt) -> bool:
    """Record a receipt that was put aside, mended where no row can hold it, and drop it from quarantine.

    Returns whether a usage row was added; False when its call is recorded already. Raises NotReleasable if it is no receipt.
    """
    settle = decode(bytes(receipt.payload))
    if not isinstance(settle, Settle):
        raise NotReleasable(f"{receipt} holds no readable receipt, so there is nothing to record.")
    now = timezone.now()
    with audit.act():
        reference = f"released:{receipt.segment}:{receipt.offset}"
        try:
            inserted, refused = record([row_of(settle, now)], {settle.call_id: settle}, reference, were_aside=True)
        except ValueError:
            inserted, refused = set(), [(0, "")]
        if refused:
            settle = mended(settle, now)
            try:
                inserted, refused = record([row_of(settle, now)], {settle.call_id: settle}, reference, were_aside=True)
            except ValueError as error:
                raise NotReleasable(f"{receipt} cannot be recorded: {error} Release what is held for it among the disputed holds.") from error
        if refused:
            raise NotReleasable(f"{receipt} cannot be recorded: {refused[0][1]}")
        for rest in DisputedHold.objects.filter(call_id=disputed_id(settle), released_at=None).order_by("id"):
            release_dispute(rest, None, "Its receipt was recorded.")
        audit.record("quarantined-receipt.release", audit.Subject("call", settle.call_id), recorded=len(inserted) == 1)
        receipt.delete()
    return len(inserted) == 1
