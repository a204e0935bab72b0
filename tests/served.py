"""The panel for a real web server that tests start: `gunicorn tests.served`, with the settings that tests have.

The database is the one that DATABASE says. Each password that is checked leaves a byte in the file that CHECKED says.
"""

import os
from pathlib import Path

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

from karenpanel.wsgi import application as application  # noqa: E402
