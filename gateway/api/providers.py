"""providers: one credential and base URL at a provider each. A credential is written and never shown."""

import contextlib
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Given, Moment, Shown
from accounts.api.resource import Changes, Makes
from accounts.signin import stepup
from gateway import actions, verifications
from gateway.access import visible_provider_accounts
from gateway.api.platform import PlatformResource, Switched
from gateway.discovery import ProbeFailed
from gateway.models import ProviderAccount, State, Verification

MOST_MODELS = 200
MOST_MS = {"connect": 60_000, "first_byte": 3_600_000, "idle": 3_600_000, "total": 86_400_000}


class ProviderChange(Given):
    """What of a provider account can be changed. Another host needs the credential again, and a second person."""

    name = serializers.CharField(max_length=200, required=False)
    base_url = serializers.CharField(max_length=500, required=False, help_text="Left out: the provider's own address, where it has one.")
    credential = serializers.CharField(max_length=20_000, required=False, write_only=True, help_text="Sealed at once; never shown, exported or logged.")
    options = serializers.DictField(child=serializers.CharField(max_length=200), required=False, help_text="What the kind of provider needs, by name.")
    transport = serializers.ChoiceField(ProviderAccount.Transport.choices, required=False)
    ca_pem = serializers.CharField(max_length=100_000, required=False, allow_blank=True, help_text="Certificates of a CA of one's own, in PEM form.")
    connect_timeout_ms = serializers.IntegerField(min_value=10, max_value=MOST_MS["connect"], required=False)
    first_byte_timeout_ms = serializers.IntegerField(min_value=10, max_value=MOST_MS["first_byte"], required=False)
    idle_timeout_ms = serializers.IntegerField(min_value=10, max_value=MOST_MS["idle"], required=False)
    total_timeout_ms = serializers.IntegerField(min_value=10, max_value=MOST_MS["total"], required=False)
    max_parallel = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, help_text="Calls in flight per worker; 0 for no limit.")
    allow_unknown_endpoints = serializers.BooleanField(required=False, help_text="Pass endpoints that cannot be metered, recorded as unpriced.")


class ProviderGiven(ProviderChange):
    """A new provider account."""

    slug = serializers.CharField(max_length=31, help_text="Stands in paths: `/v1/<slug>/...`.")
    provider = serializers.CharField(max_length=64, help_text="A kind on the shelf, such as openai, anthropic, azure, vllm.")


class VerificationShown(Shown):
    """What somebody checked about the provider, and when it is to be looked at again."""

    agreement = serializers.CharField()
    region = serializers.CharField()
    training_use = serializers.ChoiceField(Verification.TrainingUse.choices)
    verified_on = serializers.DateField()
    verified_by = serializers.SerializerMethodField(help_text="`usr_...`")
    review_on = serializers.DateField()

    def get_verified_by(self, row: Verification) -> str | None:
        """Return the prefixed id of who checked."""
        return f"usr_{row.verified_by_id.hex}" if row.verified_by_id else None


class ProviderShown(Shown):
    """A provider account, without its credential."""

    id = serializers.SerializerMethodField()
    slug = serializers.CharField()
    name = serializers.CharField()
    provider = serializers.CharField()
    base_url = serializers.CharField()
    credential_hint = serializers.CharField(help_text="The end of the credential, empty where there is none.")
    options = serializers.DictField(child=serializers.CharField())
    state = serializers.ChoiceField(State.choices)
    transport = serializers.ChoiceField(ProviderAccount.Transport.choices)
    ca_pem = serializers.CharField()
    connect_timeout_ms = serializers.IntegerField()
    first_byte_timeout_ms = serializers.IntegerField()
    idle_timeout_ms = serializers.IntegerField()
    total_timeout_ms = serializers.IntegerField()
    max_parallel = serializers.IntegerField()
    allow_unknown_endpoints = serializers.BooleanField()
    demo = serializers.BooleanField(source="is_demo")
    checked_at = Moment(allow_null=True)
    check_result = serializers.CharField(help_text="What the last test said; begins with ok where it works.")
    verification = VerificationShown(allow_null=True, help_text="null where nobody has verified it.")
    created_at = Moment()
    updated_at = Moment()

    def get_id(self, row: ProviderAccount) -> str:
        """Return the prefixed id."""
        return f"pva_{row.pk.hex}"


