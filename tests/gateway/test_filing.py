"""Which paths are about files and batches, of which account, and which of the vendors' own endpoints never are."""

import pytest
from msgspec import structs

from gateway import batching
from gateway.errors import BadRequest, NotAllowed, UnknownEndpoint
from gateway.filing import Asked, wanted
from gateway.plane.snapshot import Snapshot, Structure, Update, apply
from gateway.providers import shelf
from tests.gateway.plane.builders import caller, deployment, model, opened, project, sealed_account


def catalogue() -> Snapshot:
    accounts = tuple(
        sealed_account(slug, provider=provider)
        for slug, provider in (("sim", "simulator"), ("second", "openai"), ("claude", "anthropic"), ("plain", "openai_compatible"))
    )
    models = (model("a", deployment("sim")), model("b", deployment("second")), model("c", deployment("claude")), model("d", deployment("plain")))
    structure = Structure(accounts=accounts, models=models, projects=(project(),))
    return apply(None, Update(revision=1, structure=structure, keys=(), whole=True), shelf(), opened)


SNAPSHOT = catalogue()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/files", Asked("files")),
        ("/v1/files/file-1", Asked("files", "file-1")),
        ("/v1/files/file-1/content", Asked("files", "file-1", "content")),
        ("/v1/batches/batch_1/cancel", Asked("batches", "batch_1", "cancel")),
        ("/v1/messages/batches/msgbatch_1/results", Asked("messages/batches", "msgbatch_1", "results")),
        ("/v1/sim/files", Asked("files", account="sim")),
        ("/v1/sim/v1/batches/batch_1", Asked("batches", "batch_1", account="sim")),
        ("/v1/claude/v1/messages/batches", Asked("messages/batches", account="claude")),
        ("/v1/claude/messages/batches", Asked("messages/batches", account="claude")),
        # nobody's business here
        ("/v1/filesystem", None),
        ("/v1/models", None),
        ("/v1/plain/files", None),
        ("/v1/sim/messages/batches", None),
        ("/v1/nobody/files", None),
    ],
)
def test_paths_say_what_is_asked_of_which_account(path: str, asked: Asked | None) -> None:
    assert wanted(path.encode(), "openai", SNAPSHOT) == asked


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/", "/v1/files//content", "/v1/files/../organization/users", "/v1/files/a%2f..%2fb", "/v1/files/file-1/../../organization", "/v1/files/a/b/c",
        "/v1/files/file-1/cancel", "/v1/batches/batch_1/content", "/v1/sim/files/..", "/v1/sim/v1/files/.%2e/x", "/v1/batches/batch_1/results",
        "/v1/files/" + "x" * 201,
    ],
)  # fmt: skip
def test_paths_that_would_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(UnknownEndpoint):
        wanted(path.encode(), "openai", SNAPSHOT)


def test_anthropics_clients_are_not_given_openais_files() -> None:
    assert wanted(b"/v1/files", "anthropic", SNAPSHOT) is None


def test_a_file_goes_to_the_only_account_or_to_the_one_that_is_named() -> None:
    both = batching.holders("files", caller(), SNAPSHOT)
    assert both == ("second", "sim")
    assert batching.holders("files", caller(models=frozenset({"a", "c"})), SNAPSHOT) == ("sim",)
    assert (batching.chosen("", ("sim",)), batching.chosen("second", both)) == ("sim", "second")
    with pytest.raises(BadRequest) as caught:
        batching.chosen("", both)
    assert (caught.value.param, "second, sim" in caught.value.message) == ("x-sgw-provider", True)
    with pytest.raises(BadRequest):
        batching.chosen("claude", both)
    with pytest.raises(NotAllowed):
        batching.chosen("", ())


def test_a_file_goes_to_no_account_whose_models_may_not_get_its_data() -> None:
    who = structs.replace(caller(), project=project(data_class=3))
    cleared = structs.replace(SNAPSHOT, models={name: structs.replace(one, cleared_for=1) for name, one in SNAPSHOT.models.items()})
    assert batching.holders("files", who, cleared) == ()
