"""Writes the paths under which Bedrock's models are asked. Knows nothing of what is sent there."""

from urllib.parse import quote


def write_path(model: str, endpoint: str, *, stream: bool) -> str:
    """Return the path of an endpoint of a model, whatever is in the model's name."""
    return f"/model/{quote(model, safe='')}/{endpoint}{'-stream' if stream else ''}"
