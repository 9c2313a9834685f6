#!/usr/bin/env python
"""The command line: settings are checked before anything else runs, so that a mistake is said in words and not in a traceback."""

import importlib
import os
import sys


def main() -> int:
    """Run a management command; exit 2 when the settings are refused."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    if sys.argv[1:2] == ["init_secrets"]:
        from gateway.secretfile import initialise  # before settings: they refuse to load without secrets

        print(initialise())
        return 0
    from django.core.exceptions import ImproperlyConfigured  # slow import, not needed by init_secrets

    try:
        importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except ImproperlyConfigured as refusal:
        print(refusal, file=sys.stderr)
        return 2
    from django.core.management import execute_from_command_line  # needs settings

    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
