"""Label images that are sent over HTTP.

  python serve_anomaly_detector.py --model anomaly_detector.model
  python serve_anomaly_detector.py -m anomaly_detector.model --host 0.0.0.0 --port 8080
  python serve_anomaly_detector.py -m parts.model --events line.db --on-anomaly mqtt://plc/parts
  python serve_anomaly_detector.py -m parts.model --watch camera:0 --every 2s
  curl --data-binary @examples/coast_1.jpg http://127.0.0.1:8000/predict
  curl -F image=@a.png -F image=@b.png 'http://127.0.0.1:8000/predict?heat=1'

POST /predict takes the bytes of an image, or several files as multipart/form-data, and answers in
JSON. GET /healthz, /readyz, /model, /metrics (for Prometheus) and /docs tell about the server. The
model file is read again when it changes. With $ANOMALY_TOKEN set, requests must bring it as a
bearer token. Ctrl-C ends the server. Exit status: 0 ended, 1 failed, 2 wrong usage.
"""

import signal
from collections.abc import Sequence

from pyimagesearch.cli.labelling_loop import summary
from pyimagesearch.cli.line_station import (
    discovery_rate,
    make_station,
    open_record,
    open_stream_labeller,
)
from pyimagesearch.cli.serving_options import TOKEN, ServingOptions, parse_serving
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.line import http_api, http_server
from pyimagesearch.line.event_record import EventRecord
from pyimagesearch.line.filming import Filming
from pyimagesearch.line.service import Service
from pyimagesearch.runtime.console import EXIT_DONE, info, warn
from pyimagesearch.runtime.interrupts import DeferredInterrupt

_LOCAL = ("127.0.0.1", "::1", "localhost")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve as a command line says, until it is ended; return the exit status."""
    options = parse_serving(__doc__, argv)
    with (
        http_server.listen(options.address) as listening,
        open_record(options.events) as record,
        DeferredInterrupt(signal.SIGINT, signal.SIGTERM),
        _service(options, record) as service,
        Filming(service, options.sources, options.every),
    ):
        url = http_server.url_of(listening, options.address)
        info(f"serving at {url}; {url}/docs says how to ask; Ctrl-C ends it")
        if options.token is None and options.address.host not in _LOCAL:
            warn(f"whoever reaches this machine may ask: set ${TOKEN} to have them bring a token")
        app = http_api.make_app(service, options.limits, options.token)
        http_server.serve(app, listening, options.address)
    info(summary(service.station.figures.labels))
    return EXIT_DONE


def _service(options: ServingOptions, record: EventRecord | None) -> Service:
    rate = discovery_rate(options.model)
    station = make_station(options.events, record, rate)
    info("loading anomaly detection model...")
    return Service(
        lambda: _load(options),
        options.model.path,
        station,
        options.jobs,
        options.most_waiting,
        options.events.evidence,
        is_final=rate is None,
    )


def _load(options: ServingOptions) -> ModelReference:
    labeller = open_stream_labeller(options.model)
    return ModelReference.to(labeller, options.model.path, options.model.backbone)
