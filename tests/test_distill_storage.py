import io
import resource
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from distill.data.samples import Sample
from distill.data.storage import open_binary, open_image, read_bytes, tar_of
from distill.errors import EdgeproofError


def encoded(colour, size=(24, 16), format="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, format)
    return file.getvalue()


def shard(path, members):
    """A tar of ``members``, and a sample for each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with tarfile.open(path) as tar:
        return [
            Sample(path=f"{path.name}/{info.name}", label=0, span=(info.offset_data, info.size))
            for info in tar
        ]


def both(tmp_path, data, name="a b.png"):
    """The same bytes as a file and in a tar."""
    (tmp_path / name).write_bytes(data)
    return [
        Sample(path=name, label=0),
        *shard(tmp_path / "s.tar", {"before.txt": b"x" * 700, name: data})[1:],
    ]


def test_a_file_and_a_member_are_the_same(tmp_path):
    data = encoded((200, 30, 90))
    for sample in both(tmp_path, data):
        assert read_bytes(tmp_path, sample) == data
        with open_binary(tmp_path, sample) as file:
            assert file.read() == data
        image = open_image(tmp_path, sample)
        assert image.mode == "RGB" and image.size == (24, 16)
        assert (np.asarray(image) == (200, 30, 90)).all()


def test_an_open_file_can_be_searched(tmp_path):
    for sample in both(tmp_path, b"0123456789"):
        with open_binary(tmp_path, sample) as file:
            file.seek(-3, io.SEEK_END)
            assert file.read() == b"789"


def test_pictures_come_upright_and_small_where_that_is_enough(tmp_path):
    image = Image.new("RGB", (64, 32))
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was held upright
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    for sample in both(tmp_path, file.getvalue()):
        assert open_image(tmp_path, sample).size == (32, 64)
        assert open_image(tmp_path, sample, smallest=8).size == (8, 16)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"no image at all", "no known format"),
        (encoded((1, 2, 3), (300, 200))[:200], ""),
    ],
)
def test_what_is_no_image_is_named(tmp_path, data, message):
    for sample in both(tmp_path, data):
        with pytest.raises(EdgeproofError) as caught:
            open_image(tmp_path, sample)
        assert str(caught.value).startswith(f"{tmp_path / sample.path}: ") and "\n" not in str(caught.value)
        assert message in str(caught.value)


def test_a_tar_that_is_cut_inside_an_image(tmp_path):
    (sample,) = shard(tmp_path / "s.tar", {"a.png": encoded((1, 2, 3))})
    whole = (tmp_path / "s.tar").read_bytes()
    for end in (sum(sample.span) - 1, sample.span[0], 3):
        (tmp_path / "s.tar").write_bytes(whole[:end])
        for read in (read_bytes, open_binary, open_image):
            with pytest.raises(EdgeproofError, match="the tar is cut short inside this image"):
                read(tmp_path, sample)


def test_files_that_are_gone(tmp_path):
    for sample in (Sample("gone.png", 0), Sample("gone.tar/a.png", 0, span=(512, 3))):
        for read in (read_bytes, open_binary):
            with pytest.raises(OSError):
                read(tmp_path, sample)
    with pytest.raises(EdgeproofError, match="no such image file"):
        open_image(tmp_path, Sample("gone.png", 0))


@pytest.mark.parametrize(
    ("path", "span", "tar"),
    [
        ("a.tar/b.jpg", (0, 1), "a.tar"),
        ("x/y/a.tar/d/b.jpg", (0, 1), "x/y/a.tar"),
        ("a.tar/inner.tar/b.jpg", (0, 1), "a.tar"),
        ("a.b.tar/b.jpg", (0, 1), "a.b.tar"),
        ("my.tarot/a.tar/b.jpg", (0, 1), "my.tarot/a.tar"),
        ("/data/a.tar/b.jpg", (0, 1), "/data/a.tar"),
        ("folder.tar/b.jpg", None, ""),
    ],
)
def test_the_tar_of_a_sample(path, span, tar):
    assert tar_of(Sample(path, 0, span=span)) == tar


def test_an_absolute_path_needs_no_root(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    assert read_bytes(tmp_path / "elsewhere", Sample(str(tmp_path / "a.bin"), 0)) == b"abc"


def test_more_shards_than_files_may_be_open(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    samples = [shard(tmp_path / f"{i:03d}.tar", {"a.bin": b"%03d" % i})[0] for i in range(150)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(128, hard), hard))
    try:
        assert [read_bytes(tmp_path, sample) for sample in samples] == [b"%03d" % i for i in range(150)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_threads_read_what_is_theirs(tmp_path):
    members = {f"{i:04d}.bin": b"%04d" % i * (i % 97) for i in range(200)}
    samples = [sample for n in range(4) for sample in shard(tmp_path / f"{n}.tar", members)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda sample: read_bytes(tmp_path, sample), samples * 5))
    assert found == [members[sample.path[6:]] for sample in samples * 5]
