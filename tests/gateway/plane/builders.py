"""Small builders of plane values for tests, each with what a test does not care about filled in."""

from typing import Any

import msgspec

from accounts import keys
from billing.money import Price, Rates
from gateway.plane.snapshot import SealedAccount, Snapshot, Structure, Update, apply
from gateway.providers import Provider
from gateway.terms import Call, Caller, Deadlines, Deployment, Key, Model, Project

PEPPERS = {1: b"pepper"}
PRICE = Price(id="price-1", rates=Rates(input_nanousd=1_000_000_000, output_nanousd=2_000_000_000))
SHELF = {"openai": Provider(slug="openai", title="OpenAI", wires={"chat/completions": "openai_chat", "embeddings": "openai_chat"})}


def sealed_account(slug: str = "acme", **changes: Any) -> SealedAccount:
    """Return an account with an empty credential."""
    account = SealedAccount(
        id=f"id-{slug}", slug=slug, provider="openai", base_url="http://127.0.0.1:9/v1", sealed_credential=b"", binding=b"", options={},
        deadlines=Deadlines(), ca_pem="", transport="own", max_parallel=0, allow_unknown_endpoints=False,
    )  # fmt: skip
    return msgspec.structs.replace(account, **changes)


def deployment(account: str = "acme", upstream: str = "up-1", **changes: Any) -> Deployment:
    """Return a priced deployment."""
    found = Deployment(
        id=f"{account}/{upstream}", slug=f"{account}/{upstream}", model="chat", account=account, upstream_model=upstream,
        order=0, weight=1, region="", max_parallel=0, price=PRICE,
    )  # fmt: skip
    return msgspec.structs.replace(found, **changes)


def model(name: str = "chat", *deployments: Deployment, **changes: Any) -> Model:
    """Return a chat model."""
    found = Model(id=f"id-{name}", name=name, kind="chat", owned_by="acme", created_at_s=0, unknown_price="refuse", deployments=deployments)
    return msgspec.structs.replace(found, **changes)


def project(**changes: Any) -> Project:
    """Return a project in one business unit."""
    return msgspec.structs.replace(Project(id="prj", name="Sandbox", environment="dev", suspended=False, business_units=("bu",)), **changes)


def new_key(**changes: Any) -> tuple[bytes, Key]:
    """Return a key's text and the key as stored."""
    made = keys.make()
    text = made.text.encode()
    key = Key(
        id=made.public_id, name="test", digest=keys.digest(text, PEPPERS[1]), pepper_version=1, project="prj", models=None,
        state="active", expires_at_s=2_000, environment="dev",
    )  # fmt: skip
    return text, msgspec.structs.replace(key, **changes)


def opened(sealed: bytes, bound_to: bytes) -> bytes:
    """Open a credential that was never sealed."""
    return sealed


def snapshot(*models: Model, keys: tuple[Key, ...] = (), accounts: tuple[SealedAccount, ...] = (), projects: tuple[Project, ...] = ()) -> Snapshot:
    """Return a snapshot of these parts."""
    structure = Structure(accounts=accounts or (sealed_account(),), models=models, projects=projects or (project(),))
    return apply(None, Update(revision=1, structure=structure, keys=keys, whole=True), SHELF, opened)


def caller(**changes: Any) -> Caller:
    """Return a caller whose key has these properties."""
    return Caller(key=new_key(**changes)[1], project=project())


def call(**changes: Any) -> Call:
    """Return a chat call for the model `chat`."""
    found = Call(
        id="call_1", surface="openai", endpoint="chat/completions", account="", body=b"{}", model="chat", stream=False, wants_usage=False
    )
    return msgspec.structs.replace(found, **changes)
