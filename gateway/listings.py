"""What a key is told about itself and its models, from the snapshot alone, in the shape its SDK expects: OpenAI's, Anthropic's or Gemini's."""

from datetime import UTC, datetime

import orjson

from gateway.errors import NoSuchModel
from gateway.plane.bearer import shown
from gateway.plane.plan import NOT_SERVED, may_use
from gateway.plane.snapshot import Snapshot
from gateway.terms import Caller, Model

METHODS = {"chat": ["generateContent", "countTokens"], "embeddings": ["embedContent", "batchEmbedContents"]}


def _row(model: Model, name: str, surface: str) -> dict[str, object]:
    if surface == "gemini":
        return {
            "name": f"models/{name}",
            "version": "1",
            "displayName": name,
            "description": f"Served by {model.owned_by}." if model.owned_by else "",
            "supportedGenerationMethods": METHODS.get(model.kind, []),
        }
    if surface == "anthropic":
        return _anthropic_row(model, name)
    return {"id": name, "object": "model", "created": model.created_at_s, "owned_by": model.owned_by, **_known(model)}


def _anthropic_row(model: Model, name: str) -> dict[str, object]:
    is_leaving = bool(model.deprecated_at_s)
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _moment(model.created_at_s),
        "lifecycle": "deprecated" if is_leaving else "active",
        "deprecated_at": _moment(model.deprecated_at_s) if is_leaving else None,
        "retires_at": _moment(model.retires_at_s) if is_leaving and model.retires_at_s else None,
        "max_input_tokens": model.context_tokens or None,
        "max_tokens": model.max_output_tokens or None,
    }


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _known(model: Model) -> dict[str, object]:
    """Return what the catalogue knows of a model beside what OpenAI's SDKs read."""
    known: dict[str, object] = {
        "context_window": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": list(model.capabilities),
        "deprecated_at": model.deprecated_at_s,
        "retires_at": model.retires_at_s if model.deprecated_at_s else 0,
        "successor": model.successor if model.deprecated_at_s else "",
    }
    return {name: value for name, value in known.items() if value}


def _is_shown(caller: Caller, model: Model) -> bool:
    return bool(model.deployments) and model.lifecycle not in NOT_SERVED and caller.project.data_class <= model.cleared_for and may_use(caller, model)


def _listing(rows: list[dict[str, object]], surface: str) -> bytes:
    if surface == "gemini":
        return orjson.dumps({"models": rows})
    if surface == "anthropic":
        # always the whole list: there is no page after it
        ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {"first_id": None, "last_id": None}
        return orjson.dumps({"data": rows, "has_more": False, **ends})
    return orjson.dumps({"object": "list", "data": rows})


def models(caller: Caller, snapshot: Snapshot, surface: str) -> bytes:
    """Return the catalogue models this key may use."""
    rows = [_row(model, name, surface) for name, model in sorted(snapshot.models.items()) if _is_shown(caller, model)]
    return _listing(rows, surface)


def upstream_models(caller: Caller, snapshot: Snapshot, account: str, surface: str) -> bytes:
    """Return the models this key may use at one provider account, under their upstream names."""
    rows = []
    for (slug, name), served in sorted(snapshot.by_upstream.items()):
        mine = [model for model in served if may_use(caller, model)]
        if slug == account and mine:
            rows.append(_row(mine[0], name, surface))
    return _listing(rows, surface)


def upstream_model(caller: Caller, snapshot: Snapshot, account: str, name: str, surface: str) -> bytes:
    """Return one model of a provider account. Raises NoSuchModel for one that is not deployed there or not this key's."""
    mine = [model for model in snapshot.by_upstream.get((account, name), ()) if may_use(caller, model)]
    if not mine:
        raise NoSuchModel(f"The model {name[:200]!r} is not served at the provider account {account!r}, or not to this key.", param="model")
    return orjson.dumps(_row(mine[0], name, surface))


def model(caller: Caller, snapshot: Snapshot, name: str, surface: str) -> bytes:
    """Return one model. Raises NoSuchModel for one that is not there or not this key's."""
    found = snapshot.models.get(name)
    if found is None or not _is_shown(caller, found):
        raise NoSuchModel(f"The model {name[:200]!r} is not in the catalogue of this key. GET /v1/models lists what it may use.", param="model")
    return orjson.dumps(_row(found, name, surface))


def key(caller: Caller) -> bytes:
    """Return what the key may do and until when."""
    return orjson.dumps(
        {
            "object": "key",
            "id": f"key_{caller.key.id}",
            "name": caller.key.name,
            "project": shown(caller.project.id),
            "project_name": caller.project.name,
            "environment": caller.key.environment,
            "models": ["*"] if caller.key.models is None else sorted(caller.key.models),
            "expires_at": _moment(caller.key.expires_at_s),
        }
    )
