"""One settings file. Everything comes from the environment; whatever is dangerous is off unless asked for."""

import os
from pathlib import Path
from typing import Any

import django_stubs_ext
from csp.constants import NONE, SELF
from environs import Env

from karenpanel import database, mailserver, scrapers, single_sign_on

# Lets classes name their model, as in ModelForm[Rule], for the type checker.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(BASE_DIR / ".env", recurse=False)

DEBUG = env.bool("DEBUG", False)
# No default key: an empty one makes Django refuse to start anything that signs. `manage.py demo` and the tests set their own.
SECRET_KEY = env.str("SECRET_KEY", "")
# Keys of before, which still read what they signed: so a key can be changed without signing everybody out.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", [])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
# Plain HTTP is for one machine talking to itself; everything else is refused by a system check (see apps.py).
INSECURE_HTTP = env.bool("INSECURE_HTTP", False)
# How many reverse proxies append to X-Forwarded-For. 0 = the peer's address is the client's.
PROXY_COUNT = env.int("PROXY_COUNT", 0)

# Web processes, and requests that each of them computes at the same time (see serving.py). Each thread has a connection to
# the database at most, and each process one to say whether it reaches it.
WEB_WORKERS = env.int("WEB_WORKERS", max(2, os.cpu_count() or 1))
WEB_THREADS = env.int("WEB_THREADS", 4)
# Networks of the programs that may read the figures at /metrics; none, and there is no such address.
METRICS_NETWORKS = scrapers.networks(env.list("METRICS_NETWORKS", []))
METRICS_OF_INSTALLATION = "securitygroups.figures.gathered"

INSTALLED_APPS = [
    "karenpanel.apps.PanelAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "django_htmx",
    "pgtrigger",
    "lucide",
    "securitygroups",
]

MIDDLEWARE = [
    # These two only where METRICS_NETWORKS names somebody; the first has the time of all others in it.
    "karenpanel.metrics.measured",
    "karenpanel.middleware.request_id",
    # Before whatever may refuse a request by itself, so that refusals carry these headers too.
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "karenpanel.middleware.private_pages",
    "django.middleware.security.SecurityMiddleware",
    # With all headers, and before whatever asks for the host's name.
    "karenpanel.middleware.health",
    "karenpanel.metrics.told",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Agents on hosts take a way of their own from here, without compression: what was signed is what is sent.
    "securitygroups.api.agent.gate.agents",
    # Inside the one for static files, which are compressed when they are collected. docs/decisions/0008 is about BREACH.
    "django_http_compression.middleware.HttpCompressionMiddleware",
    # Programs take another way from here: nothing of what follows is for them.
    "securitygroups.api.gate.programs",
    "karenpanel.middleware.framed_bodies",
    "karenpanel.middleware.not_allowed",
    # Before the first that asks the database: whose session it is.
    "karenpanel.middleware.database_away",
    # Outside of the sessions: the second click must find the first one's messages.
    "karenpanel.once.settled",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # These two, and in this order, before the first that reads what was sent: the one that looks for the form's token.
    "karenpanel.middleware.SignInFirst",
    "karenpanel.middleware.BoundedBodies",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "karenpanel.middleware.htmx_answers",
    "allauth.account.middleware.AccountMiddleware",
    "securitygroups.accounts.gate.AccountGate",
    "securitygroups.accounts.zones.in_their_time_zone",
    "securitygroups.accounts.refusals.Refusals",
    "securitygroups.web.gate.SupportGate",
    # Everybody before it has only little to do. What becomes dear is known to the view, or to whom it asks.
    "karenpanel.middleware.Turns",
    "karenpanel.middleware.PlainText",
    "karenpanel.sent_again.BackToForms",
    # Right before the view: what is refused before was no first click.
    "karenpanel.once.Once",
]

