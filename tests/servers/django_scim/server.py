"""A Django project with django-scim2 as it comes, served by Django's own development server.

`server.py FOLDER TOKEN` keeps its database in FOLDER, listens on a free port of loopback and says its address in the
first line of its output. All of the protocol is django-scim2's; a project has to bring the models and the check of the
token.
"""

from __future__ import annotations

import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

FOLDER, TOKEN = sys.argv[1:3]
server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
address = f"127.0.0.1:{server.server_port}"

settings.configure(
    SECRET_KEY="of no use here",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="routes",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_scim", "people"],
    MIDDLEWARE=["people.authentication.check_token"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(FOLDER) / "people.sqlite3"),
            # Writers wait for one another: who begins by reading can't be made to wait any more, and is refused.
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
        }
    },
    AUTH_USER_MODEL="people.Person",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    LOGGING_CONFIG=None,
    SCIM_TOKEN=TOKEN,
    SCIM_SERVICE_PROVIDER={
        "NETLOC": address,
        "SCHEME": "http",
        "GROUP_MODEL": "people.models.Team",
        "AUTHENTICATION_SCHEMES": [
            {"type": "oauthbearertoken", "name": "Bearer token", "description": "", "specUri": ""}
        ],
    },
)
django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)
server.set_app(get_wsgi_application())
print(f"http://{address}/scim/v2", flush=True)
server.serve_forever()
