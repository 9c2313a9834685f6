"""`make codes`: plays the authenticator app of the demo users, from the secrets that `make run` wrote down."""

import base64
import json
import sys
import time

from django_otp.oath import TOTP

from gateway import secretfile
from gateway.terminal import progress

STEP_S = 30


def codes(totp: dict[str, str], now_s: float) -> dict[str, str]:
    """Return each demo user's code at a moment, in seconds since 1970."""
    found = {}
    for name, secret in totp.items():
        clock = TOTP(base64.b32decode(secret), STEP_S)
        clock.time = now_s
        found[name] = f"{clock.token():06}"
    return found


def main() -> int:
    """Print the codes of this moment; return 1 when no demo is there."""
    file = secretfile.data_directory() / "demo-facts.json"
    try:
        facts = json.loads(file.read_text())
        users, totp = facts["users"], facts["totp"]
    except (OSError, ValueError, KeyError):
        print(f"There is no demo in {file.parent}. Start it with: make run", file=sys.stderr)
        return 1
    now_s = time.time()
    for name, code in codes(totp, now_s).items():
        progress(f"{users[name]:<24}{code}")
    progress(f"Good for {STEP_S - int(now_s) % STEP_S} s, and each counts once.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