ROOT_URLCONF = "karenpanel.urls"
WSGI_APPLICATION = "karenpanel.wsgi.application"

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
                "securitygroups.web.context.page",
                "karenpanel.demo_mails.link",
                "karenpanel.single_sign_on.link",
            ],
            "builtins": ["securitygroups.templatetags.ui", "securitygroups.templatetags.firewall"],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# In small letters, or an error page in DEBUG would show the passwords among the settings.
_urls = (env.str("DATABASE_URL", ""), env.str("DATABASE_OWNER_URL", ""))
# Seconds that the server gives the web for a statement, for waiting for a lock, and for a transaction that does nothing.
# Commands have as long as they need.
_patience = database.Patience(
    env.float("DATABASE_STATEMENT_SECONDS", 15),
    env.float("DATABASE_LOCK_SECONDS", 5),
    env.float("DATABASE_IDLE_SECONDS", 30),
)
DATABASES = {"default": database.settings(*_urls, _patience)}
# Who is given the rights that the web needs (see roles.py); empty where the web uses the owner's role.
DATABASE_WEB_ROLE = database.web_role(*_urls)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Limits count in this cache, so all web processes must share it, and nothing may push a count out of it.
CACHES = {
    "default": {"BACKEND": "karenpanel.counts.KeptCache", "LOCATION": "cache"},
    # What is dear to find and may be lost.
    "answers": {"BACKEND": "karenpanel.shelf.Shelf", "LOCATION": "answers"},
}

AUTH_USER_MODEL = "securitygroups.User"
AUTHENTICATION_BACKENDS = ["securitygroups.accounts.backend.AccountBackend"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    # Both lists are kept on this machine: 20,000 passwords of breaches, and 30,000 with all that is built from them.
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "securitygroups.accounts.passwords.NotGuessed"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "securitygroups.accounts.adapter.ClosedAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_PRESERVE_USERNAME_CASING = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_FORMS = {
    "login": "securitygroups.accounts.forms.SignInForm",
    "signup": "securitygroups.accounts.forms.SignUpForm",
    "change_password": "securitygroups.accounts.forms.PasswordForm",
    "reset_password": "securitygroups.accounts.forms.ForgottenForm",
    "reset_password_from_key": "securitygroups.accounts.forms.NewPasswordForm",
    "add_email": "securitygroups.accounts.forms.AddressForm",
    "reauthenticate": "securitygroups.accounts.forms.AgainForm",
}
ACCOUNT_CHANGE_EMAIL = True
# Attempts to sign in are counted in securitygroups/accounts/limits.py; allauth's own limits would shut owners out together
# with guessers. Beside its others: ways to the provider, and invitations and tests of webhooks that one person sends.
ACCOUNT_RATE_LIMITS = {
    **dict.fromkeys(("login", "login_failed", "change_password", "reauthenticate")),
    # Mails to people who did not ask for them are what these can be misused for.
    "reset_password": "20/m/ip,60/h/ip,6/h/key",
    "manage_email": "10/h/user",
    "single_sign_on": "30/m/ip",
    "invite": "30/h/user",
    "webhook": "60/h/user",
}
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[karenpanel] "
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# Seconds in which a person who has signed in, or has shown it once more, may do what is dangerous.
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
MFA_ADAPTER = "securitygroups.accounts.factors.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
# Browsers hand out passkeys on loopback without TLS, and nowhere else.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = INSECURE_HTTP
MFA_RECOVERY_CODES_SHOW_ONCE = True
# Nobody signs up without an invitation, so nobody can shut an address out that is not theirs.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "karenpanel"
MFA_TOTP_TOLERANCE = 1
MFA_FORMS = {
    "authenticate": "securitygroups.accounts.forms.CodeForm",
    "reauthenticate": "securitygroups.accounts.forms.CodeAgainForm",
    "activate_totp": "securitygroups.accounts.forms.AppForm",
    "add_webauthn": "securitygroups.accounts.forms.PasskeyForm",
    "authenticate_webauthn": "securitygroups.accounts.forms.PasskeyUseForm",
    "login_webauthn": "securitygroups.accounts.forms.PasskeySignInForm",
    "reauthenticate_webauthn": "securitygroups.accounts.forms.PasskeyAgainForm",
}
# Staff see every customer. Where nobody else reaches the panel, as in the demo, they may do without.
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", not INSECURE_HTTP)

