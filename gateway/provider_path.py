"""Which provider account and endpoint a path means, and what is never passed on to a vendor, whatever an account allows. Knows no objects."""

import re
from itertools import pairwise
from urllib.parse import parse_qsl

from gateway.doors import meant
from gateway.errors import BadRequest, UnknownEndpoint
from gateway.plane.snapshot import Snapshot
from gateway.providers import shelf
from gateway.terms import Frozen
from gateway.wire import by_endpoint
from gateway.wire.kept import LEADING

PLAIN_PATH = re.compile(r"[A-Za-z0-9._~/:-]{1,400}")
PLAIN_QUERY = re.compile(r"[A-Za-z0-9._~/:?&=%+,;@\[\]-]{0,2000}")
# Words of a path at which vendors mint credentials, open sessions that nobody meters, or administer the account; lower case, without "-", "_" and ".".
# A word of a new vendor's belongs here, not into that vendor's file: what is refused everywhere cannot be forgotten anywhere.
_WORDS = """
    organization organizations admin accounts account users user me members invites groups roles permissions workspaces projects subscriptions
    resourcegroups providers deployments serviceaccounts workloadidentityproviders federationissuers federationrules userprofiles
    apikeys apikey adminapikeys keys key externalkeys certificates credentials vaults secrets tunnels revealtoken rotatetoken rotatesecret
    clientsecrets transcriptionsessions chatkit realtime live authtokens authtoken token tokens issuetoken oauth oauth2 auth login sso scim
    auditlogs usage costs billing credits balance spendlimit spendlimits spendalerts ratelimits dataretention externalstorage safety
    webhooks webhookendpoints webhookeventtypes iam transferownership register setiampolicy getiampolicy testiampermissions
    generateaccesstoken generateidtoken signblob signjwt
"""
ADMINISTRATIVE = frozenset(_WORDS.split())
# where the servers of Ollama, which have no accounts, change the models that everybody is served
CHANGES_MODELS = frozenset({"create", "copy", "delete", "pull", "push", "blobs"})
# what a query must not say: another credential, another method, or an answer that is a script
UNSAFE_QUERY = frozenset(
    {"key", "apikey", "accesstoken", "oauthtoken", "authorization", "subscriptionkey", "sig", "httpmethod", "xhttpmethodoverride", "callback"}
)
VERSIONS = ("v1", "v1beta")
METERED = frozenset(name.lower() for name in by_endpoint())
PREFIXES = LEADING | {"api", "compatibility", "v2"}


class Place(Frozen, frozen=True):
    """An account, the rest of the path as it came, and the endpoint that stands for at its provider."""

    account: str
    rest: str
    endpoint: str


def place_of(path: bytes, snapshot: Snapshot) -> Place:
    """Return what a provider path means. Raises UnknownEndpoint for any other path."""
    text = path.decode("latin-1")
    start, _, rest = text[1:].partition("/")
    slug, _, beyond = rest.partition("/")
    if start in VERSIONS and slug in VERSIONS:
        raise UnknownEndpoint(f"There is no such endpoint: remove /{start} from base_url.")
    account = snapshot.accounts.get(slug) if start == "v1" else None
    if account is None:
        like = meant(path)
        advice = f"Did you mean {like!r}? Look at base_url." if like else "See the reference for the paths this gateway serves."
        raise UnknownEndpoint(f"There is no endpoint {text[:200]!r}. {advice}")
    return Place(slug, beyond, shelf()[account.provider].locate(beyond))


def is_administrative(method: str, rest: str) -> bool:
    """Return whether a request would administer the vendor's account, or get a credential there."""
    words = [re.sub("[-_.~]", "", word) for word in re.split("[/:]", rest.lower())]
    # whoever made a model, its deletion concerns everybody
    deletes_model = method not in ("GET", "HEAD", "POST") and "models" in words
    changes_model = any(first == "api" and second in CHANGES_MODELS for first, second in pairwise(words))
    return deletes_model or changes_model or not ADMINISTRATIVE.isdisjoint(words)


def spelt_otherwise(rest: str) -> bool:
    """Return whether a path that leads to no metered endpoint as it is written may do so at a vendor who reads it more kindly, or by another prefix."""
    words = rest.lower().strip("/").split("/")
    while words[:-1] and words[0] in PREFIXES and "/".join(words) not in METERED:
        words.pop(0)
    # Google's name the model before the colon
    return "/".join(words) in METERED or words[-1].partition(":")[2] in METERED


def check_passes(method: str, place: Place, *, is_allowed: bool) -> None:
    """Raise UnknownEndpoint unless a request that is not metered may go to the vendor; `is_allowed` is what the account says of unknown endpoints."""
    rest = place.rest
    if not PLAIN_PATH.fullmatch(rest) or "/." in f"/{rest}" or "//" in f"/{rest}/":
        raise UnknownEndpoint(f"There is no endpoint {rest[:200]!r} at {place.account!r}: write its path without empty, dotted or encoded parts.")
    if is_administrative(method, rest):
        raise UnknownEndpoint(f"{method} {rest[:200]!r} is never passed on: it administers the vendor's account, or makes credentials for it.")
    if spelt_otherwise(rest):
        raise UnknownEndpoint(f"{rest[:200]!r} is another spelling of an endpoint that is metered: use the path that the reference names.")
    if not is_allowed:
        raise UnknownEndpoint(f"The provider account {place.account!r} is not served at {rest[:200]!r}: the gateway cannot meter it.")


def check_query(query: str) -> None:
    """Raise BadRequest for a query that could mean something else to the vendor than to us."""
    if not PLAIN_QUERY.fullmatch(query):
        raise BadRequest("The query string holds characters that must be percent-encoded.")
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if re.sub("[-_.$]", "", name.lower()) in UNSAFE_QUERY:
            raise BadRequest(f"The query may not say {name[:64]!r}: your key in a header is all that is needed.", param=name[:64])
