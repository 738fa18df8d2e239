"""The options of `convert` have one place; what repeats their names or defaults agrees with it."""

import dataclasses
from typing import get_type_hints

import pytest

from ttfs_convert.cli.convert import main
from ttfs_convert.conversion.options import CHOICES, ConversionOptions, Keywords
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import UsageError


def test_the_keywords_are_the_fields():
    assert get_type_hints(Keywords) == get_type_hints(ConversionOptions)
    assert all(field.name in convert.__doc__ for field in dataclasses.fields(ConversionOptions))


@pytest.mark.parametrize("name", ("mode", "steps", "rounding", "pooling", "tolerance", "margin"))
def test_the_command_has_the_same_defaults(name):
    (option,) = (parameter for parameter in main.params if parameter.name == name)
    assert option.default == getattr(ConversionOptions(), name)


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_that_is_none_is_refused_with_all_that_are(name):
    with pytest.raises(UsageError, match=" or ".join(CHOICES[name])):
        ConversionOptions(**{name: "others"})


@pytest.mark.parametrize("method", ("median", "20", "101"))
def test_a_method_that_is_none_is_refused_before_any_data_is_read(method):
    with pytest.raises(UsageError, match="percentile"):
        convert("nowhere.onnx", mode="exact", method=method, calibrate="nowhere.npz")


def test_fitting_finds_ranges_by_their_errors_unless_told_otherwise():
    assert ConversionOptions().rule.method == "maximum"
    assert ConversionOptions(compensate=True).rule.method == "mse"
    assert ConversionOptions(compensate=True, method="99.5").rule.percentile == 99.5
