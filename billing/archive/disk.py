"""Archived files in a directory of this host or of a mounted disk."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO


class Disk:
    """Files below one directory, replaced whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, name: str, path: Path) -> None:
        """Store a local file under a name, synced to disk; raises OSError."""
        target = self._directory / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = target.with_name(f"{target.name}.unfinished")
        with path.open("rb") as source, unfinished.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
            copy.flush()
            os.fsync(copy.fileno())
        unfinished.replace(target)
        for directory in (target.parent, target.parent.parent):
            descriptor = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def open(self, name: str) -> BinaryIO:
        """Open a stored file for reading; raises OSError when it is not there."""
        return (self._directory / name).open("rb")
