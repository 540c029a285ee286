"""Which files are videos, by their names. Torch-free and light: whoever lists a folder asks it."""

from pathlib import Path

VIDEO_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .3gp .wmv .flv .ogv".split())


def is_clip(path: Path) -> bool:
    """Whether a file's name is that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES
