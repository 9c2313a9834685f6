"""What a wire says when a request is wrong. Knows no wire's shape."""


class Problem(Exception):
    """A request that is refused: HTTP status, message, and for the wires that have them the vendor's code and the field at fault."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