# Single sign-on. Of the provider's people those come in whose account here is connected, or can be (accounts/sso.py).
OIDC_URL = env.str("OIDC_URL", "").rstrip("/")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", "")
OIDC_NAME = env.str("OIDC_NAME", "single sign-on")
OIDC_SIGN_UP = env.bool("OIDC_SIGN_UP", False)
OIDC_SECOND_FACTOR = env.bool("OIDC_SECOND_FACTOR", False)
SOCIALACCOUNT_PROVIDERS = single_sign_on.providers(OIDC_URL, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_NAME)
SOCIALACCOUNT_ADAPTER = "securitygroups.accounts.sso.SingleSignOn"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_REAUTHENTICATION_REQUIRED = True
SOCIALACCOUNT_STORE_TOKENS = SOCIALACCOUNT_LOGIN_ON_GET = False

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not INSECURE_HTTP
SESSION_COOKIE_NAME = "session" if INSECURE_HTTP else "__Host-session"
KNOWN_BROWSER_COOKIE_NAME = "known" if INSECURE_HTTP else "__Host-known"
CSRF_COOKIE_NAME = "csrftoken" if INSECURE_HTTP else "__Host-csrftoken"
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "securitygroups.accounts.sessions"
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_IDLE_SECONDS = env.int("SESSION_IDLE_MINUTES", 60) * 60
# Messages name what was changed: on the server, not in a cookie of their own.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
CSRF_FAILURE_VIEW = "karenpanel.errors.csrf_failure"
SECURE_SSL_REDIRECT = not INSECURE_HTTP
# Load balancers ask a process of theirs in plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)\Z", *([r"^metrics\Z"] if METRICS_NETWORKS else [])]
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else env.int("HSTS_SECONDS", 365 * 24 * 60 * 60)
SECURE_HSTS_INCLUDE_SUBDOMAINS = not INSECURE_HTTP
# A browser that has the panel's domain in its own list cannot be told otherwise for months: only who asks for it.
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", False) and not INSECURE_HTTP
# Of being in no browser's list: that is what is meant, unless HSTS_PRELOAD says otherwise.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
if PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "object-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "karenpanel.formats"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = env.path("STATIC_ROOT", BASE_DIR / "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "karenpanel.storage.PanelStorage"
    },
}
# A hashed name never changes its content.
WHITENOISE_MAX_AGE = 60 if DEBUG else 24 * 60 * 60
# No page of another origin needs them.
WHITENOISE_ALLOW_ALL_ORIGINS = False
WHITENOISE_MIMETYPES = {".svg": "image/svg+xml; charset=utf-8"}

