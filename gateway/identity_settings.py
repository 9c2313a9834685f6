"""Settings of single sign-on and of what becomes of those who leave; part of the one settings object."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from accounts.addresses import AddressRules
from accounts.oidc.configuration import Configuration
from accounts.oidc.tokens import ALGORITHMS

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# Claims a provider may give to somebody else one day, so that nobody is known by them.
PASSING_CLAIMS = frozenset({"email", "mail", "upn", "preferred_username", "unique_name", "username", "name", "nickname"})
Words = Annotated[tuple[str, ...], NoDecode]


class IdentitySettings(BaseSettings):
    """One OpenID provider, and what happens to keys of people who leave."""

    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = Field("", repr=False)
    oidc_name: str = Field("single sign-on", max_length=40)
    oidc_scopes: str = "openid email profile"
    oidc_algorithms: Words = ("RS256", "PS256", "ES256", "EdDSA")
    oidc_groups_claim: str = "groups"
    oidc_audience: str = ""
    oidc_create_users: bool = True
    oidc_email_domains: Words = ()
    oidc_trust_email: bool = False
    oidc_second_factors: Words = ()
    oidc_external_id_claim: str = ""
    oidc_active_claim: str = ""
    private_issuers: str = "none"
    leaver_rotate_days: int = Field(14, ge=1, le=365)
    leaver_revoke_project_keys: bool = False

    @field_validator("oidc_algorithms", "oidc_email_domains", "oidc_second_factors", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("oidc_email_domains")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(domain.lower().removeprefix("@") for domain in value)

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_NAMES)
        if value and (not is_safe or not parts.hostname or parts.query or parts.fragment or parts.username):
            raise ValueError("must be the issuer's https URL, exactly as its discovery document writes it")
        return value

    @field_validator("oidc_algorithms")
    @classmethod
    def _asymmetric(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(ALGORITHMS):
            raise ValueError(f"must be some of {', '.join(ALGORITHMS)}")
        return value

    @field_validator("oidc_external_id_claim")
    @classmethod
    def _lasting(cls, value: str) -> str:
        if value.strip().lower() in PASSING_CLAIMS:
            raise ValueError(f"must name a claim that is never given to somebody else, such as sub or oid; {value} may be tomorrow")
        return value.strip()

    @field_validator("private_issuers")
    @classmethod
    def _private_issuers(cls, value: str) -> str:
        AddressRules(value)
        return value

    @model_validator(mode="after")
    def _oidc_is_whole(self) -> "IdentitySettings":
        if (self.oidc_client_id or self.oidc_audience) and not self.oidc_issuer:
            raise ValueError("SYMBIOSIS_OIDC_ISSUER must be set where SYMBIOSIS_OIDC_CLIENT_ID or SYMBIOSIS_OIDC_AUDIENCE is")
        if self.oidc_issuer and not (self.oidc_client_id or self.oidc_audience):
            raise ValueError("SYMBIOSIS_OIDC_ISSUER is set, so SYMBIOSIS_OIDC_CLIENT_ID (to sign in) or SYMBIOSIS_OIDC_AUDIENCE (for tokens) must be too")
        if self.oidc_client_id and self.oidc_client_id == self.oidc_audience:
            raise ValueError("SYMBIOSIS_OIDC_AUDIENCE must differ from SYMBIOSIS_OIDC_CLIENT_ID, else ID tokens would pass as access tokens")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("SYMBIOSIS_OIDC_SCOPES must contain openid")
        return self

    @property
    def oidc(self) -> Configuration:
        """Return what was told about the OpenID provider."""
        return Configuration(
            issuer=self.oidc_issuer,
            client_id=self.oidc_client_id,
            client_secret=self.oidc_client_secret,
            scopes=" ".join(self.oidc_scopes.split()),
            algorithms=self.oidc_algorithms,
            groups_claim=self.oidc_groups_claim,
            audience=self.oidc_audience,
            creates_users=self.oidc_create_users,
            email_domains=self.oidc_email_domains,
            trusts_email=self.oidc_trust_email,
            second_factors=self.oidc_second_factors,
            external_id_claim=self.oidc_external_id_claim,
            active_claim=self.oidc_active_claim,
            private_addresses=self.private_issuers,
            name=self.oidc_name,
        )
