"""Signs requests as AWS wants them (SigV4), with AWS's own library. Knows no service and no endpoint."""

import re
from collections.abc import Callable
from typing import Any

from gateway.terms import Headers

_ACCESS_KEY = re.compile(r"([A-Z0-9]{16,128}):([A-Za-z0-9/+=]{16,128})(?::([A-Za-z0-9/+=]+))?")


def is_access_key(credential: str) -> bool:
    """Return whether a credential is one to sign with: ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN behind it where it has one."""
    return _ACCESS_KEY.fullmatch(credential) is not None


def signer(credential: str, service: str, region: str) -> Callable[[str, str, str], Headers] | None:
    """Return what makes the headers that sign a request, from its method, URL and its body's SHA-256; None where the credential is not one to sign with."""
    found = _ACCESS_KEY.fullmatch(credential)
    if found is None:
        return None
    # 30 MB that only accounts with access keys need
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    class Digested(SigV4Auth):  # type: ignore[misc]  # botocore has no types
        """Signs a request by its body's digest: the body itself may be too large to hold."""

        def payload(self, request: Any) -> Any:
            """Return the digest."""
            return request.context["digest"]

    auth = Digested(Credentials(*found.groups()), service, region)

    def sign(method: str, url: str, digest: str) -> Headers:
        request = AWSRequest(method=method, url=url)
        request.context["digest"] = digest
        auth.add_auth(request)
        return tuple((name.lower().encode(), value.encode()) for name, value in request.headers.items())

    return sign
