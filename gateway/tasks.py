"""Periodic work. A task calls one action and holds no logic."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from accounts.sealing import SealBroken
from accounts.session_store import SessionStore
from billing.prices import seed_prices
from gateway import actions, batches, lifecycle, objects, proposals, storing, verifications
from gateway.changes import publish_change
from gateway.discovery import ProbeFailed
from gateway.models import Change, ProviderAccount, State


@shared_task
def prune_changes() -> int:
    """Forget changes older than a day, which every worker has long seen; return how many."""
    return Change.objects.filter(at__lt=timezone.now() - timedelta(days=1)).delete()[0]


@shared_task
def clear_sessions() -> int:
    """Delete sessions that are over; return how many."""
    return SessionStore.forget_ended()


@shared_task
def check_provider_accounts() -> int:
    """Ask every account in use for its models, record the result and propose those that are new; return how many failed."""
    failed = 0
    for account in ProviderAccount.objects.exclude(state=State.DISABLED):
        try:
            proposals.follow(account, actions.discover_models(account))
        except ProbeFailed:
            failed += 1  # recorded and logged by the action
        except SealBroken as broken:
            actions.record_check(account, str(broken))
            failed += 1
    return failed


@shared_task
def remind_of_verifications() -> int:
    """Tell about verifications of provider accounts to be reviewed; return how many there are."""
    return verifications.remind()


@shared_task
def forget_stored_responses() -> int:
    """Delete responses beyond their project's retention; return how many."""
    return storing.purge()


@shared_task
def settle_batches() -> int:
    """Look at the batches whose turn it is and settle those that are over; return how many."""
    return batches.look_due()


@shared_task
def forget_vendor_objects() -> int:
    """Forget objects that vendors have deleted by themselves; return how many."""
    return objects.purge()


@shared_task
def retire_models() -> int:
    """Retire deprecated models whose day has come; return how many."""
    return lifecycle.retire_due()


@shared_task
def import_prices() -> None:
    """Take prices of a newer price book in and let the plane know."""
    seed_prices()
    publish_change(Change.Kind.STRUCTURE)
