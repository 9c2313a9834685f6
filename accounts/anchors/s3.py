"""A bucket that speaks S3, one object a checkpoint: `s3://bucket/prefix?endpoint=https://host&region=name`. With object lock nobody can take one away.

Credentials come from where boto3 looks for them: environment, profile or instance role.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from accounts.addresses import AddressRules
from accounts.anchors import Anchor
from accounts.egress import NotDelivered

TIMEOUT_S = 10


def check(url: str) -> None:
    """Raise ValueError unless the URL names a bucket and nothing but endpoint and region beside it."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username or not set(dict(parse_qsl(parts.query, keep_blank_values=True))) <= {"endpoint", "region"}:
        raise ValueError("must look like s3://bucket/prefix?endpoint=https://host&region=name, without credentials")


def keep(url: str, name: str, line: str, rules: AddressRules) -> None:
    """Store the checkpoint as an object. Raises NotDelivered."""
    bucket, prefix, client = _client(url)
    try:
        client.put_object(Bucket=bucket, Key=f"{prefix}{name}.json", Body=line.encode(), ContentType="application/json")
    except _errors() as error:
        raise NotDelivered(f"Bucket {bucket} did not take the checkpoint: {error}") from error


def lines(url: str) -> Iterator[str]:
    """Yield every checkpoint in the order of their names. Raises NotDelivered."""
    bucket, prefix, client = _client(url)
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode()
    except _errors() as error:
        raise NotDelivered(f"Bucket {bucket} cannot be read: {error}") from error


def _errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # slow import, only buckets need it

    return BotoCoreError, ClientError


def _client(url: str) -> tuple[str, str, Any]:
    import boto3  # type: ignore[import-untyped]  # slow import, only buckets need it
    from botocore.config import Config  # type: ignore[import-untyped]

    parts, options = urlsplit(url), dict(parse_qsl(urlsplit(url).query))
    prefix = unquote(parts.path).strip("/")
    config = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 2}, request_checksum_calculation="when_required")
    client = boto3.client("s3", endpoint_url=options.get("endpoint"), region_name=options.get("region"), config=config)
    return parts.netloc, f"{prefix}/" if prefix else "", client


ANCHOR = Anchor(schemes=("s3",), check=check, keep=keep, lines=lines)
