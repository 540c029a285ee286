from pathlib import Path

import pytest

from bench.report.repair import sentence
from deploy.float_layers import fewest, rank_layers, still_int8
from deploy.int8_check import Int8Evidence
from deploy.quantization_record import FloatLayer
from deploy.repair import Form, ImpossibleError, repair


def layer(position: int, *shape: int, macs: int = 0) -> FloatLayer:
    return FloatLayer(position=position, kind="Conv", shape=shape or (8, 8), macs=macs)


def form(score: float, **fields) -> Form:
    return Form(Path(f"form-{score}"), score, **fields)


def repaired(**forms):
    """Steps with a form or an error each; those that were taken, and what came of it."""
    taken = []

    def make(step):
        taken.append(step)
        if isinstance(forms[step], Exception):
            raise forms[step]
        return forms[step]

    steps = {step: lambda step=step: make(step) for step in forms}
    kept, record = repair(steps, fp32=0.95, limit=0.005, metric="AUC")
    return taken, kept, record


def test_int8_that_holds_is_taken_as_it_comes() -> None:
    taken, kept, record = repaired(plain=form(0.946), layers=form(0.95), training=form(0.95))
    assert taken == ["plain"]
    assert (kept.score, record.kept, record.passed) == (0.946, "plain", True)
    assert record.tries[0].drop == pytest.approx(0.004)
    assert sentence(record) == "INT8 as it came (validation AUC \N{MINUS SIGN}0.004 against FP32)."


def test_layers_come_before_training() -> None:
    taken, kept, record = repaired(plain=form(0.90), layers=form(0.948, float_layers=2), training=form(0.95))
    assert taken == ["plain", "layers"]
    assert (kept.score, record.kept, record.passed) == (0.948, "layers", True)
    assert sentence(record) == (
        "INT8 with 2 layers left in float (validation AUC \N{MINUS SIGN}0.002 against FP32); "
        "INT8 as it came: \N{MINUS SIGN}0.050."
    )


def test_training_comes_last_and_what_was_not_possible_is_said() -> None:
    taken, _, record = repaired(
        plain=form(0.60), layers=ImpossibleError("own cannot leave layers in float"), training=form(0.951)
    )
    assert taken == ["plain", "layers", "training"]
    assert (record.kept, record.passed) == ("training", True)
    assert [item.reason for item in record.tries] == ["", "own cannot leave layers in float", ""]
    assert "trained again with quantization in the loop (validation AUC +0.001" in sentence(record)
    assert "layers in float: own cannot leave layers in float" in sentence(record)


def test_the_best_is_kept_where_nothing_helps() -> None:
    _, kept, record = repaired(plain=form(0.80), layers=form(0.92, float_layers=1), training=form(0.91))
    assert (kept.score, record.kept, record.passed) == (0.92, "layers", False)
    assert sentence(record).startswith(
        "nothing brought it within 0.005 of FP32; kept is INT8 with 1 layer left"
    )


def test_a_form_that_is_no_int8_never_passes() -> None:
    taken, kept, record = repaired(plain=form(0.80), layers=form(0.95, sound=False), training=form(0.90))
    assert taken == ["plain", "layers", "training"]
    assert (kept.score, record.passed) == (0.90, False)


def test_layers_are_ranked_by_what_their_return_to_float_gives() -> None:
    layers = [layer(0), layer(1), layer(2)]
    drift = {(): 1.0, (layers[0],): 0.9, (layers[1],): 0.2, (layers[2],): 1.1}
    assert rank_layers(layers, drift=drift.__getitem__) == (layers[1], layers[0])


def proof(*, weights: float = 1.0, macs: float = 1.0) -> Int8Evidence:
    return Int8Evidence(
        int8_weight_share=weights, size_ratio=0.3, int8_mac_share=macs, passed=True, reason="as planted"
    )


def test_what_may_be_float_is_still_int8() -> None:
    """A fifth of the weights and a quarter of the work, whatever comes first; what does not fit is skipped."""
    small = [layer(position, 10, 10, macs=100) for position in range(10)]  # a quarter of the work: 300
    heavy, wide = layer(10, 1, 1, macs=200), layer(11, 20, 20, macs=0)  # a fifth of the weights: 280
    among = [*small, heavy, wide]
    assert still_int8([wide, *small], among=among, plain=proof()) == tuple(small[:2])
    assert still_int8([heavy, *small], among=among, plain=proof()) == (heavy, small[0])
    assert still_int8(small[:1], among=among, plain=proof()) == (small[0],)
    alike = [layer(i, macs=9) for i in range(3)]
    assert still_int8(alike[:1], among=alike, plain=proof()) == ()


def test_what_a_form_leaves_in_float_for_speed_counts_too() -> None:
    """ONNX Runtime's first convolution: with it in float, a second layer of a tenth of the work was one too many."""
    small = [layer(position, 10, 10, macs=100) for position in range(10)]
    plain = proof(macs=0.9)  # 150 of 1,000 are left, not 250
    assert still_int8(small[:3], among=small, plain=proof()) == tuple(small[:2])
    assert still_int8(small[:3], among=small, plain=plain) == (small[0],)
    assert still_int8(small[:3], among=small, plain=proof(weights=0.85)) == ()


@pytest.mark.parametrize("enough", [1, 2, 3, 5, 7])
def test_the_fewest_layers_that_hold_are_found(enough: int) -> None:
    ranked, tried = tuple(layer(position) for position in range(7)), []

    def attempt(chosen):
        tried.append(len(chosen))
        return len(chosen), len(chosen) >= enough

    found = fewest(ranked, attempt=attempt)
    assert (found.layers, found.tried, found.passed) == (ranked[:enough], enough, True)
    assert len(tried) <= 4


def test_all_layers_are_the_best_try_where_none_hold() -> None:
    ranked = tuple(layer(position) for position in range(3))
    found = fewest(ranked, attempt=lambda chosen: (len(chosen), False))
    assert (found.layers, found.tried, found.passed) == (ranked, 3, False)
