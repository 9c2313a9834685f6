"""The admin of provider accounts, the catalogue, virtual keys and schedules. Faces are thin: every write goes to an action."""

from gateway.admin.batches import BatchAdmin
from gateway.admin.catalogue import CatalogueAdmin
from gateway.admin.keys import VirtualKeyAdmin
from gateway.admin.provider_accounts import ProviderAccountAdmin
from gateway.admin.response_retention import ResponseRetentionAdmin
from gateway.admin.schedules import ScheduleAdmin

__all__ = ["BatchAdmin", "CatalogueAdmin", "ProviderAccountAdmin", "ResponseRetentionAdmin", "ScheduleAdmin", "VirtualKeyAdmin"]
