"""Versions of OKD releases have a form and an order."""

from __future__ import annotations

import itertools

import pytest

from cluster.versions import Version

IN_ORDER = [
    "4.9.0-0.okd-2022-02-12-140851",
    "4.15.0-0.okd-2024-02-10-035534",
    "4.15.0-0.okd-2024-03-10-010116",
    "4.16.0-0.okd-scos-2024-08-21-155613",
    "4.16.0-okd-scos.0",
    "4.19.0-okd-scos.2",
    "4.19.0-okd-scos.15",
    "4.19.1-okd-scos.0",
    "4.22.0-okd-scos.7",
    "10.0.0-okd-scos.0",
]


def test_numbers_count_as_numbers() -> None:
    versions = [Version.parse(text) for text in IN_ORDER]
    assert sorted(reversed(versions)) == versions
    for earlier, later in itertools.combinations(versions, 2):
        assert earlier < later
        assert later >= earlier
        assert earlier != later


@pytest.mark.parametrize(
    "text", ["4.22.0", "4.22", "latest", "", "4.19.0-okd-scos.", "v4.19.0-okd-scos.0", "4.19.0-ec.5"]
)
def test_what_is_no_okd_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no version of an OKD release"):
        Version.parse(text)


def test_what_a_release_is_built_on_and_since_when() -> None:
    assert Version.parse("4.19.0-okd-scos.15").scos
    assert not Version.parse("4.15.0-0.okd-2024-03-10-010116").scos
    assert Version.parse("4.17.0-okd-scos.0").since((4, 17))
    assert not Version.parse("4.9.0-0.okd-2022-02-12-140851").since((4, 14))
