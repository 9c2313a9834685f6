"""What is known about a provider account's vendor: recorded by a person, renewed in time, with reminders before and on the day of review."""

from datetime import date, timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import audit
from accounts.models import Severity, User
from accounts.outbox import notify
from gateway.models import ProviderAccount, State, Verification

# Days before the review; 0 is the day itself.
REMIND_DAYS = (30, 7, 0)
LONGEST_DAYS = 3 * 366


def today() -> date:
    """Return the present day in UTC."""
    return timezone.now().date()


@audit.act("provider-account.verify")
def record(account: ProviderAccount, by: User | None, *, agreement: str, region: str, training_use: str, review_on: date) -> Verification:
    """Record what was checked today, in the place of what was recorded before. Raises ValidationError."""
    ProviderAccount.objects.select_for_update().get(pk=account.pk)
    row = Verification.objects.filter(account=account).first() or Verification(account=account)
    row.agreement, row.region, row.training_use = (" ".join(text.replace("\0", "").split()) for text in (agreement, region, training_use))
    return _stored(row, by, review_on)


@audit.act("provider-account.renew-verification")
def renew(account: ProviderAccount, by: User | None, *, review_on: date) -> Verification:
    """Say that what is recorded was checked today and still holds. Raises ValidationError where nothing is recorded."""
    row = Verification.objects.select_for_update().filter(account=account).first()
    if row is None:
        raise ValidationError(f"Nothing is recorded about {account} yet. Record a verification first.")
    return _stored(row, by, review_on)


def _stored(row: Verification, by: User | None, review_on: date) -> Verification:
    row.verified_on, row.verified_by, row.review_on = today(), by, review_on
    if not 0 < row.days_left(row.verified_on) <= LONGEST_DAYS:
        raise ValidationError({"review_on": f"Choose a day after today, within {LONGEST_DAYS // 366} years."})
    row.full_clean()
    row.save()
    return row


def remind() -> int:
    """Tell the platform's channels about reviews due within 30 and 7 days and on the day, once each; return how many are."""
    now = today()
    rows = Verification.objects.exclude(account__state=State.DISABLED).filter(review_on__lte=now + timedelta(days=max(REMIND_DAYS)))
    for row in rows.select_related("account"):
        _tell(row, min(days for days in REMIND_DAYS if row.days_left(now) <= days))
    return len(rows)


def _tell(row: Verification, window: int) -> None:
    when = f"within {window} days" if window else "now"
    notify(
        reference=f"verification:{row.pk.hex}:{row.review_on.isoformat()}:{window}",
        kind="verification.due",
        severity=Severity.INFO if window == max(REMIND_DAYS) else Severity.WARNING,
        title=f"The verification of provider account {row.account} is to be reviewed {when}",
        text=f"Agreement: {row.agreement}\nRegion: {row.region}\nUse for training: {row.get_training_use_display()}\n\n"
        f"Last verified on {row.verified_on}, to be reviewed on {row.review_on}. Renew it if all of this still holds, else record what is so now.",
        path=f"/admin/gateway/provideraccount/{row.account_id}/change/",
        facts={"account": row.account.slug, "review_on": row.review_on.isoformat(), "days": window},
    )
