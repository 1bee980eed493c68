"""Global Trade Item Numbers: GTIN-8, -12 (UPC-A), -13 (EAN) and -14, GS1 General Specifications 3.3 and 7.9."""

LENGTHS = (8, 12, 13, 14)


class WrongCheckDigit(ValueError):
    """A number that looks like a GTIN, but its last digit does not follow from the others."""


def normalise(code: str) -> str:
    """The form codes are kept and compared in: a GTIN with 14 digits, anything else as it is."""
    digits = code.replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) in LENGTHS):
        return code
    gtin = digits.zfill(14)
    if check_digit(gtin[:-1]) != int(gtin[-1]):
        raise WrongCheckDigit(code)
    return gtin


def shorten(code: str) -> str:
    """The shortest usual form of a kept code, as it is printed under the bars."""
    if not (len(code) == 14 and code.isdecimal()):
        return code
    digits = code.lstrip("0")
    return digits.zfill(next(length for length in LENGTHS if len(digits) <= length))


def check_digit(digits: str) -> int:
    """For the digits of a GTIN without its last; weights 3 and 1 from the right."""
    total = sum(int(digit) * (3 if index % 2 == 0 else 1) for index, digit in enumerate(reversed(digits)))
    return -total % 10
