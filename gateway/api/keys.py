"""keys: virtual keys, made here and shown once."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.api.credential_resource import LIVE, ChangesState, CredentialShown, RotateGiven
from accounts.api.fields import Given, Moment, Person, Reference, look_up, shown_id
from accounts.api.resource import Changes, Makes, Resource
from accounts.models import Environment, User, VirtualKey
from accounts.signin import stepup
from billing.api.fields import UsdOrCount, amount_of
from billing.models import Budget
from gateway import actions, keymaking


class LimitsGiven(Given):
    """How fast the key may call."""

    rpm = serializers.IntegerField(min_value=0, max_value=10**9, required=False, help_text="Calls per minute.")
    tpm = serializers.IntegerField(min_value=0, max_value=10**12, required=False, help_text="Tokens per minute.")
    parallel = serializers.IntegerField(min_value=0, max_value=10**6, required=False, help_text="Calls at once.")


class KeyBudgetGiven(Given):
    """What the key may spend."""

    amount = UsdOrCount(help_text="USD as a decimal string.")
    period = serializers.ChoiceField([choice for choice in Budget.Period.choices if choice[0] != "fixed"], default=Budget.Period.MONTHLY)
    mode = serializers.ChoiceField(Budget.Mode.choices, default=Budget.Mode.HARD)


class KeyChange(Given):
    """What of a key can be changed."""

    name = serializers.CharField(max_length=200)
    purpose = serializers.CharField(max_length=400, required=False, allow_blank=True)
    models = serializers.ListField(
        child=serializers.CharField(max_length=200), allow_empty=False, max_length=1000, help_text='Catalogue names, or ["*"] for all.'
    )
    environment = serializers.ChoiceField(Environment.choices, required=False)
    expires_at = Moment(required=False, help_text="Left out at creation: as late as policy and your own rights allow.")
    allowed_ips = serializers.ListField(child=serializers.CharField(max_length=50), required=False, help_text="IP ranges (CIDR); none for anywhere.")
    tags = serializers.DictField(child=serializers.CharField(max_length=100), required=False, help_text="Recorded on every call.")


class KeyGiven(KeyChange):
    """A new key."""

    project = Reference(access.visible_projects, help_text="`prj_...`")
    owner = Person(required=False, allow_null=True, help_text="For a personal key: `usr_...` or e-mail; developers make keys of their own only.")
    limits = LimitsGiven(required=False)
    budget = KeyBudgetGiven(required=False)


class KeyShown(CredentialShown):
    """A virtual key, without its text."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    purpose = serializers.CharField()
    project = serializers.SerializerMethodField()
    owner = serializers.SerializerMethodField(help_text="`usr_...` of a personal key.")
    created_by = serializers.SerializerMethodField()
    models = serializers.ListField(child=serializers.CharField())
    environment = serializers.ChoiceField(Environment.choices)
    allowed_ips = serializers.ListField(child=serializers.CharField())
    tags = serializers.DictField(child=serializers.CharField())

    def get_id(self, key: VirtualKey) -> str:
        """Return the prefixed id."""
        return shown_id(key)

    def get_project(self, key: VirtualKey) -> str:
        """Return the prefixed id of its project."""
        return f"prj_{key.project_id.hex}"

    def get_owner(self, key: VirtualKey) -> str | None:
        """Return the prefixed id of its person."""
        return f"usr_{key.owner_id.hex}" if key.owner_id else None

    def get_created_by(self, key: VirtualKey) -> str | None:
        """Return the prefixed id of who made it."""
        return f"usr_{key.created_by_id.hex}" if key.created_by_id else None


class KeyMade(KeyShown):
    """A new key with its text, told this once."""

    key = serializers.CharField(help_text="The whole key. It is not kept and cannot be shown again.")


class Keys(ChangesState, Makes, Changes, Resource):
    """Virtual keys."""

    resource = "keys"
    shows, makes, changes, shown_by_create, shown_by_rotate = KeyShown, KeyGiven, KeyChange, KeyMade, KeyMade
    filters = {"project": "Keys of this project (`prj_...`).", "state": "active, suspended or revoked.", "owner": "Keys of this person (`usr_...`)."}
    live = LIVE

    def rows(self) -> QuerySet[VirtualKey]:
        """Return the keys the caller sees."""
        return access.visible_keys(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the key of an id."""
        return look_up(rows, text)

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the keys of a project, of a person or in a state."""
        if name == "state":
            return rows.filter(state=value) if value in VirtualKey.State.values else rows.none()
        if name == "owner":
            return rows.filter(owner=look_up(User.objects.all(), value)) if value.startswith("usr_") else rows.none()
        project = look_up(access.visible_projects(self.actor), value)
        return rows.filter(project=project) if project else rows.none()

    def create(self, request: Request) -> Response:
        """Create a key; the answer holds its text, this once. One for production needs a fresh proof from whoever came with a session."""
        given = self.given(request, KeyGiven)
        budget = given.get("budget")
        if budget is not None:
            budget["amount"] = amount_of(budget["amount"], is_money=True)
        if given.get("environment", given["project"].environment) == Environment.PROD:
            stepup.require(request)
        row, text = keymaking.make_for(self.actor, **given)
        return self.told_once(row, text, 201)

    def change(self, row: VirtualKey, given: dict[str, Any]) -> VirtualKey:
        """Change a key; one that becomes a key for production needs a fresh proof."""
        if given.get("environment") == Environment.PROD != row.environment:
            stepup.require(self.request)
        return keymaking.change_for(self.actor, row, given)

    @action(detail=True, methods=["post"], takes=RotateGiven)
    def rotate(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Give the key a new secret under its old id, told this once; the old one stays good for the overlap."""
        return self.turned(request, id)

    def pepper(self) -> dict[str, Any]:
        """Return the newest pepper with its version."""
        return actions.newest_pepper()

    def told_once(self, row: VirtualKey, text: str, status: int = 200) -> Response:
        """Answer with a key and its text."""
        answer = self.told(row, status)
        answer.data["key"] = text
        answer.headers["Cache-Control"] = "no-store"
        if status == 201:
            answer.headers["Location"] = f"{self.request.path}/{answer.data['id']}"
        return answer
