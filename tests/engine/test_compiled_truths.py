"""Truths of a history reach compiled policies as exactly what Cedar would take."""

import pytest

from bridle.engine.cedar.compiled import forms
from bridle.engine.cedar.compiled.forms import Field
from bridle.engine.cedar.compiled.values import Unsupported

READ = forms.record(
    {"h1": Field(forms.boolean, required=True), "h2": Field(forms.boolean, required=False)}
)


@pytest.mark.parametrize("given", [{"h1": True}, {"h1": False, "h2": True}])
def test_truths_are_read_as_they_are(given):
    assert READ(given) == given


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"h2": True},
        {"h1": 1},
        {"h1": True, "h2": None},
        {"h1": True, "h2": "true"},
        {"h1": True, "h3": True},
        [True],
        "h1",
        None,
    ],
)
def test_anything_else_is_left_to_cedar(given):
    with pytest.raises(Unsupported):
        READ(given)
