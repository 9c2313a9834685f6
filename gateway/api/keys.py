"""keys: virtual keys, made here and shown once."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts import actions as account_actions
from accounts.api.fields import Given, Moment, Reference, Shown, look_up, shown_id
from accounts.api.resource import Changes, Makes, Resource
from accounts.models import Environment, VirtualKey
from gateway import actions

# The longest a key lives when its maker does not say.
LONGEST_LIFE = timedelta(days=365)


class KeyChange(Given):
    """What of a key can be changed."""

    name = serializers.CharField(max_length=200)
    models = serializers.ListField(
        child=serializers.CharField(max_length=200), allow_empty=False, max_length=1000, help_text='Catalogue names, or ["*"] for all.'
    )
    environment = serializers.ChoiceField(Environment.choices, required=False)
    expires_at = Moment(required=False, help_text="Left out at creation: in 365 days.")


class KeyGiven(KeyChange):
    """A new key."""

    project = Reference(access.visible_projects, help_text="`prj_...`")


class KeyShown(Shown):
    """A virtual key, without its text."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    project = serializers.SerializerMethodField()
    models = serializers.ListField(child=serializers.CharField())
    environment = serializers.ChoiceField(Environment.choices)
    state = serializers.ChoiceField(VirtualKey.State.choices)
    expires_at = Moment()
    created_at = Moment()
    last_used_at = Moment(allow_null=True)

    def get_id(self, key: VirtualKey) -> str:
        """Return the prefixed id."""
        return shown_id(key)

    def get_project(self, key: VirtualKey) -> str:
        """Return the prefixed id of its project."""
        return f"prj_{key.project_id.hex}"


class KeyMade(KeyShown):
    """A new key with its text, told this once."""

    key = serializers.CharField(help_text="The whole key. It is not kept and cannot be shown again.")


class Keys(Makes, Changes, Resource):
    """Virtual keys."""

    resource = "keys"
    shows, makes, changes, shown_by_create = KeyShown, KeyGiven, KeyChange, KeyMade
    filters = {"project": "Keys of this project (`prj_...`).", "state": "active, suspended or revoked."}
    live = frozenset({"last_used_at"})

    def rows(self) -> QuerySet[VirtualKey]:
        """Return the keys the caller sees."""
        return access.visible_keys(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the key of an id."""
        return look_up(rows, text)

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the keys of a project or in a state."""
        if name == "state":
            return rows.filter(state=value) if value in VirtualKey.State.values else rows.none()
        project = look_up(access.visible_projects(self.actor), value)
        return rows.filter(project=project) if project else rows.none()

    def create(self, request: Request) -> Response:
        """Create a key; the answer holds its text, this once."""
        given = {"expires_at": timezone.now() + LONGEST_LIFE, **self.given(request, KeyGiven)}
        given.setdefault("environment", given["project"].environment)
        row, text = actions.create_virtual_key(created_by=self.person, **given)
        answer = self.told(row, 201)
        answer.data["key"] = text
        answer.headers["Location"] = f"{request.path}/{answer.data['id']}"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def change(self, row: VirtualKey, given: dict[str, Any]) -> VirtualKey:
        """Change a key."""
        if "models" in given:
            actions.check_key_models(given["models"])
        if "expires_at" in given and given["expires_at"] <= timezone.now():
            raise serializers.ValidationError({"expires_at": "Choose a moment in the future; to stop a key at once, revoke it."})
        for name, value in given.items():
            setattr(row, name, value)
        return account_actions.save_key(row)

    @action(detail=True, methods=["post"])
    def suspend(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Refuse calls of the key until it is resumed."""
        return self._set(id, VirtualKey.State.SUSPENDED)

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Serve the key again."""
        return self._set(id, VirtualKey.State.ACTIVE)

    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Refuse calls of the key for good."""
        return self._set(id, VirtualKey.State.REVOKED)

    def _set(self, text: str, state: str) -> Response:
        account_actions.set_key_state(self.row(text), state)
        return self.told(self.row(text))
