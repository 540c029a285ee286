import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from recipe_fixture import failure

from distill.errors import EdgeproofError
from distill.overrides import with_seeds
from distill.recipe import Recipe, load_recipe, parse_recipe, to_toml

MINIMAL = {"name": "mine", "data": {"path": "photos"}, "students": {"small": {"name": "small_cnn"}}}


def mistakes(values):
    with pytest.raises(EdgeproofError) as caught:
        parse_recipe(values, origin="r.toml")
    lines = str(caught.value).splitlines()
    assert all(line.startswith("r.toml: ") for line in lines)
    return [line.removeprefix("r.toml: ") for line in lines]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(parse_recipe(MINIMAL, origin="")))
    return str(path)


# round trip

positive = st.floats(min_value=1e-12, max_value=1e12)
share = st.floats(0, 1)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]*", fullmatch=True).filter(lambda name: name != "teacher")
scalars = (
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
toml = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
options = st.dictionaries(st.text(max_size=8), toml, max_size=3)
methods = st.fixed_dictionaries(
    {"name": st.text(max_size=8)},
    optional={"weight": positive, "temperature": positive, "teacher_feature": st.text(max_size=5)},
)
recipes = st.fixed_dictionaries(
    {
        "name": names,
        "description": st.text(),
        "data": st.fixed_dictionaries(
            {"path": st.text(min_size=1)},
            optional={
                "valid_share": st.floats(0, 0.8),
                "simulate": st.fixed_dictionaries(
                    {"size": st.integers(32, 1024), "strength": st.floats(0.1, 1)}
                ),
            },
        ),
        "students": st.dictionaries(
            names,
            st.fixed_dictionaries({"name": st.text(), "options": options, "learning_rate": positive}),
            min_size=1,
            max_size=3,
        ),
    },
    optional={
        "teacher": st.fixed_dictionaries({"options": options, "weights": st.text()}),
        "quantization": st.dictionaries(
            names,
            st.fixed_dictionaries(
                {"samples": st.integers(1, 99)}, optional={"tool": st.text(), "preset": toml}
            ),
        ),
        "distillation": st.fixed_dictionaries({"methods": st.lists(methods, max_size=3)}),
        "loss": st.fixed_dictionaries(
            {"pos_weight": st.sampled_from(["auto", "none"]) | positive | st.integers(1, 99)}
        ),
        "training": st.fixed_dictionaries(
            {"seeds": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True)}
        ),
        "gates": st.fixed_dictionaries({"accept": st.lists(st.text(), max_size=3)}),
        "preprocess": st.fixed_dictionaries(
            {"mean": st.tuples(share, share, share), "std": st.tuples(*[positive] * 3)}
        ),
    },
)


@given(values=recipes)
@settings(max_examples=100, deadline=None)
def test_the_written_recipe_reads_back_equal(values, tmp_path_factory):
    recipe = parse_recipe(values, origin="")
    path = tmp_path_factory.getbasetemp() / "round.toml"
    path.write_bytes(to_toml(recipe).encode())
    assert load_recipe(str(path)) == recipe


