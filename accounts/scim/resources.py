"""The resources as the directory sees them: which attributes of the core schemas are kept here, and what this service can do."""

from typing import Annotated, Any, ClassVar

import scim2_models as scim
from pydantic import EmailStr, Field
from scim2_models import CaseExact, ComplexAttribute, Mutability, Reference, Required, Resource, Uniqueness

MOST_RESULTS = 200
# As Entra and Okta send it: attributes nobody keeps are dropped, and PATCH is read the way they mean it.
POLICY = scim.ScimPolicy(
    unknown=scim.ScimPolicy.Unknown.ignore,
    remove_value_as_filter=scim.ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=scim.ScimPolicy.UnmatchedPathFilter.create,
)


class Name(ComplexAttribute):
    """A person's name in parts."""

    family_name: str | None = None
    given_name: str | None = None


class Email(ComplexAttribute):
    """One address of a person."""

    value: EmailStr | None = None
    type: str | None = None
    primary: bool | None = None


class GroupOfPerson(ComplexAttribute):
    """A group a person is in."""

    value: Annotated[str | None, Mutability.read_only] = None
    display: Annotated[str | None, Mutability.read_only] = None


class Person(Resource[Any]):
    """A person: the attributes of the core User schema that are kept."""

    __schema__ = scim.URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: Name | None = None
    display_name: str | None = None
    emails: list[Email] | None = None
    active: bool | None = None
    groups: Annotated[list[GroupOfPerson] | None, Mutability.read_only] = None

    Name: ClassVar[type[ComplexAttribute]] = Name


class Member(ComplexAttribute):
    """A person in a group; groups hold nobody but people, so there is no type."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    # Named as the resource type is.
    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(None, serialization_alias="$ref", validation_alias="$ref")  # type: ignore[name-defined]  # noqa: F821


class Group(Resource[Any]):
    """A group: the core Group schema."""

    __schema__ = scim.URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    members: list[Member] | None = None
