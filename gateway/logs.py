"""Structured logs: one JSON object a line, with credentials struck out. Content of calls is never handed to a logger."""

import logging
import logging.config
import re
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

STRUCK_OUT = "[redacted]"
_SECRET_NAMES = re.compile(r"authorization|api[-_]?key|password|passwd|secret|credential|cookie|token$|kek|pepper", re.IGNORECASE)
_SECRET_TEXTS = re.compile(
    r"sgw_[a-z]{2}_[0-9A-Za-z]{10}_[0-9A-Za-z]+|\bsk-[0-9A-Za-z_-]{8,}|\bAIza[0-9A-Za-z_-]{30,}|(?i:bearer|basic)\s+[0-9A-Za-z._~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)|(?<=[?&]key=)[^&\s]+"
)


def redact(value: Any, name: str = "") -> Any:
    """Return the value with everything that looks like a credential, by name or by shape, struck out."""
    if name and _SECRET_NAMES.search(name):
        return STRUCK_OUT
    if isinstance(value, str):
        return _SECRET_TEXTS.sub(STRUCK_OUT, value)
    if isinstance(value, bytes):
        return _SECRET_TEXTS.sub(STRUCK_OUT, value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {key: redact(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return value


def redaction(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Strike credentials out of every value of a log event, tracebacks included."""
    return {key: value if key.startswith("_") else redact(value, key) for key, value in event.items()}


def _as_json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=lambda value: redact(str(value)), option=orjson.OPT_NON_STR_KEYS).decode()


def configure(level: str) -> None:
    """Send the log of this process, ours and the libraries', to standard error as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [structlog.stdlib.PositionalArgumentsFormatter(), *shared],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redaction,
            structlog.processors.JSONRenderer(serializer=_as_json),
        ],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"handlers": ["stderr"], "level": level},
            # httpx logs every URL at INFO, and a URL may carry a key.
            "loggers": {
                **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "asyncio", "axes", "daphne", "uvicorn.access")},
                # a stranger's wrong Host header is answered with 400 and is not worth a traceback in our log
                "django.security.DisallowedHost": {"level": "CRITICAL"},
            },
        }
    )