def test_reading_a_recipe_needs_no_writer(file):
    code = (
        "import sys; sys.modules['tomli_w'] = None\n"
        "from distill.errors import EdgeproofError\n"
        "from distill.recipe import load_recipe, to_toml\n"
        "recipe = load_recipe(sys.argv[1])\n"
        "try: to_toml(recipe)\n"
        "except EdgeproofError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, file]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("package tomli_w") and "edgeproof[train]" in said


@given(values=recipes)
@settings(max_examples=25, deadline=None)
def test_json_of_a_recipe_is_a_recipe_too(values):
    recipe = parse_recipe(values, origin="")
    assert parse_recipe(recipe.model_dump(mode="json"), origin="") == recipe


def test_several_teachers_and_quantizers_by_name():
    values = {
        **MINIMAL,
        "teachers": {"large": {"name": "timm:vit", "source": "online", "preprocess": {"size": 224}}},
        "distillation": {"methods": [{"name": "kl"}, {"name": "hint", "teachers": ["large"], "student_feature": "a"}]},
        "quantization": {"nncf": {}, "fast": {"tool": "nncf", "preset": "performance", "samples": 8}},
    }  # fmt: skip
    recipe = parse_recipe(values, origin="")
    assert list(recipe.all_teachers) == ["teacher", "large"]
    assert recipe.all_teachers["large"].preprocess.size == 224
    assert [method.teachers for method in recipe.distillation.methods] == [None, ("large",)]
    assert [method.options for method in recipe.distillation.methods] == [{}, {"student_feature": "a"}]
    fast = recipe.quantization["fast"]
    assert (fast.tool, fast.samples, fast.settings) == ("nncf", 8, {"preset": "performance"})


def test_a_recipe_is_frozen():
    with pytest.raises(ValidationError):
        parse_recipe(MINIMAL, origin="").seed = 3


# mistakes


def test_all_mistakes_at_once_with_key_value_and_expectation():
    assert mistakes(
        {
            "name": "a b",
            "seed": -1,
            "data": {"path": "x", "valid_share": 1.5},
            "students": {"small": {"epochs": "many"}},
            "loss": {"kind": "hinge", "pos_weight": -2},
            "training": {"seeds": [1, 1], "precision": "fp8"},
            "preprocess": {"size": 8},
        }
    ) == [
        "name: given 'a b', expected to match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]*$'",
        "seed: given -1, expected greater than or equal to 0",
        "data.valid_share: given 1.5, expected less than or equal to 1",
        "preprocess.size: given 8, expected greater than or equal to 16",
        "students.small.epochs: given 'many', expected a valid integer, unable to parse string as an integer",
        "students.small.name: missing, expected a value",
        "loss.kind: given 'hinge', expected 'bce' or 'focal'",
        "loss.pos_weight: given -2, expected 'auto', 'none' or a positive number",
        "training.seeds: given [1, 1], expected each seed may stand only once",
        "training.precision: given 'fp8', expected 'auto', 'fp32', 'bf16' or 'fp16'",
    ]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"sed": 1}, "sed: unknown key (given 1); did you mean 'seed'?"),
        (
            {"zzz": 1},
            "zzz: unknown key (given 1); choose one of: augmentation, bench, data, degradations, description,",
        ),
        ({"teacher": {"epoch": 3}}, "teacher.epoch: unknown key (given 3); did you mean 'epochs'?"),
        (
            {"students": {"s": {"name": "x", "lerning_rate": 1}}},
            "students.s.lerning_rate: unknown key (given 1); did you mean 'learning_rate'?",
        ),
        (
            {"students": {"name": {"name": "x", "epoch": 1}}},
            "students.name.epoch: unknown key (given 1); did you mean 'epochs'?",
        ),
        (
            {"students": {"options": {"name": "x", "epoch": 1}}},
            "students.options.epoch: unknown key (given 1); did you mean 'epochs'?",
        ),
        (
            {"teachers": {"large": {"layer": ["a"]}}},
            "teachers.large.layer: unknown key (given ['a']); did you mean 'layers'?",
        ),
        (
            {"data": {"simulate": {"scenes": {"trian": 5}}}},
            "data.simulate.scenes.trian: unknown key (given 5); did you mean 'train'?",
        ),
        (
            {"preprocess": {"polcy": "resize"}},
            "preprocess.polcy: unknown key (given 'resize'); did you mean 'policy'?",
        ),
    ],
)
def test_an_unknown_key_comes_with_a_suggestion(values, line):
    [found] = mistakes({**MINIMAL, **values})
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"students": {}}, "students: given {}, expected to have at least 1 item"),
        ({"students": {"a/b": {"name": "x"}}}, "students.a/b: given 'a/b', expected to match pattern"),
        (
            {"students": {"teacher": {"name": "x"}}},
            "students.teacher: expected no student named 'teacher', which is a teacher's name",
        ),
        (
            {"teachers": {"large": {}}, "students": {"large": {"name": "x"}}},
            "students.large: expected no student named 'large', which is a teacher's name",
        ),
        (
            {"teachers": {"teacher": {}}},
            "teachers.teacher: expected another name; the main teacher's section is [teacher]",
        ),
        (
            {"distillation": {"methods": [{"name": "kl", "teachers": ["large"]}]}},
            "distillation.methods: kl listens to 'large'; choose among: teacher",
        ),
        (
            {"students": {"s": {"name": "x", "learning_rate": float("inf")}}},
            "students.s.learning_rate: given inf, expected a finite number",
        ),
        ({"students": 3}, "students: given 3, expected a valid dictionary"),
        ({"training": {"seeds": []}}, "training.seeds: given [], expected to have at least 1 item"),
        (
            {"loss": {"pos_weight": True}},
            "loss.pos_weight: given True, expected 'auto', 'none' or a positive number",
        ),
        (
            {"loss": {"pos_weight": float("nan")}},
            "loss.pos_weight: given nan, expected 'auto', 'none' or a positive number",
        ),
        ({"data": {}}, "data: given {}, expected data.path to name a folder"),
        (
            {"data": {"simulate": {"families": ["gan"]}}},
            "data.simulate: given {'families': ['gan']}, expected known generator families, not 'gan'",
        ),
    ],
)
def test_a_wrong_value_is_named(values, start):
    [found] = mistakes({**MINIMAL, **values})
    assert found.startswith(start)


