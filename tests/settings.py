"""Settings of the suite: throw-away secrets and a data directory of its own for every test process, set before the real settings load."""

import atexit
import json
import os
import shutil
import tempfile

# A keyset for tests only; it has never sealed anything outside a test.
TEST_KEYSET = json.dumps(
    {
        "primaryKeyId": 1,
        "key": [
            {
                "keyData": {
                    "typeUrl": "type.googleapis.com/google.crypto.tink.AesGcmKey",
                    "value": "GiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==",
                    "keyMaterialType": "SYMMETRIC",
                },
                "status": "ENABLED",
                "keyId": 1,
                "outputPrefixType": "TINK",
            }
        ],
    }
)
DATA_DIR = tempfile.mkdtemp(prefix="symbiosis-tests-")
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)

for _name in [
    name for name in os.environ if name.startswith("SYMBIOSIS_") and not name.startswith(("SYMBIOSIS_TEST_", "SYMBIOSIS_CHROMIUM"))
]:
    del os.environ[_name]
os.environ.update(
    SYMBIOSIS_DATA_DIR=DATA_DIR,
    SYMBIOSIS_SECRET_KEY="test-secret-key-" + "s" * 32,
    SYMBIOSIS_KEY_PEPPER="test-key-pepper-" + "p" * 32,
    SYMBIOSIS_AUDIT_KEY="test-audit-key-" + "a" * 32,
    SYMBIOSIS_KEK=TEST_KEYSET,
    SYMBIOSIS_PRIVATE_UPSTREAMS="loopback",
    SYMBIOSIS_PRIVATE_CHANNELS="loopback",
    SYMBIOSIS_DATABASE_URL=os.environ.get("SYMBIOSIS_TEST_DATABASE_URL", ""),
)

from gateway.settings import *  # noqa: E402, F403 (the environment had to come first)
from gateway.settings import DATABASES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # speed; the real hasher costs 0.3 s a user
DATABASES["default"]["OPTIONS"].pop("pool", None)
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": f"{DATA_DIR}/test.sqlite3"}
