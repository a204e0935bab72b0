"""How the demo is served: as ever, and yet loaded while the database is still being prepared.

gunicorn reads it before all else. What is imported here is there when the panel itself is loaded, in a tenth of the time;
that one looks at the database's rights, and so has to wait until there are tables.
"""

import os
import sys

import django
from django.conf import settings
from django.core.checks import run_checks
from django.utils.module_loading import import_string

from karenpanel.serving import *  # noqa: F403 (its names are the settings)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karenpanel.settings")
django.setup()
# They import every view. Whether they find something is said by who starts this.
run_checks()
for name in settings.MIDDLEWARE:
    import_string(name)
# One byte is the word to begin. The end without one: whoever started this is gone.
if not os.read(int(os.environ.pop("BEGIN")), 1):
    sys.exit()