# --set


def test_set_replaces_values_of_every_kind(file):
    changes = [
        "seed=7", "data.path=/with space/ü", "students.small.options.width=8", "training.seeds=[3, 4]",
        "preprocess.size=32", "students.small.learning_rate=1e-4", 'description="quoted = yes"', "training.compile=true",
        "distillation.methods=[{name='kl', temperature=4.0}]", "teacher.weights=",
    ]  # fmt: skip
    recipe = load_recipe(file, overrides=changes)
    assert recipe.seed == 7
    assert recipe.data.path == "/with space/ü"
    assert recipe.students["small"].options == {"width": 8}
    assert recipe.training.seeds == (3, 4)
    assert recipe.preprocess.size == 32
    assert recipe.students["small"].learning_rate == 1e-4
    assert recipe.description == "quoted = yes"
    assert recipe.training.compile is True
    assert recipe.distillation.methods[0].name == "kl"
    assert recipe.distillation.methods[0].options == {"temperature": 4.0}
    assert recipe.teacher.weights == ""


def test_set_adds_a_section(file):
    recipe = load_recipe(file, overrides=["students.big.name=resnet18"])
    assert set(recipe.students) == {"small", "big"}


def test_the_last_set_wins(file):
    assert load_recipe(file, overrides=["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("override", ["seed", "=3", "a..b=3", ".seed=3", "seed.=3"])
def test_set_without_key_or_value(file, override):
    assert (
        failure(file, overrides=[override])
        == f"--set {override!r}: expected KEY=VALUE, such as data.path=photos"
    )


@pytest.mark.parametrize("override", ["name.x=3", "distillation.methods.0.weight=3"])
def test_set_below_a_value(file, override):
    assert "is a value, not a section" in failure(file, overrides=[override])


def test_a_mistake_in_set_is_reported_like_one_in_the_file(file):
    found = failure(file, overrides=["sed=1"])
    assert found.startswith(f"{file}: sed: unknown key (given 1); did you mean 'seed'? choose one of: ")
    assert "training" in found


@pytest.mark.parametrize("source", ["nowhere.toml", "runs/nowhere"])
def test_a_missing_file_is_named(source):
    assert failure(source).startswith(f"{source}: no such recipe file; shipped recipes: ")


@pytest.mark.parametrize("content", [b"name = ", b"name = 'a'\nname = 'b'", b"\xff\xfe"])
def test_a_file_that_is_no_toml(tmp_path, content):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    assert failure(str(path)).startswith(f"{path}: not a valid TOML file (")


def test_an_empty_file_lists_what_is_missing():
    assert mistakes({}) == [f"{key}: missing, expected a value" for key in ("name", "data", "students")]


def test_the_defaults_are_a_recipe():
    assert isinstance(parse_recipe(MINIMAL, origin=""), Recipe)


# seeds


def test_a_number_of_seeds_holds_for_students_with_seeds_of_their_own_too(tmp_path):
    students = {"small": {"name": "small_cnn"}, "v1.5": {"name": "small_cnn", "seeds": [7]}}
    recipe = with_seeds(parse_recipe({**MINIMAL, "students": students}, origin=""), 3)
    assert [recipe.seeds_of(name) for name in students] == [(0, 1, 2), (0, 1, 2)]
    (tmp_path / "r.toml").write_text(to_toml(recipe))
    assert load_recipe(str(tmp_path / "r.toml")) == recipe


@pytest.mark.parametrize("count", [0, -1])
def test_no_seeds_are_refused_in_a_line(count):
    with pytest.raises(EdgeproofError, match=f"^--seeds: given {count}, expected at least 1$"):
        with_seeds(parse_recipe(MINIMAL, origin=""), count)


def test_a_student_may_have_a_loss_of_its_own():
    students = {"small": {"name": "small_cnn", "loss": {"pos_weight": 4.88}}, "other": {"name": "small_cnn"}}
    recipe = parse_recipe({**MINIMAL, "students": students, "loss": {"kind": "focal"}}, origin="")
    assert recipe.loss_of("small").pos_weight == 4.88 and recipe.loss_of("small").kind == "bce"
    assert recipe.loss_of("other").kind == recipe.loss_of("teacher").kind == "focal"
    [line] = mistakes({**MINIMAL, "students": students, "training": {"balanced": True}})
    assert line.startswith("training.balanced: given true beside students.small.loss.pos_weight")
