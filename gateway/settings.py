"""One typed settings object that refuses nonsense at start, and Django's own names derived from it."""

import difflib
import json
import os
import sys
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from accounts.anchors import anchor_of
from billing.archive import open_store
from gateway import logs, secretfile
from gateway.identity_settings import IdentitySettings

PREFIX = "SYMBIOSIS_"
BASE_DIR = Path(__file__).resolve().parent.parent
ROLES = {"it_admin", "security_officer", "finance", "auditor", "manager", "owner", "developer", "viewer"}
SECRETS = (*secretfile.NAMES, "database_url", "redis_url", "broker_url", "smtp_url", "metrics_token", "audit_anchors", "oidc_client_secret")


class FileSource(PydanticBaseSettingsSource):
    """Reads `SYMBIOSIS_<SECRET>_FILE`, then the secrets file of the data directory."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Values come whole from `__call__`."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the secrets found in files; raises ValueError when a named file cannot be read or a value is given twice."""
        found: dict[str, Any] = secretfile.read(secretfile.data_directory())
        for name in SECRETS:
            variable = f"{PREFIX}{name.upper()}"
            path = os.environ.get(f"{variable}_FILE")
            if not path:
                continue
            if os.environ.get(variable):
                raise ValueError(f"{variable} and {variable}_FILE are both set. Set one of them.")
            try:
                found[name] = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{variable}_FILE names {path}, which cannot be read as text: {error}") from error
        return found


class Settings(IdentitySettings):
    """Everything an installation can be told, by `SYMBIOSIS_*` variables."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    data_dir: Path = Path("var")
    database_url: str = Field("", repr=False)
    redis_url: str = Field("", repr=False)
    broker_url: str = Field("", repr=False)
    workers: int = Field(1, ge=1, le=256)
    role: Literal["all", "gateway", "portal", "worker"] = "all"
    secret_key: str = Field(min_length=32, repr=False)
    kek: str = Field(repr=False)
    key_pepper: str = Field(min_length=32, repr=False)
    audit_key: str = Field(min_length=32, repr=False)
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    public_url: str = ""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    private_upstreams: str = "none"
    private_channels: str = "none"
    smtp_url: str = Field("", repr=False)
    mail_from: str = ""
    body_limit_bytes: int = Field(32 * 1024 * 1024, ge=1024, le=1024**3)
    upload_limit_bytes: int = Field(512 * 1024 * 1024, ge=1024, le=16 * 1024**3)
    body_timeout_s: float = Field(30.0, gt=0, le=3600)
    metrics_token: str = Field("", repr=False)
    session_hours: int = Field(12, ge=1, le=168)
    session_idle_minutes: int = Field(60, ge=5, le=1440)
    step_up_minutes: int = Field(10, ge=1, le=60)
    second_factor_roles: Annotated[tuple[str, ...], NoDecode] = ("it_admin", "security_officer", "finance", "auditor", "manager")
    usage_retention_months: int = Field(0, ge=0, le=1200)
    stored_response_days: int = Field(30, ge=0, le=3650)
    holidays: str = ""
    archive_url: str = ""
    audit_anchors: Annotated[tuple[str, ...], NoDecode] = Field((), repr=False)
    drain_s: int = Field(30, ge=0, le=3600)
    journal_strict: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    demo: bool = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then files."""
        return init_settings, env_settings, FileSource(settings_cls)

    @field_validator("allowed_hosts", "trusted_proxies", "second_factor_roles", "audit_anchors", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("second_factor_roles")
    @classmethod
    def _roles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(value) - ROLES - {"none", "everyone"}
        if unknown or ("none" in value and len(value) > 1):
            raise ValueError(f"must be none, everyone, or roles separated by commas: {', '.join(sorted(ROLES))}")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.absolute()

    @field_validator("kek")
    @classmethod
    def _keyset(cls, value: str) -> str:
        try:
            keyset = json.loads(value)
        except ValueError:
            keyset = None
        if not isinstance(keyset, dict) or "primaryKeyId" not in keyset or not keyset.get("key"):
            raise ValueError("must be a tink keyset in JSON; `python manage.py init_secrets` makes one")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query or parts.username):
            raise ValueError("must look like https://gateway.example.com, without a path")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        database(value, Path("var"))
        return value

    @field_validator("archive_url")
    @classmethod
    def _archive(cls, value: str) -> str:
        if value:
            open_store(value)
        return value

    @field_validator("audit_anchors")
    @classmethod
    def _anchors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            anchor_of(url)
        return value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: str) -> str:
        parts = urlsplit(value)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        known = (parts.scheme == "smtps" and not query) or (parts.scheme == "smtp" and query in ({}, {"tls": "starttls"}, {"tls": "none"}))
        if value and (not known or not parts.hostname or parts.path.strip("/")):
            raise ValueError("must look like smtp://user:password@host:587?tls=starttls (or tls=none), or smtps://user:password@host:465")
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        if value and (not value.isascii() or value.count("@") != 1 or any(letter in ' <>,"' or not letter.isprintable() for letter in value)):
            raise ValueError("must be a plain address such as gateway@example.com")
        return value

    @field_validator("holidays")
    @classmethod
    def _is_a_place_with_holidays(cls, text: str) -> str:
        if text:
            from holidays.utils import list_supported_countries  # slow import

            country, _, part = text.partition("-")
            known = list_supported_countries()
            if country not in known or (part and part not in known[country]):
                raise ValueError("write a country, or a part of one, such as DE or DE-BY")
        return text

    @field_validator("private_upstreams", "private_channels")
    @classmethod
    def _private(cls, value: str) -> str:
        for part in value.split(","):
            name = part.strip()
            if "/" in name:
                ip_network(name)
            elif not name or not all(c.isalnum() or c in ".-:" for c in name):
                raise ValueError("must be none, loopback, or hosts and CIDRs separated by commas")
        return value

    @model_validator(mode="after")
    def _apart(self) -> "Settings":
        if len({self.secret_key, self.key_pepper, self.audit_key}) < 3:
            raise ValueError("SECRET_KEY, KEY_PEPPER and AUDIT_KEY must differ from each other")
        if self.smtp_url and not self.mail_from:
            raise ValueError("SYMBIOSIS_SMTP_URL is set, so SYMBIOSIS_MAIL_FROM must name the sender of mails")
        return self

    @property
    def peppers(self) -> dict[int, bytes]:
        """Return the peppers of key digests by version."""
        return {1: self.key_pepper.encode()}

    @property
    def is_https(self) -> bool:
        """Say whether browsers reach the portal by https."""
        return self.public_url.startswith("https://")


