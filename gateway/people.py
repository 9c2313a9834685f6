"""Who may call with an access token of the OpenID provider, as the plane wants it. Knows no keys and no sockets."""

import json
from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from django.conf import settings

from accounts.models import IssuerDocument, Membership, OidcIdentity, User
from accounts.oidc.configuration import Configuration
from gateway.plane import snapshot as plane
from gateway.terms import Person

# Who makes calls for a project; viewers only look on.
CALLING_ROLES = ("owner", "developer")


def compile_people(ids: Collection[UUID] | None = None) -> list[Person]:
    """Return everybody, or these people, who may call with an access token of the OpenID provider; none where none are taken."""
    told: Configuration = settings.OIDC
    if not told.takes_bearers:
        return []
    linked = User.objects.filter(identities__issuer=told.issuer).distinct() if ids is None else User.objects.filter(pk__in=ids)
    subjects, projects = defaultdict(list), defaultdict(list)
    for user_id, subject in OidcIdentity.objects.filter(issuer=told.issuer, user__in=linked.values("pk")).values_list("user_id", "subject"):
        subjects[user_id].append(subject)
    calling = Membership.objects.filter(user__in=linked.values("pk"), role__in=CALLING_ROLES)
    for user_id, project_id in calling.order_by("project_id").values_list("user_id", "project_id"):
        projects[user_id].append(str(project_id))
    return [
        Person(id=str(pk), name=email, is_active=is_active, subjects=tuple(subjects[pk]), projects=tuple(projects[pk]))
        for pk, email, is_active in linked.values_list("pk", "email", "is_active")
    ]


def compile_signer() -> plane.Published | None:
    """Return the OpenID provider whose access tokens are taken, None where none are or nothing is known of it yet."""
    told: Configuration = settings.OIDC
    row = IssuerDocument.objects.filter(pk=told.issuer).exclude(fetched_at=None).first() if told.takes_bearers else None
    if row is None:
        return None
    return plane.Published(issuer=told.issuer, audience=told.audience, algorithms=told.algorithms, keys=json.dumps(row.keys).encode())
