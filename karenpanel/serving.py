"""How the panel is served, in the demo as in production: `gunicorn -c python:karenpanel.serving karenpanel.wsgi`.

gunicorn reads the names below. What is said on its command line wins over them. docs/decisions/0012 says why they are so.
"""

import gc
import os
import shutil
import sys
import tempfile
from typing import Any

from karenpanel import database

# Before the settings are read.
database.use_for(database.Purpose.WEB)

from karenpanel import settings  # noqa: E402

if settings.METRICS_NETWORKS:
    # Where processes count that are asked together (metrics.py): of this server alone, whatever the environment says, and
    # before anything counts. gunicorn starts anew with the environment that it has.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="karenpanel-metrics-")

worker_class = "karenpanel.server.worker.Worker"
workers = settings.WEB_WORKERS
threads = settings.WEB_THREADS
# So many at a time in each process, whatever they do: beyond it the one that has waited longest makes way.
worker_connections = 500
# Seconds in which a connection may carry another request: longer than load balancers keep theirs, so that they are the
# ones who end it, and not in the middle of a request.
keepalive = 75
# Loaded once and then forked, so that processes share what they do not change.
preload_app = True
# Nobody commands the server but by signals.
control_socket_disable = True


# Seconds for which a thread computes while others want to. Whoever only passes on what has arrived, or says that all is
# well, wants to several times for each request.
SWITCH = 0.001


def when_ready(server: Any) -> None:
    """Before the processes are forked."""
    sys.setswitchinterval(SWITCH)
    # What is loaded now stays for good: no collection of garbage looks at it again, nor copies its pages by that.
    gc.collect()
    gc.freeze()


def on_exit(server: Any) -> None:
    """In the first process, when all others have ended."""
    if settings.METRICS_NETWORKS:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