# Each attempt to reach a database that is gone waits twice as long as the one before, until `reconnect_timeout` (s) begins a new row:
# the default of five minutes let a database that was away for four go unnoticed for two more.
POOL = {"min_size": 1, "max_size": 8, "timeout": 10, "reconnect_timeout": 10}
# After so long (s; ms for the last) a server that vanished without a word counts as gone; the system's own default is a quarter of an hour.
SILENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}


def database(url: str, data_dir: Path) -> dict[str, Any]:
    """Return Django's DATABASES entry for a URL, SQLite in the data directory for none; raises ValueError for an unknown scheme."""
    parts = urlsplit(url)
    if not url or parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path) if url else str(data_dir / "symbiosis.sqlite3"),
            # IMMEDIATE: a transaction that reads and then writes must not die of a stale snapshot.
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"},
        }
    if parts.scheme not in ("postgres", "postgresql") or not parts.path.strip("/"):
        raise ValueError("must look like postgresql://user:password@host:5432/name or sqlite:////path/to/file")
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": POOL, "connect_timeout": 5, **SILENCE, **query},
    }


def load() -> Settings:
    """Read and check the settings; raises ImproperlyConfigured with one line per mistake and never with a value."""
    try:
        _refuse_misspelt(os.environ)
        return Settings()  # type: ignore[call-arg]  # fields come from the environment
    except ValidationError as error:
        raise ImproperlyConfigured("The settings are refused:\n" + "\n".join(_in_words(dict(item)) for item in error.errors())) from None
    except ValueError as error:
        raise ImproperlyConfigured(f"The settings are refused:\n  {error}") from None


