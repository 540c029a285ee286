"""The YAML head of a model card.

Specification: https://github.com/huggingface/hub-docs/blob/main/modelcard.md. Of what stands in it, the hub checks
``license``, ``datasets`` and ``model-index``. There are no ``datasets``, since they would have to be data sets on the hub,
and nobody but who publishes can say what the license is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from deploy.artifact import Manifest
from deploy.card.evidence import Result
from distill.errors import EdgeproofError
from distill.optional import require

TASK = "image-classification"  # the hub's word for it
_TAGS = {"openvino": "openvino", "onnxruntime": "onnx"}  # runtime -> what people filter by
_UNSTATED = {"license": "other", "license_name": "not-stated"}
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.\-]*")
_HEAD = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def head(manifest: Manifest, results: Sequence[Result]) -> str:
    """The head of an artifact's card, between its two lines of dashes."""
    found: dict[str, Any] = {
        **_UNSTATED,
        "library_name": "edgeproof",
        "pipeline_tag": TASK,
        "tags": list(_tags(manifest)),
    }
    if results:
        found["metrics"] = list(dict.fromkeys(result.metric for result in results))
        found["model-index"] = [{"name": manifest.name, "results": _index(manifest, results)}]
    return _write(found)


def with_license(card: str, license_id: str) -> str:
    """A card that states its license.

    Args:
        card: a whole card.
        license_id: as the hub spells it, such as ``apache-2.0`` (https://hf.co/docs/hub/repositories-licenses).

    Raises:
        EdgeproofError: another spelling, or a card without a head.
    """
    if not _LICENSE.fullmatch(license_id):
        raise EdgeproofError(
            f"license: found {license_id!r}, expected the hub's id for it, such as apache-2.0 or cc-by-nc-4.0"
        )
    found = _HEAD.match(card)
    if found is None:
        raise EdgeproofError("README.md: found no head, expected YAML between two lines of ---")
    fields = require("yaml").safe_load(found[1])
    kept = {name: value for name, value in fields.items() if name not in _UNSTATED}
    return _write({"license": license_id, **kept}) + card[found.end() :]


def _write(fields: dict[str, Any]) -> str:
    text = require("yaml").safe_dump(fields, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n"


def _tags(manifest: Manifest) -> Iterator[str]:
    yield from (_TAGS[runtime] for runtime in manifest.runtimes)
    yield manifest.precision
    if manifest.task == "binary":
        yield "ai-generated-image-detection"
    if manifest.data == "simulated":
        yield "simulated-data"


def _index(manifest: Manifest, results: Sequence[Result]) -> list[dict[str, Any]]:
    """One entry for each split, as the hub nests them."""
    return [
        {
            "task": {"type": TASK, "name": "Image classification"},
            "dataset": {"type": _slug(manifest.data), "name": _data_name(manifest), "split": split},
            "metrics": [
                {"type": result.metric, "value": round(result.value, 4), "name": result.name}
                for result in results
                if result.split == split
            ],
        }
        for split in dict.fromkeys(result.split for result in results)
    ]


def _data_name(manifest: Manifest) -> str:
    return "simulated images, made by edgeproof" if manifest.data == "simulated" else manifest.data


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-") or "unknown"
