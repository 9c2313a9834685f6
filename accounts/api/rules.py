"""approval-rules: who decides about which requests, and which are approved by themselves."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access as everything
from accounts.api.fields import Given, Moment, Reference, Shown, shown_id, uuid_of
from accounts.api.resource import Changes, Makes, Resource
from accounts.models import ApprovalRule, Approver, Environment, NotificationChannel, User
from accounts.requests import access, rules
from accounts.requests.amounts import shown_usd

MOST_NANOUSD_DIGITS = 9


class RuleStepGiven(Given):
    """One step: whom it asks and how many must approve."""

    approver = serializers.ChoiceField(Approver.choices)
    roles = serializers.ListField(child=serializers.ChoiceField([role for role in User.PlatformRole.choices if role[0]]), required=False, max_length=4)
    people = serializers.ListField(child=serializers.EmailField(), required=False, max_length=50, help_text="E-mail addresses.")
    channel = serializers.CharField(required=False, max_length=200, help_text="Name of a webhook channel; for `external`.")
    quorum = serializers.IntegerField(min_value=1, max_value=20, required=False)


class AmountText(serializers.RegexField):
    """An amount in USD as a decimal string; inside it is nano-USD."""

    def __init__(self, **options: Any) -> None:
        super().__init__(r"^[0-9]{1,9}(\.[0-9]{1,9})?$", **options)

    def to_internal_value(self, data: Any) -> Any:
        """Return nano-USD."""
        whole, _, rest = str(super().to_internal_value(data)).partition(".")
        return int(whole) * 10**MOST_NANOUSD_DIGITS + int(rest.ljust(MOST_NANOUSD_DIGITS, "0"))

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Check the text, not the number it becomes."""
        is_empty, found = self.validate_empty_values(data)
        if is_empty:
            return found
        if not isinstance(data, str):
            raise serializers.ValidationError('Write the amount as a decimal string in USD, such as "12.50".')
        self.run_validators(data)
        return self.to_internal_value(data)


class RuleGiven(Given):
    """A rule."""

    name = serializers.CharField(max_length=200)
    position = serializers.IntegerField(min_value=0, max_value=32767, required=False, help_text="Lower is tried first.")
    active = serializers.BooleanField(source="is_active", required=False)
    kinds = serializers.ListField(child=serializers.CharField(max_length=64), required=False, max_length=50, help_text="Empty: every kind.")
    business_unit = Reference(everything.visible_business_units, required=False, allow_null=True, help_text="`bu_...`, with everything below.")
    environment = serializers.ChoiceField(Environment.choices, required=False, allow_blank=True)
    up_to = AmountText(source="up_to_nanousd", required=False, allow_null=True, help_text="USD.")
    automatic = serializers.BooleanField(source="is_automatic", required=False, help_text="Approves by itself.")
    cap = AmountText(source="cap_nanousd", required=False, allow_null=True, help_text="USD for one project within `cap_days`.")
    cap_days = serializers.IntegerField(min_value=1, max_value=366, required=False)
    remind_days = serializers.IntegerField(min_value=0, max_value=60, required=False)
    escalate_days = serializers.IntegerField(min_value=0, max_value=60, required=False)
    expire_days = serializers.IntegerField(min_value=1, max_value=250, required=False)
    steps = RuleStepGiven(many=True, required=False)


class RuleStepShown(Shown):
    """One step."""

    approver = serializers.ChoiceField(Approver.choices)
    roles = serializers.ListField(child=serializers.CharField())
    people = serializers.SerializerMethodField()
    channel = serializers.SerializerMethodField()
    quorum = serializers.IntegerField()

    def get_people(self, step: Any) -> list[str]:
        """Return the addresses of the people named."""
        return sorted(person.email for person in step.people.all())

    def get_channel(self, step: Any) -> str | None:
        """Return the channel's name."""
        return step.channel.name if step.channel else None


class RuleShown(Shown):
    """A rule."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    position = serializers.IntegerField()
    active = serializers.BooleanField(source="is_active")
    kinds = serializers.ListField(child=serializers.CharField())
    business_unit = serializers.SerializerMethodField()
    environment = serializers.CharField()
    up_to = serializers.SerializerMethodField()
    automatic = serializers.BooleanField(source="is_automatic")
    cap = serializers.SerializerMethodField()
    cap_days = serializers.IntegerField()
    remind_days = serializers.IntegerField()
    escalate_days = serializers.IntegerField()
    expire_days = serializers.IntegerField()
    steps = RuleStepShown(many=True)
    created_at = Moment()

    def get_id(self, rule: ApprovalRule) -> str:
        """Return the prefixed id."""
        return f"apr_{rule.pk.hex}"

    def get_business_unit(self, rule: ApprovalRule) -> str | None:
        """Return the prefixed id of the unit it is for."""
        return shown_id(rule.business_unit) if rule.business_unit else None

    def get_up_to(self, rule: ApprovalRule) -> str | None:
        """Return the amount it goes up to."""
        return shown_usd(rule.up_to_nanousd)

    def get_cap(self, rule: ApprovalRule) -> str | None:
        """Return its cap."""
        return shown_usd(rule.cap_nanousd)


class ApprovalRules(Makes, Changes, Resource):
    """Approval rules."""

    resource = "approval-rules"
    shows, makes, changes = RuleShown, RuleGiven, RuleGiven

    def rows(self) -> QuerySet[ApprovalRule]:
        """Return the rules the caller sees."""
        return access.visible_rules(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the rule of an id."""
        found = uuid_of(text, "apr_")
        return rows.filter(pk=found).first() if found else None

    def place_in(self, given: dict[str, Any]) -> None:
        """Return nothing: rules hold for the platform."""

    def make(self, given: dict[str, Any]) -> ApprovalRule:
        """Make a rule."""
        if not everything.sees_everything(self.actor):
            raise exceptions.PermissionDenied("Rules hold for the platform: only service accounts of the platform write them.")
        steps = _steps(given.pop("steps", []))
        return self._fresh(rules.save_rule(ApprovalRule(**given), steps))

    def change(self, row: ApprovalRule, given: dict[str, Any]) -> ApprovalRule:
        """Change a rule; steps given replace those it has."""
        steps = _steps(given.pop("steps")) if "steps" in given else None
        for name, value in given.items():
            setattr(row, name, value)
        return self._fresh(rules.save_rule(row, steps))

    def _fresh(self, rule: ApprovalRule) -> ApprovalRule:
        return self.rows().get(pk=rule.pk)

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Delete a rule; requests under way keep their steps."""
        rules.delete_rule(self.row(id))
        return Response(status=204)


def _steps(given: list[dict[str, Any]]) -> list[rules.Step]:
    found = []
    for step in given:
        wanted = [address.lower() for address in step.get("people", [])]
        people = list(User.objects.filter(email__in=wanted, is_active=True))
        missing = sorted(set(wanted) - {person.email for person in people})
        if missing:
            raise serializers.ValidationError({"steps": f"Nobody signs in as {', '.join(missing)}."})
        channel = NotificationChannel.objects.filter(name=step["channel"]).first() if "channel" in step else None
        if "channel" in step and channel is None:
            raise serializers.ValidationError({"steps": f"There is no channel {step['channel']!r}."})
        found.append(rules.Step(step["approver"], step.get("roles", []), people, channel, step.get("quorum", 1)))
    return found