def _refuse_misspelt(environment: "os._Environ[str]") -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
    for name in sorted(environment):
        close = difflib.get_close_matches(name, known, 1, 0.94) if name.startswith(PREFIX) and name not in known else []
        if close:
            raise ValueError(f"{name} is not a setting. Did you mean {close[0]}?")


def _in_words(item: dict[str, Any]) -> str:
    name = str(item["loc"][0]) if item["loc"] else ""
    if item["type"] == "missing" or (name in secretfile.NAMES and item["input"] == ""):
        return (
            f"  {PREFIX}{name.upper()} is not set. Set it or {PREFIX}{name.upper()}_FILE; for a trial, "
            f"`python manage.py init_secrets` makes all secrets in {secretfile.data_directory()}."
        )
    text = str(item["msg"]).removeprefix("Value error, ")
    return f"  {PREFIX}{name.upper()}: {text}." if name else f"  {text}."


settings = load()

# ---- Django's names ---------------------------------------------------------------------------------------------------

_public = urlsplit(settings.public_url)
_messages = f"{settings.data_dir}/celery"

SECRET_KEY = settings.secret_key
DEBUG = False
ALLOWED_HOSTS = [*settings.allowed_hosts, *filter(None, [_public.hostname]), "localhost", "127.0.0.1", "[::1]"]
ROOT_URLCONF = "gateway.urls" if settings.role != "gateway" else None  # no pages where calls alone are served
ASGI_APPLICATION = "gateway.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["gateway.formats"]
INSTALLED_APPS = [
    # nothing but `runserver`, and Twisted takes a tenth of every other process's start
    *(["daphne"] if sys.argv[1:2] == ["runserver"] else []),
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django_otp",
    "django_otp_webauthn",
    "axes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_celery_beat",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "billing",
    "gateway",
]
# Processes that serve calls only have no screens: without these apps a worker takes 66 MB instead of 149.
SCREENS = {
    "daphne",
    "unfold",
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "axes",
    "django_otp_webauthn",
}
if settings.role == "gateway":
    INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in SCREENS]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accounts.signin.visitor.Visitor",
    "gateway.headers.ContentSecurityPolicy",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "accounts.audit.middleware.Audited",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "accounts.signin.gate.Gate",
    "axes.middleware.AxesMiddleware",
]
if settings.role == "gateway":
    # no page is answered, but the system checks of every command import what is named here
    MIDDLEWARE = [layer for layer in MIDDLEWARE if layer.startswith("django.middleware.")]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "gateway.portal.frame.frame",
            ]
        },
    }
]
DATABASES = {"default": database(settings.database_url, settings.data_dir)}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

KEY_PEPPERS = settings.peppers  # by version; for the digests of keys and tokens
AUDIT_KEY = settings.audit_key
AUDIT_ANCHORS = settings.audit_anchors
AUDIT_CHECKPOINTS = settings.data_dir / "audit" / "checkpoints.jsonl"
HOLIDAYS = settings.holidays
USAGE_RETENTION_MONTHS = settings.usage_retention_months
ARCHIVE_URL = settings.archive_url or f"file://{quote(str(settings.data_dir / 'archive'))}"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.access.RoleBackend"]
if settings.role != "gateway":
    AUTHENTICATION_BACKENDS.insert(0, "axes.backends.AxesStandaloneBackend")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in:login"
LOGIN_REDIRECT_URL = "/"

# Guessing: five wrong proofs of one name from one address, or fifty from one address, in a quarter of an hour (accounts.signin.lockout).
AXES_HANDLER = "accounts.signin.lockout.Handler"
AXES_LOCKOUT_CALLABLE = "accounts.signin.lockout.answer"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_USERNAME_FORM_FIELD = "username"  # what Django's backends call it
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code", "email", "new", "again", "current", "csrfmiddlewaretoken"]
AXES_DISABLE_ACCESS_LOG = True  # the audit trail has every sign-in
AXES_ENABLE_ADMIN = AXES_VERBOSE = False

