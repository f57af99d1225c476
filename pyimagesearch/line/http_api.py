"""The HTTP interface of a server: images in, verdicts out, and what operators look at.

Requests come from anybody: their size, number and duration are limited, no name in one is ever
opened, and what is refused is refused with a status and a sentence.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import prometheus_client
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from pyimagesearch import __version__
from pyimagesearch.labelling.image_groups import ImageGroups
from pyimagesearch.labelling.thresholds import best_rate
from pyimagesearch.labelling.verdict import UNREADABLE
from pyimagesearch.line.event import Event, readable
from pyimagesearch.line.judging import Finding, OverloadError, Part
from pyimagesearch.line.line_metrics import LineMetrics
from pyimagesearch.line.service import Service
from pyimagesearch.runtime.console import UserError, warn

MULTIPART = "multipart/form-data"
# curl --data-binary sends the last of them where nothing else is said.
RAW = ("application/octet-stream", "application/x-www-form-urlencoded")
UNNAMED = "image"
_MOST_NAME = 1000  # characters
_SECONDS_TO_DISCARD, _MOST_DISCARDED = 5.0, 2**32


@dataclass(frozen=True)
class Limits:
    """What a request may take.

    Attributes:
        n_bytes: of its body.
        all_bytes: of the bodies of all requests at a time.
        n_images: in one request.
        body_seconds: until its body has come.
        seconds: that its images may wait and be judged.
    """

    n_bytes: int = 64 * 2**20
    all_bytes: int = 256 * 2**20
    n_images: int = 64
    body_seconds: float = 30.0
    seconds: float = 30.0


class Region(BaseModel):
    """Where an image is anomalous: a box in pixels, and the region's share of the image."""

    x: int
    y: int
    width: int
    height: int
    share: float


class Verdict(BaseModel):
    """What the model finds about an image; score and p-value are null where it is unreadable."""

    id: str
    time: str
    source: str
    image: str
    label: str = Field(description="normal, anomaly or unreadable")
    score: float | None = Field(description="higher is more anomalous")
    p_value: float | None = Field(description="share of normal images that look as strange")
    reason: str | None = Field(description="why it is unreadable")
    outside: str | None = Field(
        description="what it is far more of than any training image, such as darker: the verdict "
        "may not hold"
    )
    extrapolated: bool = Field(
        description="whether the p-value is an estimate, below what can be promised"
    )
    threshold: float
    model: str = Field(description="SHA-256 of the model file")
    ms: float
    regions: list[Region]
    overlay: str | None = Field(None, description="with heat=1: a JPEG file in base64")


class Problem(BaseModel):
    """What is wrong with a request."""

    detail: str


class UnreadableImage(Verdict, Problem):
    """The verdict on an only image that cannot be read."""


class Calibration(BaseModel):
    """What images are judged by: a threshold, and what it can promise."""

    threshold: float
    n_calibration: int = Field(description="number of normal scores that p-values are of")
    best_rate: float = Field(description="the smallest false-alarm rate that these can promise")


class Model(Calibration):
    """The model that judges; what images of no group are judged by."""

    sha256: str
    method: str
    n_training: int
    extrapolates: bool = Field(description="whether rates below the best are estimated")
    groups: dict[str, Calibration] | None = Field(
        description="of a model that was trained with --group-by: its groups by name"
    )
    loaded: str


_PROBLEMS = {
    401: "no token, or another one",
    408: "the body came too slowly",
    413: "too many bytes or images",
    415: "neither an image nor multipart/form-data",
    422: "the only image is unreadable, or a part of the request is missing",
    429: "too many images wait",
    503: "the model cannot judge now, or not in time",
}
_BEARER = HTTPBearer(auto_error=False)
_BINARY = {"type": "string", "format": "binary"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **{
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in (RAW[0], "image/*")
            },
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "array", "items": _BINARY}},
                }
            },
        },
    }
}


@dataclass
class _Bytes:
    """How many bytes the bodies of all requests have."""

    most: int
    held: int = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[Callable[[int], None]]:
        """Count the bytes of one body, which are given back at the end."""
        own = 0

        def add(n_bytes: int) -> None:
            nonlocal own
            if self.held + n_bytes > self.most:
                raise _refused(429, "too many images are on their way already: try again soon")
            own += n_bytes
            self.held += n_bytes

        try:
            yield add
        finally:
            self.held -= own


async def _discard(request: Request) -> None:
    """Read on for a moment: a client that is still sending would not see why it is refused."""
    n_bytes, more = 0, getattr(request.state, "has_more", True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS_TO_DISCARD):
            while more and n_bytes < _MOST_DISCARDED:
                message = await request.receive()
                n_bytes += len(message.get("body", b""))
                more = message.get("more_body", False)


