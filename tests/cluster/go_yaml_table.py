"""What go-yaml 2.4.0 (as Kubernetes has it) and 3.0.1 (as Pulumi has it) answered to plain texts, asked for real.

By text: what Kubernetes' programs take it for, and what Pulumi hands to the program for it, as JSON says it.
"""

from __future__ import annotations

from typing import Any

NUMBERS: dict[str, Any] = {
    "08": 8,
    "8": 8,
    "010": 8,
    "012": 10,
    "0777": 511,
    "00891234": 891234,
    "-08": -8,
    "0_8": 8,
    "0o7": 7,
    "0O7": 7,
    "-0o7": -7,
    "0b11": 3,
    "-0b1": -1,
    "0x1F": 31,
    "0X1f": 31,
    "1_000": 1000,
    "1__0": 10,
    "1e5": 100000,
    "1E5": 100000,
    "1.5e3": 1500,
    "1e+5": 100000,
    "+1e5": 100000,
    "1.e5": 100000,
    "12e03": 12000,
    "1e-2": 0.01,
    ".5": 0.5,
    ".5e1": 5,
    ".640_0": 0.64,
    "0_x1f": 31,
    "+.5": 0.5,
    "5.": 5,
    "4.19": 4.19,
    "4.20": 4.2,
    "1.0": 1,
    "09.5": 9.5,
    "1_0.5": 10.5,
    "+12": 12,
    "-0": 0,
    "00": 0,
    "9223372036854775807": 9223372036854775807,
    "123456789012345678901234567890": 1.2345678901234568e29,
}
TEXTS = (
    "_1",
    ".",
    "+",
    "1.2.3",
    "1:30",
    "1:30:45",
    "190:20:30.15",
    "52:54:00:12:34:56",
    "0b2",
    "0x",
    "0xfffffffffffffffff",
    "1e400",
    "1,000",
    "inf",
    "NaN",
    "=",
    "<<",
    "yES",
    "tRue",
    "nULL",
    "a:b",
    "2001-12-14 21:59:43.10 -5",
)
# No text to Kubernetes, and text to Pulumi.
OLD_BOOLS: dict[str, bool] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
# The other way round; Pulumi makes a time with clock and zone of them.
TIMES = ("2001-01-01", "2001-1-1", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.10")
OTHERS: dict[str, Any] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("~", "null", "Null", "NULL"), None),
    "!!str 08": "08",
    "!!int 8": 8,
    "!!float 8": 8,
    "'08'": "08",
    '"y"': "y",
}
LARGE = "12345678901234567890"
KUBERNETES: dict[str, Any] = {
    LARGE: 12345678901234567890,
    **NUMBERS,
    **{text: text for text in (*TEXTS, *TIMES)},
    **OLD_BOOLS,
    **OTHERS,
}
PULUMI: dict[str, Any] = {
    LARGE: 12345678901234567000,
    **NUMBERS,
    **{text: text for text in (*TEXTS, *OLD_BOOLS)},
    **OTHERS,
}
