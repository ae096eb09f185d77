"""The FastAPI application: a page, and an endpoint that returns a mask for an image."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastapi import FastAPI, Request
from fastapi.responses import Response

from naslora_core.config import ModelConfig
from naslora_core.sam.inference import PLAIN, Inference
from pipelines.serve.answer import OUTPUTS, Answer, predict_upload
from pipelines.serve.guard import Guard, HostRule
from pipelines.serve.model_cache import ModelCache
from pipelines.serve.offers import Offer, find_offers
from pipelines.serve.refusal import Refusal, add_error_handlers
from pipelines.serve.upload import Upload, read_upload
from pipelines.serve.worker import Worker

_HERE = Path(__file__).parent
_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
_PALETTES = ["classes", "none"]


@dataclass(frozen=True)
class Settings:
    """The models of a server, and its limits.

    Attributes:
        root: the project's folder.
        model: the base, with the path of its checkpoint.
        threshold: where a request gives none; "auto" is that of the model.
        rule: by which names it may be called.
        max_upload_bytes: of an image file.
        queue: requests that may wait at the same time.
        models_in_memory: see `ModelCache`.
        inference: how models are used.
    """

    root: Path
    model: ModelConfig
    threshold: float | Literal["auto"]
    rule: HostRule
    max_upload_bytes: int
    queue: int
    models_in_memory: int
    inference: Inference = PLAIN


def create_app(settings: Settings) -> FastAPI:
    """Build the application; models are loaded on request."""
    worker = Worker(settings.queue)
    cache = ModelCache(settings.model, settings.models_in_memory, settings.inference)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        worker.close()

    # FastAPI's own pages load their scripts from the web.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=lifespan)
    app.add_middleware(Guard, rule=settings.rule)
    add_error_handlers(app)
    _add_page(app)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/api/models")
    def models() -> dict[str, object]:
        offers = find_offers(settings.root, settings.model).values()
        return {
            "models": [{"name": offer.name, "title": offer.title, **_head(offer)} for offer in offers],
            "outputs": list(OUTPUTS),
            "threshold": settings.threshold,
            "max_upload_bytes": settings.max_upload_bytes,
        }

    @app.post("/api/predict")
    async def predict(request: Request) -> Response:
        with worker.place():
            upload = await read_upload(request, settings.max_upload_bytes)
            offer = _find_offer(settings, upload)
            threshold = _threshold(settings, upload, offer)
            output = _choice("output", upload.fields.get("output", "mask"), list(OUTPUTS), status=400)
            palette = _choice("mask_palette", upload.fields.get("mask_palette", "classes"), _PALETTES, status=400)

            def work() -> Answer:
                with cache.predictor(offer) as predictor:
                    has_palette, reading = palette == "classes", offer.reading()
                    answer = predict_upload(predictor, upload.image, offer.name, threshold, has_palette, reading)
                    return OUTPUTS[output](answer)

            answer = await worker.run(work)
        return Response(answer.content, media_type=answer.media_type)

    return app


def _head(offer: Offer) -> dict[str, object]:
    head = offer.head()
    return {} if head is None else {"classes": head.classes, "detail": head.detail, "scale": head.scale}


def _find_offer(settings: Settings, upload: Upload) -> Offer:
    offers = find_offers(settings.root, settings.model)
    return offers[_choice("model", upload.fields.get("model", ""), list(offers), status=404)]


def _threshold(settings: Settings, upload: Upload, offer: Offer) -> float:
    given = upload.fields.get("threshold", "")
    if not given:
        return offer.threshold(settings.threshold)
    try:
        threshold = float(given)
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        raise Refusal(400, f"threshold is '{given[:40]}'; give a number from 0 to 1")
    return threshold


def _choice(field: str, given: str, known: list[str], status: int) -> str:
    if given in known:
        return given
    raise Refusal(status, f"unknown {field} '{given[:80]}'; known: {', '.join(known) or 'none yet, start naslora run'}")


def _add_page(app: FastAPI) -> None:
    for address, (name, kind) in _PAGE.items():
        # From memory: a response of a file takes ranges, and answers a bad one in words of its own.
        app.add_route(address, _always(Response((_HERE / name).read_bytes(), media_type=kind)))


def _always(answer: Response) -> Callable[[Request], Awaitable[Response]]:
    # FastAPI would make parameters of the query of all that a function takes beside the request.
    async def page(request: Request) -> Response:
        return answer

    return page
