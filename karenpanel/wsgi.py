"""The entry for a web server: `gunicorn -c python:karenpanel.serving karenpanel.wsgi`."""

import os
from wsgiref.types import StartResponse, WSGIEnvironment

from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished
from django.core.wsgi import get_wsgi_application
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

from karenpanel import checks, database, mail
from karenpanel.server.connection import NotYet

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karenpanel.settings")
# Never the owner's role, whatever the environment has.
database.use_for(database.Purpose.WEB)

django = get_wsgi_application()
# `manage.py` runs these by itself, a web server does not.
if errors := [message for message in run_checks() if message.is_serious()]:
    raise ImproperlyConfigured("\n".join(str(message) for message in errors))
mail.use_outbox()
checks.warn()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> HttpResponseBase:
    """Django's, for text in UTF-8 alone.

    Django decodes a request by the charset that its sender names, before any middleware, and breaks on one that is not
    of text (hex, idna). Such a name is taken off here; the middleware then refuses the request with a page in words.
    """
    try:
        _, parameters = parse_header_parameters(environ.get("CONTENT_TYPE", ""))
    except ValueError:
        parameters = {"charset": "none"}
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        environ["CONTENT_TYPE"] = "text/plain; charset=none"
    try:
        return django(environ, start_response)
    except NotYet:
        # Nobody answers, so nobody would give the database's connection back.
        request_finished.send(sender=application)
        raise
