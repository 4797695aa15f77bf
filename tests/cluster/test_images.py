"""References to images are taken apart as the tools do it."""

from __future__ import annotations

import pytest

from cluster.images import Reference, in_mirror

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("quay.io/okd/scos-release:4.22.0-okd-scos.7", ("quay.io", "okd/scos-release", "4.22.0-okd-scos.7", None)),
        (f"quay.io/okd/scos-release@{DIGEST}", ("quay.io", "okd/scos-release", None, DIGEST)),
        (f"198.51.100.1:5000/a/b:1@{DIGEST}", ("198.51.100.1:5000", "a/b", "1", DIGEST)),
        ("registry:5000/a", ("registry:5000", "a", None, None)),
        ("localhost/a__b/c-d", ("localhost", "a__b/c-d", None, None)),
    ],
)
def test_a_reference_is_taken_apart(text: str, parts: tuple[str | None, ...]) -> None:
    found = Reference.parse(text)
    assert (found.registry, found.path, found.tag, found.digest) == parts
    assert found.repository == f"{parts[0]}/{parts[1]}"


@pytest.mark.parametrize(
    "text",
    [
        "okd/scos-release",
        "quay.io",
        "quay.io/",
        "quay.io/Okd/x",
        "quay.io/a@sha256:1",
        "quay.io/a:",
        "https://quay.io/a",
    ],
)
def test_what_names_no_image_of_a_registry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no reference"):
        Reference.parse(text)


def test_the_mirror_keeps_the_path() -> None:
    assert in_mirror("198.51.100.1:5000/okd/scos-content") == "okd/scos-content"