class ProviderTested(ProviderShown):
    """A provider account just tested, with the models its provider lists."""

    models = serializers.ListField(child=serializers.CharField())


class RenewalGiven(Given):
    """When to look at it again."""

    review_on = serializers.DateField(help_text="A day after today, within 3 years.")


class VerificationGiven(RenewalGiven):
    """What was checked."""

    agreement = serializers.CharField(max_length=300, help_text="The contract or data processing agreement: its name, number or date.")
    region = serializers.CharField(max_length=64, help_text="Where the provider processes what is sent.")
    training_use = serializers.ChoiceField(Verification.TrainingUse.choices)


class ModelsChosen(Given):
    """Which of the provider's models go into the catalogue."""

    models = serializers.ListField(child=serializers.CharField(max_length=200), allow_empty=False, max_length=MOST_MODELS)


class ModelsAdded(Shown):
    """How many deployments are new."""

    added = serializers.IntegerField()


class Providers(Switched, Makes, Changes, PlatformResource):
    """Provider accounts."""

    resource, prefix = "providers", "pva_"
    shows, makes, changes = ProviderShown, ProviderGiven, ProviderChange
    shown_by_test, shown_by_add_models = ProviderTested, ModelsAdded
    filters = {"provider": "Accounts of this kind.", "state": "active, draining or disabled.", "slug": "The account of this slug."}
    live = frozenset({"checked_at", "check_result"})
    reaches_out = frozenset({"test"})

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Refuse as everywhere; in a session a fresh proof is due too, as in the admin. Raises StepUpNeeded."""
        super().check(*args, **kwargs)
        stepup.require(self.request)

    def rows(self) -> QuerySet[ProviderAccount]:
        """Return the accounts the caller sees."""
        return visible_provider_accounts(self.actor)

    def make(self, given: dict[str, Any]) -> ProviderAccount:
        """Make an account."""
        credential = given.pop("credential", "")
        base_url = actions.address_of(given["provider"], given.pop("base_url", ""), given.get("options"))
        return actions.save_provider_account(ProviderAccount(**{"name": given["slug"], "base_url": base_url, **given}), credential)

    def change(self, row: ProviderAccount, given: dict[str, Any]) -> ProviderAccount:
        """Change an account; another host waits for a second person."""
        credential = given.pop("credential", "")
        for name, value in given.items():
            setattr(row, name, value)
        return actions.save_provider_account(row, credential)

    @action(detail=True, methods=["post"])
    def test(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Ask the provider for its models at once, which tests address and credential; `check_result` says how that went.

        Of one that lists none, `models` are those the price book knows.
        """
        row, found = self.row(id), list[str]()
        with contextlib.suppress(ProbeFailed):  # recorded, and shown in the answer
            found = actions.test_provider_account(row)
        answer = self.told(self.row(id))
        answer.data["models"] = found
        return answer

    @action(detail=True, methods=["post"], url_path="add-models", takes=ModelsChosen)
    def add_models(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Put models into the catalogue, each with a deployment at this account."""
        row = self.row(id)
        return Response({"added": actions.add_models(row, self.given(request, ModelsChosen)["models"])})

    @action(detail=True, methods=["post"], takes=VerificationGiven)
    def verify(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Record what you checked about the provider today, in the place of what was recorded before."""
        row = self.row(id)
        verifications.record(row, self.human, **self.given(request, VerificationGiven))
        return self.told(self.row(id))

    @action(detail=True, methods=["post"], url_path="renew-verification", takes=RenewalGiven)
    def renew_verification(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Say that what is recorded was checked today and still holds."""
        row = self.row(id)
        verifications.renew(row, self.human, **self.given(request, RenewalGiven))
        return self.told(self.row(id))
