"""Metrics: plain numbers on the hot path, the Prometheus text made by its own library only when somebody scrapes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_MAX_SERIES = 1000
"""Series kept per metric; a label value beyond it counts as `other`, so that no caller can grow our memory."""

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Counter:
    """A number that only grows, one series per tuple of label values."""

    def __init__(self, name: str, doc: str, labels: Sequence[str] = ()) -> None:
        self.name, self.doc, self.labels = name, doc, tuple(labels)
        self.values: dict[tuple[str, ...], float] = {}

    def inc(self, *label_values: str, by: float = 1) -> None:
        """Add to the series of these label values, in the order of the labels."""
        values = self.values
        if label_values in values:
            values[label_values] += by
        elif len(values) < _MAX_SERIES:
            values[label_values] = by
        else:
            other = ("other",) * len(self.labels)
            values[other] = values.get(other, 0) + by

    def value(self, *label_values: str) -> float:
        """Return a series' value, 0 when it never counted."""
        return self.values.get(label_values, 0)


class Histogram:
    """A distribution in seconds over fixed buckets."""

    def __init__(
        self, name: str, doc: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_BUCKETS_S
    ) -> None:
        self.name, self.doc, self.labels, self.buckets = name, doc, tuple(labels), tuple(buckets)
        self.series: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def observe(self, value_s: float, *label_values: str) -> None:
        """Count one observation."""
        found = self.series.get(label_values)
        if found is None:
            if len(self.series) >= _MAX_SERIES:
                label_values = ("other",) * len(self.labels)
            found = self.series.setdefault(label_values, ([0] * (len(self.buckets) + 1), [0.0]))
        counts, total = found
        counts[bisect_left(self.buckets, value_s)] += 1
        total[0] += value_s


class Gauge:
    """A number that is read when somebody scrapes."""

    def __init__(self, name: str, doc: str, read: Callable[[], float]) -> None:
        self.name, self.doc, self.read = name, doc, read


class Level(Counter):
    """A number that goes up and down, one series per tuple of label values, kept at what was last set."""

    def set(self, value: float, *label_values: str) -> None:
        """Set the series of these label values. One series too many is not kept: a sum of levels says nothing."""
        if label_values in self.values or len(self.values) < _MAX_SERIES:
            self.values[label_values] = value


class Metrics:
    """A registry: each name once; asking again for the same name gives the same metric."""

    def __init__(self) -> None:
        self._all: dict[str, Counter | Histogram | Gauge] = {}

    def counter(self, name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
        """Return the counter of that name (without `_total`)."""
        found = self._all.setdefault(name, Counter(name, doc, labels))
        if not isinstance(found, Counter):
            raise TypeError(f"metric {name} is not a counter")
        return found

    def histogram(self, name: str, doc: str, labels: Sequence[str] = ()) -> Histogram:
        """Return the histogram of that name; values are seconds."""
        found = self._all.setdefault(name, Histogram(name, doc, labels))
        if not isinstance(found, Histogram):
            raise TypeError(f"metric {name} is not a histogram")
        return found

    def level(self, name: str, doc: str, labels: Sequence[str] = ()) -> Level:
        """Return the level of that name."""
        found = self._all.setdefault(name, Level(name, doc, labels))
        if not isinstance(found, Level):
            raise TypeError(f"metric {name} is not a level")
        return found

    def gauge(self, name: str, doc: str, read: Callable[[], float]) -> None:
        """Register a gauge; a later registration of the name replaces its reader."""
        self._all[name] = Gauge(name, doc, read)

    def names(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return (name, kind, doc, labels) of each metric, for docs/metrics.md."""
        rows = []
        for metric in self._all.values():
            labels = () if isinstance(metric, Gauge) else metric.labels
            rows.append((metric.name, type(metric).__name__.lower(), metric.doc, labels))
        return sorted(rows)

    def render(self) -> str:
        """Return everything in the Prometheus text format."""
        from prometheus_client import CollectorRegistry, generate_latest  # only a scrape pays for it
        from prometheus_client.registry import Collector

        collect = self._families

        class Ours(Collector):
            def collect(self) -> Iterable[Metric]:
                return collect()

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Ours())
        return generate_latest(registry).decode()

    def _families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for metric in list(self._all.values()):
            if isinstance(metric, Gauge):
                yield GaugeMetricFamily(metric.name, metric.doc, value=metric.read())
            elif isinstance(metric, Level):
                level = GaugeMetricFamily(metric.name, metric.doc, labels=metric.labels)
                for label_values, value in list(metric.values.items()):
                    level.add_metric(label_values, value)
                yield level
            elif isinstance(metric, Counter):
                counter = CounterMetricFamily(metric.name, metric.doc, labels=metric.labels)
                for label_values, value in list(metric.values.items()):
                    counter.add_metric(label_values, value)
                yield counter
            else:
                histogram = HistogramMetricFamily(metric.name, metric.doc, labels=metric.labels)
                for label_values, (counts, total) in list(metric.series.items()):
                    running, buckets = 0, []
                    for bound, count in zip([*map(str, metric.buckets), "+Inf"], counts, strict=True):
                        running += count
                        buckets.append((bound, float(running)))
                    histogram.add_metric(label_values, buckets, total[0])
                yield histogram


METRICS = Metrics()
"""The process's one registry."""
