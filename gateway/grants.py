"""What can be asked for about the catalogue and keys: a model for a key or a whole project, a key that may be used in production."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone

from accounts import access
from accounts import actions as account_actions
from accounts.access_grants import by_id
from accounts.grants import Asked, Asking, Fact, Grant, Line, Outcome
from accounts.models import DataClass, Environment, GrantRequest, Project, User, VirtualKey
from accounts.requests.overlaps import hand_on, is_borrowed
from billing import prices
from billing.grants import spent_so_far
from billing.money import plain_usd
from gateway.models import Model
from gateway.pricing import first_terms

WHERE = "Say for which key (parameter `key`) or project (parameter `project`)."


def key_named(asking: Asking, text: str, field: str) -> VirtualKey:
    """Return the key of a prefixed id among those the asker sees; raises ValidationError."""
    bare = text.strip().removeprefix("key_")
    usable = access.visible_keys(asking.actor).exclude(state=VirtualKey.State.REVOKED).select_related("project__business_unit")
    found = usable.filter(public_id=bare).first() if bare.isascii() and bare.isalnum() else None
    if found is None:
        raise ValidationError({field: "There is no such key (`key_...`), or it is not yours to see."})
    return found


def only_project_of(asking: Asking) -> Project:
    """Return the project named, or the only one the asker is a member of; raises ValidationError."""
    visible = access.visible_projects(asking.actor).select_related("business_unit")
    text = str(asking.parameters.get("project") or "")
    if text:
        found = by_id(visible, text, "prj_")
        if found is None:
            raise ValidationError({"project": "There is no such project (`prj_...`), or it is not yours to see."})
        return found
    mine = list(visible.filter(memberships__user=asking.actor)[:2]) if isinstance(asking.actor, User) else list(visible[:2])
    if len(mine) != 1:
        raise ValidationError({"project": WHERE})
    return mine[0]


def model_named(text: str) -> Model:
    """Return the active catalogue model of a name; raises ValidationError."""
    found = Model.objects.filter(name=text.strip(), is_active=True).first()
    if found is None:
        raise ValidationError({"target": "There is no such model in the catalogue. Name it as GET /v1/models does."})
    return found


def check_model(asking: Asking) -> Asked:
    """Check that some key of the place may not use the model yet."""
    model = model_named(asking.target)
    if text := str(asking.parameters.get("key") or ""):
        key = key_named(asking, text, "key")
        project, keys, parameters, place = key.project, [key], {"key": f"key_{key.public_id}"}, str(key.name)
    else:
        project = only_project_of(asking)
        keys, parameters, place = list(usable_keys(project)), {"project": f"prj_{project.pk.hex}"}, f"every key of {project}"
        if not keys:
            raise ValidationError({"project": f"{project} has no key yet. Create one with the models it needs."})
    if all(is_open(key, model.name) for key in keys) and not any(key.public_id in _lent(model.name) for key in keys):
        raise ValidationError({"target": f"{model.name} is open to {place} already."})
    return Asked(f"Model {model.name} for {place}", model.name, parameters, project, project.business_unit, project.environment)


def usable_keys(project: Project) -> QuerySet[VirtualKey]:
    """Return the keys of a project that are not revoked."""
    return VirtualKey.objects.filter(project=project).exclude(state=VirtualKey.State.REVOKED).order_by("name")


def is_open(key: VirtualKey, model: str) -> bool:
    """Say whether a key may use a model."""
    return "*" in key.models or model in key.models


def keys_of(request: GrantRequest) -> list[VirtualKey]:
    """Return the keys a stored request is about, as they are now."""
    assert request.project is not None
    keys = usable_keys(request.project)
    if "key" in request.parameters:
        keys = keys.filter(public_id=request.parameters["key"].removeprefix("key_"))
    return list(keys)


def preview_model(request: GrantRequest) -> list[Line]:
    """Say what each key may use, and would."""
    shut = [key for key in keys_of(request) if not is_open(key, request.target)]
    if not shut:
        return [Line(f"{request.target} for these keys", "open for a while", f"open until {request.until:%Y-%m-%d %H:%M} UTC" if request.until else "open")]
    return [Line(f"Models of key {key.name}", ", ".join(key.models), ", ".join([*key.models, request.target])) for key in shut]


def cost_of_model(request: GrantRequest) -> list[Fact]:
    """Return what the model costs, then what the project spent lately."""
    model = Model.objects.filter(name=request.target, is_active=True).first()
    price = first_terms(model, timezone.now(), prices.Book()) if model else None
    unknown = "nothing: self-hosted" if model and model.unknown_price == Model.UnknownPrice.FREE else "not known"
    words = f"{plain_usd(price.rates.input_nanousd)} in, {plain_usd(price.rates.output_nanousd)} out" if price else unknown
    return [Fact("A million tokens, USD", words), *spent_so_far(request)]


def open_model(request: GrantRequest) -> Outcome:
    """Let the keys use the model."""
    model_named(request.target)
    keys = list(VirtualKey.objects.select_for_update().filter(pk__in=[key.pk for key in keys_of(request)]))
    shut = [key for key in keys if not is_open(key, request.target)]
    for key in shut:
        key.models = [*key.models, request.target]
        account_actions.save_key(key)
    return {"keys": [key.public_id for key in shut], "covered": [key.public_id for key in keys]}


def _active(model: str) -> QuerySet[GrantRequest]:
    return GrantRequest.objects.filter(kind="model", target=model, state=GrantRequest.State.APPLIED)


def _lent(model: str) -> set[str]:
    """Return the public ids of keys that may use a model for a while only."""
    return {key for request in _active(model).filter(until__isnull=False) for key in request.outcome["keys"]}


def _kept_by_others(request: GrantRequest) -> set[str]:
    """Hand the keys that other requests cover too on to them, so that their ends shut them; return these keys."""
    kept: set[str] = set()
    others = _active(request.target).select_for_update(of=("self",)).filter(project=request.project_id).exclude(pk=request.pk)
    for other in others.order_by("decided_at"):
        both = [key for key in request.outcome["keys"] if key in other.outcome.get("covered", ()) and key not in kept]
        if both:
            other.outcome = {**other.outcome, "keys": [*other.outcome["keys"], *both]}
            other.save(update_fields=["outcome"])
            kept.update(both)
    return kept


def shut_model(request: GrantRequest) -> None:
    """Take the model from the keys that got it by this request, but those that another request gives it to."""
    keys = set(request.outcome["keys"]) - _kept_by_others(request)
    for key in VirtualKey.objects.select_for_update().filter(public_id__in=keys).exclude(state=VirtualKey.State.REVOKED):
        if request.target in key.models:
            key.models = [name for name in key.models if name != request.target]
            account_actions.save_key(key)


def check_production(asking: Asking) -> Asked:
    """Check that the key is one for development or test."""
    key = key_named(asking, asking.target, "target")
    if key.environment == Environment.PROD and not is_borrowed("production_key", f"key_{key.public_id}", Environment.PROD, _in_production):
        raise ValidationError({"target": f"{key.name} is a key for production already."})
    return Asked(f"Key {key.name} of {key.project} for production", f"key_{key.public_id}", {}, key.project, key.project.business_unit, Environment.PROD)


def preview_production(request: GrantRequest) -> list[Line]:
    """Say where the key may be used, and would."""
    key = VirtualKey.objects.filter(public_id=request.target.removeprefix("key_")).first()
    return [Line(f"Environment of key {key.name}", key.environment, Environment.PROD)] if key else []


def make_production(request: GrantRequest) -> Outcome:
    """Make the key one for production."""
    key = VirtualKey.objects.select_for_update().filter(public_id=request.target.removeprefix("key_")).exclude(state=VirtualKey.State.REVOKED).first()
    if key is None:
        raise ValidationError("This key is gone.")
    before, key.environment = key.environment, Environment.PROD
    account_actions.save_key(key)
    return {"before": before}


def _in_production(request: GrantRequest) -> Any:
    return Environment.PROD


def end_production(request: GrantRequest) -> None:
    """Put the key back to where it was, unless another request keeps it in production."""
    if hand_on(request, _in_production, target=request.target):
        return
    key = VirtualKey.objects.select_for_update().filter(public_id=request.target.removeprefix("key_"), environment=Environment.PROD).first()
    if key is not None:
        key.environment = request.outcome["before"]
        account_actions.save_key(key)


def check_data_class(asking: Asking) -> Asked:
    """Check that the class is one, and not the project's already."""
    if asking.target not in DataClass.values:
        raise ValidationError({"target": f"Name a class of data: {', '.join(DataClass.values)}."})
    project = only_project_of(asking)
    if project.data_class == asking.target and not is_borrowed("data_class", asking.target, asking.target, _class_of):
        raise ValidationError({"target": f"The data of {project} is {asking.target} already."})
    parameters = {"project": f"prj_{project.pk.hex}"}
    return Asked(f"Data of {project} as {asking.target}", asking.target, parameters, project, project.business_unit, project.environment)


