"""The copies of the started product that tests share, each in one process; a failed test shows the end of its log."""

from collections.abc import Iterator, Sequence

import pytest

from tests.fakes.oidc_provider import RealProvider
from tests.fakes.service import Service
from tests.journeys import upstreams
from tests.journeys.budgets import Budgeted
from tests.journeys.siege import Siege, siege
from tests.journeys.single_sign_on import trusting

LOG_LETTERS = 8_000
# fixture: the process its tests run in; those of the impatient copy look at the other too
TOGETHER = {"service": "service", "impatient": "service", "two": "two", "besieged": "besieged", "provider": "provider"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Keep the tests of each shared copy in one process, so that it is started once; xdist begins with the largest group."""
    for item in items:
        group = next((group for name, group in TOGETHER.items() if name in getattr(item, "fixturenames", ())), None)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole product as `make run` starts it, with the demo content."""
    # the one that starts from nothing, as `make run` does the first time
    with Service(tmp_path_factory.mktemp("service") / "data", is_prepared=False).running() as started:
        yield started


@pytest.fixture(scope="module")
def budgeted(service: Service) -> Iterator[Budgeted]:
    """A project under a budget; whatever was done with its keys, the ledger explains it in the end."""
    yield Budgeted(service, "1.00")
    assert "is explained by calls" in service.manage("ledger_verify")


@pytest.fixture(scope="module")
def stranger(service: Service) -> Budgeted:
    """Another project, which can pay for next to nothing."""
    return Budgeted(service, "0.000001")


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A copy with two workers, whose metrics a token opens from elsewhere."""
    environment = {"SYMBIOSIS_METRICS_TOKEN": "metrics-token-0123456789"}
    with Service(tmp_path_factory.mktemp("two") / "data", workers=2, environment=environment).running() as started:
        yield started


@pytest.fixture(scope="session")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A copy that waits a second for a body, takes a megabyte, and answers once the receipt is on stable storage."""
    strict = {"SYMBIOSIS_BODY_TIMEOUT_S": "1", "SYMBIOSIS_BODY_LIMIT_BYTES": str(1 << 20), "SYMBIOSIS_JOURNAL_STRICT": "1"}
    with Service(tmp_path_factory.mktemp("impatient") / "data", environment=strict).running() as started:
        yield started


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
