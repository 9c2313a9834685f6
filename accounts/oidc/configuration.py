"""What an installation was told about its OpenID provider. Knows no Django and fetches nothing."""

from dataclasses import dataclass

from accounts.addresses import AddressRules


@dataclass(frozen=True)
class Configuration:
    """One OpenID provider and our registration there; `issuer` empty means there is none.

    `audience` is what access tokens for us are made out to, empty where none are taken. `second_factors` are values of `acr` or `amr` that
    prove two factors. `external_id_claim` names the claim that equals the `externalId` the same provider sends by SCIM, `active_claim` the one that
    is false for whoever has left; empty for none.
    """

    issuer: str = ""
    client_id: str = ""
    client_secret: str = ""
    scopes: str = "openid email profile"
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    groups_claim: str = "groups"
    audience: str = ""
    creates_users: bool = True
    email_domains: tuple[str, ...] = ()
    trusts_email: bool = False
    second_factors: tuple[str, ...] = ()
    external_id_claim: str = ""
    active_claim: str = ""
    private_addresses: str = "none"
    name: str = "single sign-on"

    def __repr__(self) -> str:
        return f"Configuration({self.issuer})"

    @property
    def signs_in(self) -> bool:
        """Say whether people can sign in by the provider."""
        return bool(self.issuer and self.client_id)

    @property
    def takes_bearers(self) -> bool:
        """Say whether access tokens of the provider are credentials here."""
        return bool(self.issuer and self.audience)

    @property
    def rules(self) -> AddressRules:
        """Return which addresses the provider may have."""
        return AddressRules(self.private_addresses)
