"""Attempts of a call as usage rows keep them: read back by name, and a call divided over those that cost. Queries nothing."""

import copy
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from billing.models import UsageRecord
from billing.receipts import ATTEMPTS_BILLED, Attempted, Charge

COUNTS = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "web_searches",
)


def is_divided(flags: str) -> bool:
    """Say whether a call with these flags is billed for more than the attempt that served it."""
    return ATTEMPTS_BILLED in flags.split(",")


def read(kept: object) -> list[Attempted]:
    """Return attempts by name; what is none, as a row from elsewhere may hold, is left out."""
    found = []
    for one in kept if isinstance(kept, list) else ():
        try:
            found.append(msgspec.convert(one, Attempted))
        except msgspec.ValidationError:
            continue
    return found


def costly(kept: object) -> list[tuple[Attempted, Charge]]:
    """Return the attempts that have a charge of their own."""
    return [(one, one.charge) for one in read(kept) if one.charge is not None]


def accounted(call: UsageRecord) -> list[Attempted]:
    """Return a call's attempts, each that cost with its charge: where only the last cost, the call's own figures are that charge."""
    found = read(call.attempts)
    if is_divided(call.flags) or not found or call.usage_source == "none":
        return found
    own = Charge(
        provider=call.provider,
        upstream_model=call.upstream_model,
        price=str(call.price or ""),
        usage_source=call.usage_source,
        flags=call.flags,
        cost_nanousd=call.cost_nanousd,
        **{name: getattr(call, name) for name in COUNTS},
    )
    return [*found[:-1], msgspec.structs.replace(found[-1], charge=own)]


def parts(call: UsageRecord) -> list[UsageRecord]:
    """Return unsaved copies of a divided call, one for each attempt that cost, with its facts, tokens and cost; none for any other call."""
    return [_part(call, attempt, charge) for attempt, charge in costly(call.attempts)] if is_divided(call.flags) else []


def _part(call: UsageRecord, attempt: Attempted, charge: Charge) -> UsageRecord:
    part = copy.copy(call)
    part.pk = None
    part.deployment, part.account = attempt.deployment, attempt.account
    part.provider, part.upstream_model = charge.provider, charge.upstream_model
    part.price = price_of(charge)
    part.usage_source, part.flags, part.cost_nanousd = charge.usage_source, charge.flags, charge.cost_nanousd
    for name in COUNTS:
        setattr(part, name, getattr(charge, name))
    return part


def price_of(charge: Charge) -> UUID | None:
    """Return the id of the price a charge was worked out with, None without one."""
    try:
        return UUID(charge.price) if charge.price else None
    except ValueError:
        return None


def differences(kept: object, amounts_nanousd: Iterable[int]) -> list[Any]:
    """Return the attempts that cost as a correction keeps them: no tokens, and each a difference in nano-USD."""
    corrected = []
    for (attempt, charge), amount in zip(costly(kept), amounts_nanousd, strict=True):
        nothing: dict[str, int] = dict.fromkeys(COUNTS, 0)
        corrected.append(msgspec.structs.replace(attempt, charge=msgspec.structs.replace(charge, cost_nanousd=amount, **nothing)))
    made: list[Any] = msgspec.to_builtins(corrected)
    return made
