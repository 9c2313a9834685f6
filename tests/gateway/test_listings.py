"""What a key is told about its models, in the shape of the SDK that asks."""

import anthropic.types as claude
import msgspec
import orjson
import pytest

from gateway import listings
from gateway.errors import NoSuchModel
from tests.gateway.plane.builders import caller, deployment, model, project, snapshot

LEAVING = {"deprecated_at_s": 1_760_000_000, "retires_at_s": 1_770_000_000, "successor": "newer", "context_tokens": 200_000, "max_output_tokens": 8_192}
SNAPSHOT = snapshot(model("old", deployment(), **LEAVING), model("plain", deployment()), model("unserved"))
PLAIN = {
    "type": "model", "id": "plain", "display_name": "plain", "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active", "deprecated_at": None,
    "retires_at": None, "max_input_tokens": None, "max_tokens": None,
}  # fmt: skip


def test_anthropics_sdk_reads_its_own_shape() -> None:
    told = orjson.loads(listings.models(caller(), SNAPSHOT, "anthropic"))
    old = {
        **PLAIN,
        "id": "old",
        "display_name": "old",
        "lifecycle": "deprecated",
        "deprecated_at": "2025-10-09T08:53:20Z",
        "retires_at": "2026-02-02T02:40:00Z",
        "max_input_tokens": 200_000,
        "max_tokens": 8_192,
    }
    assert told == {"data": [old, PLAIN], "has_more": False, "first_id": "old", "last_id": "plain"}
    for row in told["data"]:
        claude.ModelInfo.model_validate_json(orjson.dumps(row), strict=True)


def test_a_key_without_models_is_told_of_none() -> None:
    told = orjson.loads(listings.models(caller(models=frozenset()), SNAPSHOT, "anthropic"))
    assert told == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_a_key_names_its_project_as_the_management_api_does() -> None:
    mine = project(id="5efab04a-4732-4c11-a9e6-b8adcfeff54c")
    told = orjson.loads(listings.key(msgspec.structs.replace(caller(), project=mine)))
    assert told["project"] == "prj_5efab04a47324c11a9e6b8adcfeff54c"


def test_one_model_is_told_to_those_who_may_use_it() -> None:
    assert orjson.loads(listings.model(caller(), SNAPSHOT, "plain", "anthropic")) == PLAIN
    with pytest.raises(NoSuchModel):
        listings.model(caller(models=frozenset({"old"})), SNAPSHOT, "plain", "anthropic")
