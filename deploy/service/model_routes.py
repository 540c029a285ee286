"""Which models there are, what each is, and which one answers."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from deploy.artifact import MANIFEST_NAME, Manifest
from deploy.service.desk import Desk, desk_of
from deploy.service.forms import Choice, ModelName, ModelPage, ModelRow, Models
from distill.errors import EdgeproofError
from distill.files import read_json, sha256

router = APIRouter(tags=["models"])
_CARD, _BENCH = "README.md", "bench.json"
_DESK = Annotated[Desk, Depends(desk_of)]


@router.post("/set")
async def choose(choice: Choice, desk: _DESK) -> ModelName:
    """Answer with this model from now on. It is loaded first, so that nothing waits for it and a damaged one is refused."""
    loaded = await desk.model(choice.model)
    await asyncio.to_thread(desk.store.set_active, loaded.name)
    return ModelName(name=loaded.name, sha256=loaded.digest)


@router.get("/models")
def models(desk: _DESK) -> Models:
    """Every artifact that can answer; one that is damaged is left out."""
    active = desk.active()
    rows = [_row(desk, name, active=name == active) for name in sorted(desk.catalogue.folders())]
    return Models(active=active, models=tuple(row for row in rows if row is not None))


@router.get("/models/{name}")
def model(name: str, desk: _DESK) -> ModelPage:
    """One artifact: manifest, card, and the latency that the run which made it measured."""
    folder, manifest = desk.catalogue.folder(name), desk.catalogue.manifest(name)
    card = folder / _CARD
    return ModelPage(
        name=name,
        active=name == desk.active(),
        sha256=sha256(folder / MANIFEST_NAME),
        manifest=read_json(folder / MANIFEST_NAME),  # the file itself, its digest included
        card=card.read_text(encoding="utf-8", errors="replace") if card.is_file() else None,
        bench=tuple(_bench_rows(folder, manifest)),
    )


def _row(desk: Desk, name: str, *, active: bool) -> ModelRow | None:
    try:
        found = desk.catalogue.manifest(name)
    except EdgeproofError:
        return None
    return ModelRow(
        name=name, active=active, architecture=found.name, task=found.task, precision=found.precision,
        runtimes=found.runtimes, size=found.preprocess.size, data=found.data,
    )  # fmt: skip


def _bench_rows(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """What the run's ``bench.json``, two folders above, says of this artifact; its form is the bench's own business."""
    path = folder.parents[1] / _BENCH
    if folder.parent.name != "artifacts" or not path.is_file():
        return []
    own = {
        "model": manifest.name,
        "precision": manifest.precision,
        "quantizer": manifest.quantizer.name if manifest.quantizer else None,
        "input_size": manifest.preprocess.size,
    }
    return [
        row
        for row in _rows_in(path)
        if row.get("runtime") in manifest.runtimes and own.items() <= row.items()
    ]


def _rows_in(bench: Path) -> list[dict[str, Any]]:
    """The rows of a ``bench.json``; none where it is damaged, which says nothing against the model."""
    try:
        found = read_json(bench)
    except (ValueError, OSError):
        return []
    rows = found.get("rows") if isinstance(found, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
