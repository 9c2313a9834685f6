"""`manage.py serve`: checks that this installation may serve, then becomes the supervisor of its processes."""

import argparse
import ipaddress
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import ServiceAccount, User, VirtualKey
from gateway import actions
from gateway.models import ProviderAccount
from gateway.settings import settings
from gateway.supervisor import listen


class Command(BaseCommand):
    """Serve the gateway in the foreground until SIGTERM."""

    help = "Serve the gateway: plane workers, the steward and, where the role has them, the portal and Celery."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--role", choices=("all", "gateway", "portal", "worker"), default=settings.role)
        parser.add_argument("--workers", type=int, default=settings.workers, help="data-plane processes (default: SYMBIOSIS_WORKERS)")
        parser.add_argument("--bind", default="127.0.0.1:8000", metavar="HOST:PORT")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, listen, then replace this process by the supervisor. Raises CommandError with what to do."""
        role, workers = str(options["role"]), int(options["workers"])
        host, port = address(str(options["bind"]))
        if not 1 <= workers <= 256:
            raise CommandError("--workers must be between 1 and 256.")
        if not settings.public_url:
            raise CommandError("SYMBIOSIS_PUBLIC_URL is not set. Set it to the address callers use, such as https://gateway.example.com.")
        refuse_unready()
        command = [
            sys.executable,
            "-m",
            "gateway.supervisor",
            "--role",
            role,
            "--workers",
            str(workers),
            "--drain-s",
            str(settings.drain_s),
        ]
        command += ["--data-dir", str(settings.data_dir)]
        if role != "worker":
            try:
                listening = listen(host, port)
            except OSError as error:
                raise CommandError(f"Cannot listen on {host}:{port} ({error.strerror}). Choose another address with --bind.") from None
            command += ["--fd", str(listening.detach())]
        os.environ["SYMBIOSIS_DATA_DIR"] = str(settings.data_dir)
        os.execv(sys.executable, command)


def address(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT or [IPv6]:PORT; raises CommandError for anything else."""
    host, colon, port = text.rpartition(":")
    host = host.strip("[]") or (colon and "0.0.0.0")  # noqa: S104 (":8000" asks for exactly that)
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise CommandError(f"--bind {text}: write an IP address and a port, such as 0.0.0.0:8000 or [::1]:8000.") from None
    if not 1 <= number <= 65535:
        raise CommandError(f"--bind {text}: the port must be between 1 and 65535.")
    return host, number


def refuse_unready() -> None:
    """Raise CommandError while demo identities or keys are enabled, migrations wait or the KEK opens nothing.

    An absent database does not stop the plane.
    """
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            raise CommandError("The database is not up to date. Run: python manage.py migrate")
        users, keys = (
            User.objects.filter(is_demo=True, is_active=True).count(),
            VirtualKey.objects.filter(is_demo=True, state="active").count(),
        )
        programs = ServiceAccount.objects.filter(is_demo=True, state="active").count()
        sealed = list(ProviderAccount.objects.exclude(sealed_credential=b""))
    except DatabaseError as error:
        print(f"The database does not answer ({type(error).__name__}); serving from the last known good snapshot.", file=sys.stderr)
        return
    if users or keys or programs:
        raise CommandError(
            f"Demo identities are enabled ({users} users, {keys} keys, {programs} service accounts): their passwords are not yours alone.\n"
            "Remove them with: python manage.py demo_remove   (to try the demo: make run)"
        )
    if sealed and not any(opens(account) for account in sealed):
        raise CommandError(
            f"SYMBIOSIS_KEK opens none of the {len(sealed)} sealed credentials: it is not the one they were sealed with. "
            "Restore it from your backup of the secrets."
        )
    connection.close()


def opens(account: ProviderAccount) -> bool:
    """Say whether an account's sealed credential opens with this installation's KEK."""
    try:
        actions.opened_credential(account)
    except ValueError:  # how a seal says that it does not open
        return False
    return True
