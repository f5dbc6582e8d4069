"""Gauges and counters for Prometheus, in a registry of the station's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from trd_station.store.schema import DECISIONS

SECONDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30)


class Metrics:
    """queued, capacity: asked for when they are read."""

    def __init__(self, queued: Callable[[], float], capacity: int) -> None:
        self.registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self.registry}
        self.inspections = Counter("trd_inspections", "Parts decided.", ["class_name", "decision"], **options)
        self.seconds = Histogram(
            "trd_inspection_seconds", "From receipt to stored.", ["class_name"], buckets=SECONDS, **options
        )
        self.refused = Counter("trd_refused", "Parts refused because the queue was full.", **options)
        self.errors = Counter("trd_errors", "Answers of 500 and above.", **options)
        self.measure = Gauge("trd_measure", "Mean of the last 20 parts.", ["class_name", "measure"], **options)
        self.evidence = Gauge(
            "trd_drift_log10_evidence", "Against 'nothing has changed'.", ["class_name", "measure"], **options
        )
        self.alarm = Gauge("trd_drift_alarm", "1: this measure has changed.", ["class_name", "measure"], **options)
        self.limit = Gauge("trd_limit", "Limits in force.", ["class_name", "limit"], **options)
        self.review = Gauge("trd_review_open", "Parts that wait for a verdict.", ["class_name"], **options)
        self.stored = Gauge("trd_stored_bytes", "Of files.", **options)
        Gauge("trd_queue_parts", "Parts that wait or are worked on.", **options).set_function(queued)
        Gauge("trd_queue_capacity", "Of the queue, parts.", **options).set(capacity)

    def decided(self, class_name: str, decision: int, seconds: float) -> None:
        self.inspections.labels(class_name, DECISIONS[decision]).inc()
        self.seconds.labels(class_name).observe(seconds)

    def watched(self, class_name: str, watch: dict[str, Any]) -> None:
        """What `Watch.to_json` says."""
        for stream in watch["streams"]:
            labels = class_name, stream["name"]
            if stream["value"] is not None:
                self.measure.labels(*labels).set(stream["value"])
            self.evidence.labels(*labels).set(stream["log10_evidence"])
            self.alarm.labels(*labels).set(int(stream["alarm"]))

    def text(self) -> bytes:
        return generate_latest(self.registry)