# The product's own limits (README says which of them each project can have for itself).
MAX_GROUPS_PER_PROJECT = env.int("MAX_GROUPS_PER_PROJECT", 1_000)
MAX_RULES_PER_GROUP = env.int("MAX_RULES_PER_GROUP", 1_000)
MAX_MACHINES_PER_PROJECT = env.int("MAX_MACHINES_PER_PROJECT", 10_000)
MAX_GROUPS_PER_MACHINE = env.int("MAX_GROUPS_PER_MACHINE", 16)
MAX_TEMPLATES_PER_PROJECT = env.int("MAX_TEMPLATES_PER_PROJECT", 200)
MAX_CASES_PER_PROJECT = env.int("MAX_CASES_PER_PROJECT", 10_000)
MAX_NOTES_PER_CASE = env.int("MAX_NOTES_PER_CASE", 500)
MAX_PACKETS_PER_CASE = env.int("MAX_PACKETS_PER_CASE", 20)
MAX_REVIEWS_PER_PROJECT = env.int("MAX_REVIEWS_PER_PROJECT", 1_000)
MAX_DECISIONS_PER_REVIEW = env.int("MAX_DECISIONS_PER_REVIEW", 20_000)
MAX_MEMBERS_PER_PROJECT = env.int("MAX_MEMBERS_PER_PROJECT", 1_000)
MAX_INVITATIONS_PER_PROJECT = env.int("MAX_INVITATIONS_PER_PROJECT", 100)
MAX_WEBHOOKS_PER_PROJECT = env.int("MAX_WEBHOOKS_PER_PROJECT", 10)
PAGE_SIZE = env.int("PAGE_SIZE", 50)
# Where webhooks may go: to these ports, and beside public addresses to these networks, as 10.20.0.0/16. WEBHOOK_CA_FILE has
# authorities that are trusted beside the system's.
WEBHOOK_PORTS: list[int] = env.list("WEBHOOK_PORTS", [443, 8443], subcast=int)
WEBHOOK_NETWORKS_ALLOWED: list[str] = env.list("WEBHOOK_NETWORKS_ALLOWED", [])
WEBHOOK_CA_FILE = env.str("WEBHOOK_CA_FILE", "")
# How many are sent at the same time by one `manage.py deliver`.
WEBHOOK_THREADS = env.int("WEBHOOK_THREADS", 8)
# What answers to hosts' agents are signed with (securitygroups/enforcement/keys.py); empty: a key drawn from SECRET_KEY.
AGENT_KEY = env.str("AGENT_KEY", "")
# Days for which it is kept which packets hosts told of, dropped and accepted.
TRAFFIC_DAYS = env.int("TRAFFIC_DAYS", 30)
# A flow log that is replayed inside a request: how many MiB it may have, and how many seconds it is read.
# Requests that are taken of one API token: so many at once, and so many a minute.
API_BURST = env.int("API_BURST", 60)
API_PER_MINUTE = env.int("API_PER_MINUTE", 600)
REPLAY_MAX_MB = env.int("REPLAY_MAX_MB", 20)
REPLAY_SECONDS = env.float("REPLAY_SECONDS", 10)
# How much dear work all web processes do at the same time (see turns.py): each has a processor to itself, and some 200 MB.
DEAR_AT_ONCE = env.int("DEAR_AT_ONCE", max(1, (os.cpu_count() or 1) - 1))
# The limit of a list of rules in MiB, as firewall/documents.py has it (a test compares them). A file that goes along with a
# question is text of four characters for three bytes, and other fields come along.
DOCUMENT_MAX_MB = 8
DATA_UPLOAD_MAX_MEMORY_SIZE = (DOCUMENT_MAX_MB * 4 // 3 + 2) * 2**20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000

# What Django's SMTP backend takes. Without a server nothing is sent, and a check of deployments says so.
MAIL_SERVER = mailserver.settings(env.str("EMAIL_URL", ""))
EMAIL_BACKEND = "karenpanel.mail.Backend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("EMAIL_FROM", "") or mailserver.sender(ALLOWED_HOSTS)
# The folder of the demo's mails, which `karenpanel.local` names: whoever reaches the panel reads them.
DEMO_MAILS = env.str("DEMO_MAILS", "")
# How many bytes a form may have where no view takes files: of somebody who is signed in, and of anybody else.
MEMBERS_FORM = 2**20
VISITORS_FORM = 64 * 2**10

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "structlog.stdlib.ProcessorFormatter",
            "processors": "ext://karenpanel.logs.PROCESSORS",
            "foreign_pre_chain": "ext://karenpanel.logs.PRE_CHAIN",
        }
    },
    # While the database is away each request fails for the same reason.
    "filters": {"calm": {"()": "karenpanel.logs.Calm"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        # Django's own handlers, which write plain text, are taken away; its server of developers keeps its lines back
        # from ours unless it is told to hand them on.
        "django": {},
        "django.request": {"level": "ERROR", "filters": ["calm"]},
        "django.server": {"level": "WARNING", "propagate": True},
    },
}
