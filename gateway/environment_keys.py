"""Provider keys found in the environment of a trial become provider accounts with their priced models."""

import os

import structlog
from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.prices import current
from gateway import actions
from gateway.discovery import ProbeFailed
from gateway.models import ProviderAccount
from gateway.providers import shelf

log = structlog.get_logger(__name__)

# Account slug: variable of the credential, variable of the base URL, options by variable.
KNOWN: dict[str, tuple[str, str, dict[str, str]]] = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL", {}),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", {}),
    "google": ("GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", {}),
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", {"api_version": "OPENAI_API_VERSION"}),
}
# a second name for the same, which counts where the first is not set, as with Google's SDKs
ALSO_NAMED = {"GOOGLE_API_KEY": "GEMINI_API_KEY"}


def import_keys() -> list[str]:
    """Create the accounts whose keys the environment holds; return a line for each. Existing accounts stay as they are."""
    said = []
    for slug, (credential_name, url_name, option_names) in KNOWN.items():
        credential = (os.environ.get(credential_name) or os.environ.get(ALSO_NAMED.get(credential_name, ""), "")).strip()
        provider = shelf().get(slug)
        if not credential or provider is None or ProviderAccount.objects.filter(slug=slug).exists():
            continue
        options = {option: os.environ.get(variable, "") for option, variable in option_names.items()}
        account = ProviderAccount(
            slug=slug, name=provider.title, provider=slug, base_url=os.environ.get(url_name) or provider.base_url, options=options
        )
        try:
            actions.save_provider_account(account, credential)
        except ValidationError as refusal:
            said.append(f"{credential_name} is not used: {' '.join(refusal.messages)}")
            continue
        said.append(_with_models(account, provider.price_provider))
    return said


def _with_models(account: ProviderAccount, price_provider: str) -> str:
    try:
        names = actions.discover_models(account)
    except ProbeFailed as failure:
        return f"Provider account {account.slug} is made from the environment, without models: {failure}"
    priced = [name for name in names if price_provider and current(price_provider, name, timezone.now())]
    return f"Provider account {account.slug} is made from the environment with {actions.add_models(account, priced)} models."
