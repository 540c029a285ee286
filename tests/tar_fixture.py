"""WebDataset tars, written member by member."""

import io
import json
import tarfile

import pytest

from distill.data.layouts import load_dataset
from distill.errors import EdgeproofError


def member(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def packed(members, **options):
    """A tar in memory; a member is a TarInfo with data, or a name with bytes, text or a JSON value."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **options) as tar:
        for name, data in members:
            if not isinstance(name, tarfile.TarInfo):
                data = (
                    data
                    if isinstance(data, bytes)
                    else (data if isinstance(data, str) else json.dumps(data)).encode()
                )
                name = member(name, data)[0]
            tar.addfile(name, io.BytesIO(data))
    return file.getvalue()


def write(path, members, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(members, **options))
    return path


def pair(key, label, image=b"image", suffix=".jpg", **facts):
    return [(key + suffix, image), (f"{key}.json", {"label": label, **facts})]


def load(root, **options):
    return load_dataset(root, **options)


def listed(root):
    return [(s.path, s.label, s.split, s.generator, s.group) for s in load(root).samples]


def failure(root, **options):
    with pytest.raises(EdgeproofError) as caught:
        load(root, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


GOOD = [*pair("good", 1), ("zreal.png", b"x"), ("zreal.cls", "0\n")]


def with_good(root, *members, **options):
    """A shard with what is tested, between what is right."""
    return write(root / "train-000.tar", [*GOOD[:2], *members, *GOOD[2:]], **options)