def _refused(status: int, sentence: str) -> HTTPException:
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    if status in (408, 413, 429):
        headers["Connection"] = "close"  # what is left of its body is not read
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return HTTPException(status, sentence, headers)


class _InMemory(MultiPartParser):
    """Keeps files in memory: their bytes are limited already, and nothing touches the disk."""

    spool_max_size = 0  # never


@dataclass
class _Api:
    """What answers requests."""

    service: Service
    limits: Limits
    metrics: LineMetrics
    bytes: _Bytes = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = _Bytes(self.limits.all_bytes)

    async def predict(self, request: Request, heat: bool) -> Response:
        """Judge the images of a request."""
        started = time.perf_counter()
        with self.bytes.counted() as count:
            try:
                async with asyncio.timeout(self.limits.body_seconds):
                    parts, is_list = await self._receive(request, count, heat)
            except TimeoutError:
                raise _refused(
                    408, f"the body took longer than {self.limits.body_seconds:g} seconds"
                ) from None
            except HTTPException:
                await _discard(request)
                raise
            except ClientDisconnect:
                return Response(status_code=400)
            self.metrics.observe("receive", time.perf_counter() - started)
            findings = await self._judge(parts)
        started = time.perf_counter()
        try:
            events = await run_in_threadpool(self.service.record, findings)
        except UserError as error:
            warn(str(error))
            raise _refused(503, f"the verdict could not be recorded ({error})") from error
        self.metrics.observe("record", time.perf_counter() - started)
        answers = [
            _answer(event, finding, heat) for event, finding in zip(events, findings, strict=True)
        ]
        if is_list:
            return JSONResponse(answers)
        if events[0].label == UNREADABLE:
            return JSONResponse(answers[0] | {"detail": events[0].reason}, 422)
        return JSONResponse(answers[0])

    async def _receive(
        self, request: Request, count: Callable[[int], None], heat: bool
    ) -> tuple[list[Part], bool]:
        """The images of a request, and whether it asks for a list."""
        kind = request.headers.get("content-type", RAW[0]).partition(";")[0].strip().lower()
        if kind == MULTIPART:
            uploads = await self._uploads(request, count)
            parts = [Part(_name(upload.filename), await upload.read(), heat) for upload in uploads]
            return parts, len(parts) > 1
        if kind not in RAW and not kind.startswith("image/"):
            raise _refused(
                415, f"an image is image/*, {RAW[0]} or a file of {MULTIPART}, not {kind[:100]}"
            )
        body = b"".join([chunk async for chunk in self._chunks(request, count)])
        if not body:
            raise _refused(422, "the body is empty: send the bytes of an image file")
        return [Part(_name(request.query_params.get("name")), body, heat)], False

    async def _uploads(
        self, request: Request, count: Callable[[int], None]
    ) -> Sequence[UploadFile]:
        most = self.limits.n_images
        parser = _InMemory(
            request.headers, self._chunks(request, count), max_files=most, max_fields=most
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            if error.message.startswith("Too many"):
                raise _refused(413, f"a request may have {most} images") from error
            sentence = "not multipart/form-data as it should be, or a field that is no file"
            raise _refused(422, f"{sentence} ({error.message.rstrip('.')})") from error
        except (KeyError, UnicodeDecodeError, ValueError) as error:
            raise _refused(422, "not a body of multipart/form-data with a boundary") from error
        uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not uploads:
            raise _refused(422, f"no file in it: send images as files, as in -F {UNNAMED}=@a.png")
        return uploads

    async def _chunks(self, request: Request, count: Callable[[int], None]) -> AsyncIterator[bytes]:
        most, said = self.limits.n_bytes, request.headers.get("content-length", "0")
        too_large = _refused(413, f"a request may have {most:,} bytes")
        if said.isdigit() and int(said) > most:
            raise too_large
        n_bytes, more = 0, True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk, more = message.get("body", b""), message.get("more_body", False)
            request.state.has_more = more
            n_bytes += len(chunk)
            if n_bytes > most:
                raise too_large
            count(len(chunk))
            yield chunk

    async def _judge(self, parts: list[Part]) -> list[Finding]:
        started = time.perf_counter()
        try:
            futures = self.service.submit(parts)
        except OverloadError as error:
            raise _refused(429, f"{error}: try again soon") from error
        except RuntimeError as error:
            raise _refused(503, "the server is ending") from error
        try:
            async with asyncio.timeout(self.limits.seconds):
                findings = await asyncio.gather(*map(asyncio.wrap_future, futures))
        except TimeoutError:
            raise _refused(
                503, f"not judged within {self.limits.seconds:g} seconds: try again later"
            ) from None
        except (UserError, OSError) as error:
            warn(str(error))
            raise _refused(503, f"the model cannot judge now ({error})") from error
        judging = max(finding.seconds for finding in findings)
        self.metrics.observe("wait", max(0.0, time.perf_counter() - started - judging))
        for finding in findings:
            self.metrics.observe("judge", finding.seconds)
        return findings


def make_app(service: Service, limits: Limits, token: str | None = None) -> FastAPI:
    """Make the application that answers requests.

    Args:
        service: what judges; its context is the caller's.
        limits: of requests.
        token: that requests must bring, but for those about health; None asks for none.
    """
    metrics = LineMetrics(service)
    api = _Api(service, limits, metrics)
    app = FastAPIOffline(
        title="Anomaly detector",
        description="Labels images as normal or anomaly, with a score, a p-value and a place.",
        version=__version__,
        redoc_url=None,
    )

    async def check_token(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        said = "" if given is None else given.credentials
        if token is not None and not hmac.compare_digest(said.encode(), token.encode()):
            raise _refused(401, "a bearer token is needed, and this is none or another one")

    @app.middleware("http")
    async def count_responses(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        if request.url.path == "/predict":
            metrics.answered(response.status_code)
        return response

    guarded = [] if token is None else [Depends(check_token)]
    problems: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": meaning} for status, meaning in _PROBLEMS.items()
    }
    problems[422] = {"model": UnreadableImage | Problem, "description": _PROBLEMS[422]}

    @app.post(
        "/predict",
        dependencies=guarded,
        response_model=Verdict | list[Verdict],
        responses=problems,
        openapi_extra=_BODY,
        summary="Label one image, or several",
    )
    async def predict(
        request: Request,
        heat: Annotated[bool, Query(description="add a picture of the anomaly map")] = False,
        name: Annotated[  # noqa: ARG001
            str | None, Query(description="what a raw image is called", max_length=_MOST_NAME)
        ] = None,
    ) -> Response:
        """One image gives an object, several files of multipart/form-data a list."""
        return await api.predict(request, heat)

    @app.get("/healthz", summary="Whether the server lives")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.get(
        "/readyz",
        responses={503: {"description": "the model is not loaded yet"}},
        summary="Whether the model can judge",
    )
    async def readyz() -> Response:
        ready = service.is_ready
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    @app.exception_handler(RequestValidationError)
    async def explain(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001
        first = error.errors()[0]
        return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    @app.get(
        "/metrics",
        dependencies=guarded,
        response_class=PlainTextResponse,
        summary="Numbers for Prometheus",
    )
    async def metrics_page() -> Response:
        text = await run_in_threadpool(prometheus_client.generate_latest, metrics.registry)
        return Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    @app.get(
        "/events/{id}/overlay",
        dependencies=guarded,
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {}}, "description": "a JPEG file"},
            404: {"model": Problem, "description": "there is none, or none any more"},
        },
        summary="The picture of an anomaly's map, where events are recorded",
    )
    async def overlay(id: str) -> Response:
        picture = await run_in_threadpool(service.station.overlay, id)
        if picture is None:
            raise _refused(404, "there is no picture of such an event, or none any more")
        return Response(picture, media_type="image/jpeg")

    @app.get("/model", dependencies=guarded, summary="Which model judges")
    async def model() -> Model:
        state = service.model
        return Model(
            sha256=state.reference.sha256,
            method=state.method,
            **_calibration(service.threshold, state.n_calibration),
            n_training=state.n_training,
            extrapolates=state.reference.extrapolates,
            groups=None if state.groups is None else _groups(state.groups),
            loaded=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state.loaded)),
        )

    return app


def _answer(event: Event, finding: Finding, heat: bool) -> dict[str, Any]:
    answer = event.fields()
    if heat:
        overlay = finding.overlay
        answer["overlay"] = None if overlay is None else base64.b64encode(overlay).decode()
    return answer


def _calibration(threshold: float, n_calibration: int) -> dict[str, Any]:
    """The fields of ``Calibration``."""
    return {
        "threshold": threshold,
        "n_calibration": n_calibration,
        "best_rate": best_rate(n_calibration),
    }


def _groups(groups: ImageGroups) -> dict[str, Calibration]:
    return {
        readable(name): Calibration(**_calibration(group.threshold, len(group.calibration)))
        for name, group in groups.members.items()
    }


def _name(said: str | None) -> str:
    """What an image is called in verdicts; never opened."""
    name = (said or UNNAMED).replace("\\", "/").rpartition("/")[2]
    return (name or UNNAMED)[:_MOST_NAME]
