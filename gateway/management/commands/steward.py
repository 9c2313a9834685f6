"""`manage.py steward`: the process that compiles snapshots and takes in journals."""

import asyncio
from typing import Any

from django.core.management.base import BaseCommand

from accounts.sealing import Sealer
from billing.intake import Intake
from gateway.publish import Publisher
from gateway.settings import settings
from gateway.steward import Steward


class Command(BaseCommand):
    """Runs until SIGTERM."""

    help = "Compile and announce configuration, and take this host's journals into the database."
    requires_system_checks = []

    def handle(self, *_: Any, **__: Any) -> None:
        """Run the steward."""
        data = settings.data_dir
        publisher = Publisher(data / "snapshot" / "current", Sealer(settings.kek))
        asyncio.run(Steward(data / "run" / "steward.sock", publisher, Intake(data / "journal")).run())
