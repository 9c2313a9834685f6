"""Periodic work on notices, links, requests and the audit trail. A task calls one action and holds no logic."""

from celery import shared_task

from accounts import anchor_watch, outbox, upkeep
from accounts.requests import by_mail, schedule
from accounts.signin import passwords


@shared_task
def sweep_outbox() -> int:
    """Deliver what is due; return how many messages were taken."""
    return outbox.deliver_due()


@shared_task
def prune_outbox() -> int:
    """Forget what was delivered long ago; return how many messages."""
    return outbox.prune()


@shared_task
def prune_decision_links() -> int:
    """Forget links in mails that ended long ago; return how many."""
    return by_mail.prune()


@shared_task
def mail_password_links() -> int:
    """Mail the links to new passwords that were wished for; return how many."""
    return passwords.mail_links()


@shared_task
def anchor_audit() -> int:
    """Keep the newest checkpoint outside the database; return how many anchors took it."""
    return anchor_watch.anchor_and_tell()


@shared_task
def pass_time_on_requests() -> int:
    """Remind, escalate, expire and take back what is due; return how many things were done."""
    return schedule.pass_time()


@shared_task
def suspend_idle_credentials() -> int:
    """Suspend keys and tokens that nobody used for long; return how many."""
    return upkeep.suspend_idle()


@shared_task
def announce_ends_of_credentials() -> int:
    """Tell about keys and tokens that end soon or must be rotated; return how many notices were written."""
    return upkeep.announce_ends() + upkeep.announce_rotations()
