"""What the company's directory keeps here by SCIM: its people and groups, and the tokens it comes with."""

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models.credentials import Credential
from accounts.models.people import User


class DirectoryPerson(models.Model):
    """A person the directory keeps; `attributes` are those it sent that have no place of their own, as it sent them.

    `active` is what it said last, None when it took that back; an account may besides be closed here.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="directory_person")
    user_name = models.CharField(max_length=255)
    external_id = models.CharField(max_length=255, blank=True, db_index=True)
    active = models.BooleanField("active for the directory", null=True, blank=True, default=True)
    attributes = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "person of the directory"
        verbose_name_plural = "people of the directory"
        ordering = ("user_name",)
        constraints = (
            models.UniqueConstraint(Lower("user_name"), name="directory_user_name_once"),
            models.CheckConstraint(condition=~Q(user_name=""), name="directory_person_named"),
        )

    def __str__(self) -> str:
        return self.user_name


class DirectoryGroup(models.Model):
    """A group the directory keeps."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255)
    external_id = models.CharField(max_length=255, blank=True)
    members: Any = models.ManyToManyField(User, related_name="directory_groups", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint("name", name="directory_group_name_once"),
            models.CheckConstraint(condition=~Q(name=""), name="directory_group_named"),
        )

    def __str__(self) -> str:
        return self.name


class ScimToken(Credential):
    """What the directory proves itself with: it opens what its scopes name under /scim/v2/ and nothing else.

    Only where `may_give_privileged` is set, which takes two people, may what it changes give somebody a privileged platform role.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scopes = models.JSONField(default=list, help_text='Such as ["users:read", "users:write"]; writing does not include reading.')
    may_give_privileged = models.BooleanField(
        "may give privileged roles",
        default=False,
        help_text="Groups that give it_admin or security_officer may be filled by it. Takes a second person.",
    )
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+")

    class Meta(Credential.Meta):
        abstract = False
        verbose_name = "SCIM token"
        ordering = ("-created_at",)
        constraints = (
            *Credential.Meta.constraints,
            models.UniqueConstraint(Lower("name"), condition=~Q(state="revoked"), name="scim_token_name_once"),
        )

    def __str__(self) -> str:
        return f"{self.name} (sgw_sc_{self.public_id}_…)"

    @property
    def is_authenticated(self) -> bool:
        """Say that this is no anonymous caller, as Django asks of whoever signs in."""
        return True
