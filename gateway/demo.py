"""Demo content: a small company, simulated providers with a catalogue, a ready key and past usage. Loading twice changes nothing."""

import base64
import json
import os
import secrets
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import ProtectedError, Q
from django.utils import timezone

from accounts import actions as account_actions
from accounts import keys
from accounts.models import BusinessUnit, Decision, GrantRequest, Membership, PersonalToken, Project, RequestNote, ServiceAccount, User, VirtualKey
from accounts.service_accounts import SCOPES, find_by_token, make_service_account, set_service_account_state
from accounts.signin.factors import SECRET_BYTES, has_secret, store_authenticator
from billing import budgets
from billing import credits as credit_actions
from billing.demo_money import remove_demo_money
from billing.models import Budget, Limit, Posting, Price, PriceDecision, UsageRecord
from billing.money import NANOUSD_PER_USD
from billing.rollups import forget_demo
from gateway import actions, demo_policy, demo_tokens
from gateway.changes import publish_change
from gateway.demo_usage import past_usage
from gateway.models import Change, Deployment, Model, ProviderAccount
from gateway.settings import settings
from gateway.simulator import signatures

KEY_NAME = "Demo key"
SERVICE_ACCOUNT_NAME = "IT automation"
# E-mail name: full name, platform role.
PEOPLE = {
    "dev": ("Dana Developer", ""),
    "manager": ("Mira Manager", ""),
    "admin": ("Ada Administrator", "it_admin"),
    "security": ("Sam Security", "security_officer"),
    "ops": ("Omar Operations", "auditor"),
}
# Model: kind, provider account, nano-USD per million tokens of input, cached input and output.
CATALOGUE = {
    "sim-chat": ("chat", "sim-openai", 150_000_000, 75_000_000, 600_000_000),
    "sim-chat-large": ("chat", "sim-openai", 2_500_000_000, 1_250_000_000, 10_000_000_000),
    "sim-reasoner": ("chat", "sim-openai", 1_100_000_000, 275_000_000, 4_400_000_000),
    "sim-embed": ("embeddings", "sim-openai", 20_000_000, None, 0),
    "sim-claude": ("chat", "sim-anthropic", 3_000_000_000, 300_000_000, 15_000_000_000),
    "sim-gemini": ("chat", "sim-google", 300_000_000, 75_000_000, 2_500_000_000),
    "sim-gemini-embed": ("embeddings", "sim-google", 150_000_000, None, 0),
    "sim-nova": ("chat", "sim-bedrock", 800_000_000, 200_000_000, 3_200_000_000),
    "sim-moderation": ("moderation", "sim-openai", 0, None, 0),
    "sim-image": ("image", "sim-openai", 5_000_000_000, None, 40_000_000_000),
    "sim-speech": ("speech", "sim-openai", 600_000_000, None, 12_000_000_000),
    "sim-transcribe": ("transcription", "sim-openai", 2_500_000_000, None, 10_000_000_000),
    "sim-rerank": ("rerank", "sim-openai", 50_000_000, None, 0),
    "sim-realtime": ("realtime", "sim-openai", 4_000_000_000, 400_000_000, 16_000_000_000),
    "sim-gemini-live": ("realtime", "sim-google", 500_000_000, None, 2_000_000_000),
    "sim-flat": ("chat", "sim-openai", 0, None, 0),
}
# Models that hear and speak: nano-USD per million tokens of sound heard and spoken.
SOUND = {"sim-realtime": (32_000_000_000, 64_000_000_000), "sim-gemini-live": (3_000_000_000, 12_000_000_000)}
# Models priced by the call, in nano-USD: what they cost is known before.
FEES = {"sim-flat": 10_000_000}
BATCHED = ("sim-openai", "sim-anthropic")
CREDENTIAL = "simulated-credential"
PRICES_SINCE = datetime(2026, 1, 1, tzinfo=UTC)


class NotRemovable(Exception):
    """Something made by hand depends on demo content; the message says what."""


def facts_path() -> Path:
    """Return where the facts of the demo are kept; `make run` shows them as demo.json for as long as everything answers."""
    return settings.data_dir / "demo-facts.json"


