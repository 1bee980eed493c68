"""`python -m bench.django_app USER HOUSEHOLD` makes Django's tables, signs a user in, and prints the session's key."""

import sys

import django
from django.contrib import auth
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command

django.setup()
call_command("migrate", verbosity=0)
user = auth.get_user_model().objects.get(pk=sys.argv[1])
session = SessionStore()
session[auth.SESSION_KEY] = str(user.pk)
session[auth.BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
session["household"] = sys.argv[2]
session.create()
print(session.session_key)
