"""The words of a call: who calls, what is governed, where it may go."""

from collections.abc import Collection, Mapping

from billing.money import Price
from billing.receipts import Charge
from gateway.terms.base import Frozen
from gateway.terms.upload import Body

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]


class Deadlines(Frozen, frozen=True):
    """How long each phase of an upstream exchange may take, in milliseconds."""

    connect_ms: int = 5_000
    first_byte_ms: int = 60_000
    idle_ms: int = 60_000
    total_ms: int = 600_000


class Account(Frozen, frozen=True):
    """A provider account as the plane sees it. `credential` is the opened secret and must never be printed."""

    id: str
    slug: str
    provider: str
    base_url: str
    credential: str
    options: Mapping[str, str]
    deadlines: Deadlines
    ca_pem: str = ""
    transport: str = "own"
    max_parallel: int = 0
    allow_unknown_endpoints: bool = False
    revision: str = ""

    def __repr__(self) -> str:
        return f"Account({self.slug})"


class Deployment(Frozen, frozen=True):
    """A model served by one provider account under an upstream name; lower `order` is tried first, then by weight."""

    id: str
    slug: str
    model: str
    account: str
    upstream_model: str
    order: int
    weight: int
    region: str
    max_parallel: int
    price: Price | None


class Model(Frozen, frozen=True):
    """A catalogue entry: the public name callers use and the deployments that serve it.

    `aliases` are further names. `cleared_for` is the highest class of data it may get, as Project counts them. `lifecycle` is requested, approved,
    deprecated (since `deprecated_at_s`, until `retires_at_s`, in favour of `successor`) or retired.
    """

    id: str
    name: str
    kind: str
    owned_by: str
    created_at_s: int
    unknown_price: str
    deployments: tuple[Deployment, ...]
    cleared_for: int = 99
    aliases: tuple[str, ...] = ()
    lifecycle: str = "approved"
    deprecated_at_s: int = 0
    retires_at_s: int = 0
    successor: str = ""
    context_tokens: int = 0
    max_output_tokens: int = 0
    capabilities: tuple[str, ...] = ()


class Project(Frozen, frozen=True):
    """A project with the business units above it, nearest first.

    `without_authority` says what happens while budgets cannot be asked: leases (served from what is held), closed or open. Responses are
    stored for later calls for `stored_response_days`, 0 for not at all.
    `data_class` is how closely its data must be kept: 0 public, 1 internal, 2 confidential, 3 restricted.
    """

    id: str
    name: str
    environment: str
    suspended: bool
    business_units: tuple[str, ...]
    without_authority: str = "leases"
    stored_response_days: int = 0
    data_class: int = 0


class Budget(Frozen, frozen=True):
    """What may be spent in each of its windows by `scope` (`key:<id>`, `project:<id>`, `unit:<id>`); borders of a fixed one in Unix seconds."""

    id: str
    scope: str
    name: str
    mode: str
    unit: str
    period: str
    per: str
    starts_at_s: int
    ends_at_s: int


class Limit(Frozen, frozen=True):
    """How fast `scope` may call: `kind` is rpm, tpm, spend (nano-USD per minute) or parallel."""

    id: str
    scope: str
    kind: str
    amount: int


class Rules(Frozen, frozen=True):
    """Budgets and limits by the scope they are for."""

    budgets: Mapping[str, tuple[Budget, ...]]
    limits: Mapping[str, tuple[Limit, ...]]


class Person(Frozen, frozen=True):
    """Somebody who may call with an access token of the OpenID provider: their subjects there, and the projects they call for."""

    id: str
    name: str
    is_active: bool
    subjects: tuple[str, ...]
    projects: tuple[str, ...]


class Key(Frozen, frozen=True):
    """A virtual key as stored: never the secret, only its digest. `models` is None for every catalogue model.

    `previous_digest` is the secret from before a rotation, good until `previous_until_s`; `allowed_ips` are ranges, none for anywhere;
    `tags` as a call carries them; calls of a key that `is_compromised` are cut. `person` is whose personal key it is, or whose access token
    stands behind it.
    """

    id: str
    name: str
    digest: bytes
    pepper_version: int
    project: str
    models: frozenset[str] | None
    state: str
    expires_at_s: int
    environment: str
    is_demo: bool = False
    previous_digest: bytes = b""
    previous_pepper_version: int = 0
    previous_until_s: int = 0
    allowed_ips: tuple[str, ...] = ()
    tags: str = ""
    is_compromised: bool = False
    person: str = ""


