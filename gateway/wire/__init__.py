"""How a wire speaks: bytes to terms and back. Knows only gateway.terms; what goes wrong is a WireError, never a response."""

import importlib
from functools import cache
from types import ModuleType


class WireError(Exception):
    """Bytes that do not make sense on a wire: a code, a message that says what to do, and the field it is about."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


@cache
def wire(name: str) -> ModuleType:
    """Return the module that speaks the named wire (`openai_chat`, `anthropic_messages`); raises LookupError for an unknown one."""
    if not name.isidentifier():
        raise LookupError(f"no wire named {name!r}")
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise LookupError(f"no wire named {name!r}") from error
