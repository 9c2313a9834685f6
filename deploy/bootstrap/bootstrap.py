"""The first script of a bare machine: finds a Python of at least 3.11 and hands over. Written so that any Python 3 can read it."""

import os
import shutil
import sys

OLDEST = (3, 11)


def newer_python():
    """Return the path of a new enough Python on PATH, or None."""
    for minor in (11, 12, 13, 14):
        found = shutil.which("python3.%d" % minor)
        if found:
            return found
    return None


def advice(version):
    """Return what to tell a person whose Python is too old."""
    return (
        "Symbiosis Gateway needs Python %d.%d or newer; this is Python %d.%d.\n"
        "Install a newer one (Debian and Ubuntu: apt-get install python3.11) and say which one to use:\n"
        "    make run PYTHON=/path/to/python3.11" % (OLDEST + tuple(version[:2]))
    )


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        newer = newer_python()
        if newer is None:
            sys.exit(advice(sys.version_info))
        os.execv(newer, [newer, *sys.argv])
    import environment

    sys.exit(environment.main(sys.argv[1:]))
