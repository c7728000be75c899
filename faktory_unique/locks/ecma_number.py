"""Write a number as ECMAScript does, which RFC 8785 requires for canonical JSON."""

# ECMA-262 Number::toString uses exponents below 0.000001 and from 1e21.
_MIN_N, _MAX_N = -5, 21


def ecma_number(number: float) -> str:
    """Return a finite number as in RFC 8785 section 3.2.2.3: ECMA-262 Number::toString, radix 10.

    `digits`, k and n are those of the specification: the number is 0.digits * 10**n. Python's repr
    gives the same digits: the fewest that read back as this number, and among those the closest to
    it (Note 2 of the specification). But repr uses exponents at other sizes.
    """
    if number == 0:
        return "0"  # minus zero as well
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = float.__repr__(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    n = len(digits) - len(fraction) + int(exponent or 0)
    digits = digits.rstrip("0")
    k = len(digits)
    if k <= n <= _MAX_N:
        return sign + digits + "0" * (n - k)
    if 0 < n <= _MAX_N:
        return f"{sign}{digits[:n]}.{digits[n:]}"
    if _MIN_N <= n <= 0:
        return f"{sign}0.{'0' * -n}{digits}"
    point = "." if k > 1 else ""
    return f"{sign}{digits[0]}{point}{digits[1:]}e{n - 1:+d}"
