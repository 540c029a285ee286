"""Damaged artifacts whose hashes are all in order: manifests, ONNX graphs, OpenVINO's files."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from PIL import Image

from deploy.artifact import MANIFEST_NAME
from deploy.manifest_digest import with_digest
from deploy.shipped import shipped_artifacts
from distill.files import sha256
from perf.attack.case import Case
from perf.attack.mutate import damage_bytes, damage_json, damage_text

_VERBS = (*["predict"] * 14, *["selftest"] * 4, "hub", "verify")
Damage = Callable[[Path, Random], None]


def manifests(rng: Random) -> Iterator[Case]:
    """Manifests with other values, half of them with a digest that fits."""
    while True:
        yield _case("manifest", rng, _damage_manifest, runtime=rng.choice(("onnxruntime", "openvino")))


def onnx_graphs(rng: Random) -> Iterator[Case]:
    """ONNX files with damaged bytes or altered graphs."""
    while True:
        yield _case("ONNX", rng, _damage_onnx, runtime="onnxruntime")


def openvino_files(rng: Random) -> Iterator[Case]:
    """OpenVINO's XML and weights, damaged."""
    while True:
        yield _case("OpenVINO IR", rng, _damage_ir, runtime="openvino")


def _case(area: str, rng: Random, damage: Damage, *, runtime: str) -> Case:
    seed, verb = rng.getrandbits(32), rng.choice(_VERBS)
    source = shipped_artifacts()["simulated-64"][runtime]

    def write(folder: Path) -> Sequence[str]:
        artifact = folder / "artifact"
        shutil.copytree(source, artifact)
        damage(artifact, Random(seed))
        if verb == "selftest":
            return ["selftest", str(artifact), "--runtime", runtime]
        if verb == "verify":
            return ["verify", str(artifact), "--json"]
        if verb == "hub":
            return ["export", str(artifact), "--hub", str(folder / "hub")]
        Image.linear_gradient("L").convert("RGB").save(folder / "a.png")
        return [
            "predict",
            str(artifact),
            str(folder / "a.png"),
            "--json",
            "--runtime",
            runtime,
            "--threads",
            "1",
        ]

    return Case(area, 1, write)


def _write_manifest(artifact: Path, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    (artifact / MANIFEST_NAME).write_bytes(text.encode(errors="backslashreplace"))


def _damage_manifest(artifact: Path, rng: Random) -> None:
    path = artifact / MANIFEST_NAME
    raw = json.loads(path.read_text())
    if rng.random() < 0.3:
        path.write_bytes(damage_bytes(path.read_bytes(), rng))
        return
    changed = damage_json({name: value for name, value in raw.items() if name != "digest"}, rng)
    if isinstance(changed, dict) and rng.random() < 0.3:
        changed["schema_version"] = rng.choice((1, 2, 3))
        _write_manifest(artifact, changed)
    elif isinstance(changed, dict):
        try:
            _write_manifest(artifact, with_digest(changed))
        except ValueError:  # infinite numbers
            _write_manifest(artifact, changed)
    else:
        _write_manifest(artifact, changed)


def _sealed(artifact: Path) -> None:
    """Let the manifest say what the files are now."""
    raw = json.loads((artifact / MANIFEST_NAME).read_text())
    raw.pop("digest")
    for name in raw["files"]:
        path = artifact / name
        raw["files"][name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
    _write_manifest(artifact, with_digest(raw))


def _damage_onnx(artifact: Path, rng: Random) -> None:
    path = artifact / "model.onnx"
    if rng.random() < 0.4:
        path.write_bytes(damage_bytes(path.read_bytes(), rng))
    else:
        model = onnx.load(path)
        for _ in range(rng.randint(1, 3)):
            _alter(model.graph, rng)
        path.write_bytes(model.SerializeToString())
    _sealed(artifact)


def _alter(graph: onnx.GraphProto, rng: Random) -> None:
    """One change that a graph may carry: another operator, attribute, shape, type, edge or number."""
    node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
    names = [name for each in graph.node for name in (*each.input, *each.output)]
    kind = rng.randrange(9)
    if kind == 0:
        node.op_type = rng.choice(
            ("Relu", "Conv", "Loop", "If", "Scan", "Reshape", "Gather", "Pad", "Resize", "NoSuch", "Tile")
        )
    elif kind == 1 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nowhere"])
    elif kind == 2 and node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.ints[:] = [rng.choice((0, -1, 1, 2**31, -(2**62), 7)) for _ in range(rng.randint(0, 6))]
        attribute.i = rng.choice((0, -1, 2**40, 3))
    elif kind == 3 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((0, -1, 1, 2**31, 2**40, 3))
    elif kind == 4:
        tensor.data_type = rng.randrange(0, 24)
    elif kind == 5:
        if (
            tensor.data_type == onnx.TensorProto.FLOAT
            and min(tensor.dims, default=1) > 0
            and len(tensor.raw_data) >= 4
        ):
            number = np.float32(rng.choice((np.nan, np.inf, 0, 1e38, -1e38)))
            tensor.raw_data = number.tobytes() * (len(tensor.raw_data) // 4)
    elif kind == 6:
        tensor.raw_data = damage_bytes(tensor.raw_data, rng)
    elif kind == 7:
        value = rng.choice((*graph.input, *graph.output))
        value.type.tensor_type.elem_type = rng.randrange(0, 20)
    else:
        graph.node.insert(rng.randrange(len(graph.node)), graph.node[rng.randrange(len(graph.node))])


def _damage_ir(artifact: Path, rng: Random) -> None:
    xml, weights = artifact / "model.xml", artifact / "model.bin"
    kind = rng.randrange(4)
    if kind == 0:
        xml.write_bytes(damage_bytes(xml.read_bytes(), rng))
    elif kind == 1:
        weights.write_bytes(damage_bytes(weights.read_bytes(), rng, most=40))
    elif kind == 2:
        xml.write_text(damage_text(xml.read_text(), rng))
    else:
        xml.write_text(_other_values(xml.read_text(), rng))
    _sealed(artifact)


def _other_values(text: str, rng: Random) -> str:
    """Attributes of some layers with other values."""
    parts = text.split('"')  # every other one is a value
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(1, len(parts), 2)
        other = parts[rng.randrange(1, len(parts), 2)]
        parts[place] = rng.choice(
            (other, "", "-1", "99999999999999999999", "0", "1000000000", "-1,-1", "dynamic")
        )
    return '"'.join(parts)
