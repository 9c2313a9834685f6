"""What becomes of catalogue models in time, and the further names they have."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import audit
from accounts.models import Severity
from accounts.outbox import notify
from gateway.models import Model, ModelAlias


@audit.act()
def set_aliases(model: Model, names: Sequence[str]) -> None:
    """Give a model these further names and no others. Raises ValidationError."""
    if len(set(names)) != len(names):
        raise ValidationError({"aliases": "A name stands twice."})
    kept = {alias.name: alias for alias in model.aliases.all()}
    for name, alias in kept.items():
        if name not in names:
            alias.delete()
    for name in names:
        if name not in kept:
            alias = ModelAlias(model=model, name=name)
            alias.full_clean()
            alias.save()


@audit.act("model.retire")
def retire_due() -> int:
    """Retire deprecated models whose day has come, and tell so; return how many there were."""
    deprecated = Model.objects.select_for_update(of=("self",)).filter(lifecycle=Model.Lifecycle.DEPRECATED)
    due = list(deprecated.filter(retires_at__lte=timezone.now()).select_related("successor"))
    for model in due:
        model.lifecycle = Model.Lifecycle.RETIRED
        model.save(update_fields=["lifecycle"])
        instead = f" Its successor is {model.successor}." if model.successor else ""
        text = f"Calls of {model} are refused from now on.{instead}"
        notify(reference=f"retired-{model.pk}", kind="model.retired", severity=Severity.WARNING, title=f"{model} is retired", text=text)
    return len(due)
