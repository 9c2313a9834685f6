"""Forms that ask for access: a model, a key for production, a place in a project, a project, a platform role."""

from collections.abc import Mapping
from typing import Any

from django import forms

from accounts import access
from accounts.access_grants import id_of
from accounts.grants import Asking
from accounts.models import BusinessUnit, DataClass, Environment, GrantRequest, Project, User, VirtualKey
from gateway.forms_requests.about_money import project_in_words
from gateway.forms_requests.ask import AskForm
from gateway.models import Model

ROLES = (("developer", "developer: calls and own keys"), ("viewer", "viewer: reads only"), ("owner", "owner: keys and members"))
PLATFORM_ROLES = [choice for choice in User.PlatformRole.choices if choice[0]]


class ModelForm(AskForm):
    """A model for the keys of a project, or for one of them."""

    kind, heading = "model", "Ask for a model"
    about = "Lets keys call a model they may not call yet."
    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    key = forms.ModelChoiceField(queryset=VirtualKey.objects.none(), required=False, empty_label="every key of the project")
    model = forms.ModelChoiceField(queryset=Model.objects.none(), empty_label=None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer("project", access.visible_projects(self.user).select_related("business_unit").order_by("name"), project_in_words)
        self.offer("key", usable_keys(self.user).order_by("project__name", "name"), lambda key: f"{key.name} of {key.project}")
        self.offer("model", Model.objects.filter(is_active=True).order_by("name"))

    def clean(self) -> dict[str, Any]:
        """Refuse a key of another project than the one chosen."""
        given: dict[str, Any] = super().clean() or {}
        key, project = given.get("key"), given.get("project")
        if key is not None and project is not None and key.project_id != project.pk:
            self.add_error("key", f"This key belongs to {key.project}. Choose that project, or another key.")
        return given

    def told(self, address: Mapping[str, str]) -> dict[str, Any]:
        """Choose the project of a key that the address names."""
        found = super().told(address)
        key = usable_keys(self.user).filter(pk=found["key"]).first() if "key" in found else None
        return found | ({"project": key.project_id} if key is not None else {})

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        where = {"key": f"key_{given['key'].public_id}"} if given["key"] else {"project": f"prj_{given['project'].pk.hex}"}
        return Asking("model", given["model"].name, self.user, where, None, self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the place and the model."""
        key = VirtualKey.objects.filter(public_id=row.parameters.get("key", "").removeprefix("key_")).first()
        return {"project": row.project_id, "key": key.pk if key else None, "model": Model.objects.filter(name=row.target).first()}


class ProductionForm(AskForm):
    """A key for production."""

    kind, heading = "production_key", "Ask for a key for production"
    about = "A key for development or test becomes one for production."
    key = forms.ModelChoiceField(queryset=VirtualKey.objects.none(), empty_label=None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = usable_keys(self.user).exclude(environment=Environment.PROD).order_by("project__name", "name")
        self.offer("key", rows, lambda key: f"{key.name} of {key.project} ({key.get_environment_display()})")

    def asking(self) -> Asking:
        """Return what is asked for."""
        return Asking("production_key", f"key_{self.cleaned_data['key'].public_id}", self.user, {}, None, self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the key."""
        key = VirtualKey.objects.filter(public_id=row.target.removeprefix("key_")).first()
        return {"key": key.pk if key else None}


class DataClassForm(AskForm):
    """Another class of data for a project."""

    kind, heading = "data_class", "Ask for another class of data"
    about = "Says how closely the data of a project has to be kept: only models cleared for that class serve it."
    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    data_class = forms.ChoiceField(choices=DataClass.choices, label="Class of data")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = access.visible_projects(self.user).select_related("business_unit").order_by("name")
        self.offer("project", rows, lambda project: f"{project_in_words(project)}, now {project.get_data_class_display()}")

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("data_class", given["data_class"], self.user, {"project": f"prj_{given['project'].pk.hex}"}, None, self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the project and the class."""
        return {"project": row.project_id, "data_class": row.target}


class JoinForm(AskForm):
    """A place in a project."""

    kind, heading = "join_project", "Ask to join a project"
    about = "Makes you a member; then you can create keys there, or see its calls and costs."
    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    role = forms.ChoiceField(choices=ROLES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer("project", access.askable_projects(self.user).select_related("business_unit").order_by("name"), project_in_words)

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("join_project", f"prj_{given['project'].pk.hex}", self.user, {"role": given["role"]}, None, self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the project and the role."""
        return {"project": row.project_id, "role": row.parameters["role"]}


class ProjectForm(AskForm):
    """A project of one's own."""

    kind, heading = "create_project", "Ask for a new project"
    about = "A project with you as its owner: budgets, keys and members of its own."
    until = None  # type: ignore[assignment]  # what is made is not taken back by itself
    unit = forms.ModelChoiceField(queryset=BusinessUnit.objects.none(), empty_label=None, label="Business unit")
    name = forms.CharField(max_length=200)
    environment = forms.ChoiceField(choices=Environment.choices)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer("unit", access.askable_units(self.user).order_by("name"))

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        parameters = {"name": given["name"], "environment": given["environment"]}
        return Asking("create_project", f"bu_{given['unit'].pk.hex}", self.user, parameters)

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the unit, the name and the environment."""
        return {"unit": id_of(row.target, "bu_"), **row.parameters}


class RoleForm(AskForm):
    """A platform role."""

    kind, heading = "platform_role", "Ask for a platform role"
    about = "For those who run, secure, audit or pay for the whole installation. Administrators and security officers decide."
    role = forms.ChoiceField(choices=PLATFORM_ROLES)

    def asking(self) -> Asking:
        """Return what is asked for."""
        return Asking("platform_role", self.cleaned_data["role"], self.user, {}, None, self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the role."""
        return {"role": row.target}


def usable_keys(user: User) -> Any:
    """Return the keys a person sees that are not revoked."""
    return access.visible_keys(user).exclude(state=VirtualKey.State.REVOKED).select_related("project")
