"""The panel for a real web server that tests start: `gunicorn tests.served`, with the settings that tests have.

The database is the one that DATABASE says. Each password that is checked leaves a byte in the file that CHECKED says.
Limits of the web server are those that SERVER_LIMITS says, as a JSON object. `/busy/` computes for so many seconds, as `/agent/busy/` does,
`/pieces/` answers piece by piece for so long, and says in the file that CHECKED says when it was made to end.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher


class NotedHasher(MD5PasswordHasher):
    """Tells how often a password was held against a stored one, over all processes."""

    def verify(self, password: str, encoded: str) -> bool:
        with Path(os.environ["CHECKED"]).open("ab") as file:
            file.write(b".")
        return super().verify(password, encoded)


settings.DATABASES["default"]["NAME"] = os.environ["DATABASE"]
settings.PASSWORD_HASHERS = ["tests.served.NotedHasher"]
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True

from karenpanel import wsgi  # noqa: E402
from karenpanel.server import worker  # noqa: E402

for name, value in json.loads(os.environ.get("SERVER_LIMITS", "{}")).items():
    setattr(worker, name, value)


def pieces(seconds: float) -> Iterator[bytes]:
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            yield b"piece\n"
            time.sleep(0.15)
    except GeneratorExit:
        with Path(os.environ["CHECKED"]).open("ab") as file:
            file.write(b"ended")
        raise


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] in ("/busy/", "/agent/busy/"):
        until = time.monotonic() + float(environ["QUERY_STRING"])
        while time.monotonic() < until:
            pass
        start_response("200 OK", [("Content-Length", "0")])
        return []
    if environ["PATH_INFO"] == "/pieces/":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return pieces(float(environ["QUERY_STRING"]))
    return wsgi.application(environ, start_response)
