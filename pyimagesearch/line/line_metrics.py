"""What a server tells Prometheus: verdicts, seconds by stage, scores, queue, model and drift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pyimagesearch.labelling.verdict import LABELS
from pyimagesearch.line.service import Service

STAGES = ("receive", "wait", "judge", "record")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class LineMetrics:
    """The numbers of a service, and those of its requests.

    Args:
        service: is asked when somebody looks.

    Attributes:
        registry: what Prometheus' client renders.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "anomaly_stage_seconds",
            "Seconds of a request by stage; those of judging are of an image.",
            ["stage"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._responses = Counter(
            "anomaly_responses", "Responses to /predict.", ["status"], registry=self.registry
        )
        for stage in STAGES:
            self._seconds.labels(stage)
        self.registry.register(self)

    def observe(self, stage: str, seconds: float) -> None:
        """Count the seconds of a stage, one of ``STAGES``."""
        self._seconds.labels(stage).observe(seconds)

    def answered(self, status: int) -> None:
        """Count a response to a request for verdicts."""
        self._responses.labels(str(status)).inc()

    def collect(self) -> Iterator[Metric]:
        """The numbers that the service knows; called by the registry."""
        service, figures = self._service, self._service.station.figures
        verdicts = CounterMetricFamily("anomaly_verdicts", "Verdicts by label.", labels=["label"])
        for label in LABELS:
            verdicts.add_metric([label], figures.labels[label])
        yield verdicts
        scores = GaugeMetricFamily(
            "anomaly_score", "Quantiles of the last 1,000 scores.", labels=["quantile"]
        )
        for quantile, score in service.score_quantiles().items():
            scores.add_metric([str(quantile)], score)
        yield scores
        yield _gauge("anomaly_queue", "Images that wait for a process.", service.n_waiting)
        yield _gauge("anomaly_ready", "1 where the model can judge.", service.is_ready)
        model = service.model.reference
        yield _gauge("anomaly_threshold", "Score above which an image is one.", service.threshold)
        info = GaugeMetricFamily("anomaly_model_info", "The model file.", labels=["sha256"])
        info.add_metric([model.sha256], 1)
        yield info
        reloads = CounterMetricFamily(
            "anomaly_model_reloads", "Times that the model file changed.", labels=["outcome"]
        )
        for succeeded, outcome in ((True, "loaded"), (False, "refused")):
            reloads.add_metric([outcome], service.reloads[succeeded])
        yield reloads
        there = GaugeMetricFamily(
            "anomaly_source_up", "1 where a camera or stream gives frames.", labels=["source"]
        )
        lost_sources = CounterMetricFamily(
            "anomaly_lost_sources", "Times that a camera or stream was lost.", labels=["source"]
        )
        for source, is_there in dict(figures.sources).items():
            there.add_metric([source], is_there)
            lost_sources.add_metric([source], figures.lost_sources[source])
        yield there
        yield lost_sources
        outside = CounterMetricFamily(
            "anomaly_outside_range", "Images taken far from all training images."
        )
        outside.add_metric([], figures.outside_range)
        yield outside
        yield _gauge("anomaly_drift", "1 where scores or light have drifted.", figures.has_drifted)
        waiting = GaugeMetricFamily(
            "anomaly_unsent_messages", "Messages that wait for their target.", labels=["target"]
        )
        sent = CounterMetricFamily(
            "anomaly_messages",
            "Messages that have arrived or were set aside, and tries that failed.",
            labels=["target", "outcome"],
        )
        for target, (count, deliveries) in service.station.messages().items():
            waiting.add_metric([target], count)
            for outcome, number in asdict(deliveries).items():
                sent.add_metric([target, outcome], number)
        yield waiting
        yield sent
        lost = CounterMetricFamily(
            "anomaly_lost_messages", "Messages that went because too many waited."
        )
        lost.add_metric([], figures.lost_messages)
        yield lost


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=float(value))
