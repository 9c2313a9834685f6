"""What the OpenID provider publishes, fetched through the guard of outgoing calls and kept in one row that every process shares."""

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import egress
from accounts.models import IssuerDocument
from accounts.oidc.configuration import Configuration
from accounts.oidc.tokens import Keys, UnknownSigner, verify

log = structlog.get_logger("accounts.oidc")
FRESH = timedelta(minutes=5)
# Whoever sends tokens of unknown signers makes us ask the provider no oftener than this.
TRIES_APART = timedelta(seconds=10)
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
OPTIONAL_ENDPOINTS = ("userinfo_endpoint", "end_session_endpoint")


class ProviderUnreachable(Exception):
    """The OpenID provider does not answer as one; the message says how, for an administrator."""


class Provider(NamedTuple):
    """The provider as last fetched: its endpoints by their names in OpenID Connect Discovery, its keys, and whether it names itself in its answers."""

    endpoints: Mapping[str, str]
    keys: Keys
    names_itself: bool


def configuration() -> Configuration:
    """Return what this installation was told about its OpenID provider."""
    found: Configuration = settings.OIDC
    return found


def current() -> Provider:
    """Return the provider, fetched again when what is known is old. Raises ProviderUnreachable when nothing is known of it."""
    issuer = configuration().issuer
    row = IssuerDocument.objects.filter(pk=issuer).first()
    if row is None or row.fetched_at is None:
        return _provider(_fetch_first(issuer))
    if row.fetched_at < timezone.now() - FRESH and refresh():
        row = IssuerDocument.objects.get(pk=issuer)
    return _provider(row)


def keep_fresh() -> bool:
    """Fetch what is published where it is old or unknown. False: the provider does not answer."""
    row = IssuerDocument.objects.filter(pk=configuration().issuer).first()
    return (row is not None and row.fetched_at is not None and row.fetched_at >= timezone.now() - FRESH) or refresh()


def refresh() -> bool:
    """Fetch discovery and keys again, one process at a time and not right after another try. False: the provider does not answer."""
    issuer, now = configuration().issuer, timezone.now()
    IssuerDocument.objects.get_or_create(pk=issuer)
    if not IssuerDocument.objects.filter(Q(tried_at=None) | Q(tried_at__lt=now - TRIES_APART), pk=issuer).update(tried_at=now):
        return True
    try:
        discovery, keys = _fetch(configuration())
    except ProviderUnreachable as error:
        log.warning("the OpenID provider does not answer", issuer=issuer, reason=str(error))
        return False
    _keep(issuer, discovery, keys)
    return True


def verify_here(token: bytes, audience: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the claims of a token the provider signed for this audience; an unknown signer is looked for once. Raises TokenRefused, ProviderUnreachable."""
    told = configuration()
    terms = {"issuer": told.issuer, "audience": audience, "algorithms": told.algorithms, "required": required}
    try:
        return verify(token, current().keys, **terms)  # type: ignore[arg-type]  # one type for each name
    except UnknownSigner:
        refresh()
        return verify(token, current().keys, **terms)  # type: ignore[arg-type]


def _fetch_first(issuer: str) -> IssuerDocument:
    """Fetch what nobody has fetched yet."""
    discovery, keys = _fetch(configuration())
    return _keep(issuer, discovery, keys)


def _keep(issuer: str, discovery: dict[str, Any], keys: dict[str, Any]) -> IssuerDocument:
    """Store what was fetched; only what changed counts as a change of the configuration."""
    with transaction.atomic():
        row, _ = IssuerDocument.objects.select_for_update().get_or_create(pk=issuer)
        has_changed = (row.discovery, row.keys) != (discovery, keys)
        row.discovery, row.keys, row.fetched_at = discovery, keys, timezone.now()
        row.save(update_fields=["discovery", "keys", "fetched_at"] if has_changed else ["fetched_at"])
    return row


def _fetch(told: Configuration) -> tuple[dict[str, Any], dict[str, Any]]:
    discovery = ask_json(f"{told.issuer.rstrip('/')}/.well-known/openid-configuration")
    if discovery.get("issuer") != told.issuer:
        raise ProviderUnreachable(f"The discovery document names another issuer: {str(discovery.get('issuer'))[:200]!r}.")
    for name in (*ENDPOINTS, *OPTIONAL_ENDPOINTS):
        url = discovery.get(name)
        if (url is None and name in ENDPOINTS) or (url is not None and not _is_like(told.issuer, url)):
            raise ProviderUnreachable(f"The discovery document has no usable {name}.")
    keys = ask_json(discovery["jwks_uri"])
    if not isinstance(keys.get("keys"), list):
        raise ProviderUnreachable("The provider publishes no keys.")
    return discovery, {"keys": keys["keys"]}


def _is_like(issuer: str, url: object) -> bool:
    """Say whether an endpoint is as safe to call as the issuer itself."""
    return isinstance(url, str) and url.isascii() and (url.startswith("https://") or (url.startswith("http://") and urlsplit(issuer).scheme == "http"))


def ask_json(url: str, form: bytes | None = None, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object the provider answers with status 200, to a form where one is given. Raises ProviderUnreachable."""
    sent = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
    try:
        if form is None:
            answer = egress.get(url, sent, configuration().rules)
        else:
            answer = egress.post(url, form, {"content-type": "application/x-www-form-urlencoded", **sent}, configuration().rules)
    except egress.AddressForbidden as error:
        raise ProviderUnreachable(f"{error} SYMBIOSIS_PRIVATE_ISSUERS allows private addresses.") from error
    except (egress.NotAllowed, egress.NotDelivered) as error:
        raise ProviderUnreachable(str(error)) from error
    try:
        found = json.loads(answer.body) if answer.status == 200 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderUnreachable(f"{urlsplit(url).hostname} answers HTTP {answer.status}, not as an OpenID provider does.")
    return found


def _provider(row: IssuerDocument) -> Provider:
    endpoints = {name: row.discovery[name] for name in (*ENDPOINTS, *OPTIONAL_ENDPOINTS) if name in row.discovery}
    names_itself = row.discovery.get("authorization_response_iss_parameter_supported") is True
    return Provider(endpoints, _keys(json.dumps(row.keys)), names_itself)


@lru_cache(4)
def _keys(published: str) -> Keys:
    """Return keys loaded once for as long as they stay the same."""
    return Keys(json.loads(published))
