"""Accounts that pass to the directory, in a file of their own: the admin needs no words of SCIM, whose import takes half a second."""

from accounts import audit
from accounts.models import DirectoryPerson, User


@audit.act("directory-person.hand-over")
def hand_over(user: User) -> bool:
    """Let the directory keep an account that exists already, found by its address as userName; return whether it did not yet. Raises ValidationError."""
    if DirectoryPerson.objects.filter(pk=user.pk).exists():
        return False
    row = DirectoryPerson(user=user, user_name=user.email, active=user.is_active)
    row.full_clean()
    row.save()
    return True
