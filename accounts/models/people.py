"""Who there is: users, business units, projects and memberships. Knows nothing of models, prices or calls."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower


class Environment(models.TextChoices):
    """Where a project or key is used."""

    DEV = "dev"
    TEST = "test"
    PROD = "prod"


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address; the address is stored in lower case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user; without a password no password login is possible. Raises ValueError on an empty address."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find a user by e-mail address, whatever its case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in by e-mail address."""

    class PlatformRole(models.TextChoices):
        """Rights over the whole installation."""

        NONE = "", "none"
        IT_ADMIN = "it_admin", "IT administrator"
        SECURITY_OFFICER = "security_officer", "security officer"
        FINANCE = "finance"
        AUDITOR = "auditor", "auditor (read only)"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    full_name = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=32, choices=PlatformRole.choices, default=PlatformRole.NONE, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("may open the admin", default=False)
    is_demo = models.BooleanField(default=False, editable=False)
    break_glass_until = models.DateTimeField(null=True, editable=False)
    break_glass_digest = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        ordering = ("email",)
        constraints = (
            models.UniqueConstraint(Lower("email"), name="user_email_once"),
            models.CheckConstraint(condition=Q(is_superuser=False), name="user_never_superuser"),
        )

    def __str__(self) -> str:
        return self.email


class BusinessUnit(models.Model):
    """A node of the organisation's tree; a unit without a parent is an organisation."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    code = models.CharField("chargeback code", max_length=64, blank=True)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint("parent", Lower("name"), condition=Q(parent__isnull=False), name="business_unit_name_once"),
            models.UniqueConstraint(Lower("name"), condition=Q(parent__isnull=True), name="organisation_name_once"),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="business_unit_not_own_parent"),
            models.CheckConstraint(condition=~Q(name=""), name="business_unit_named"),
        )

    def __str__(self) -> str:
        return self.name


class DataClass(models.TextChoices):
    """How closely data has to be kept, ascending: a model cleared for one is cleared for all before it."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class Project(models.Model):
    """What keys belong to and spend is counted against. `suspended_level` is how high whoever suspended it stood (see accounts.access)."""

    class State(models.TextChoices):
        """Whether its keys are served."""

        ACTIVE = "active"
        SUSPENDED = "suspended"

    class WithoutAuthority(models.TextChoices):
        """What happens while budgets cannot be asked."""

        LEASES = "leases", "serve from what is held, then refuse"
        CLOSED = "closed", "refuse"
        OPEN = "open", "serve from what is held, then without holding"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.PROTECT, related_name="projects")
    environment = models.CharField(max_length=8, choices=Environment.choices, default=Environment.DEV)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    suspended_level = models.PositiveSmallIntegerField(default=0, editable=False)
    without_authority = models.CharField(
        "while budgets cannot be asked",
        max_length=8,
        choices=WithoutAuthority.choices,
        default=WithoutAuthority.LEASES,
        help_text="What happens to calls while the database is away; only the last can go over a budget.",
    )
    data_class = models.CharField(
        "class of its data", max_length=12, choices=DataClass.choices, default=DataClass.INTERNAL, help_text="Only models cleared for it serve the project."
    )
    is_listed = models.BooleanField("listed", default=True, help_text="Everybody who signs in may see its name and ask to join.")
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(condition=Q(without_authority__in=["leases", "closed", "open"]), name="project_without_authority_known"),
            models.UniqueConstraint("business_unit", Lower("name"), name="project_name_once"),
            models.CheckConstraint(condition=Q(environment__in=Environment.values), name="project_environment_known"),
            models.CheckConstraint(condition=Q(state__in=["active", "suspended"]), name="project_state_known"),
            models.CheckConstraint(condition=Q(data_class__in=DataClass.values), name="project_data_class_known"),
            models.CheckConstraint(condition=Q(state="suspended") | Q(suspended_level=0), name="project_suspended_by_somebody"),
            models.CheckConstraint(condition=~Q(name=""), name="project_named"),
        )

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A user's role in one project or one business unit."""

    class Role(models.TextChoices):
        """Project roles are owner, developer, viewer; business-unit roles manager, viewer."""

        OWNER = "owner"
        DEVELOPER = "developer"
        MANAGER = "manager"
        VIEWER = "viewer"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, blank=True, related_name="memberships")
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.CASCADE, null=True, blank=True, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=(
                    Q(project__isnull=False, business_unit__isnull=True, role__in=["owner", "developer", "viewer"])
                    | Q(project__isnull=True, business_unit__isnull=False, role__in=["manager", "viewer"])
                ),
                name="membership_in_one_place_with_its_role",
                violation_error_message="Choose either a project (owner, developer, viewer) or a business unit (manager, viewer).",
            ),
            models.UniqueConstraint("user", "project", condition=Q(project__isnull=False), name="membership_project_once"),
            models.UniqueConstraint("user", "business_unit", condition=Q(business_unit__isnull=False), name="membership_unit_once"),
        )

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project or self.business_unit}"
