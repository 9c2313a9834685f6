"""Virtual keys: what applications send instead of a vendor's key. Knows nothing of models, prices or calls."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models.credentials import Credential
from accounts.models.people import Environment, Project, User


class VirtualKey(Credential):
    """A key of a project, or within it of one person (`owner`): that one dies with its owner's access."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="keys")
    owner = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="own_keys", help_text="For a personal key; empty for a key of the project."
    )
    purpose = models.CharField(max_length=400, blank=True)
    environment = models.CharField(max_length=8, choices=Environment.choices, default=Environment.DEV)
    allowed_ips = models.JSONField("IP ranges", default=list, blank=True, help_text='Such as ["10.0.0.0/8", "2001:db8::/32"]; empty: from anywhere.')
    tags = models.JSONField(default=dict, blank=True, help_text='Recorded on every call, such as {"team": "checkout"}.')
    is_demo = models.BooleanField(default=False, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="created_keys")
    # Last: from here on the name means the field within this class body.
    models = models.JSONField(default=list, blank=True, help_text='Catalogue names this key may use; ["*"] for all.')

    class Meta(Credential.Meta):
        abstract = False
        ordering = ("-created_at",)
        constraints = (
            *Credential.Meta.constraints,
            models.UniqueConstraint("project", Lower("name"), condition=~Q(state="revoked"), name="key_name_once_per_project"),
            models.CheckConstraint(condition=Q(environment__in=Environment.values), name="key_environment_known"),
        )

    def __str__(self) -> str:
        return f"{self.name} (sgw_vk_{self.public_id}_…)"

    @property
    def shown_id(self) -> str:
        """Return the prefixed id."""
        return f"key_{self.public_id}"
