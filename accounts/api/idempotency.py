"""A request with an `Idempotency-Key` acts once: the answer is kept a day, in the transaction of the act, and told again.

Answers may show a new key once, so they are kept sealed to the very credential that asked: neither the database nor its keys open them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.problems import KeyReused
from accounts.models import IdempotencyRecord, ServiceAccount
from accounts.sealing import Sealer

KEPT = timedelta(hours=24)
PURGED_AT_ONCE = 100


@transaction.atomic
def once(request: Request, act: Callable[[], Response]) -> Response:
    """Run the act in one transaction with its record, or return the answer it gave before. A refused act leaves no record.

    Raises KeyReused when the key came with another request; two at the same moment: the later waits for the earlier and repeats its answer.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return act()
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise exceptions.ValidationError({"Idempotency-Key": "Write 1 to 255 printable ASCII characters, such as a UUID."})
    actor: Any = request.user
    caller = f"sa:{actor.public_id}" if isinstance(actor, ServiceAccount) else f"user:{actor.pk.hex}"
    now = timezone.now()
    _purge(now)
    IdempotencyRecord.objects.filter(caller=caller, key=key, expires_at__lte=now).delete()
    told = [request.method, request.get_full_path(), request.data]
    fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()
    record, is_new = IdempotencyRecord.objects.get_or_create(caller=caller, key=key, defaults={"fingerprint": fingerprint, "expires_at": now + KEPT})
    bound_to = f"idempotency:{caller}:{key}".encode()
    if not is_new:
        if bytes(record.fingerprint) != fingerprint:
            raise KeyReused
        answer = json.loads(_sealer(request.auth).open(bytes(record.sealed_answer), bound_to))
        return Response(answer["data"], record.status, headers={**answer["headers"], "Idempotency-Replayed": "true"})
    made = act()
    headers = {name: made.headers[name] for name in ("ETag", "Location", "Cache-Control", "X-Sgw-Waits-For") if name in made.headers}
    record.status = made.status_code
    record.sealed_answer = _sealer(request.auth).seal(json.dumps({"data": made.data, "headers": headers}).encode(), bound_to)
    record.save(update_fields=["status", "sealed_answer"])
    return made


def _purge(now: object) -> None:
    old = IdempotencyRecord.objects.filter(expires_at__lte=now).values_list("pk", flat=True)[:PURGED_AT_ONCE]
    IdempotencyRecord.objects.filter(pk__in=list(old)).delete()


def _sealer(credential: Any) -> Sealer:
    pepper = settings.KEY_PEPPERS[max(settings.KEY_PEPPERS)]
    return _sealer_of(hmac.digest(pepper, b"idempotency:" + credential, "sha256"))


@lru_cache(64)
def _sealer_of(key: bytes) -> Sealer:
    # The serialised AesGcmKey of tink: field 3, 32 bytes.
    value = base64.b64encode(b"\x1a\x20" + key).decode()
    data = {"typeUrl": "type.googleapis.com/google.crypto.tink.AesGcmKey", "value": value, "keyMaterialType": "SYMMETRIC"}
    return Sealer(json.dumps({"primaryKeyId": 1, "key": [{"keyData": data, "status": "ENABLED", "keyId": 1, "outputPrefixType": "TINK"}]}))
