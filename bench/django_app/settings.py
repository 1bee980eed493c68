"""What `startproject` gives, in production, on the tables of the database in BENCH_DATABASE_URL."""

import os
from urllib.parse import parse_qs, urlsplit

SECRET_KEY = "only for the contest, where nobody else is"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "bench.django_app.views"
LOGIN_URL = "/login"
AUTH_USER_MODEL = "django_app.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_I18N = False  # less work than the app's translated strings
TIME_ZONE = "UTC"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "bench.django_app",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,  # with the cached loader, as DEBUG is off
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

_url = urlsplit(os.environ["BENCH_DATABASE_URL"])
_is_sqlite = _url.scheme == "sqlite"
DATABASES = {
    "default": {
        "ENGINE": f"django.db.backends.{'sqlite3' if _is_sqlite else 'postgresql'}",
        "NAME": _url.path.removeprefix("/"),
        "HOST": "" if _is_sqlite else parse_qs(_url.query)["host"][0],
        "USER": _url.username or "",
        "CONN_MAX_AGE": None,
        "OPTIONS": {"init_command": "PRAGMA journal_mode = WAL"} if _is_sqlite else {},
    }
}
