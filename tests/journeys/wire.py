"""A hostile HTTP client: sends bytes as they are and reads whole answers."""

import json
import socket
from typing import Any, NamedTuple, Self

from tests.fakes.service import Service


class Answer(NamedTuple):
    """One answer: header names lower-case; status 0 when the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """Return the error object of a JSON body."""
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


NONE = Answer(0, {}, b"")


class Wire:
    """One raw connection to the service."""

    def __init__(self, service: Service, within_s: float = 15) -> None:
        self._socket = socket.create_connection(("127.0.0.1", service.port), timeout=within_s)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Send bytes; False once the service does not take them any more."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def answer(self) -> Answer:
        """Read the next whole answer; raises TimeoutError."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                return NONE
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        if headers.get("transfer-encoding") == "chunked":
            while b"0\r\n\r\n" not in self._rest and self._more():
                pass
            body, _, self._rest = self._rest.partition(b"0\r\n\r\n")
        else:
            length = int(headers.get("content-length", "1000000000"))
            while len(self._rest) < length and self._more():
                pass
            body, self._rest = self._rest[:length], self._rest[length:]
        return Answer(int(line.split(" ")[1]), headers, body)

    def is_closed(self) -> bool:
        """Wait until the service closes the connection; raises TimeoutError."""
        while self._more():
            pass
        return True

    def _more(self) -> bool:
        try:
            data = self._socket.recv(65_536)
        except ConnectionResetError:
            data = b""
        self._rest += data
        return bool(data)


def head(service: Service, *lines: bytes, path: bytes = b"/v1/chat/completions", key: bool = True, method: bytes = b"POST") -> bytes:
    """Return a request head with the demo key unless told otherwise; `lines` are further header lines."""
    first = [method + b" " + path + b" HTTP/1.1", b"host: 127.0.0.1"]
    if key:
        first.append(b"authorization: Bearer " + service.key.encode())
    return b"\r\n".join([*first, *lines]) + b"\r\n\r\n"


def post(service: Service, body: bytes, *lines: bytes, path: bytes = b"/v1/chat/completions", key: bool = True) -> bytes:
    """Return a whole POST request."""
    return head(service, *lines, b"content-length: %d" % len(body), path=path, key=key) + body


def once(service: Service, request: bytes) -> Answer:
    """Send one request on its own connection and return the answer."""
    with Wire(service) as wire:
        wire.send(request)
        return wire.answer()
