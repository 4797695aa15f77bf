"""The smoke check against the real daemons: green when all is right, red for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.scripts import services
from tests.scripts.host import Host

pytestmark = pytest.mark.daemons

Doc = dict[str, Any]


@pytest.fixture(scope="module")
def serving() -> Iterator[Host]:
    """One host with all daemons running; tests that change it put it right again."""
    host = Host()
    try:
        # What is silent here stays so.
        host.waits(SMOKE=2)
        services.prepare(host)
        services.start(host)
        yield host
    finally:
        host.close()


def red(stdout: str) -> list[str]:
    """The checks that failed."""
    return [line.split(" | ")[0].strip() for line in stdout.splitlines() if line.endswith("| FAILED")]


def leftovers(host: Host) -> str:
    return host.sh("ip netns list; ip -brief link | grep okd-smoke", check=False)


def test_everything_right_is_green(serving: Host) -> None:
    serving.waits(SMOKE=PATIENCE_SECONDS)
    done = serving.agent("smoke", document=services.document(serving))
    serving.waits(SMOKE=2)
    assert done.returncode == 0
    assert red(done.stdout) == []
    rows = [line for line in done.stdout.splitlines() if line.endswith("| ok")]
    assert len(rows) == 3 * 4 + 1 + 10 + 1 + 2 + 2 + 2 + 5
    assert len({line.index(" | ") for line in rows}) == 1, "the columns are aligned"
    assert services.PASSWORD not in done.stdout + done.stderr
    assert leftovers(serving) == ""


def wrong_address(document: Doc) -> str:
    document["machines"][1]["address"] = "192.168.200.31"
    return "lease control-plane-0"


def undeclared_card(document: Doc) -> str:
    document["machines"][2]["mac"] = "f8:75:a4:ac:09:99"
    return "lease compute-0"


def wrong_router(document: Doc) -> str:
    document["machines"][0]["router"] = "192.168.200.1"
    return "options bootstrap"


def wrong_host_name(document: Doc) -> str:
    document["machines"][0]["fqdn"] = "other.okd.example.com"
    return "options bootstrap"


def wrong_pxe_file(document: Doc) -> str:
    document["machines"][0]["bootFile"]["pxe"] = "pxelinux.0"
    return "boot file bootstrap (PXE)"


def wrong_ipxe_file(document: Doc) -> str:
    document["machines"][0]["bootFile"]["ipxe"] = "http://elsewhere/boot.ipxe"
    return "boot file bootstrap (iPXE)"


def wrong_record(document: Doc) -> str:
    document["records"][1]["value"] = "192.168.200.99"
    return f"A {document['records'][1]['name']}"


def missing_record(document: Doc) -> str:
    document["records"].append({"name": "etcd-0.okd.example.com", "type": "A", "value": "192.168.200.30"})
    return "A etcd-0.okd.example.com"


def missing_reverse_record(document: Doc) -> str:
    document["records"].append({"name": "99.200.168.192.in-addr.arpa", "type": "PTR", "value": "x.okd.example.com"})
    return "PTR 99.200.168.192.in-addr.arpa"


def no_such_tftp_file(document: Doc) -> str:
    document["tftp"].append("pxelinux.cfg/01-00")
    return "TFTP pxelinux.cfg/01-00"


def no_such_http_file(document: Doc) -> str:
    document["http"].append("/images/rootfs")
    return "HTTP /images/rootfs"


def wrong_password(document: Doc) -> str:
    document["registry"]["password"] = "some-other-password"
    return "registry services.okd.example.com:5000 with the password, TLS verified"


def impossible_offset(document: Doc) -> str:
    document["ntp"]["maxOffsetSeconds"] = -1
    return "time from 192.168.200.254"


def closed_port(document: Doc) -> str:
    document["haproxy"]["ports"].append(8443)
    return "load balancer port 8443"


@pytest.mark.parametrize(
    "spoil",
    [
        wrong_address,
        undeclared_card,
        wrong_router,
        wrong_host_name,
        wrong_pxe_file,
        wrong_ipxe_file,
        wrong_record,
        missing_record,
        missing_reverse_record,
        no_such_tftp_file,
        no_such_http_file,
        wrong_password,
        impossible_offset,
        closed_port,
    ],
)
def test_one_thing_wrong_turns_one_row_red(
    serving: Host, spoil: Callable[[Doc], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = services.document(serving)
    name = spoil(document)
    done = serving.agent("smoke", document=document)
    assert done.returncode == 1
    assert red(done.stdout) == [name]
    assert "1 of 3" in done.stderr.splitlines()[0]
    assert name in done.stderr
    assert document["registry"]["password"] not in done.stdout + done.stderr
    assert leftovers(serving) == ""


def test_a_certificate_of_another_ca_is_not_trusted(serving: Host) -> None:
    document = services.document(serving)
    document["registry"]["ca"] = serving.read("/run/tls/other.crt")
    done = serving.agent("smoke", document=document)
    assert red(done.stdout) == ["registry services.okd.example.com:5000, TLS verified"]
    assert "CERTIFICATE_VERIFY_FAILED" in done.stdout


def test_a_certificate_for_another_name_is_not_trusted(serving: Host) -> None:
    document = services.document(serving)
    document["registry"]["url"] = f"https://api.{services.DOMAIN}:5000"
    done = serving.agent("smoke", document=document)
    assert red(done.stdout) == [f"registry api.{services.DOMAIN}:5000, TLS verified"]
    assert "Hostname mismatch" in done.stdout


def test_a_registry_that_lets_anybody_in_is_noticed(serving: Host) -> None:
    open_to_all = services.REGISTRY.partition("auth:")[0]
    serving.write("/etc/docker/registry/config.yml", open_to_all)
    serving.run("systemctl", "restart", "docker-registry.service")
    serving.eventually("ss -ltn | grep 192.168.200.254:5000")
    done = serving.agent("smoke", document=services.document(serving))
    serving.write("/etc/docker/registry/config.yml", services.REGISTRY)
    serving.run("systemctl", "restart", "docker-registry.service")
    serving.eventually("ss -ltn | grep 192.168.200.254:5000")
    assert red(done.stdout) == ["registry services.okd.example.com:5000 with a wrong password"]


def test_a_lease_for_an_unknown_card_is_noticed(serving: Host) -> None:
    import json

    generous = services.kea()
    generous["Dhcp4"]["subnet4"][0]["pools"] = [{"pool": "192.168.200.100 - 192.168.200.110"}]
    serving.write("/etc/kea/kea-dhcp4.conf", json.dumps(generous))
    serving.run("systemctl", "restart", "kea-dhcp4-server.service")
    done = serving.agent("smoke", document=services.document(serving))
    serving.write("/etc/kea/kea-dhcp4.conf", json.dumps(services.kea()))
    serving.run("systemctl", "restart", "kea-dhcp4-server.service")
    (failed,) = red(done.stdout)
    assert failed.startswith("lease for the unknown card ")
    assert "offer of 192.168.200.1" in done.stdout


@pytest.mark.parametrize(
    ("unit", "check"),
    [
        ("named.service", "A bootstrap.okd.example.com"),
        ("chrony.service", "time from 192.168.200.254"),
        ("tftpd-hpa.service", "TFTP lpxelinux.0"),
        ("nginx.service", "HTTP /boot/boot.ipxe"),
        ("haproxy.service", "load balancer port 6443"),
        ("kea-dhcp4-server.service", "lease bootstrap"),
    ],
)
def test_a_daemon_that_is_down_turns_its_rows_red(serving: Host, unit: str, check: str) -> None:
    serving.run("systemctl", "stop", unit)
    done = serving.agent("smoke", document=services.document(serving))
    serving.run("systemctl", "start", unit)
    if unit == "kea-dhcp4-server.service":
        serving.eventually("sleep 1")
    assert done.returncode == 1
    assert check in red(done.stdout)
    assert leftovers(serving) == ""


def test_what_a_killed_run_left_is_removed(serving: Host) -> None:
    agent = serving.start_agent("smoke", services.document(serving))
    assert agent.stdout
    assert "stage 1/2 probe" in agent.stdout.readline()
    serving.kill_agent()
    agent.communicate()
    assert "okd-smoke" in leftovers(serving)
    serving.waits(SMOKE=PATIENCE_SECONDS)
    done = serving.agent("smoke", document=services.document(serving))
    serving.waits(SMOKE=2)
    assert done.returncode == 0
    assert leftovers(serving) == ""


def test_a_host_without_the_bridge_is_told(host: Host) -> None:
    bare = {"bridge": "cluster", "address": "192.168.200.253", "prefix": 24, "registry": {"password": "unused-here"}}
    done = host.agent("smoke", document=bare)
    assert done.returncode == 1
    assert "there is no bridge cluster" in done.stderr
