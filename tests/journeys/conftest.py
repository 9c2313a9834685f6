"""The started product, one copy for each test process; a failed test shows the end of its log."""

from collections.abc import Iterator

import pytest

from tests.fakes.oidc_provider import RealProvider
from tests.fakes.service import Service
from tests.journeys import upstreams
from tests.journeys.siege import Siege, siege
from tests.journeys.single_sign_on import trusting

LOG_LETTERS = 8_000


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole product as `make run` starts it, with the demo content."""
    # the one that starts from nothing, as `make run` does the first time
    running = Service(tmp_path_factory.mktemp("service") / "data", is_prepared=False)
    try:
        running.start()
        yield running
        assert running.stop() == 0, running.log()[-LOG_LETTERS:]
    finally:
        if running.process is not None and running.process.poll() is None:
            running.kill()


@pytest.fixture(scope="session")
def wired(service: Service) -> Service:
    """The product with a model and a thinker for each upstream wire; their providers serve all clients, so nobody makes them fail often."""
    upstreams.add_models(service)
    return service


@pytest.fixture(scope="session")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    """Two instances that share Postgres and Valkey; whatever was done to them, the ledger explains everything in the end."""
    with siege(tmp_path_factory.mktemp("siege"), 3) as running:
        yield running
        running.explained()


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealProvider, Service]]:
    """A provider of identities and a copy of the product that trusts it."""
    with trusting(tmp_path_factory.mktemp("sign-on")) as both:
        yield both


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Put the log of every running copy a failed test uses into its report."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if not report.failed or not isinstance(item, pytest.Function):
        return
    for name, used in item.funcargs.items():
        if isinstance(used, Service) and used.log_path.exists():
            report.sections.append((f"log of {name}", used.log()[-LOG_LETTERS:]))
