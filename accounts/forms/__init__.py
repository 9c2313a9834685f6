"""Forms of the admin; what they refuse, the actions refuse too."""

from accounts.forms.notices import ChannelForm
from accounts.forms.people import BusinessUnitForm, UserForm

__all__ = ["BusinessUnitForm", "ChannelForm", "UserForm"]
