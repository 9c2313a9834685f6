"""Fixtures of the whole suite."""

import gc
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import migrated

TESTS = Path(__file__).parent
PAGES = {("gateway", "portal"), ("gateway", "api"), ("accounts", "portal"), ("accounts", "oidc"), ("accounts", "signin")}

# a longer value is named by its length: pytest would put all of it, 32 MiB once, into every report
NAMED_LETTERS = 400
# Thousands of collected tests and all of Django stay to the end: to walk over them again and again takes a tenth of a run.
GC_THRESHOLDS = (20_000, 20, 20)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
gc.set_threshold(*GC_THRESHOLDS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how often chaos tests kill the product."""
    parser.addoption("--chaos-rounds", type=int, default=4, help="kill -9 rounds of the chaos tests, over all of them")
    parser.addoption("--money-steps", type=int, default=5_000, help="steps of the chaos test of leases, credit and ledger")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make the run's shared folder if no other run shares its own; let `force_login` stand for a whole sign-in, whose steps have tests of their own."""
    if not hasattr(config, "workerinput") and migrated.SHARED not in os.environ:
        folder = os.environ[migrated.SHARED] = tempfile.mkdtemp(prefix="symbiosis-run-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    from django.contrib.auth.signals import user_logged_in  # Django starts only after this file is read

    user_logged_in.connect(_whole_sign_in, dispatch_uid="tests-whole-sign-in")
    _start_over_with_a_copy()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark what shows pages and routes, but for the matrices of who may do what, which run on Postgres."""
    for item in items:
        folders = item.path.relative_to(TESTS).parts[:2]
        if folders in PAGES and not any(item.iter_markers("once")) and not any(item.iter_markers("postgres")):
            item.add_marker(pytest.mark.page)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long value by its length."""
    return f"{argname} of {len(val)}" if isinstance(val, str | bytes) and len(val) > NAMED_LETTERS else None


def pytest_collection_finish() -> None:
    """Take everything that stays out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown() -> None:
    """Leave no checkpoint of an audit trail that ends with its test: to the next one it would say that the tail was cut."""
    from django.conf import settings  # Django starts only after this file is read

    settings.AUDIT_CHECKPOINTS.unlink(missing_ok=True)


def _whole_sign_in(sender: Any, request: Any, **_: Any) -> None:
    if getattr(request, "resolver_match", None) is None:
        request.session.update({"strong_by": "other", "proved_at": int(time.time())})


def _start_over_with_a_copy() -> None:
    """After a test with transactions of its own, put the migrated SQLite database back: to empty every table takes longer, and triggers refuse it."""
    from django.db import connection  # Django starts only after this file is read
    from django.test import TransactionTestCase

    empty = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]  # nothing public does it

    def start_over(test: TransactionTestCase) -> None:
        if connection.vendor != "sqlite":
            empty(test)
            return
        migrated.restore_sqlite(Path(connection.settings_dict["NAME"]))

    TransactionTestCase._fixture_teardown = start_over  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Keep the database that was copied: Django only looks whether a migration is missing."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Put a migrated database where Django would make an empty one."""
    from django.db import connection  # Django starts only after this file is read

    name = connection.creation._get_test_db_name()  # type: ignore[attr-defined]  # nothing public says it
    if connection.vendor == "sqlite":
        migrated.copy_sqlite(Path(name))
    else:
        migrated.copy_postgres(os.environ["SYMBIOSIS_TEST_DATABASE_URL"], name)


@pytest.fixture
def chaos_rounds(request: pytest.FixtureRequest) -> int:
    """Return how often to kill, over all variants of a chaos test."""
    rounds: int = request.config.getoption("--chaos-rounds")
    return rounds


@pytest.fixture
def money_steps(request: pytest.FixtureRequest) -> int:
    """Return how many steps the money's state machine makes."""
    steps: int = request.config.getoption("--money-steps")
    return steps
