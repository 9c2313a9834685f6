"""The protocol as others read it: scim2-tester asks everything it knows to ask, through every layer of the server."""

from collections.abc import Iterator

import pytest
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from tests.accounts.scim.conftest import Directory

# What the tester may report besides success: a choice the RFCs leave open, and what this service says it does not do.
FINE = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED}


@pytest.fixture
def kept_connection() -> Iterator[None]:
    """The test's transaction lives on one connection, which requests must not close."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.usefixtures("kept_connection")
def test_scim2_tester_finds_nothing() -> None:
    headers = {"authorization": f"Bearer {Directory().token}"}
    results = check_server(WSGISCIMClient(get_wsgi_application(), "http://localhost/scim/v2", headers))
    bad = [f"{result.resource_type} {result.title}: {result.reason}" for result in results if result.status not in FINE]
    assert (bad, len(results) > 50) == ([], True)
