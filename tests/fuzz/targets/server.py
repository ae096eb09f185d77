"""Requests to `naslora serve`: lines of a head and the bytes of a body, given to the application as a server does."""

import asyncio
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from naslora_core.config import load_params
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import save_weights
from pipelines.serve.app import Settings, create_app
from pipelines.serve.guard import HostRule
from tests.fuzz.harness import Files, target
from tests.fuzz.seeds import ROOT, picture

HEAD = b"%s %s HTTP/1.1\r\nHost: localhost:8000\r\n%s\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=x\r\n"
FIELD = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n%s\r\n'
# Waiting is no work for the processor, so the harness does not see it.
ANSWERED_WITHIN_S = 5.0
CHUNK_B = 700


class Server:
    """The application over a project that has nothing but a small base with random weights."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-server-")
        root = Path(self._folder.name)
        base = root / "base.safetensors"
        save_weights(base, build_sam("sam_tiny").state_dict(), {})
        model = load_params(ROOT / "params.yaml", [f"model.checkpoint={base}", "model.image_size=64"]).model
        settings = Settings(root, model, 0.5, HostRule(), max_upload_bytes=100_000, queue=2, models_in_memory=1)
        self._app, self._loop = create_app(settings), asyncio.new_event_loop()

    def answer(self, head: bytes, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """Return status, headers and body of the answer to a request."""
        asked = self._respond(_scope(head), body)
        return self._loop.run_until_complete(asyncio.wait_for(asked, ANSWERED_WITHIN_S))

    async def _respond(self, scope: dict[str, Any], body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        waiting = [body[place : place + CHUNK_B] for place in range(0, len(body), CHUNK_B)] or [b""]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not waiting:
                # A client waits for its answer.
                await asyncio.Event().wait()
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *rest = sent
        assert start["type"] == "http.response.start"
        assert not rest[-1].get("more_body", False), "the answer has no end"
        return start["status"], dict(start["headers"]), b"".join(message.get("body", b"") for message in rest)


def _scope(head: bytes) -> dict[str, Any]:
    request, *lines = head.split(b"\r\n")
    method, address, *_ = [*request.split(b" "), b"/", b"/"]
    path, _, query = address.partition(b"?")
    named = [line.partition(b":") for line in lines if b":" in line]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method.decode("latin-1"),
        "path": path.decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.strip().lower(), value.strip()) for name, _, value in named],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


@cache
def pages() -> set[bytes]:
    """Return all that the server may show of files; to a HEAD it shows nothing."""
    return {b""} | {file.read_bytes() for file in (ROOT / "pipelines" / "serve").glob("page.*")}


@cache
def server() -> Server:
    """Return the server with its model loaded, so that loading does not count as done by a request."""
    torch.manual_seed(1)
    made = Server()
    status, _, _ = made.answer(*_split(_whole(output=b"json")))
    assert status == 200
    return made


def _whole(model: bytes = b"base", output: bytes = b"mask", suffix: str = ".png") -> bytes:
    fields = FIELD % (b"model", model) + FIELD % (b"output", output) + FIELD % (b"threshold", b"0.5")
    return HEAD % (b"POST", b"/api/predict", FORM) + fields + FILE % picture(suffix) + b"--x--\r\n"


def _split(content: bytes) -> tuple[bytes, bytes]:
    head, _, body = content.partition(b"\r\n\r\n")
    return head, body


def _requests() -> list[Files]:
    server(), pages()
    gets = (b"/", b"/page.js", b"/page.css", b"/healthz", b"/api/models", b"/?name=../../params.yaml", b"/page.js?a=/b")
    forms = [_whole(output=output) for output in (b"mask", b"overlay", b"json", b"probability")]
    return [{"request.http": HEAD % (b"GET", address, b"")} for address in gets] + [
        {"request.http": form} for form in (*forms, *forms, _whole(suffix=".jpg"))
    ]


@target("server", _requests, weight=0.5)
def request(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        check(*server().answer(*_split(file.read_bytes())))


def _uploads() -> list[Files]:
    server()
    kinds = (
        (".png", "RGB"),
        (".png", "P"),
        (".png", "I;16"),
        (".jpg", "CMYK"),
        (".tif", "F"),
        (".bmp", "1"),
        (".webp", "RGB"),
    )
    return [{f"a{suffix}": picture(suffix, mode)} for suffix, mode in kinds]


@target("upload", _uploads, weight=0.5)
def upload(folder: Path) -> None:
    head = HEAD % (b"POST", b"/api/predict", FORM)
    for file in sorted(folder.iterdir()):
        body = FIELD % (b"model", b"base") + FIELD % (b"output", b"json") + FILE % file.read_bytes() + b"--x--\r\n"
        check(*server().answer(head.rstrip(b"\r\n"), body))


def check(status: int, headers: dict[bytes, bytes], body: bytes) -> None:
    """Check that an answer is what was asked for, or a refusal in JSON."""
    assert b"content-security-policy" in headers
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0]
    if not 200 <= status < 300:
        assert 400 <= status < 500, f"status {status}: {body[:100]!r}"
        error = json.loads(body)["error"]
        assert isinstance(error, str)
        assert "Traceback" not in error
    elif kind == "application/json":
        assert json.loads(body)
    elif kind == "image/png":
        Image.open(io.BytesIO(body)).verify()
    elif kind == "application/x-npy":
        assert np.load(io.BytesIO(body), allow_pickle=False).ndim == 2
    else:
        assert body in pages(), f"{kind} that is no page: {body[:100]!r}"
