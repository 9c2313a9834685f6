"""What a key is told about itself and its models, from the snapshot alone, in OpenAI's shape."""

from datetime import UTC, datetime

import orjson

from gateway.errors import NoSuchModel
from gateway.plane.plan import may_use
from gateway.plane.snapshot import Snapshot
from gateway.terms import Caller, Model


def _row(model: Model, name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": model.created_at_s, "owned_by": model.owned_by}


def models(caller: Caller, snapshot: Snapshot) -> bytes:
    """Return the catalogue models this key may use."""
    rows = [_row(model, name) for name, model in sorted(snapshot.models.items()) if model.deployments and may_use(caller, model)]
    return orjson.dumps({"object": "list", "data": rows})


def upstream_models(caller: Caller, snapshot: Snapshot, account: str) -> bytes:
    """Return the models this key may use at one provider account, under their upstream names."""
    rows = []
    for (slug, name), served in sorted(snapshot.by_upstream.items()):
        mine = [model for model in served if may_use(caller, model)]
        if slug == account and mine:
            rows.append(_row(mine[0], name))
    return orjson.dumps({"object": "list", "data": rows})


def model(caller: Caller, snapshot: Snapshot, name: str) -> bytes:
    """Return one model. Raises NoSuchModel for one that is not there or not this key's."""
    found = snapshot.models.get(name)
    if found is None or not may_use(caller, found):
        raise NoSuchModel(f"The model {name[:200]!r} is not in the catalogue of this key. GET /v1/models lists what it may use.", param="model")
    return orjson.dumps(_row(found, name))


def key(caller: Caller) -> bytes:
    """Return what the key may do and until when."""
    return orjson.dumps(
        {
            "object": "key",
            "id": f"key_{caller.key.id}",
            "name": caller.key.name,
            "project": f"prj_{caller.project.id}",
            "project_name": caller.project.name,
            "environment": caller.key.environment,
            "models": ["*"] if caller.key.models is None else sorted(caller.key.models),
            "expires_at": datetime.fromtimestamp(caller.key.expires_at_s, UTC).isoformat().replace("+00:00", "Z"),
        }
    )