class Caller(Frozen, frozen=True):
    """Who the credential says is calling."""

    key: Key
    project: Project


class Reference(Frozen, frozen=True):
    """Something a vendor keeps, by its id, and the field of a request that names it; `is_place` where a vendor reads it with its account's own rights."""

    param: str
    object_id: str
    is_place: bool = False


# as a number of tokens: nobody but the vendor knows
UNTOLD = -1


class Ties(Frozen, frozen=True):
    """What a call has to do with stored ones: the response it goes on from, the items it refers to by their ids, and whether it is to be stored.

    `objects` is what else it names that its vendor keeps; `makes` is whether its answer may tell of such things that were made for it. `goes_on` is whether
    it is to be worked at in the background, whoever waits, `in_conversation` whether it belongs to one of its vendor's, which is as long as it is.
    """

    previous: str = ""
    references: tuple[str, ...] = ()
    keeps: bool = False
    objects: tuple[Reference, ...] = ()
    makes: bool = False
    goes_on: bool = False
    in_conversation: bool = False


class Besides(Frozen, frozen=True):
    """What a call may cost besides its answer: so many web searches, and the conversation read once more to make `summary_tokens` of it where it has
    `compacts_from_tokens` or more."""

    searches: int = 0
    summary_tokens: int = 0
    compacts_from_tokens: int = 0


class Call(Frozen, frozen=True):
    """One request on the data plane, as the door read it; `fields` are the names of its body's top-level fields, `headers` those a vendor may be told.

    `content_type` is that of a form, b"" for JSON; a large form is an Upload. `most_input_tokens` bounds its input where the bytes of the body say little,
    0 where they do.
    `ties` says what it has to do with stored calls, None on wires that store nothing. `keeps` is whether its answer is stored for later calls,
    `resumed_from` the response whose conversation was put in front of its input, `history_tokens` how long a conversation its vendor adds by itself,
    UNTOLD where only the vendor knows. `answers` is how many are wanted; the output limit is for all of them together. `besides` is what else it asks for
    that costs, None for nothing.
    """

    id: str
    surface: str
    endpoint: str
    account: str
    body: Body
    model: str
    stream: bool
    wants_usage: bool
    client_request_id: str = ""
    end_user: str = ""
    session: str = ""
    tags: str = ""
    ip: str = ""
    user_agent: str = ""
    timeout_ms: int = 0
    max_output_tokens: int = 0
    fields: Collection[str] = ()
    headers: Headers = ()
    content_type: bytes = b""
    most_input_tokens: int = 0
    ties: Ties | None = None
    keeps: bool = False
    resumed_from: str = ""
    history_tokens: int = 0
    answers: int = 1
    besides: Besides | None = None

    @property
    def text(self) -> bytes:
        """Return the body of a call that is no form: it is never too large to hold."""
        assert isinstance(self.body, bytes)
        return self.body


class Plan(Frozen, frozen=True):
    """Ordered deployments for a call, and an upper bound of its cost in nano-USD and of its tokens by the prices of one `revision`.

    `output_tokens` of it are output, at most `output_rate_nanousd` per million. `output_cap_tokens`, if not 0, is the output limit sent upstream
    because a budget needs one: the caller named none, or more than is left.
    """

    model: Model
    deployments: tuple[Deployment, ...]
    quote_nanousd: int
    quote_tokens: int = 0
    output_tokens: int = 0
    output_rate_nanousd: int = 0
    output_cap_tokens: int = 0
    revision: int = 0


class Attempt(Frozen, frozen=True):
    """One try at one deployment: `outcome` is ok, a vendor status as text, or a fault kind; `elapsed_ms` on the monotonic clock.

    `charge` is what a try that served nobody was or may have been billed all the same.
    """

    deployment: str
    account: str
    outcome: str
    status: int
    elapsed_ms: int
    charge: Charge | None = None