# Passkeys are bound to the portal's domain; browsers offer them by https, or by http on localhost.
OTP_WEBAUTHN_RP_NAME = "Symbiosis Gateway"
OTP_WEBAUTHN_RP_ID = _public.hostname or "localhost"
OTP_WEBAUTHN_RP_ID_CALLABLE = "accounts.signin.passkeys.relying_party"
OTP_WEBAUTHN_ALLOWED_ORIGINS = [f"https://{OTP_WEBAUTHN_RP_ID}"]
OTP_WEBAUTHN_EXCEPTION_LOGGER_NAME = ""

# __Host- cookies need https; on a loopback http trial they get a plain name.
SESSION_COOKIE_NAME = "__Host-symbiosis" if settings.is_https else "symbiosis"
CSRF_COOKIE_NAME = "__Host-symbiosis-csrf" if settings.is_https else "symbiosis-csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = settings.is_https
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "accounts.session_store"
SESSION_HOURS, SESSION_IDLE_MINUTES = settings.session_hours, settings.session_idle_minutes
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
STEP_UP_MINUTES = settings.step_up_minutes
SECOND_FACTOR_ROLES = settings.second_factor_roles
CSRF_TRUSTED_ORIGINS = [settings.public_url] if settings.public_url else []
SECURE_HSTS_SECONDS = 31_536_000 if settings.is_https else 0
# For whoever owns the domain to decide (subdomains, preload), and for what ends TLS to do (redirect): the plane answers no page over http.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "img-src": [SELF, "data:"],
    }
}
PERMISSIONS_POLICY: dict[str, str | list[str]] = {
    **{name: [] for name in ("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "microphone", "midi", "payment", "usb")},
    "publickey-credentials-create": "self",
    "publickey-credentials-get": "self",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles" if (BASE_DIR / "staticfiles").is_dir() else None  # made by collectstatic in an image
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# Notices: accounts.channels and accounts.outbox read these.
SEALING_KEY = settings.kek
PUBLIC_URL = settings.public_url
IS_DEMO = settings.demo
TRUSTED_PROXIES = settings.trusted_proxies
PRIVATE_CHANNELS = settings.private_channels
MAIL_URL = settings.smtp_url
MAIL_FROM = settings.mail_from

OIDC = settings.oidc
LEAVER_ROTATE_DAYS = settings.leaver_rotate_days
LEAVER_REVOKE_PROJECT_KEYS = settings.leaver_revoke_project_keys

LOGGING_CONFIG = None
logs.configure(settings.log_level)

_broker = settings.broker_url or settings.redis_url
CELERY_BROKER_URL = _broker or "filesystem://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, str] = {}
if not _broker:
    CELERY_BROKER_TRANSPORT = "gateway.file_broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": _messages, "data_folder_out": _messages, "control_folder": f"{_messages}/control"}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = 600
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = 2
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.openid.AccessToken", "accounts.api.credentials.ServiceAccountToken", "accounts.api.credentials.Session"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api.permissions.Declared"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.bodies.Json", "accounts.api.bodies.MergePatch"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.api.problems.answer",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Symbiosis Gateway management API",
    "DESCRIPTION": (
        "People, projects, keys, providers, money, requests, usage and audit. Amounts are decimal strings in USD, moments RFC 3339 in UTC. "
        "Lists come in pages with a cursor; writes take an Idempotency-Key or If-Match; unknown fields are refused; errors are RFC 9457 problems."
    ),
    "LICENSE": {"name": "Apache-2.0"},
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": f"{STATIC_URL}favicon.svg",
    # closed, because the page draws long lists only as far as one scrolls, and then nothing is found on it
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "docExpansion": "none", "filter": True, "validatorUrl": None},
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # in place of the hook that gives enumerations names of their own, which change when another resource has a field of the same name
    "POSTPROCESSING_HOOKS": ["gateway.api.openapi.complete"],
}

UNFOLD = {
    "SITE_TITLE": "Symbiosis Gateway",
    "SITE_HEADER": "Symbiosis Gateway",
    "SITE_URL": None,
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}favicon.svg"}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "gateway.admin_site.environment_badge",
    "DASHBOARD_CALLBACK": "gateway.admin_site.dashboard",
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": "gateway.admin_site.navigation"},
}
