import pytest
from torch import nn

from students import OptionError, build_student
from students.options import check_options


def message(**arguments) -> str:
    with pytest.raises(OptionError) as caught:
        build_student(**arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_name_lists_the_choices():
    assert message(name="resnet81") == (
        "unknown student 'resnet81'; choose one of: embed, mobilenet_v2, rep_cnn, resnet18, small_cnn, spectrum"
    )


def test_unknown_option_lists_the_choices():
    assert message(name="resnet18", options={"froze": True}) == (
        "student resnet18: unknown option 'froze'; choose one of: frozen, pretrained, weights"
    )


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("base_channels", 24, "student small_cnn: option base_channels is 24, expected a multiple of 16"),
        ("blocks", 9, "student small_cnn: option blocks is 9, expected less than or equal to 8"),
        ("dropout", 1.0, "student small_cnn: option dropout is 1.0, expected less than 1"),
    ],
)
def test_option_out_of_range(option, value, expected):
    assert message(name="small_cnn", options={option: value}) == expected


def test_all_mistakes_are_reported_at_once():
    text = message(name="small_cnn", options={"blocks": "many", "dropout": -1, "wide": 2})
    assert text.count("; ") == 3  # three mistakes, the unknown option with its choices
    assert "blocks is 'many'" in text and "dropout is -1" in text and "unknown option 'wide'" in text


def test_number_of_logits_is_checked_and_no_option():
    assert message(name="small_cnn", num_logits=0) == (
        "student small_cnn: option num_logits is 0, expected greater than or equal to 1"
    )


def test_check_options_converts_and_completes():
    def factory(*, num_logits: int = 1, width: float = 1.0, wide: bool = False) -> None: ...

    assert check_options("x", factory, {"num_logits": 2, "width": "0.5"}) == {
        "num_logits": 2,
        "width": 0.5,
        "wide": False,
    }


def test_the_callers_own_arguments_are_no_options():
    def factory(pair, *, weight: float = 1.0, margin=0.5) -> None: ...

    assert check_options("x", factory, {"margin": "any"}, given=("pair", "weight")) == {"margin": "any"}
    for given in ({"pair": 1}, {"weight": 2.0}):
        with pytest.raises(OptionError, match=r"x: unknown option '\w+'; choose one of: margin"):
            check_options("x", factory, given, given=("pair", "weight"))


def test_a_factory_that_hands_keywords_on_takes_any_option():
    def factory(*sizes, width: int = 1, **others) -> None: ...

    assert check_options("x", factory, {"depth": [3]}) == {"width": 1, "depth": [3]}
    with pytest.raises(OptionError, match="x: option width is 'a', expected a valid integer"):
        check_options("x", factory, {"width": "a", "depth": 3})


def test_types_that_are_no_plain_values_are_checked_as_they_are():
    def factory(*, norm: nn.Module | None = None, width: "int" = 3) -> None: ...

    module = nn.Identity()
    assert check_options("x", factory, {"norm": module}) == {"norm": module, "width": 3}
    with pytest.raises(OptionError, match="option norm is 3, expected an instance of Module"):
        check_options("x", factory, {"norm": 3})
    with pytest.raises(OptionError, match="option width is 'a', expected a valid integer"):
        check_options("x", factory, {"width": "a"})


def test_mobilenet_has_pretrained_weights_at_full_width_only():
    text = message(name="mobilenet_v2", options={"pretrained": True, "width_mult": 0.5})
    assert text == "mobilenet_v2: pretrained needs width_mult 1.0, found 0.5"


def test_a_factory_without_options_says_so():
    def factory(*, num_logits: int = 1) -> None: ...

    with pytest.raises(OptionError, match="x: unknown option 'width'; it takes none"):
        check_options("x", factory, {"width": 3})
