"""The panel for servers that speak ASGI: Django's own way, and the WSGI application in threads."""

from a2wsgi import WSGIMiddleware
from django.core.asgi import get_asgi_application

import karenpanel.wsgi

django_asgi = get_asgi_application()
wsgi_in_threads = WSGIMiddleware(karenpanel.wsgi.application, workers=4)
