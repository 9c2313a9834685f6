"""What the portal's templates say in one word: icons, fields of forms, colours of states."""

from typing import Any

from django import forms, template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

STATE_COLOURS = {
    "active": "green", "approved": "green", "applied": "green", "ok": "green",
    "submitted": "azure", "waiting": "yellow", "needs_info": "yellow", "suspended": "yellow", "expiring": "yellow",
    "denied": "red", "revoked": "red", "failed": "red", "blocked": "red",
}  # fmt: skip
ALERT_COLOURS = {"error": "danger", "debug": "info"}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return an icon of the sprite; it is decoration, so words stand beside it or in an aria-label."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("vendor/icons.svg"), name)


@register.filter
def state_colour(state: str) -> str:
    """Return Tabler's colour of a state, grey for one that has none."""
    return STATE_COLOURS.get(state, "secondary")


@register.simple_tag
def badge(state: str, words: str = "") -> SafeString:
    """Return a state as a coloured badge; `words` where it reads otherwise."""
    return format_html('<span class="badge bg-{}-lt">{}</span>', state_colour(state), words or state.replace("_", " "))


@register.filter
def alert_colour(level: str) -> str:
    """Return Tabler's colour of a message's level."""
    return ALERT_COLOURS.get(level, level or "info")


@register.inclusion_tag("portal/field.html", name="field")
def show_field(field: forms.BoundField) -> dict[str, Any]:
    """Show one field of a form in Tabler's dress."""
    widget = field.field.widget
    is_check = isinstance(widget, forms.CheckboxInput)
    is_group = isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple)
    css = "form-check-input" if is_check or is_group else "form-select" if isinstance(widget, forms.Select) else "form-control"
    attrs: dict[str, str | bool] = {"class": " ".join(part for part in (css, str(widget.attrs.get("class", "")), "is-invalid" if field.errors else "") if part)}
    if field.errors:
        attrs["aria-invalid"] = "true"
        attrs["aria-describedby"] = f"{field.auto_id}_error"
    return {"field": field, "widget": "" if field.is_hidden else field.as_widget(attrs=attrs), "is_check": is_check, "is_group": is_group}


@register.inclusion_tag("portal/fields.html", name="fields")
def show_fields(form: forms.BaseForm) -> dict[str, Any]:
    """Show every field of a form, and what is wrong with it as a whole."""
    return {"form": form}
