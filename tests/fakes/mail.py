"""A real SMTP server that keeps what it takes, and may refuse senders that did not sign in."""

import email
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.fakes.ports import free_port

USER, PASSWORD = "gateway", "pa:ss@word"


@dataclass
class MailServer:
    """`mails` are recipients and messages; `refuses` are recipients it will not take."""

    url: str = ""
    mails: list[tuple[list[str], Message]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 (the library calls it so)
        """Take or refuse a recipient."""
        if address in self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (the library calls it so)
        """Keep a message."""
        self.mails.append((list(envelope.rcpt_tos), email.message_from_bytes(envelope.content)))
        return "250 OK"


@contextmanager
def mail_server(*, signed_in: bool = False) -> Iterator[MailServer]:
    """Serve SMTP on a free loopback port, without TLS; with `signed_in` only to those who sign in."""

    def signs_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode()))

    kept = MailServer()
    more: dict[str, Any] = {"authenticator": signs_in, "auth_required": True, "auth_require_tls": False} if signed_in else {}
    port = free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port, **more)
    controller.start()
    user = "gateway:pa%3Ass%40word@" if signed_in else ""
    kept.url = f"smtp://{user}127.0.0.1:{port}?tls=none"
    try:
        yield kept
    finally:
        controller.stop()
