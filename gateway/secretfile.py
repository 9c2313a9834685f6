"""The secrets file of a data directory: made once for a trial installation, read by settings. Production uses the environment."""

import json
import os
import secrets
from pathlib import Path

from accounts.sealing import new_keyset

NAMES = ("secret_key", "kek", "key_pepper", "audit_key")


def data_directory() -> Path:
    """Return the data directory the environment names, `var` when it names none."""
    return Path(os.environ.get("SYMBIOSIS_DATA_DIR") or "var").absolute()


def path_in(directory: Path) -> Path:
    """Return where the secrets of a data directory are kept."""
    return directory / "secrets.json"


def read(directory: Path) -> dict[str, str]:
    """Return the secrets kept in a data directory, none when there is no file; raises ValueError when it cannot be used."""
    path = path_in(directory)
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}). Give this user the right to read it.") from error
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path} can be read by others. Run: chmod 600 {path}")
    try:
        kept = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON. Restore it from a backup: without it sealed credentials are lost.") from error
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise ValueError(f"{path} must hold an object of strings: {', '.join(NAMES)}.")
    return {name: kept[name] for name in NAMES if name in kept}


def initialise(directory: Path | None = None) -> str:
    """Make the secrets that are missing, never replacing one, with mode 0600; return a line that says what was done."""
    directory = directory or data_directory()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = read(directory)
    missing = [name for name in NAMES if name not in kept]
    if not missing:
        return f"Secrets are in place: {path_in(directory)}"
    kept.update({name: new_keyset() if name == "kek" else secrets.token_urlsafe(48) for name in missing})
    draft = path_in(directory).with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(kept, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path_in(directory))
    return f"Made {', '.join(missing)} in {path_in(directory)}. Back this file up: without it sealed credentials are lost."
