"""The smoke check expects what the services are told to serve."""

from __future__ import annotations

import json

from cluster import dns
from cluster.plan import Plan


def test_it_covers_every_machine_record_profile_and_port(hard_way: Plan) -> None:
    document = hard_way.smoke()
    assert {row["mac"] for row in document["machines"]} == {machine.mac for machine in hard_way.machines}
    assert len(document["records"]) == len(dns.records(hard_way))
    assert not [row for row in document["records"] if "*" in row["name"]]
    assert len([path for path in document["tftp"] if "pxelinux.cfg/01-" in path]) == len(hard_way.machines)
    assert {"/boot/boot.ipxe", "/boot/live.ign"} <= set(document["http"])
    assert len(document["http"]) == len(hard_way.machines) + 2
    assert not [path for path in document["http"] if path.startswith("/images/")], "it comes after the smoke check"
    assert document["haproxy"] == {"ports": [6443, 22623, 443, 80], "stats": 9000}
    assert document["registry"] == {"url": "https://services.okd.example.com:5000", "user": "okd"}


def test_it_expects_both_boot_files(hard_way: Plan) -> None:
    for row in hard_way.smoke()["machines"]:
        assert row["bootFile"] == {"pxe": "lpxelinux.0", "ipxe": "http://192.168.200.254:8080/boot/boot.ipxe"}
        assert row["nextServer"] == row["router"] == "192.168.200.254"
        assert row["dns"] == row["ntp"] == ["192.168.200.254"]


def test_it_stands_on_a_free_address(hard_way: Plan) -> None:
    document = hard_way.smoke()
    assert (document["address"], document["prefix"], document["bridge"]) == ("192.168.200.253", 24, "cluster")


def test_it_is_plain_json(dev: Plan) -> None:
    assert json.loads(json.dumps(dev.smoke())) == dev.smoke()
