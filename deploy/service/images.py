"""The images that a request brings: files of a form, or one image as the body."""

from fastapi import Request
from starlette.datastructures import UploadFile

from deploy.service.problems import Problem

FIELD = "file"
_FORM = "multipart/form-data"
_LONGEST_NAME = 200
REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
"""For OpenAPI, which cannot see what a request is read for."""


async def images_of(request: Request, *, most: int) -> list[tuple[str, bytes]]:
    """Name and bytes of each, one at least.

    Raises:
        Problem: 422, no image or in another field; 413, more than ``most``.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        body = await request.body()
        if not body:
            raise Problem(
                422, f"the body is empty, expected an image, or a form with files in the field {FIELD!r}"
            )
        return [("image", body)]
    async with request.form(max_files=most + 1, max_fields=most + 1) as form:
        items = form.multi_items()
        files = [item for name, item in items if name == FIELD and isinstance(item, UploadFile)]
        if len(files) > most:
            raise Problem(413, f"more than {most} images, at most {most} are judged in one request")
        if len(files) < len(items) or not files:
            raise Problem(422, f"{_described(items)}, expected files in the field {FIELD!r} and nothing else")
        return [
            ((file.filename or f"images[{number}]")[:_LONGEST_NAME], await file.read())
            for number, file in enumerate(files)
        ]


def _described(items: list[tuple[str, UploadFile | str]]) -> str:
    kinds = [
        f"{'a file' if isinstance(item, UploadFile) else 'text'} in {name!r:.80}" for name, item in items
    ]
    return f"found {', '.join(dict.fromkeys(kinds)) or 'an empty form'}"
