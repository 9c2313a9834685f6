"""Models that a vendor newly lists are proposed for the catalogue; a person approves or declines them."""

import hashlib
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db.models.functions import Lower

from accounts import audit
from accounts.models import Severity
from accounts.outbox import notify
from gateway import actions
from gateway.models import MODEL_NAME, Deployment, Model, ProviderAccount, State

# A vendor that renames everything at once is told in one line and looked at on the account's own page.
MOST_AT_ONCE = 50
NAMED = 20


def follow(account: ProviderAccount, listed: Sequence[str]) -> int:
    """Compare a vendor's listing with the one before, propose what is new and tell so; return how many models are proposed.

    The first listing proposes nothing: whoever made the account chooses from it.
    """
    before = account.listed_models
    if not listed or before == list(listed):
        return 0
    with audit.act("model.propose"):
        ProviderAccount.objects.filter(pk=account.pk).update(listed_models=list(listed))
        if before is None:
            return 0
        served = set(account.deployments.values_list("upstream_model", flat=True))
        new = sorted(set(listed) - set(before) - served)
        known = set(Model.objects.annotate(lowered=Lower("name")).filter(lowered__in=[name.lower() for name in new]).values_list("lowered", flat=True))
        fresh = [name for name in new if name.lower() not in known and _can_be_a_name(name)]
        if len(fresh) <= MOST_AT_ONCE:
            actions.add_models(account, fresh, lifecycle=Model.Lifecycle.REQUESTED)
        gone = sorted((set(before) - set(listed)) & _in_use(account))
        _tell(account, new, gone)
        return len(fresh) if len(fresh) <= MOST_AT_ONCE else 0


def approve(model: Model) -> bool:
    """Let a proposed model be served; return whether it was waiting for that."""
    with audit.act("model.approve"):
        locked = Model.objects.select_for_update(of=("self",)).get(pk=model.pk)
        if locked.lifecycle != Model.Lifecycle.REQUESTED:
            return False
        locked.lifecycle = Model.Lifecycle.APPROVED
        actions.save_row(locked)
        return True


def decline(model: Model) -> bool:
    """Take a proposed model out of the catalogue; return whether it was waiting."""
    with audit.act("model.decline"):
        locked = Model.objects.select_for_update(of=("self",)).get(pk=model.pk)
        if locked.lifecycle != Model.Lifecycle.REQUESTED:
            return False
        locked.delete()
        return True


def _can_be_a_name(name: str) -> bool:
    try:
        MODEL_NAME(name)
    except ValidationError:
        return False
    return True


def _in_use(account: ProviderAccount) -> set[str]:
    return set(Deployment.objects.filter(account=account, state=State.ACTIVE).values_list("upstream_model", flat=True))


def _tell(account: ProviderAccount, new: Sequence[str], gone: Sequence[str]) -> None:
    said = []
    if len(new) > MOST_AT_ONCE:
        said.append(f"It lists {len(new)} more models, too many to propose: choose from them on the account's page.")
    elif new:
        said.append(f"It newly lists {_named(new)}. What the catalogue did not know is proposed there and served once somebody approves it.")
    if gone:
        said.append(f"It no longer lists {_named(gone)}, which the catalogue serves from it: say when that ends and what comes after.")
    if said:
        mark = hashlib.sha256("\n".join((*new, "", *gone)).encode()).hexdigest()[:16]
        text, title = " ".join(said), f"{account.slug} lists other models than before"
        notify(reference=f"listing-{account.pk}-{mark}", kind="models.listed", severity=Severity.INFO, title=title, text=text)


def _named(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