def preview_data_class(request: GrantRequest) -> list[Line]:
    """Say of which class the project's data is, and which models would serve it."""
    assert request.project is not None
    before, after = DataClass.values.index(request.project.data_class), DataClass.values.index(request.target)
    served = [Model.objects.filter(is_active=True, data_class__in=DataClass.values[level:]).count() for level in (before, after)]
    return [Line(f"Data of {request.project}", request.project.data_class, request.target), Line("Models cleared for it", str(served[0]), str(served[1]))]


def classify(request: GrantRequest) -> Outcome:
    """Say of which class the project's data is."""
    assert request.project is not None
    before = request.project.data_class
    account_actions.set_data_class(request.project, request.target)
    return {"before": before}


def _class_of(request: GrantRequest) -> Any:
    return request.target


def end_class(request: GrantRequest) -> None:
    """Put the class back to what it was, unless another request keeps it or somebody set another since."""
    if hand_on(request, _class_of, project=request.project_id):
        return
    project = request.project
    if project is not None and project.data_class == request.target:
        account_actions.set_data_class(project, request.outcome["before"])


GRANTS = (
    Grant(
        kind="data_class",
        title="Another class of data",
        target="public, internal, confidential or restricted",
        parameters={"project": "`prj_...`; your only project when left out"},
        check=check_data_class,
        preview=preview_data_class,
        facts=spent_so_far,
        apply=classify,
        revoke=end_class,
    ),
    Grant(
        kind="model",
        title="A model",
        target="catalogue name",
        parameters={"key": "`key_...`", "project": "`prj_...`, for all its keys; your only project when both are left out"},
        check=check_model,
        preview=preview_model,
        facts=cost_of_model,
        apply=open_model,
        revoke=shut_model,
    ),
    Grant(
        kind="production_key",
        title="A key for production",
        target="`key_...`",
        check=check_production,
        preview=preview_production,
        facts=spent_so_far,
        apply=make_production,
        revoke=end_production,
        needs_proof=True,
    ),
)
