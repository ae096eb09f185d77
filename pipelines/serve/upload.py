"""Read the image and the fields of a form, piece by piece into memory and never onto a disk."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from pipelines.serve.refusal import Refusal

_TIMEOUT_S = 60.0
# The fields, and the lines between the parts.
_FORM_BYTES = 1 << 16


@dataclass(frozen=True)
class Upload:
    """The uploaded image and fields; the file's own name is dropped, so that it cannot reach a path."""

    image: bytes
    fields: dict[str, str]


class _InMemoryParser(MultiPartParser):
    # Zero is no limit: the file is never moved to a disk. `_limited` bounds it.
    spool_max_size = 0


async def read_upload(request: Request, max_bytes: int) -> Upload:
    """Read the form of a request.

    Args:
        request: multipart/form-data with a file `image`.
        max_bytes: of the image.

    Raises:
        Refusal: 413 as soon as it is clear that there is more, 415 for another kind of body, 400 for a form that is
            broken, breaks off or has no image, 408 if it takes too long.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refusal(415, "the body is no form; send multipart/form-data with a file 'image' and a field 'model'")
    if _announced(request) > max_bytes + _FORM_BYTES:
        raise _too_large(max_bytes)
    parser = _InMemoryParser(
        request.headers, _limited(request, max_bytes), max_files=1, max_fields=8, max_part_size=1 << 12
    )
    try:
        form = await asyncio.wait_for(parser.parse(), _TIMEOUT_S)
    except MultiPartException as error:
        raise Refusal(400, f"the form cannot be read: {error.message.rstrip('.')}") from error
    except ClientDisconnect as error:
        raise Refusal(400, "the upload broke off") from error
    except asyncio.TimeoutError as error:
        raise Refusal(408, f"the upload took more than {_TIMEOUT_S:.0f} s; send a smaller image") from error
    try:
        file = form.get("image")
        if not isinstance(file, UploadFile):
            raise Refusal(400, "the form has no file 'image'; add one, as curl does with -F image=@photo.jpg")
        image = await file.read()
    finally:
        await form.close()
    return Upload(image, {name: value for name, value in form.items() if isinstance(value, str)})


def _announced(request: Request) -> int:
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError:
        # What comes is counted all the same.
        return 0


async def _limited(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes + _FORM_BYTES:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> Refusal:
    limit = f"{max_bytes / 1e6:g} MB"
    return Refusal(413, f"the image has more than {limit}; send a smaller one, or start the server with --max-upload")
