"""Acts on the catalogue that take two people: a provider account's credential sent to another host."""

from django.core.exceptions import ValidationError

from accounts import four_eyes
from accounts.grants import Line
from accounts.models import GrantRequest
from gateway import actions, retention
from gateway.models import ProviderAccount

ROLES = ("it_admin", "security_officer")


def change_host(request: GrantRequest) -> None:
    """Store the new address with the credential that was typed for it."""
    account = ProviderAccount.objects.select_for_update().filter(pk=request.parameters["account"]).first()
    if account is None:
        raise ValidationError("This provider account is gone.")
    account.base_url = request.parameters["base_url"]
    sealed = bytes(request.sealed_parameters)
    credential = actions.sealer().open(sealed, actions.bound_to(account)).decode() if sealed else ""
    actions.save_provider_account(account, credential)


def preview(request: GrantRequest) -> list[Line]:
    """Say which address there is and would be."""
    account = ProviderAccount.objects.filter(pk=request.parameters["account"]).first()
    return [Line(f"Address of {account}", account.base_url, request.parameters["base_url"])] if account else []


ACTS = (
    four_eyes.act(actions.HOST_ACT, title="A credential sent to another host", roles=ROLES, run=change_host, preview=preview),
    four_eyes.act(retention.ACT, title="How long responses are stored", roles=retention.ROLES, run=retention.apply, preview=retention.preview),
)
