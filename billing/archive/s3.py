"""Archived files in a bucket that speaks S3. Credentials come from where boto3 looks for them: environment, profile or instance role."""

from pathlib import Path
from typing import Any, BinaryIO, cast

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
ATTEMPTS = 5


class Bucket:
    """Objects below one prefix."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None, region: str | None) -> None:
        self._bucket, self._prefix, self._endpoint, self._region = bucket, prefix, endpoint, region
        self._connected: Any = None

    def put(self, name: str, path: Path) -> None:
        """Store a local file under a name, in several pieces when it is large; raises OSError."""
        self._call("store", name, lambda client, key: client.upload_file(str(path), self._bucket, key))

    def open(self, name: str) -> BinaryIO:
        """Open a stored object for reading; raises OSError when it is not there."""
        return cast("BinaryIO", self._call("read", name, lambda client, key: client.get_object(Bucket=self._bucket, Key=key)["Body"]))

    def _call(self, verb: str, name: str, ask: Any) -> Any:
        from boto3.exceptions import Boto3Error  # type: ignore[import-untyped]  # slow import, only archives need it
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        key = "/".join(filter(None, (self._prefix, name)))
        try:
            return ask(self._client(), key)
        except (BotoCoreError, ClientError, Boto3Error) as error:
            raise OSError(f"The archive cannot {verb} {key} in bucket {self._bucket}: {error}") from error

    def _client(self) -> Any:
        import boto3  # type: ignore[import-untyped]  # slow import, only archives need it
        from botocore.config import Config  # type: ignore[import-untyped]

        if self._connected is None:
            config = Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                # many S3-compatible servers refuse the newer checksums; ours is in the manifest
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
            self._connected = boto3.client("s3", endpoint_url=self._endpoint, region_name=self._region, config=config)
        return self._connected
