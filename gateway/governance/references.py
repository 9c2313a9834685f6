"""Secrets in documents are references: to a variable of the environment or to a file of the machine that carries the document out."""

import os
from pathlib import Path

import msgspec
from django.core.exceptions import ValidationError
from msgspec import UnsetType

MOST_BYTES = 64 * 1024


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret is: `{env: NAME}` or `{file: /path}`."""

    env: str = ""
    file: str = ""


def value_of(reference: Reference | UnsetType) -> str:
    """Return the secret, empty where none is named; raises ValidationError that never tells it."""
    if isinstance(reference, UnsetType):
        return ""
    if bool(reference.env) == bool(reference.file):
        raise ValidationError("Name a secret either as {env: NAME} or as {file: /path}.")
    if reference.env:
        if not os.environ.get(reference.env):
            raise ValidationError(f"The variable {reference.env} is not set where the document is carried out.")
        return os.environ[reference.env].strip()
    try:
        with Path(reference.file).open("rb") as file:
            return file.read(MOST_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"The file {reference.file} cannot be read as text.") from error
