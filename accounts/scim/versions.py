"""The metadata of a resource, and the version that says whether it is still the same."""

import hashlib
from datetime import datetime
from typing import Any

from scim2_models import Meta, Resource

VERSION_DIGITS = 20


def meta_of(resource: Resource[Any], kind: str, location: str, created_at: datetime, updated_at: datetime) -> Meta:
    """Return what is told about a resource; its version is a weak entity tag over everything else."""
    digest = hashlib.sha256(resource.model_dump_json().encode()).hexdigest()[:VERSION_DIGITS]
    return Meta(resource_type=kind, created=created_at, last_modified=updated_at, location=location, version=f'W/"{digest}"')


def is_named(version: str, header: str) -> bool:
    """Say whether an If-Match or If-None-Match header names a version; weak comparison (RFC 9110, 8.8.3.2)."""
    named = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in named or version.removeprefix("W/") in named
