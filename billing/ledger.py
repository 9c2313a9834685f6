"""The ledger: postings of balanced entries in nano-USD, written once and never changed. Knows accounts, not why amounts move."""

import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from accounts.models import User
from billing.given import as_given, given
from billing.models import Entry, Posting

BUDGETS, CREDITS, EXPIRED, OVERRUN = "budgets", "credits", "expired", "overrun"
MOST_REASON_CHARACTERS = 500


class Movement(NamedTuple):
    """An amount in nano-USD that goes out of one account into another."""

    debit: str
    credit: str
    amount_nanousd: int


class Draft(NamedTuple):
    """A posting about to be written."""

    kind: str
    reference: str
    movements: Sequence[Movement]


def free(window: str) -> str:
    """Return the account of what a window has left."""
    return f"window:{window}:free"


def held(window: str) -> str:
    """Return the account of what leases and disputed calls keep of a window."""
    return f"window:{window}:held"


def consumed(window: str) -> str:
    """Return the account of what calls used of a window."""
    return f"window:{window}:consumed"


def grant_account(grant: int) -> str:
    """Return the account of what is left of a credit grant."""
    return f"grant:{grant}"


def once(event: str) -> str:
    """Return a reference for an event that may happen again."""
    return f"{event}:{secrets.token_hex(6)}"


def next_posting_id() -> int:
    """Return an id for a posting still to be written, so that rows which never change can name it; call it inside the writing transaction."""
    table = Posting._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
        else:
            # kept by SQLite itself for AUTOINCREMENT, and raised so that no other posting of this transaction takes the number
            cursor.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = %s", [table])
            if not cursor.rowcount:
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, 1)", [table])
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        return int(cursor.fetchone()[0])


def post(
    kind: str,
    reference: str,
    entries: Iterable[Movement],
    actor: User | None = None,
    reason: str = "",
    *,
    reverses: Posting | None = None,
    posting_id: int | None = None,
) -> Posting:
    """Write one event with its entries in nano-USD; movements of nothing are left out. Raises ValidationError when the event was posted before."""
    try:
        with transaction.atomic():
            posting = Posting.objects.create(
                id=posting_id, kind=kind, reference=reference, actor=actor, reason=reason[:MOST_REASON_CHARACTERS], reverses=reverses
            )
    except IntegrityError as error:
        if not Posting.objects.filter(reference=reference).exists():
            raise
        raise ValidationError(f"{reference} was posted before. Post it under another reference if it really happened again.") from error
    _add_entries(posting, [movement for movement in entries if movement.amount_nanousd])
    return posting


def reverse(posting: Posting, actor: User | None, reason: str) -> Posting:
    """Write every entry of a posting backwards, once, within a transaction of the caller's, who brings windows and grants along.

    Raises ValidationError when it was reversed before, is a reversal itself, or there is no reason.
    """
    if not reason.strip():
        raise ValidationError({"reason": "Say why: a posting is reversed only with a reason."})
    if posting.kind == Posting.Kind.REVERSE:
        raise ValidationError("A reversal is not reversed. Post what should be there.")
    if Posting.objects.filter(reverses=posting).exists():
        raise ValidationError(f"{posting} was reversed before.")
    backwards = [Movement(entry.credit, entry.debit, entry.amount_nanousd) for entry in posting.entries.all()]
    return post(Posting.Kind.REVERSE, f"reverse:{posting.pk}", backwards, actor, reason.strip(), reverses=posting)


def post_all(drafts: Iterable[Draft]) -> None:
    """Write several events at once; those without a movement are left out. Raises IntegrityError when one was posted before."""
    wanted = [draft for draft in drafts if any(movement.amount_nanousd for movement in draft.movements)]
    if not wanted:
        return
    postings = Posting.objects.bulk_create([Posting(kind=draft.kind, reference=draft.reference) for draft in wanted])
    Entry.objects.bulk_create(
        [_entry(posting, move) for posting, draft in zip(postings, wanted, strict=True) for move in draft.movements if move.amount_nanousd]
    )


def balance(account: str) -> int:
    """Return what came into an account less what went out of it, in nano-USD."""
    came = Entry.objects.filter(credit=account).aggregate(total=Sum("amount_nanousd"))["total"] or 0
    went = Entry.objects.filter(debit=account).aggregate(total=Sum("amount_nanousd"))["total"] or 0
    return int(came) - int(went)


def _add_entries(posting: Posting, movements: list[Movement]) -> None:
    """Write the entries of one posting in one statement: a batch of calls moves amounts in hundreds of accounts."""
    rows = given("v", debit="text", credit="text", amount="bigint")
    statement = (
        f'INSERT INTO "{Entry._meta.db_table}" (posting_id, debit, credit, amount_nanousd) '  # noqa: S608  # names of our own
        f"SELECT %s, v.debit, v.credit, v.amount FROM {rows}"
    )
    if movements:
        with connection.cursor() as cursor:
            cursor.execute(statement, [posting.pk, as_given(movements)])


def _entry(posting: Posting, movement: Movement) -> Entry:
    return Entry(posting=posting, debit=movement.debit, credit=movement.credit, amount_nanousd=movement.amount_nanousd)
