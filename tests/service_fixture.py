"""A service on a free port of loopback, in a thread of the test's own process."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import uvicorn
from PIL import Image

from deploy.service.app import create_app
from deploy.service.protocol import ImpatientProtocol
from deploy.service.server import listening
from deploy.service.settings import Settings


def jpeg(*, seed: int = 0, size: tuple[int, int] = (160, 140)) -> bytes:
    """A photo that is no photo."""
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(file, "JPEG", quality=90)
    return file.getvalue()


@contextmanager
def running(settings: Settings, *, protocol: type = ImpatientProtocol) -> Iterator[httpx.Client]:
    """A client of a service with these settings; both end with the block."""
    with listening("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            create_app(settings), http=protocol, ws="none", log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            port = listener.getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive()


def settings_in(folder: Path, **given: object) -> Settings:
    """Settings for a test: little of everything."""
    defaults = {"state": folder / "state", "runtime": "onnxruntime", "threads": 2}
    return Settings(**{**defaults, **given})


def problem(response: httpx.Response, status: int) -> str:
    """The detail of a problem; asserts that it is one, of this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert found["status"] == status and found["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return str(found["detail"])
