"""Past usage of the demo project: 30 days in the shape of an office, the same for the same day and clearly marked as demo."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta

from accounts.models import Project, VirtualKey
from billing.models import Price, UsageRecord
from billing.money import cost_nanousd
from billing.prices import as_terms
from gateway.models import Deployment

DAYS = 30
CALLS_PER_WORKDAY = 170
# Share of a day's calls by hour, UTC: quiet nights, a lunch dip, an evening tail.
HOURS = (1, 1, 1, 1, 1, 2, 5, 12, 22, 30, 32, 28, 18, 24, 32, 31, 26, 18, 10, 6, 4, 3, 2, 1)
END_USERS = ("ana", "ben", "chloe", "dmitri", "esra", "farid")
TAGS = ("team=checkout,env=dev", "team=search,env=dev", "team=support,env=test", "")


def past_usage(project: Project, key: VirtualKey, deployments: Sequence[Deployment], today: datetime) -> Iterator[UsageRecord]:
    """Yield the demo project's calls of the 30 days before `today`, oldest first, unsaved."""
    for back in range(DAYS, 0, -1):
        day = (today - timedelta(days=back)).astimezone(UTC).date()
        chance = random.Random(f"symbiosis-demo-{day}")  # noqa: S311 (decoration, and it must repeat)
        busy = 1.0 if day.weekday() < 5 else 0.15
        growth = 0.7 + 0.3 * (DAYS - back) / DAYS
        for number in range(int(CALLS_PER_WORKDAY * busy * growth * chance.uniform(0.85, 1.15))):
            hour = chance.choices(range(24), HOURS)[0]
            moment = datetime.combine(day, time(hour, chance.randrange(60), chance.randrange(60), chance.randrange(1_000_000)), UTC)
            yield _call(f"call_{int(moment.timestamp() * 1000):011x}demo{number:012d}", moment, chance, project, key, deployments)


def _call(
    call_id: str, moment: datetime, chance: random.Random, project: Project, key: VirtualKey, deployments: Sequence[Deployment]
) -> UsageRecord:
    deployment = chance.choices(deployments, [5 if d.model.name == "sim-chat" else 2 for d in deployments])[0]
    embeds = deployment.model.kind == "embeddings"
    failed = chance.random() < 0.012
    input_tokens = min(60_000, int(chance.lognormvariate(6.2, 1.0)) + 8)
    output_tokens = 0 if embeds or failed else min(8_000, int(chance.lognormvariate(5.2, 0.8)) + 1)
    cached_tokens = input_tokens * 3 // 4 if input_tokens > 1024 and chance.random() < 0.35 else 0
    reasoning_tokens = output_tokens * 2 // 3 if deployment.model.name == "sim-reasoner" else 0
    price = deployment.price
    assert isinstance(price, Price)
    tokens = {
        "input_tokens": 0 if failed else input_tokens,
        "cached_tokens": 0 if failed else cached_tokens,
        "cache_write_tokens": 0,
        "audio_input_tokens": 0,
        "output_tokens": output_tokens,
        "reasoning_tokens": reasoning_tokens,
        "audio_output_tokens": 0,
    }
    cost = 0 if failed else cost_nanousd(as_terms(price), mode="", **tokens)
    first_byte_ms = int(chance.lognormvariate(5.7, 0.4))
    duration_ms = first_byte_ms + output_tokens * 12
    account = deployment.account
    return UsageRecord(
        call_id=call_id,
        started_at=moment,
        duration_ms=duration_ms,
        first_byte_ms=first_byte_ms,
        gateway_us=chance.randrange(180, 900),
        key=key.public_id,
        project=project.pk,
        business_unit=project.business_unit_id,
        model=deployment.model.name,
        deployment=f"{account.slug}/{deployment.upstream_model}",
        account=account.slug,
        provider=account.provider,
        upstream_model=deployment.upstream_model,
        endpoint="embeddings" if embeds else "chat/completions",
        stream=not embeds and chance.random() < 0.6,
        status=502 if failed else 200,
        outcome="failed" if failed else "ok",
        error_code="upstream_error" if failed else "",
        usage_source="none" if failed else "provider",
        price=price.pk,
        cost_nanousd=cost,
        quote_nanousd=cost * 2,
        attempts=[
            [f"{account.slug}/{deployment.upstream_model}", account.slug, "503" if failed else "ok", 503 if failed else 200, duration_ms]
        ],
        end_user=chance.choice(END_USERS),
        tags=chance.choice(TAGS),
        is_demo=True,
        **tokens,
    )
