"""A mirror that exists already is a source: its payload is found in it, though its names lead to a place out of reach."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mirroring.conftest import Made
from tests.mirroring.tiny_release import UPSTREAM, VERSION
from tests.mirroring.world import MIRROR, RELEASE, World

pytestmark = [pytest.mark.daemons, pytest.mark.release]

CORPORATE, REPOSITORY = "corporate.example:5000", "openshift/okd4"
CERTIFICATE = """\
set -e; cd /run/tls
openssl req -newkey rsa:2048 -nodes -subj /CN=corporate.example -keyout corporate.key -out corporate.csr 2>/dev/null
printf "subjectAltName=DNS:corporate.example" > corporate-extensions
openssl x509 -req -in corporate.csr -CA upstream-ca.crt -CAkey upstream-ca.key -CAcreateserial -days 2 \
    -extfile corporate-extensions -out corporate.crt 2>/dev/null
printf '127.0.0.4 corporate.example\\n' >> /etc/hosts
mkdir /srv/corporate
"""


@pytest.fixture
def corporate(both: World, made: Made) -> World:
    """The release in a registry of the company's, as `oc adm release mirror` leaves it; the upstream is gone."""
    both.sh(CERTIFICATE)
    both.sh("cp /run/tls/upstream.htpasswd /run/tls/corporate.htpasswd")
    both.registry("corporate", "127.0.0.4", "/srv/corporate")
    both.write("/run/trust.pem", both.read("/run/tls/upstream-ca.crt"))
    reader = both.read("/var/lib/okd-libvirt/secrets/release/pull-secret").replace(UPSTREAM, CORPORATE)
    both.write("/run/auth.json", reader)
    images = {f"okd/scos-release@{made.digest}": VERSION}
    images |= {f"okd/scos-content@{image.digest}": f"{VERSION}-{name}" for name, image in made.images.items()}
    both.write("/run/upstream.json", both.read("/var/lib/okd-libvirt/secrets/release/pull-secret"))
    for source, tag in images.items():
        both.run(
            *("env", "SSL_CERT_FILE=/run/trust.pem", "skopeo", "copy", "--all", "--preserve-digests"),
            *("--src-authfile=/run/upstream.json", "--dest-authfile=/run/auth.json"),
            *(f"docker://{UPSTREAM}/{source}", f"docker://{CORPORATE}/{REPOSITORY}:{tag}"),
        )
    both.stop("upstream")
    return both


def document(world: World, **changes: Any) -> dict[str, Any]:
    own = f"{CORPORATE}/{REPOSITORY}"
    release = {"image": f"{own}:{VERSION}", "digest": None, "version": VERSION, "architecture": "x86_64"}
    secret = world.secret(world.read("/run/auth.json"))
    return world.document(
        release=release,
        sources=[own, f"{UPSTREAM}/okd/scos-release", f"{UPSTREAM}/okd/scos-content"],
        releaseRepository=REPOSITORY,
        contentRepository=REPOSITORY,
        pullSecret=secret,
        attempts=1,
        **changes,
    )


def test_everything_comes_from_the_mirror_and_goes_by_its_own_names(corporate: World, made: Made) -> None:
    given = document(corporate)
    result, said = corporate.verb("mirror", given)
    assert result["digest"] == made.digest
    assert result["copied"] == len(made.images) + 1
    assert result["verified"] is None, "only the release's signature could say that, and a mirror has none"
    assert "copied from a mirror: nobody verifies its signature" in said
    again, _ = corporate.verb("mirror", given)
    assert again["copied"] == 0
    assert corporate.starts() == 1
    known = corporate.read(f"{RELEASE}/mirror.json")
    assert f'"source": "{UPSTREAM}/okd/scos-content"' in known, "nodes ask for the images by these names"
    assert result["release"] == f"{MIRROR}/{REPOSITORY}@{made.digest}"


def test_what_the_mirror_lacks_is_asked_of_its_origin_by_name(corporate: World, made: Made) -> None:
    first = next(iter(made.images.values()))
    for place in (f"repositories/{REPOSITORY}/_manifests/revisions/sha256", "blobs/sha256"):
        corporate.sh(f"find /srv/corporate -path '*{place}*{first.digest[7:]}*' -delete")
    corporate.stop("corporate")
    corporate.registry("corporate", "127.0.0.4", "/srv/corporate")
    said = corporate.refused("mirror", document(corporate))
    assert f"connection to {UPSTREAM} does not last" in said or f"{CORPORATE} does not have it" in said