def facts() -> dict[str, Any]:
    """Return what an earlier load wrote, nothing when there was none or it cannot be read."""
    try:
        kept = json.loads(facts_path().read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def load(portal: str, simulator: str) -> tuple[dict[str, Any], bool]:
    """Load the demo content for a portal and a simulator URL without a trailing slash; return the facts and whether any was written."""
    kept = facts()
    token = str(kept.get("service_account", ""))
    wanted = _facts(portal, kept.get("key", ""), token, kept.get("password", ""), kept.get("totp", {}), kept.get("tokens", {}))
    signs_in = kept == wanted and _token_is_good(token) and demo_tokens.are_good(kept["tokens"]) and _apps_are(kept["totp"])
    if signs_in and _key_row(kept["key"]) is not None and _simulator_is(simulator):
        return kept, False
    password = kept.get("password") or secrets.token_urlsafe(12)
    totp = {name: kept.get("totp", {}).get(name) or base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode() for name in PEOPLE}
    with transaction.atomic():
        project = _company(password)
        _apps(totp)
        demo_policy.load()
        deployments = _catalogue(simulator)
        text, key = _key(project, str(kept.get("key", "")))
        token = _service_account(token)
        tokens = demo_tokens.renewed(kept.get("tokens", {}))
        _money(project)
        if not UsageRecord.objects.filter(is_demo=True).exists():
            told = [one for one in deployments if one.model.kind in ("chat", "embeddings")]
            UsageRecord.objects.bulk_create(past_usage(project, key, told, timezone.now()), batch_size=500)
        publish_change(Change.Kind.STRUCTURE)
    written = _facts(portal, text, token, password, totp, tokens)
    _write(written)
    return written, True


@transaction.atomic
def remove() -> None:
    """Remove everything the demo loaded, and the keys made in its project; raises NotRemovable when other work depends on it."""
    UsageRecord.objects.filter(is_demo=True).delete()
    forget_demo()
    remove_demo_money()
    demo_policy.remove()
    about_demo = Q(project__is_demo=True) | Q(business_unit__is_demo=True) | Q(service_account__is_demo=True) | Q(notes__program__is_demo=True)
    GrantRequest.objects.filter(pk__in=GrantRequest.objects.filter(about_demo).values("pk")).delete()
    VirtualKey.objects.filter(project__is_demo=True).delete()
    VirtualKey.objects.filter(is_demo=True).delete()
    ServiceAccount.objects.filter(is_demo=True).delete()
    PersonalToken.objects.filter(is_demo=True).delete()
    try:
        Deployment.objects.filter(account__is_demo=True).delete()
        Model.objects.filter(is_demo=True, deployments__isnull=True).delete()
        ProviderAccount.objects.filter(is_demo=True).delete()
        Price.objects.filter(source=Price.Source.SIMULATED).delete()
        Project.objects.filter(is_demo=True).delete()
        for name in ("Digital", "Demo Company"):
            BusinessUnit.objects.filter(is_demo=True, name=name).delete()
    except ProtectedError as error:
        named = ", ".join(sorted(str(row) for row in error.protected_objects))
        raise NotRemovable(f"These depend on demo content: {named}. Move or delete them first.") from error
    who = (
        Posting.objects.values("actor"),
        Price.objects.values("entered_by"),
        PriceDecision.objects.values("decided_by"),
        GrantRequest.objects.values("requester"),
        Decision.objects.values("approver", "seat"),
        RequestNote.objects.values("author"),
    )
    on_record = {str(pk) for rows in who for row in rows.distinct() for pk in row.values() if pk}
    User.objects.filter(is_demo=True, pk__in=on_record).update(is_active=False)
    User.objects.filter(is_demo=True).exclude(pk__in=on_record).delete()
    publish_change(Change.Kind.STRUCTURE)
    transaction.on_commit(lambda: facts_path().unlink(missing_ok=True))


def _facts(portal: str, key: str, token: str, password: str, totp: dict[str, str], tokens: dict[str, str]) -> dict[str, Any]:
    users = {name: f"{name}@demo.local" for name in PEOPLE}
    known = {"portal": portal, "base_url": f"{portal}/v1", "key": key, "service_account": token, "password": password}
    return {**known, "users": users, "totp": totp, "tokens": tokens}


def _apps(totp: dict[str, str]) -> None:
    """Give every demo user an authenticator app with the secret told in the facts; `make codes` plays that app."""
    for name, secret in totp.items():
        user = User.objects.get(email=f"{name}@demo.local")
        if user.is_demo and not has_secret(user, base64.b32decode(secret)):
            store_authenticator(user, base64.b32decode(secret), confirmed=True)


def _apps_are(totp: dict[str, str]) -> bool:
    users = {user.email.partition("@")[0]: user for user in User.objects.filter(is_demo=True)}
    return set(users) == set(totp) and all(has_secret(user, base64.b32decode(totp[name])) for name, user in users.items())


def _write(written: dict[str, Any]) -> None:
    facts_path().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = facts_path().with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(written, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(facts_path())


def _key_row(text: str) -> VirtualKey | None:
    """Return the usable demo key of this text."""
    try:
        public_id = keys.parse(text.encode()).public_id
    except ValueError:
        return None
    row = VirtualKey.objects.filter(public_id=public_id, is_demo=True, state=VirtualKey.State.ACTIVE, expires_at__gt=timezone.now() + timedelta(days=1)).first()
    return row if row and bytes(row.digest) == keys.digest(text.encode(), settings.peppers[row.pepper_version]) else None


def _simulator_is(simulator: str) -> bool:
    return set(ProviderAccount.objects.filter(is_demo=True).values_list("base_url", flat=True)) == {f"{simulator}/v1", simulator}


def _company(password: str) -> Project:
    company = BusinessUnit.objects.filter(name="Demo Company", parent=None).first() or account_actions.save_business_unit(
        BusinessUnit(name="Demo Company", is_demo=True)
    )
    digital = BusinessUnit.objects.filter(name="Digital", parent=company).first() or account_actions.save_business_unit(
        BusinessUnit(name="Digital", parent=company, code="4711", is_demo=True)
    )
    project = Project.objects.filter(name="Sandbox", business_unit=digital).first() or account_actions.save_project(
        Project(name="Sandbox", business_unit=digital, is_demo=True)
    )
    # who was made together has one hash, and to check or to make one takes 0.4 s
    is_theirs, hashed = cache(partial(check_password, password)), ""
    for name, (full_name, role) in PEOPLE.items():
        email = f"{name}@demo.local"
        user = User.objects.filter(email=email).first() or User(email=email, full_name=full_name, role=role, is_demo=True)
        if user.is_demo and not (user.password and is_theirs(user.password)):
            user.password = hashed = hashed or make_password(password)
            account_actions.save_user(user)
    _join("dev", "developer", project=project)
    _join("manager", "manager", business_unit=digital)
    return project


def _join(name: str, role: str, **place: Any) -> None:
    user = User.objects.get(email=f"{name}@demo.local")
    if not Membership.objects.filter(user=user, **place).exists():
        account_actions.save_membership(Membership(user=user, role=role, **place))


def _catalogue(simulator: str) -> list[Deployment]:
    accounts = {
        "sim-openai": _account("sim-openai", "Simulated OpenAI", "simulator", f"{simulator}/v1"),
        "sim-anthropic": _account("sim-anthropic", "Simulated Anthropic", "simulator_anthropic", simulator),
        "sim-google": _account("sim-google", "Simulated Google", "simulator_google", simulator),
        "sim-bedrock": _account("sim-bedrock", "Simulated Bedrock", "simulator_bedrock", simulator, signatures.CREDENTIAL),
    }
    deployments = []
    for name, (kind, slug, per_input, per_cached, per_output) in CATALOGUE.items():
        account = accounts[slug]
        heard, spoken = SOUND.get(name, (None, None))
        price = Price.objects.get_or_create(
            provider=account.provider,
            upstream_model=name,
            valid_from=PRICES_SINCE,
            source=Price.Source.SIMULATED,
            defaults={
                "input_nanousd": per_input,
                "cached_nanousd": per_cached,
                "output_nanousd": per_output,
                "request_nanousd": FEES.get(name, 0),
                # as most vendors', batches cost half
                "modes": [{"name": "batch", "rates": {"input_nanousd": per_input // 2, "output_nanousd": per_output // 2}}] if slug in BATCHED else [],
                "audio_input_nanousd": heard,
                "audio_output_nanousd": spoken,
            },
        )[0]
        model = Model.objects.filter(name=name).first()
        if model is None:
            model = Model(
                name=name,
                kind=kind,
                owned_by="simulator",
                description="Simulated: answers are made up, prices are play money.",
                is_demo=True,
            )
            actions.save_row(model)
        deployment = Deployment.objects.filter(model=model, account=account, upstream_model=name).first()
        if deployment is None:
            deployment = Deployment(model=model, account=account, upstream_model=name, price=price)
            actions.save_row(deployment)
        deployments.append(deployment)
    return deployments


def _account(slug: str, name: str, provider: str, base_url: str, credential: str = CREDENTIAL) -> ProviderAccount:
    account = ProviderAccount.objects.filter(slug=slug).first() or ProviderAccount(slug=slug, is_demo=True)
    if account._state.adding or account.base_url != base_url:
        account.name, account.provider, account.base_url = name, provider, base_url
        actions.save_provider_account(account, credential)
    return account


def _key(project: Project, text: str) -> tuple[str, VirtualKey]:
    """Return the demo key: the one told last time where it is still good, else a new one in the place of any older."""
    row = _key_row(text) if text else None
    if row is not None:
        return text, row
    for old in VirtualKey.objects.filter(is_demo=True).exclude(state=VirtualKey.State.REVOKED):
        account_actions.set_key_state(old, VirtualKey.State.REVOKED)
    version = actions.PEPPER_VERSION
    made, text = account_actions.make_key(
        project=project,
        name=KEY_NAME,
        models=["*"],
        expires_at=timezone.now() + timedelta(days=365),
        pepper=settings.peppers[version],
        pepper_version=version,
        is_demo=True,
    )
    return text, made


def _token_is_good(token: str) -> bool:
    """Say whether this is the token of the demo's service account, with every scope there is."""
    row = find_by_token(token.encode(), settings.peppers)
    return row is not None and row.is_demo and set(row.scopes) == set(SCOPES) and row.expires_at > timezone.now() + timedelta(days=1)


def _service_account(token: str) -> str:
    """Return the token of the demo's service account: the one told last time where it is still good, else a new one in its place."""
    if _token_is_good(token):
        return token
    for old in ServiceAccount.objects.filter(is_demo=True).exclude(state=ServiceAccount.State.REVOKED):
        set_service_account_state(old, ServiceAccount.State.REVOKED)
    _, made = make_service_account(
        name=SERVICE_ACCOUNT_NAME,
        scopes=list(SCOPES),
        expires_at=timezone.now() + timedelta(days=365),
        pepper=settings.peppers[actions.PEPPER_VERSION],
        pepper_version=actions.PEPPER_VERSION,
        is_demo=True,
    )
    return made


def _money(project: Project) -> None:
    """Put budgets, limits and credit around the demo key, wide enough that it always passes."""
    if Budget.objects.filter(is_demo=True).exists():
        return
    unit = project.business_unit
    for name, amount_usd, fields in (
        ("Digital, monthly", 5000, {"business_unit": unit, "mode": "hard", "period": "monthly"}),
        ("Sandbox, monthly", 1000, {"project": project, "mode": "hard", "period": "monthly"}),
        ("Sandbox, daily warning", 50, {"project": project, "mode": "soft", "period": "daily"}),
    ):
        budgets.save_budget(Budget(name=name, amount=amount_usd * NANOUSD_PER_USD, is_demo=True, **fields))
    for kind, amount in (("rpm", 60_000), ("parallel", 1_000)):
        budgets.save_limit(Limit(project=project, kind=kind, amount=amount))
    account = credit_actions.open_account(project, "Sandbox credit", is_demo=True)
    end = timezone.now() + timedelta(days=90)
    credit_actions.grant(account, 250 * NANOUSD_PER_USD, end, None, "Launch of the sandbox")
