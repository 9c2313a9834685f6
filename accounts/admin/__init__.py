"""The admin of people and projects; other apps build their pages on what `governed` states."""

from accounts.admin.governed import STATE_COLOURS, GovernedAdmin, said
from accounts.admin.people import BusinessUnitAdmin, ProjectAdmin, UserAdmin

__all__ = ["STATE_COLOURS", "BusinessUnitAdmin", "GovernedAdmin", "ProjectAdmin", "UserAdmin", "said"]
