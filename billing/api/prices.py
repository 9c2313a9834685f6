"""prices: what models cost from when on. A price is proposed and decided about by another person, never edited."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.api.fields import Given, Moment, Shown, uuid_of
from accounts.api.resource import Makes, Resource
from accounts.models import ServiceAccount
from billing import actions
from billing.api.fields import Usd, shown_usd
from billing.models import Price, PriceDecision
from billing.money import MODES
from billing.prices.visible import visible_prices

STATES = [(state, state) for state in ("proposed", "approved", "rejected", "withdrawn")]
# Name on the API: name in the row. USD there, nano-USD here.
OPTIONAL_RATES = {
    "cached_usd": "cached_nanousd",
    "cache_write_usd": "cache_write_nanousd",
    "cache_write_1h_usd": "cache_write_1h_nanousd",
    "audio_input_usd": "audio_input_nanousd",
    "audio_output_usd": "audio_output_nanousd",
    "reasoning_usd": "reasoning_nanousd",
    "web_search_usd": "web_search_nanousd",
}
RATES = {"input_usd": "input_nanousd", "output_usd": "output_nanousd", **OPTIONAL_RATES}


class RatesGiven(Given):
    """USD per million tokens of each kind; a kind left out is billed as its parent kind."""

    input_usd = Usd()
    output_usd = Usd()
    cached_usd = Usd(required=False, allow_null=True, help_text="Cached input.")
    cache_write_usd = Usd(required=False, allow_null=True)
    cache_write_1h_usd = Usd(required=False, allow_null=True, help_text="Written to a cache for an hour; left out, as any other cache write.")
    audio_input_usd = Usd(required=False, allow_null=True)
    audio_output_usd = Usd(required=False, allow_null=True)
    reasoning_usd = Usd(required=False, allow_null=True)
    web_search_usd = Usd(required=False, allow_null=True, help_text="A million web searches; left out, they cost nothing.")


class TierGiven(RatesGiven):
    """Rates of calls with more input tokens; the tier reached prices every token."""

    above_input_tokens = serializers.IntegerField(min_value=1, max_value=10**9)


class ModeGiven(Given):
    """Rates of a vendor's service tier."""

    name = serializers.ChoiceField([(name, name) for name in MODES])
    rates = RatesGiven()
    tiers = TierGiven(many=True, required=False, max_length=20)  # type: ignore[call-arg]  # the stubs forget lists


class PriceGiven(RatesGiven):
    """A proposal."""

    provider = serializers.CharField(max_length=64, help_text="As the price book names it: openai, anthropic ...")
    upstream_model = serializers.CharField(max_length=200)
    valid_from = Moment()
    request_usd = Usd(required=False, help_text="Fee per call.")
    tiers = TierGiven(many=True, required=False, max_length=20, help_text="By rising `above_input_tokens`.")  # type: ignore[call-arg]
    modes = ModeGiven(many=True, required=False, max_length=len(MODES))  # type: ignore[call-arg]


class PriceDecisionShown(Shown):
    """What somebody decided about it."""

    decision = serializers.ChoiceField(PriceDecision.Decision.choices)
    by = serializers.SerializerMethodField(help_text="`usr_...`")
    at = Moment(source="decided_at")
    reason = serializers.CharField()

    def get_by(self, row: PriceDecision) -> str | None:
        """Return the prefixed id of who decided."""
        return f"usr_{row.decided_by_id.hex}" if row.decided_by_id else None


class PriceShown(RatesGiven):
    """A price with what was decided about it; rates are USD per million tokens, null where a kind is billed as its parent kind."""

    id = serializers.CharField()
    provider = serializers.CharField()
    upstream_model = serializers.CharField()
    valid_from = Moment()
    currency = serializers.CharField()
    request_usd = Usd()
    tiers = TierGiven(many=True)
    modes = ModeGiven(many=True)
    state = serializers.ChoiceField(STATES)
    source = serializers.ChoiceField(Price.Source.choices, help_text="Where the figures come from.")  # type: ignore[assignment]  # DRF keeps fields elsewhere
    source_version = serializers.CharField()
    entered_by = serializers.CharField(allow_null=True, help_text="`usr_...`")
    decisions = PriceDecisionShown(many=True)
    created_at = Moment()


