"""Every write to provider accounts, models, deployments and keys. Each is one transaction and raises the revision."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from accounts import audit, four_eyes
from accounts.actions import make_key
from accounts.addresses import AddressRules
from accounts.audit.watch import subject_of
from accounts.models import VirtualKey
from accounts.sealing import Sealer
from billing.budgets import save_budget, save_limit
from billing.models import Budget, Limit
from gateway import discovery, known_models
from gateway.models import Deployment, Model, ProviderAccount
from gateway.pricing import assumed_price
from gateway.providers import Provider, shelf
from gateway.settings import settings

log = structlog.get_logger(__name__)

# What may stand between the dots of a host's name.
_IN_HOST = re.compile(r"[a-z0-9-]{1,63}")
# First path segments that an SDK uses under /v1; an account of that slug would swallow them.
RESERVED_SLUGS = frozenset(
    [
        "api",
        "assistants",
        "audio",
        "batches",
        "beta",
        "chat",
        "completions",
        "containers",
        "conversations",
        "embeddings",
        "engines",
        "evals",
        "files",
        "fine-tuning",
        "fine_tuning",
        "images",
        "key",
        "live",
        "messages",
        "models",
        "moderations",
        "operations",
        "organization",
        "projects",
        "realtime",
        "rerank",
        "responses",
        "threads",
        "tuned-models",
        "tunedmodels",
        "upload",
        "uploads",
        "vector-stores",
        "vector_stores",
        "videos",
        "admin",
        "health",
        "healthz",
        "metrics",
        "openai-deployments",
    ]
)
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 (compared, not bound)
PORTS_BELOW_1024 = frozenset({80, 443})
PEPPER_VERSION = 1
HOST_ACT = "act.host"


@cache
def sealer() -> Sealer:
    """Return the sealer of this installation."""
    return Sealer(settings.kek)


@cache
def address_rules() -> AddressRules:
    """Return which upstream addresses this installation may connect to."""
    return AddressRules(settings.private_upstreams)


def bound_to(account: ProviderAccount) -> bytes:
    """Return what an account's credential is bound to: its row."""
    return b"provider-account:" + account.id.bytes


def opened_credential(account: ProviderAccount) -> str:
    """Return the account's credential in clear; raises SealBroken."""
    return sealer().open(bytes(account.sealed_credential), bound_to(account)).decode() if account.sealed_credential else ""


def provider_of(account: ProviderAccount) -> Provider:
    """Return the shelf member an account names; raises ValidationError when there is none."""
    found = shelf().get(account.provider)
    if found is None:
        raise ValidationError({"provider": f"There is no provider {account.provider!r}. Choose one of: {', '.join(sorted(shelf()))}."})
    return found


def address_of(provider: str, base_url: str, options: object = None) -> str:
    """Return the base URL given, else the one the provider has itself, with the options it names; raises ValidationError when there is neither."""
    known = shelf().get(provider)
    if base_url or known is None:  # an unknown kind is refused with the account
        return base_url
    if not known.base_url:
        raise ValidationError({"base_url": f"{known.title} has no address of its own: enter one."})
    address = known.base_url
    for name in known.options:
        if (place := "{" + name + "}") in address:
            if not isinstance(options, dict) or not isinstance(value := options.get(name), str) or not _IN_HOST.fullmatch(value):
                raise ValidationError({"options": f"Enter {name}: {known.options[name]}."})
            address = address.replace(place, value)
    return address


