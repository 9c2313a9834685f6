"""Periodic work on usage storage, rollups, windows and credit. A task calls one action and holds no logic."""

import structlog
from celery import shared_task

from billing import credits, exporting, partitions, retention, rollups  # noqa: A004  # the subject's name

ARCHIVE_S = 480.0

logger = structlog.get_logger(__name__)


@shared_task
def fold_usage() -> int:
    """Add new usage rows to the rollups; return how many."""
    return rollups.fold()


@shared_task
def close_windows() -> int:
    """Expire credit that is due, then close windows that ended; return how many grants and windows ended."""
    return credits.expire_due() + credits.close_windows()


@shared_task
def make_exports() -> int:
    """Make the files that were asked for, delete those that are over; return how many were made."""
    return exporting.make_due()


@shared_task
def make_partitions() -> list[str]:
    """Make the partitions of the months ahead and say loudly when calls lie in no month's; return the labels of new ones."""
    made = partitions.make_ahead()
    if count := partitions.strays():
        logger.error("usage_outside_partitions", calls=count, table=partitions.OTHER)
    return made


@shared_task
def archive_usage() -> list[str]:
    """Archive months beyond their retention, a few minutes' worth at a time; return the labels of those that are done."""
    retention.seal_again()
    return retention.archive_due(ARCHIVE_S)