class PriceReasonGiven(Given):
    """Why."""

    reason = serializers.CharField(max_length=500, help_text="Kept with the decision.")


class Prices(Makes, Resource):
    """The price book."""

    resource = "prices"
    shows, makes = PriceShown, PriceGiven
    filters = {
        "provider": "Prices of this provider.",
        "upstream_model": "Prices of this upstream model.",
        "state": "proposed, approved, rejected or withdrawn.",
        "source": "genai-prices, entered or simulated.",
    }

    def rows(self) -> QuerySet[Price]:
        """Return the prices the caller sees."""
        return visible_prices(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the price of an id."""
        found = uuid_of(text, "prc_")
        return rows.filter(pk=found).first() if found else None

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the prices that fit."""
        return rows.filter(**{name: value}) if "\0" not in value else rows.none()

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return the platform."""
        return None

    def shown(self, rows: Any) -> list[dict[str, Any]]:
        """Return prices as the API shows them."""
        return [_shown(row) for row in rows]

    def make(self, given: dict[str, Any]) -> Price:
        """Propose a price; a program proposes for its owner, who then cannot approve it."""
        author = self.actor.owner if isinstance(self.actor, ServiceAccount) else self.actor
        row = actions.add_price(
            provider=given["provider"],
            upstream_model=given["upstream_model"],
            valid_from=given["valid_from"],
            rates=_rates(given),
            request_nanousd=given.get("request_usd", 0),
            tiers=[_tier(tier) for tier in given.get("tiers", [])],
            modes=[_mode(mode) for mode in given.get("modes", [])],
            entered_by=author,
        )
        return self.rows().get(pk=row.pk)

    @action(detail=True, methods=["post"], takes=PriceReasonGiven)
    def approve(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Let it hold from its date on; somebody else than its author approves."""
        return self._decided(request, id, actions.approve_price)

    @action(detail=True, methods=["post"], takes=PriceReasonGiven)
    def reject(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Refuse it for good."""
        return self._decided(request, id, actions.reject_price)

    @action(detail=True, methods=["post"], takes=PriceReasonGiven)
    def withdraw(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """End an entered price now, or take a proposal back; calls made until now keep it."""
        return self._decided(request, id, actions.withdraw_price)

    def _decided(self, request: Request, text: str, decide: Any) -> Response:
        row = self.row(text)
        decide(row, self.human, self.given(request, PriceReasonGiven)["reason"])
        return self.told(self.row(text))


def _rates(given: Mapping[str, Any]) -> dict[str, int | None]:
    return {column: given.get(name) for name, column in RATES.items()}


def _tier(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"above_input_tokens": given["above_input_tokens"], **_rates(given)}


def _mode(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": given["name"], "rates": _rates(given["rates"]), "tiers": [_tier(tier) for tier in given.get("tiers", [])]}


def _shown_rates(held: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: None if held.get(column) is None else shown_usd(held[column]) for name, column in RATES.items()}


def _shown_tiers(tiers: Any) -> list[dict[str, Any]]:
    return [{"above_input_tokens": tier["above_input_tokens"], **_shown_rates(tier)} for tier in tiers]


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": f"prc_{row.pk.hex}",
        "provider": row.provider,
        "upstream_model": row.upstream_model,
        "valid_from": Moment().to_representation(row.valid_from),
        "currency": "USD",
        **_shown_rates(vars(row)),
        "request_usd": shown_usd(row.request_nanousd),
        "tiers": _shown_tiers(row.tiers),
        "modes": [{"name": mode["name"], "rates": _shown_rates(mode["rates"]), "tiers": _shown_tiers(mode.get("tiers", []))} for mode in row.modes],
        "state": row.state,
        "source": row.source,
        "source_version": row.source_version,
        "entered_by": f"usr_{row.entered_by_id.hex}" if row.entered_by_id else None,
        "decisions": [dict(PriceDecisionShown(decision).data) for decision in row.decisions.all()],
        "created_at": Moment().to_representation(row.created_at),
    }
