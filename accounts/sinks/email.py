"""E-mail through the operator's mail server; apprise composes it, each recipient gets an own copy with the same Message-ID on every try."""

import email
import re
import smtplib
import ssl
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from accounts.egress import NotDelivered, Unreachable
from accounts.sinks import Exits, Notice, Sink

TIMEOUT_S = 15.0
MOST_RECIPIENTS = 20
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


def recipients(options: Mapping[str, str]) -> list[str]:
    """Return the addresses, which are separated by commas or blanks."""
    return list(dict.fromkeys(part for part in re.split(r"[,;\s]+", options.get("to", "")) if part))


def check(options: Mapping[str, str], secret: str, exits: Exits) -> None:
    """Raise ValueError unless there is a mail server and 1 to 20 addresses."""
    if not exits.mail_url:
        raise ValueError("This installation has no mail server. Set SYMBIOSIS_SMTP_URL and SYMBIOSIS_MAIL_FROM.")
    wrong = [address for address in recipients(options) if not ADDRESS.fullmatch(address)]
    if wrong:
        raise ValueError(f"Not an e-mail address: {wrong[0]}.")
    if not 1 <= len(recipients(options)) <= MOST_RECIPIENTS:
        raise ValueError(f"Enter 1 to {MOST_RECIPIENTS} addresses separated by commas.")


def send(notice: Notice, options: Mapping[str, str], secret: str, exits: Exits) -> str:
    """Hand one copy for each recipient to the mail server. Raises NotDelivered, as Unreachable where the server does not answer.

    Those served before are served again on the next try.
    """
    if not exits.mail_url:
        raise NotDelivered("This installation has no mail server. Set SYMBIOSIS_SMTP_URL and SYMBIOSIS_MAIL_FROM.")
    copies = composed(notice, recipients(options), exits.mail_from)
    try:
        with connected(exits.mail_url) as server:
            for address, text in copies:
                server.sendmail(exits.mail_from, [address], text)
    except smtplib.SMTPResponseException as refusal:
        raise NotDelivered(f"The mail server refuses (SMTP {refusal.smtp_code}).") from refusal
    except smtplib.SMTPRecipientsRefused as refusal:
        raise NotDelivered(f"The mail server refuses the recipient {', '.join(refusal.recipients)}.") from refusal
    except (OSError, smtplib.SMTPException) as error:
        raise Unreachable(f"The mail server does not take the message ({type(error).__name__}).") from error
    return f"the mail server took {len(copies)} of {len(copies)}"


def composed(notice: Notice, to: list[str], sender: str) -> list[tuple[str, bytes]]:
    """Return each recipient's copy, as text and HTML."""
    from apprise.common import NotifyFormat  # slow import
    from apprise.plugins.email.base import NotifyEmail  # slow import

    domain = sender.rpartition("@")[2]
    prepared = NotifyEmail.prepare_emails(
        subject=notice.title,
        body=notice.html,
        from_addr=("Symbiosis Gateway", sender),
        to=[(False, address) for address in to],
        notify_format=NotifyFormat.HTML,
        headers={"X-Symbiosis-Message": notice.id, "Auto-Submitted": "auto-generated"},
    )
    copies = []
    for one in prepared:
        message = email.message_from_string(one.body)
        message.replace_header("Message-ID", f"<{notice.id}@{domain}>")
        copies.append((one.recipient, message.as_bytes(policy=message.policy.clone(linesep="\r\n"))))
    return copies


def connected(url: str) -> smtplib.SMTP:
    """Return a session with the mail server of a URL, encrypted and signed in as the URL says. Raises OSError or smtplib.SMTPException."""
    parts = urlsplit(url)
    host, context = parts.hostname or "", ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT_S)
    try:
        if parts.scheme == "smtp" and parse_qs(parts.query).get("tls", ["starttls"])[0] == "starttls":
            server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server


SINK = Sink(slug="email", title="E-mail", options={"to": "addresses separated by commas, such as ops@example.com"}, asks_for="", check=check, send=send)
