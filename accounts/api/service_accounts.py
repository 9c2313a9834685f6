"""service-accounts: programs on this API; their tokens are made here and shown once."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, credentials
from accounts.api.credential_resource import LIVE, ChangesState, CredentialShown, RotateGiven
from accounts.api.fields import Given, Moment, Person, Reference, look_up, shown_id
from accounts.api.resource import Changes, Makes, Resource
from accounts.models import CredentialPolicy, ServiceAccount
from accounts.service_accounts import make_service_account, save_service_account


class ServiceAccountChange(Given):
    """What of a service account can be changed."""

    name = serializers.CharField(max_length=200)
    purpose = serializers.CharField(max_length=400, required=False, allow_blank=True)
    owner = Person(required=False, help_text="Who answers for it: `usr_...` or e-mail. Left out at creation: you.")
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=80), allow_empty=False, max_length=100, help_text="Such as `keys:write`; writing does not include reading."
    )
    expires_at = Moment(required=False, help_text="Left out at creation: as late as policy and your own rights allow.")


class ServiceAccountGiven(ServiceAccountChange):
    """A new service account."""

    project = Reference(access.visible_projects, required=False, help_text="`prj_...`")
    business_unit = Reference(access.visible_business_units, required=False, help_text="`bu_...`; neither: the whole platform.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse both."""
        if "project" in attrs and "business_unit" in attrs:
            raise serializers.ValidationError("Name a project or a business unit, not both; neither for the whole platform.")
        return attrs


class ServiceAccountShown(CredentialShown):
    """A service account, without its token."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    purpose = serializers.CharField()
    project = serializers.SerializerMethodField()
    business_unit = serializers.SerializerMethodField()
    owner = serializers.SerializerMethodField()
    scopes = serializers.ListField(child=serializers.CharField())

    def get_id(self, row: ServiceAccount) -> str:
        """Return the prefixed id."""
        return f"sa_{row.public_id}"

    def get_project(self, row: ServiceAccount) -> str | None:
        """Return the prefixed id of its project."""
        return shown_id(row.project) if row.project else None

    def get_business_unit(self, row: ServiceAccount) -> str | None:
        """Return the prefixed id of its unit."""
        return shown_id(row.business_unit) if row.business_unit else None

    def get_owner(self, row: ServiceAccount) -> str | None:
        """Return the prefixed id of who answers for it."""
        return shown_id(row.owner) if row.owner else None


class ServiceAccountMade(ServiceAccountShown):
    """A service account with its new token, told this once."""

    token = serializers.CharField(help_text="The whole token. It is not kept and cannot be shown again.")


class ServiceAccounts(ChangesState, Makes, Changes, Resource):
    """Service accounts."""

    resource = "service-accounts"
    shows, makes, changes = ServiceAccountShown, ServiceAccountGiven, ServiceAccountChange
    shown_by_create = shown_by_rotate = ServiceAccountMade
    filters = {"project": "Those of this project (`prj_...`).", "business_unit": "Those of this unit (`bu_...`).", "state": "active, suspended or revoked."}
    live = LIVE

    def rows(self) -> QuerySet[ServiceAccount]:
        """Return the service accounts the caller sees."""
        return access.visible_service_accounts(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the account of an id."""
        bare = text.removeprefix("sa_")
        return rows.filter(public_id=bare).first() if bare != text and bare.isascii() and bare.isalnum() else None

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the accounts of a place or in a state."""
        if name == "state":
            return rows.filter(state=value) if value in ServiceAccount.State.values else rows.none()
        visible: QuerySet[Any] = access.visible_projects(self.actor) if name == "project" else access.visible_business_units(self.actor)
        place = look_up(visible, value)
        return rows.filter(**{name: place}) if place else rows.none()

    def create(self, request: Request) -> Response:
        """Create a service account; the answer holds its token, this once."""
        given = self.given(request, ServiceAccountGiven)
        place: access.Place = given.get("project") or given.get("business_unit")
        self.check(place, fields=given)
        self._check_scopes(given["scopes"], place)
        rights_end = access.rights_end(self.actor)
        given.setdefault("expires_at", credentials.latest_expiry(credentials.policy(CredentialPolicy.Kind.SERVICE_ACCOUNT), rights_end))
        given.setdefault("owner", self.person or getattr(self.actor, "owner", None))
        row, text = make_service_account(created_by=self.person, rights_end=rights_end, **given, **self.pepper())
        return self.told_once(row, text, 201)

    def change(self, row: ServiceAccount, given: dict[str, Any]) -> ServiceAccount:
        """Change a service account."""
        self._check_scopes([scope for scope in given.get("scopes", []) if scope not in row.scopes], self.place_of(row))
        for name, value in given.items():
            setattr(row, name, value)
        return save_service_account(row, access.rights_end(self.actor))

    @action(detail=True, methods=["post"], takes=RotateGiven)
    def rotate(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Give the account a new token under its old id, told this once; the old one stays good for the overlap."""
        self._check_scopes(self.row(id).scopes, self.place_of(self.row(id)))
        return self.turned(request, id)

    def pepper(self) -> dict[str, Any]:
        """Return the newest pepper with its version."""
        version = max(settings.KEY_PEPPERS)
        return {"pepper": settings.KEY_PEPPERS[version], "pepper_version": version}

    def told_once(self, row: ServiceAccount, text: str, status: int = 200) -> Response:
        """Answer with an account and its token."""
        answer = self.told(row, status)
        answer.data["token"] = text
        answer.headers["Cache-Control"] = "no-store"
        if status == 201:
            answer.headers["Location"] = f"{self.request.path}/{answer.data['id']}"
        return answer

    def _check_scopes(self, scopes: list[str], place: access.Place) -> None:
        """Raise ValidationError for scopes wider than the caller's own rights in the place."""
        wider = access.not_grantable(self.actor, scopes, place)
        if wider:
            raise serializers.ValidationError({"scopes": f"Wider than your own rights here, or unknown: {', '.join(wider)}. Leave them out."})
