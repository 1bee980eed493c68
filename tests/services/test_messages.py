"""What is wrong with a field, said as people say it."""

from typing import Annotated

import pytest
from pydantic import StringConstraints, create_model

from services.core.errors import InvalidInput
from services.schemas.messages import validate
from services.schemas.types import Days, Factor, Line, Money, Name, Quantity, QuantityOrZero


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Name, "x" * 101, "At most 100 characters, please."),
        (Annotated[Line, StringConstraints(min_length=3)], "ab", "At least 3 characters, please."),
        (list[int], "x", "Give a list."),
        (Quantity, "1000001", "Enter at most 1000000."),
        (Quantity, "0", "Enter more than 0."),
        (Quantity, "0.0000001", "At most 6 decimals, please."),
        (Quantity, True, "Enter a number."),
        (QuantityOrZero, "-1", "Enter at least 0."),
        (Money, "1000000.01", "Enter at most 1000000."),
        (Factor, "1000001", "Enter at most 1000000."),
        (Days, 36_501, "Enter at most 36500."),
        (Days, False, "Enter a number."),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_bound_is_told_as_people_write_it(kind: type, value: object, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate(create_model("Form", field=(kind, ...)), {"field": value})

    assert caught.value.fields == {"field": message}
