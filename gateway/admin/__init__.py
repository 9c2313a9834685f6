"""The admin of provider accounts, the catalogue and virtual keys. Faces are thin: every write goes to an action."""

from gateway.admin.catalogue import CatalogueAdmin
from gateway.admin.keys import VirtualKeyAdmin
from gateway.admin.provider_accounts import ProviderAccountAdmin

__all__ = ["CatalogueAdmin", "ProviderAccountAdmin", "VirtualKeyAdmin"]