def check_base_url(url: str) -> None:
    """Raise ValidationError unless the URL may be an upstream: http(s), no credentials, an allowed address, not this gateway."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ValidationError({"base_url": "This is not a URL."}) from error
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password or parts.query or parts.fragment:
        raise ValidationError({"base_url": "Enter http:// or https://, a host and a path; no user, query or fragment."})
    if port < 1024 and port not in PORTS_BELOW_1024:
        raise ValidationError({"base_url": "Of the ports below 1024 only 80 and 443 are allowed."})
    own = urlsplit(settings.public_url)
    own_port = own.port or (443 if own.scheme == "https" else 80)
    same_host = host == own.hostname or {host, own.hostname} <= LOOPBACK_NAMES
    if own.hostname and same_host and port == own_port:
        raise ValidationError({"base_url": "This is the gateway's own address. Enter the provider's."})
    try:
        discovery.allowed_addresses(host, port, address_rules())
    except discovery.ProbeFailed as refusal:
        raise ValidationError({"base_url": str(refusal)}) from refusal


def check_provider_account(account: ProviderAccount, credential: str) -> None:
    """Raise ValidationError unless the account, with the credential typed now or none, may be stored."""
    provider = provider_of(account)
    if account.slug in RESERVED_SLUGS or account.slug.startswith("v1"):
        raise ValidationError({"slug": f"{account.slug} is a path that clients use. Choose another, for example my-{account.slug}."})
    stored = ProviderAccount.objects.filter(pk=account.pk).first()
    if stored is None or stored.base_url != account.base_url:
        check_base_url(account.base_url)
    check_options(provider, account.options)
    _check_credential(provider, account, stored, credential)


def check_options(provider: Provider, options: object) -> None:
    """Raise ValidationError unless the options are those this kind of provider needs, and of others none but those it may have."""
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        raise ValidationError({"options": 'Enter a JSON object of texts, for example {"api_version": "2024-10-21"}.'})
    missing = [f"{name} ({hint})" for name, hint in provider.options.items() if not options.get(name)]
    unknown = sorted(set(options) - set(provider.options) - set(provider.may_have))
    if missing or unknown:
        words = [f"Missing: {', '.join(missing)}."] if missing else []
        words += [f"Not an option of {provider.title}: {', '.join(unknown)}."] if unknown else []
        raise ValidationError({"options": " ".join(words)})


def _check_credential(provider: Provider, account: ProviderAccount, stored: ProviderAccount | None, credential: str) -> None:
    if credential.startswith("sgw_"):
        raise ValidationError({"credential": "This is a key of the gateway. Enter the provider's own credential."})
    if any(not 32 < ord(letter) < 127 for letter in credential):
        raise ValidationError({"credential": "A credential holds printable ASCII without spaces. Copy it again."})
    has_one = bool(credential) or bool(stored and stored.sealed_credential)
    if provider.needs_credential and not has_one:
        raise ValidationError({"credential": f"{provider.title} needs a credential."})
    if stored and stored.sealed_credential and not credential and _authority(stored.base_url) != _authority(account.base_url):
        raise ValidationError({"credential": "The host changes, so enter the credential again: it is not sent to another host unseen."})


def _authority(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


@audit.act()
def save_provider_account(account: ProviderAccount, credential: str = "") -> ProviderAccount:
    """Check and store an account, sealing the credential when one is given. Raises ValidationError.

    Another host waits for a second person: the rest is stored with the present address and credential (`four_eyes.held` tells).
    """
    stored = ProviderAccount.objects.select_for_update().filter(pk=account.pk).first()
    check_provider_account(account, credential)
    wanted, sealed = "", b""
    if stored is not None and four_eyes.is_needed() and _authority(stored.base_url) != _authority(account.base_url):
        sealed = sealer().seal(credential.encode(), bound_to(account)) if credential else b""
        wanted, account.base_url, credential = account.base_url, stored.base_url, ""
    if credential:
        account.sealed_credential = sealer().seal(credential.encode(), bound_to(account))
        account.credential_hint = f"…{credential[-4:]}" if len(credential) >= 12 else "…"
    elif stored is not None:
        account.sealed_credential, account.credential_hint = stored.sealed_credential, stored.credential_hint
    account.full_clean()
    account.save()
    if wanted:
        host = urlsplit(wanted).netloc
        parameters = {"account": account.pk.hex, "base_url": wanted}
        four_eyes.hold(HOST_ACT, row=account, title=f"{account}: credential to {host}", target=f"pva_{account.pk.hex}", parameters=parameters, sealed=sealed)
    return account


@audit.act()
def set_state(row: ProviderAccount | Deployment, state: str) -> bool:
    """Set the state of a provider account or deployment; return whether it changed."""
    locked = type(row)._default_manager.select_for_update().get(pk=row.pk)
    if locked.state == state:
        return False
    locked.state = state
    locked.save(update_fields=["state"])
    return True


# What is recorded of a check where the provider has no listing.
REACHED = "ok: reached"


def discover_models(account: ProviderAccount) -> list[str]:
    """Ask the provider for its models and record the result; raises ProbeFailed after recording it."""
    try:
        names = discovery.list_models(provider_of(account), account.base_url, opened_credential(account), account.ca_pem, address_rules())
    except discovery.ProbeFailed as failure:
        record_check(account, str(failure))
        raise
    record_check(account, f"ok: {len(names)} models" if names else REACHED)
    return names


def test_provider_account(account: ProviderAccount) -> list[str]:
    """Ask the provider for its models because somebody wants to know; that is an event. Raises ProbeFailed after recording it.

    Of a provider that lists none, those the price book's release knows are returned.
    """
    audit.record("provider-account.test", subject_of(account))
    return discover_models(account) or known_models.names_of(provider_of(account).price_provider)


def record_check(account: ProviderAccount, result: str) -> None:
    """Note the result of a check, which the plane never sees; a failure is also logged."""
    if not result.startswith("ok"):
        log.warning("provider_account_check_failed", account=account.slug, result=result)
    ProviderAccount.objects.filter(pk=account.pk).update(checked_at=timezone.now(), check_result=result[:300])


@audit.act()
def save_row(row: Model | Deployment | models.Model) -> None:
    """Check and store a model or deployment. Raises ValidationError."""
    row.full_clean()
    if isinstance(row, Model):
        check_assumed_price(row)
    row.save()


def check_assumed_price(row: Model) -> None:
    """Raise ValidationError unless the price a model assumes holds now."""
    if row.unknown_price == Model.UnknownPrice.ASSUME and assumed_price(row, timezone.now()) is None:
        raise ValidationError({"assumed_price": "Choose a price that is approved and holds now."})


@audit.act()
def add_models(account: ProviderAccount, upstream_models: Sequence[str], **fields: Any) -> int:
    """Put discovered models into the catalogue, each with a deployment and what is known of it; return how many deployments are new. Raises ValidationError."""
    added = 0
    for name in upstream_models:
        model = Model.objects.filter(name__iexact=name).first()
        if model is None:
            facts = known_models.facts_of(provider_of(account).price_provider, name)
            known = {**facts._asdict(), "capabilities": list(facts.capabilities)}
            model = Model(name=name, kind=known_models.kind_of(name), owned_by=account.provider, **{**known, **fields})
            save_row(model)
        if not Deployment.objects.filter(model=model, account=account, upstream_model=name).exists():
            save_row(Deployment(model=model, account=account, upstream_model=name))
            added += 1
    return added


def check_key_models(names: Sequence[str]) -> None:
    """Raise ValidationError unless every name is in the catalogue, or the list is just `*`."""
    if list(names) == ["*"]:
        return
    known = set(Model.objects.filter(name__in=names).values_list("name", flat=True))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        said = f"Not in the catalogue: {', '.join(unknown)}." if unknown else "No model is chosen."
        raise ValidationError({"models": f"{said} Choose models, or * alone for all."})


def newest_pepper() -> dict[str, Any]:
    """Return the pepper that new digests are made with, and its version, as actions take them."""
    return {"pepper": settings.peppers[PEPPER_VERSION], "pepper_version": PEPPER_VERSION}


@audit.act()
def create_virtual_key(
    *, models: Sequence[str], limits: Mapping[str, int] | None = None, budget: Mapping[str, Any] | None = None, **fields: Any
) -> tuple[VirtualKey, str]:
    """Make a virtual key for catalogue models; return its row and its text, to be shown once. Raises ValidationError.

    `limits` by kind and a `budget` (amount in nano-USD, period, mode) of its own hold from its first call.
    """
    check_key_models(models)
    row, text = make_key(models=models, **newest_pepper(), **fields)
    for kind, amount in (limits or {}).items():
        save_limit(Limit(kind=kind, amount=amount, key=row), fields.get("created_by"), "set with the key")
    if budget is not None:
        save_budget(Budget(name=f"Budget of {row.name}"[:200], key=row, **budget), fields.get("created_by"), "set with the key")
    return row, text
