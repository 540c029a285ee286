from distill.data.layouts import load_dataset

JPEG = b"\xff\xd8\xff"


def class_folders(root, *, images=12, splits=("train", "test")):
    for split in splits:
        for i in range(images):
            path = root / split / ("real", "fake")[i % 2] / f"{split} ä{i}.{('jpg', 'PNG')[i % 3 == 0]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(JPEG + f"{split} {i}".encode() * (i + 1))
    return load_dataset(root)


def written_names(out):
    return [path.name for path in out.iterdir()]
