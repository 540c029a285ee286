"""Data sets whose lists are damaged: tables, JSON, text, tars, and tables of a teacher's answers."""

import importlib.util
import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from perf.attack.case import Case
from perf.attack.mutate import damage_bytes, damage_json, damage_text

_TREES = Path(__file__).parents[2] / "tests" / "test_distill_layouts_recognised.py"
_LISTS = {".csv", ".json", ".jsonl", ".txt", ".tar", ".parquet"}


def layouts(rng: Random) -> Iterator[Case]:
    """Every layout that has lists, JSON documents above all."""
    builders = [build for build in _trees() if build.__name__ not in ("cifake", "plain")]
    while True:
        yield _case("layout", rng, rng.choice(builders))


def tars(rng: Random) -> Iterator[Case]:
    """WebDataset shards."""
    while True:
        yield _case("tar", rng, _shard)


def csv_tables(rng: Random) -> Iterator[Case]:
    """Manifests and a teacher's answers as CSV."""
    while True:
        yield _case("CSV", rng, _manifest_csv, answers=rng.random() < 0.3)


def parquet_tables(rng: Random) -> Iterator[Case]:
    """The same as Parquet."""
    while True:
        yield _case("Parquet", rng, _manifest_parquet, answers=rng.random() < 0.3)


@cache
def _trees() -> tuple[Callable[[Path], Path], ...]:
    """The tiny trees that the layouts' own tests build."""
    spec = importlib.util.spec_from_file_location("attacked_layouts", _TREES)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{_TREES}: cannot be read, expected the layouts' tests beside this package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return tuple(module.TREES)


def _case(area: str, rng: Random, build: Callable[[Path], Path], *, answers: bool = False) -> Case:
    seed, verb = rng.getrandbits(32), rng.choice(("inspect", "inspect", "shard"))

    def write(folder: Path) -> Sequence[str]:
        (folder / "data").mkdir()
        root = Path(build(folder / "data"))
        dice = Random(seed)
        lists = sorted(path for path in (folder / "data").rglob("*") if path.suffix in _LISTS)
        for path in dice.sample(lists, k=min(len(lists), dice.randint(1, 2))):
            _damage_file(path, dice)
        if answers:
            table = next(path for path in lists)
            options = ["--set", f"teacher.predictions={table}", "--set", "teacher.sees='clean'"]
            return ["run", "demo", "--dry-run", *options, "--out", str(folder / "run")]
        if verb == "shard":
            return ["data", "shard", str(root), str(folder / "shards")]
        return ["data", "inspect", str(root), "--json"]

    return Case(area, 1, write)


def _damage_file(path: Path, rng: Random) -> None:
    content = path.read_bytes()
    if path.suffix in (".tar", ".parquet") or rng.random() < 0.4:
        path.write_bytes(damage_bytes(content, rng))
    elif path.suffix == ".json" and rng.random() < 0.7:
        changed = damage_json(json.loads(content), rng)
        path.write_bytes(json.dumps(changed, ensure_ascii=False).encode(errors="backslashreplace"))
    else:
        path.write_bytes(damage_text(content.decode(), rng).encode(errors="backslashreplace"))


@cache
def _photo() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _photos(root: Path) -> list[str]:
    names = [f"{kind}/{number}.png" for kind in ("real", "fake") for number in range(4)]
    for name in names:
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_bytes(_photo())
    return [f"images/{name}" for name in names]


def _rows(root: Path) -> list[dict[str, Any]]:
    return [
        {"path": name, "label": "fake" if "fake" in name else "real", "probability": 0.9 if "fake" in name else 0.1,
         "split": ("train", "valid", "test")[number % 3], "group": f"g{number % 4}", "generator": "gan" if "fake" in name else ""}
        for number, name in enumerate(_photos(root))
    ]  # fmt: skip


def _manifest_csv(root: Path) -> Path:
    rows = _rows(root)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root / "manifest.csv"


def _manifest_parquet(root: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(_rows(root)), root / "manifest.parquet")
    return root / "manifest.parquet"


def _shard(root: Path) -> Path:
    with tarfile.open(root / "train-000000.tar", "w") as tar:
        for number in range(6):
            facts = json.dumps(
                {"label": number % 2, "generator": "gan" * (number % 2), "split": "train"}
            ).encode()
            for name, content in ((f"{number:03}.png", _photo()), (f"{number:03}.json", facts)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return root
