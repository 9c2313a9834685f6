"""The demo's acceptable-use policy: a short sample that its users have accepted, and that newcomers are asked about."""

from accounts import acceptable_use
from accounts.models import Acceptance, UsePolicy, User

TEXT = """This is a sample. Replace it in the admin, under “Acceptable use”.

1. Use models for your work, and only with data that you may give to their provider.
2. Keep keys secret, one for each application. Revoke a key at once when somebody else may have it.
3. Answers can be wrong. A person stays responsible for what is done with them.
4. Calls are recorded: who, when, which model, how much.
5. Do not try to get around budgets or limits. Ask for more; that takes a minute."""


def load() -> None:
    """Publish the sample where there is no policy yet, accepted by every demo user."""
    if acceptable_use.current() is not None:
        return
    policy = acceptable_use.publish(UsePolicy(text=TEXT), None)
    for user in User.objects.filter(is_demo=True).order_by("email"):
        acceptable_use.accept(user, policy.version)


def remove() -> None:
    """Remove the sample, unless somebody real has accepted it."""
    Acceptance.objects.filter(user__is_demo=True).delete()
    UsePolicy.objects.filter(text=TEXT, acceptances=None).delete()
