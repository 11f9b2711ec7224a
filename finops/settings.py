"""Settings: one file, every variable read through ``finops.env`` (docs/configuration.md lists them)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from finops import env
from finops.embedded.layout import Instance

BASE_DIR = Path(__file__).resolve().parent.parent

# The instance: where an embedded PostgreSQL and broker keep their state.
INSTANCE = Instance(Path(env.text("DATA_DIR", str(BASE_DIR / ".data"))).absolute())

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY") or INSTANCE.secret_key()
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
PUBLIC_URL = env.text("PUBLIC_URL", "http://127.0.0.1:8000")

# The organisation: a reporting day or month is one in this zone.
REPORTING_TIME_ZONE = env.zone("REPORTING_TIME_ZONE", "UTC")
REPORTING_CURRENCY = env.currency("REPORTING_CURRENCY", "USD")
RAW_RETENTION_DAYS = env.whole("RAW_RETENTION_DAYS", 400, least=2)
# Where web processes keep events while the database is away, and how much of them.
SPOOL_DIR = Path(env.text("SPOOL_DIR", str(INSTANCE.root / "spool"))).absolute()
SPOOL_MAX_BYTES = env.whole("SPOOL_MAX_BYTES", 4 * 1024**3, least=1024**2)
# Where uploaded files wait for their import, for the web processes and the worker alike.
IMPORTS_DIR = INSTANCE.root / "imports"
IMPORT_MAX_BYTES = env.whole("IMPORT_MAX_BYTES", 512 * 1024**2, least=1024**2)
OTLP_SETTLE_SECONDS = env.whole("OTLP_SETTLE_SECONDS", 2)
# Exporters hand over every five seconds, so the span around a call may come that much later.
OTLP_PARENT_SECONDS = env.whole("OTLP_PARENT_SECONDS", 6)
# Providers' own reports; without a key none is asked.
OPENAI_ADMIN_KEY = env.text("OPENAI_ADMIN_KEY")
OPENAI_API_BASE_URL = env.address("OPENAI_API_BASE_URL", "https://api.openai.com/v1")
ANTHROPIC_ADMIN_KEY = env.text("ANTHROPIC_ADMIN_KEY")
ANTHROPIC_API_BASE_URL = env.address("ANTHROPIC_API_BASE_URL", "https://api.anthropic.com/v1")
PROVIDER_SETTLE_DAYS = env.whole("PROVIDER_SETTLE_DAYS", 3, least=1)
DIMENSION_VALUE_CAP = env.whole("DIMENSION_VALUE_CAP", 10_000, least=10)

INSTALLED_APPS = [
    "finops.core",
    "finops.accounts",
    "finops.ui",
    "pricing",
    "gpu_pool",
    "attribution",
    "budgets",
    "alerts",
    "finops.pages",
    "finops",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    "finops.core.requests.RequestIdMiddleware",
    "finops.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "finops.core.unanswered.NullMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "finops.urls"
WSGI_APPLICATION = "finops.wsgi.application"
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
                "finops.ui.context.frame",
            ],
        },
    },
]

DATABASES = {"default": env.database("DATABASE_URL", INSTANCE.database_url())}
DATABASES["default"] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES: dict[str, dict[str, Any]] = {
    # Shared by every process, so that rate limits hold across them.
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "django_cache",
        # Past this the oldest go, and nobody shall push a count of wrong passwords out.
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
    "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

CELERY_BROKER_URL = env.text("BROKER_URL", INSTANCE.broker_url())
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "finops.accounts.adapter.ClosedSignup"
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
# How many proxies of our own add to X-Forwarded-For: without it all callers behind one share its limits.
ALLAUTH_TRUSTED_PROXY_COUNT = env.whole("TRUSTED_PROXY_COUNT", 0, least=0)
EMAIL_BACKEND = env.text("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend")
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.whole("EMAIL_PORT", 25, least=1)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "finops@localhost")

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
# Beside the data: the code may belong to somebody else and be read-only.
STATIC_ROOT = INSTANCE.root / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# The longest body the ingest reads is bounded there; forms stay small.
DATA_UPLOAD_MAX_MEMORY_SIZE = 17 * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "attribution.uploads.BoundedUpload",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Behind TLS one variable turns the whole set on.
BEHIND_TLS = env.flag("BEHIND_TLS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "finops.accounts.authentication.ApiKeyAuthentication",
        "finops.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["finops.core.throttling.PrincipalThrottle"],
    "DEFAULT_THROTTLE_RATES": {"principal": env.text("API_RATE_LIMIT", "6000/min")},
    "EXCEPTION_HANDLER": "finops.core.problems.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LLM cost attribution",
    "VERSION": "1",
    "DESCRIPTION": "Meter, price, attribute and show back what LLM inference costs.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    # One name for one set of words, wherever a field of that set stands.
    "ENUM_NAME_OVERRIDES": {
        "PriceStatusEnum": ["priced", "partially_priced", "unpriced"],
        "CallStatusEnum": ["success", "error", "timeout", "cancelled", "refused"],
        "ContractModeEnum": "attribution.models.governance.ContractMode",
        "ContextModeEnum": "pricing.models.ContextMode",
        "PriceKindEnum": "pricing.models.PriceKind",
        "PriceBlockKindEnum": "pricing.models.BlockKind",
        "PriceChangeKindEnum": ["new", "changed", "ended"],
        "PriceVersionStatusEnum": "pricing.models.VersionStatus",
        "CommitmentKindEnum": "pricing.models.CommitmentKind",
        "CreditKindEnum": "pricing.models.CreditKind",
        "AttributeToEnum": "pricing.models.AttributeTo",
    },
}

# When set, /metrics asks for it as a bearer token.
METRICS_TOKEN = env.text("METRICS_TOKEN")
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "finops.core.requests.RequestIdFilter"}},
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
            "rename_fields": {"asctime": "at", "levelname": "level", "name": "logger"},
        },
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["request_id"]}
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
