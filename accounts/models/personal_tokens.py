"""Personal tokens: a person on the management API without a browser."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models.credentials import Credential
from accounts.models.people import User


class PersonalToken(Credential):
    """A token that acts as its person, within the person's own rights and the token's scopes; it dies with the person's access."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="personal_tokens")
    scopes = models.JSONField(default=list, help_text='Such as ["keys:read", "keys:write"]; writing does not include reading.')
    is_demo = models.BooleanField(default=False, editable=False)

    class Meta(Credential.Meta):
        abstract = False
        ordering = ("-created_at",)
        constraints = (
            *Credential.Meta.constraints,
            models.UniqueConstraint("user", Lower("name"), condition=~Q(state="revoked"), name="personal_token_name_once"),
        )

    def __str__(self) -> str:
        return f"{self.name} (sgw_pt_{self.public_id}_…)"
