"""Figures of this installation in Prometheus' text format, at /metrics.

Each process counts for itself, in a file that all web processes of one gunicorn add up when one of them is asked
(serving.py names the folder): whichever answers says the same, and what a process counted that has ended stays counted.
Several machines are several targets. No label has a name that customers gave: views, methods and records are the panel's own.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from threading import Lock
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from karenpanel import ready
from karenpanel.client_address import address_of

Next = Callable[[HttpRequest], HttpResponse]
logger = structlog.get_logger(__name__)

ADDRESS = "/metrics"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
HOLDS = 15.0
"""Seconds for which what the database said is told again."""
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# When a figure began is of no use to anybody, and another line for each.
disable_created_metrics()  # type: ignore[no-untyped-call]
OURS = CollectorRegistry()
requests = Counter(
    "karenpanel_requests",
    "Requests that were answered, by the name of their view; none where no view was asked.",
    ("view", "method", "status"),
    registry=OURS,
)
seconds = Histogram(
    "karenpanel_request_seconds",
    "From a whole request to its answer.",
    ("view",),
    buckets=(0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
    registry=OURS,
)
refused_turns = Counter(
    "karenpanel_turns_refused",
    "Dear work that was told to come again: because of the person's own other request, or of others'.",
    ("because",),
    registry=OURS,
)


def measured(get_response: Next) -> Next:
    """The first of all: what is refused further in is counted as well."""
    if not settings.METRICS_NETWORKS:
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = get_response(request)
        match = request.resolver_match
        view = match.view_name if match and match.view_name else "none"
        # Anybody can send a method of their own making.
        method = request.method if request.method in METHODS else "other"
        requests.labels(view, method, f"{response.status_code // 100}xx").inc()
        seconds.labels(view).observe(time.perf_counter() - began)
        if busy := getattr(response, "no_turn", None):
            refused_turns.labels("own" if busy.own else "others").inc()
        return response

    return middleware


def told(get_response: Next) -> Next:
    """/metrics, for whoever comes from one of METRICS_NETWORKS; for all others there is no such address."""
    if not settings.METRICS_NETWORKS:
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponse:
        asked = request.path_info == ADDRESS and request.method in ("GET", "HEAD")
        return page() if asked and may_read(request) else get_response(request)

    return middleware


def may_read(request: HttpRequest) -> bool:
    """Whether whoever asks comes from one of the networks, as far as the panel believes what proxies say."""
    try:
        address = ip_address(_address(request))
    except ValueError:
        return False
    return any(address in network for network in settings.METRICS_NETWORKS)


def _address(request: HttpRequest) -> str:
    if settings.PROXY_COUNT and not any(name in request.headers for name in _FORWARDED):
        # A scraper asks each process itself. The proxies name whom they speak for, so this is none of theirs.
        return str(request.META.get("REMOTE_ADDR") or "")
    return address_of(request)


def page() -> HttpResponse:
    registry = CollectorRegistry()
    if os.environ.get(FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(_Of(OURS.collect))
    registry.register(_Of(installation.collect))
    text = generate_latest(registry)
    headers = {"Cache-Control": "no-store", "Content-Length": str(len(text))}
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST, headers=headers)


class _Of:
    """What prometheus_client calls a collector."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self.collect = collect


class Installation:
    """What the database knows, asked by one thread at a time and once in HOLDS seconds."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.asked: float | None = None
        self.known: list[Metric] = []

    def collect(self) -> Iterator[Metric]:
        reached = ready.reached()
        yield GaugeMetricFamily(
            "karenpanel_database_reached", "Whether this process reaches its database.", int(reached)
        )
        with self.lock:
            if reached and (self.asked is None or time.monotonic() - self.asked > HOLDS):
                self._ask()
            # What is not known now is left out: an old figure would pass for a new one.
            yield from self.known if reached else ()

    def _ask(self) -> None:
        self.asked, self.known = time.monotonic(), []
        families: dict[str, Metric] = {}
        try:
            for kind, name, words, labels, value in import_string(settings.METRICS_OF_INSTALLATION)():
                made: Any = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                family = families.setdefault(name, made(name, words, labels=list(labels)))
                family.add_metric(list(labels.values()), value)  # type: ignore[attr-defined]
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The figures of the installation could not be read.", error=str(error).strip())
            return
        self.known = list(families.values())


installation = Installation()
