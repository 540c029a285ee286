import importlib.metadata
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from distill import parts
from distill.errors import EdgeproofError
from distill.methods import build_method
from distill.methods.method import Pair
from distill.parts import find_part, installed_names
from distill.recipe import MethodSettings

TABLE = {"small": "the small one", "large": "the large one"}


def find(name):
    return find_part("students", name, table=TABLE, kind="student")


def failure(name):
    with pytest.raises(EdgeproofError) as caught:
        find(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, which an entry point script has not on its path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != ""])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def install(monkeypatch):
    """Let other packages add entry points: group → name → value."""

    def installed(**groups):
        every = [
            EntryPoint(name=name, value=value, group=f"edgeproof.{group}")
            for group, members in groups.items()
            for name, value in members.items()
        ]

        def entry_points(**wanted):
            return EntryPoints(every).select(**wanted)

        monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
        monkeypatch.setattr(parts, "entry_points", entry_points)

    return installed


def test_the_table_comes_first(install):
    install(students={"small": "nowhere:nothing"})
    assert find("small") == "the small one"


def test_an_entry_point_of_an_installed_package(install):
    install(students={"theirs": "json:dumps", "another": "json:loads"}, teachers={"elsewhere": "json:load"})
    import json

    assert find("theirs") is json.dumps
    assert installed_names("students") == ["another", "theirs"] and installed_names("methods") == []
    assert failure("elsewhere") == (
        "unknown student 'elsewhere'; choose one of: another, large, small, theirs, or name your own as module:factory"
    )


def test_a_factory_in_a_file_of_the_current_folder(here):
    (here / "own_part.py").write_text("class Nest:\n    inner = 'found'\n")
    assert find("own_part:Nest.inner") == "found"
    assert sys.path[-1] == str(here), "last: it hides no installed package"
    assert find("own_part:Nest").inner == "found" and sys.path.count(str(here)) == 1


def test_a_factory_of_a_package(here):
    (here / "own_package").mkdir()
    (here / "own_package" / "__init__.py").write_text("")
    (here / "own_package" / "deep.py").write_text("def make(): ...")
    assert find("own_package.deep:make").__name__ == "make"


def test_an_unknown_name_lists_the_choices():
    assert failure("smal").startswith("unknown student 'smal'; choose one of: ")
    assert "large, small, or" in failure("smal")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("no_such_part:Net", None, "No module named 'no_such_part'"),
        ("broken_part:Net", "import no_such_library", "No module named 'no_such_library'"),
        ("broken_part:Net", "x = 1", "module 'broken_part' has no attribute 'Net'"),
        ("broken_part:Net", "x = (", "'(' was never closed (broken_part.py, line 1)"),
        ("broken_part:Net", "raise RuntimeError('no GPU\\nhere')", "no GPU here"),
        ("broken_part:", "x = 1", ""),
        (":Net", None, ""),
        ("..part:Net", None, ""),
    ],
)
def test_what_cannot_be_imported_is_one_line(here, name, content, reason):
    if content is not None:
        (here / "broken_part.py").write_text(content)
    message = failure(name)
    assert message.startswith(f"student {name!r}: cannot be imported (")
    assert message.endswith(", expected module:factory") and reason in message


def test_a_broken_entry_point_is_one_line(install):
    install(students={"theirs": "no_such_part:Net"})
    assert failure("theirs").startswith(
        "student 'theirs': cannot be imported (No module named 'no_such_part')"
    )


def test_a_method_of_the_users_own_is_built_as_any_other(here):
    (here / "own_method.py").write_text(
        "from distill.methods import Method\n\n\n"
        "class Own(Method):\n    name = 'own'\n\n"
        "    def __init__(self, pair, *, weight: float = 1.0, margin: float = 0.5):\n"
        "        super().__init__(pair, weight=weight)\n        self.margin = margin\n"
    )
    pair = Pair(student={"s": 4}, teachers={"teacher": {}})
    method = build_method(MethodSettings(name="own_method:Own", margin="0.25"), pair=pair)
    assert (method.name, method.margin) == ("own", 0.25)
    with pytest.raises(EdgeproofError, match="unknown option 'margni'; choose one of: margin"):
        build_method(MethodSettings(name="own_method:Own", margni=1), pair=pair)
