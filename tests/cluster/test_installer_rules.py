"""What the installer would refuse once the release is mirrored is refused in the settings, by its own rules."""

from __future__ import annotations

import pytest

from cluster.settings import Settings
from tests.cluster.mistakes import ALL_NINES, Edit, put, release
from tests.cluster.test_domain import config_of, report

LONG = f"registry.example.com/{'a' * 120}/{'b' * 120}"
REFUSED: dict[str, tuple[Edit, str, str]] = {
    "hyphen before a registry": (
        release(sources=["quay.io/okd/scos-release", "-quay.io/x/y"]),
        "release.sources[1]",
        "hyphen at an end",
    ),
    "hyphen after a label": (
        release(additionalImages=[f"quay-.io/x/y@sha256:{ALL_NINES}"]),
        "release.additionalImages[0]",
        "hyphen at an end",
    ),
    "repository too long": (
        release(sources=["quay.io/okd/scos-release", LONG]),
        "release.sources[1]",
        "the installer takes 255",
    ),
    "mirror's repository too long": (
        release(additionalImages=[f"a.io/{'a' * 120}/{'b' * 108}@sha256:{ALL_NINES}"]),
        "release.additionalImages[0]",
        "in the mirror registry",
    ),
    "no room for the cluster's DNS": (
        put("install.serviceNetwork", "172.30.0.0/29"),
        "install.serviceNetwork",
        "takes the tenth",
    ),
}


@pytest.mark.parametrize(("edit", "setting", "words"), REFUSED.values(), ids=REFUSED)
def test_what_the_installer_would_refuse_is_refused(edit: Edit, setting: str, words: str) -> None:
    found = report(edit)
    assert found.keys() == {setting}
    assert words in found[setting].harm


@pytest.mark.parametrize(
    "edit",
    [
        release(sources=["quay.io/okd/scos-release", "Quay.Example.COM:8443/a-b/c__d/e--f"]),
        release(additionalImages=[f"10.1.1.1:5000/x/y@sha256:{ALL_NINES}", f"a--b.io/x@sha256:{ALL_NINES}"]),
    ],
    ids=["capitals and a port", "an address, and hyphens inside"],
)
def test_what_the_installer_takes_is_taken(edit: Edit) -> None:
    assert report(edit) == {}


def test_a_network_that_the_clusters_own_services_nearly_fill_is_a_warning() -> None:
    (told,) = Settings.parse(config_of(put("install.serviceNetwork", "172.30.0.0/26")), "hard-way").warnings
    assert (told.setting, "64 addresses" in told.harm) == ("install.serviceNetwork", True)
