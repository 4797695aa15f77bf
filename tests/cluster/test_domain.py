"""A name is asked of whom the settings mean: the cluster's domain is its own, and what is asked for lies outside."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import dns, own_names, review
from cluster.before import Before
from cluster.changes.standing import Standing
from cluster.settings import Problem, Settings, SettingsError
from tests.cluster.conftest import planned
from tests.cluster.mistakes import ALL_NINES, Config, Edit, both, drop, extra, image, put, release
from tests.cluster.state import standing
from tests.conftest import stack_config


def config_of(*edits: Edit) -> Config:
    config = copy.deepcopy(stack_config("hard-way"))
    both(*edits)(config)
    return config


def report(*edits: Edit, stands: bool = False) -> dict[str, Problem]:
    """The problems by the setting that they name; none when the settings are accepted."""
    try:
        Settings.parse(config_of(*edits), "hard-way", stands=stands)
    except SettingsError as error:
        problems = error.problems
    else:
        problems = ()
    assert len({problem.setting for problem in problems}) == len(problems), "a setting is told of once"
    return {problem.setting: problem for problem in problems}


def cluster(name: str, base: str) -> Edit:
    return put("cluster", {"name": name, "baseDomain": base})


TAKEN = {
    "local": (cluster("okd", "local"), "cluster.baseDomain", "RFC 6762"),
    "below local": (cluster("okd", "lab.local"), "cluster.baseDomain", "RFC 6762"),
    "Kubernetes' own": (cluster("okd", "cluster.local"), "cluster.baseDomain", "no pod would find"),
    "Kubernetes' own in two parts": (cluster("cluster", "local"), "cluster.name", "no pod would find"),
    "services of Kubernetes": (cluster("okd", "prod.svc"), "cluster.baseDomain", "inside of the cluster first"),
    "localhost": (cluster("okd", "localhost"), "cluster.baseDomain", "loopback"),
    "localhost.localdomain": (cluster("localhost", "localdomain"), "cluster.name", "loopback"),
    "a domain with localhost in it": (cluster("okd", "my-localhost.example.com"), "cluster.baseDomain", "waits to start"),
    "a cluster named localhost": (cluster("localhost", "example.com"), "cluster.name", "waits to start"),
    "a machine with localhost in it": (extra("localhost-1", pool="compute"), "machines.localhost-1", "waits to start"),
    "invalid": (cluster("okd", "lab.invalid"), "cluster.baseDomain", "exist nowhere"),
    "onion": (cluster("okd", "abcdef.onion"), "cluster.baseDomain", "Tor"),
    "alt": (cluster("okd", "lab.alt"), "cluster.baseDomain", "outside of DNS"),
    "reverse names": (cluster("168", "192.in-addr.arpa"), "cluster.baseDomain", "reverse names"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "setting", "words"), TAKEN.values(), ids=TAKEN)
def test_a_domain_that_nodes_or_pods_do_not_ask_us_for_is_refused(edit: Edit, setting: str, words: str) -> None:
    found = report(edit)
    assert found.keys() == {setting}
    assert words in found[setting].harm
    assert "choose" in found[setting].fix


@pytest.mark.parametrize(
    ("name", "base"),
    [("okd", "test"), ("okd", "lab.internal"), ("okd", "home.arpa"), ("okd", "example"), ("okd", "lan"), ("local", "example.com"),
     ("svc", "example.com"), ("okd", "localdomain"), ("okd", "mylocal"), ("okd", "cluster.localnet")],
)  # fmt: skip
def test_a_domain_that_resolves_like_any_other_is_taken(name: str, base: str) -> None:
    assert report(cluster(name, base)) == {}


def test_a_domain_is_not_judged_while_it_is_not_known() -> None:
    assert report(put("cluster.baseDomain", "exa_mple.com")).keys() == {"cluster.baseDomain"}


@pytest.mark.parametrize(("edit", "setting", "words"), [TAKEN["below local"], TAKEN["reverse names"]])
def test_a_cluster_that_stands_under_such_a_domain_is_kept_with_a_warning(edit: Edit, setting: str, words: str) -> None:
    told = Settings.parse(config_of(edit), "hard-way", stands=True).warnings
    assert [(one.setting, words in one.harm) for one in told] == [(setting, True)]


def test_whether_a_cluster_stands_is_read_from_the_state() -> None:
    dev = planned("dev")
    new = Standing.of(dev.before)
    half_way = Standing.of(standing(dev, dev, installed=False).before)
    done = Standing.of(standing(dev, dev).before)
    services = [one for one in half_way_resources(dev) if "Machine$" not in one["urn"]]
    assert (new.begun, half_way.begun, done.begun) == (False, True, True)
    assert not Standing.of(Before.of({}, services)).begun


def half_way_resources(plan: Any) -> tuple[Any, ...]:
    return tuple(standing(plan, plan, installed=False).before.resources)


def test_what_stands_is_rendered_and_checked_whatever_its_domain(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Pulumi.mine.yaml"
    text = {f"okd-libvirt:{key}": value for key, value in config_of(TAKEN["below local"][0]).items()}
    file.write_text(yaml.safe_dump({"config": text}))
    monkeypatch.setattr(review, "stack_file", lambda stack: file)
    assert review.main(["--stack", "mine"]) == 1
    assert "RFC 6762" in capsys.readouterr().err
    assert review.main(["--stack", "mine", "--stands"]) == 0
    assert review.main(["--stack", "mine", "--out", str(tmp_path / "out")]) == 0
    assert "RFC 6762" in capsys.readouterr().err


IMAGE = "mirror.okd.example.com:5000/okd/scos-release:4.22.0-okd-scos.7"
OTHER = ["quay.io/okd/scos-release"]
ASKED = {
    "time server": (put("uplink.timeServers", ["ntp.okd.example.com"]), "uplink.timeServers[0]"),
    "time server in capitals, with its dot": (put("uplink.timeServers", ["10.1.1.1", "ntp.okd.example.com."]), "uplink.timeServers[1]"),
    "additional image": (release(additionalImages=[f"x.okd.example.com/y/z@sha256:{ALL_NINES}"]), "release.additionalImages[0]"),
    "source": (release(sources=["quay.io/okd/scos-release", "MIRROR.okd.example.com/okd/content"]), "release.sources[1]"),
    "catalog": (release(engine="oc-mirror", operatorCatalogs=[{"catalog": "q.okd.example.com/c:1"}]), "release.operatorCatalogs[0].catalog"),
    "client": (release(client={"location": "http://web.okd.example.com/openshift-client-linux.tar.gz"}), "release.client.location"),
    "client at a port": (release(client={"location": "https://a.b.okd.example.com:8443/oc.tar.gz"}), "release.client.location"),
    "kernel": (image("kernel.location", "http://web.okd.example.com/kernel"), "bootImage.kernel.location"),
    "initramfs": (image("initramfs.location", "http://web.okd.example.com/initramfs"), "bootImage.initramfs.location"),
    "rootfs at the domain itself": (image("rootfs.location", "http://okd.example.com/rootfs"), "bootImage.rootfs.location"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "setting"), ASKED.values(), ids=ASKED)
def test_what_is_asked_for_lies_outside_of_the_domain_that_only_we_answer(edit: Edit, setting: str) -> None:
    found = report(edit)
    assert found.keys() == {setting}
    assert "this stack's name server alone answers" in found[setting].harm
    assert "a name outside of okd.example.com or an address" in found[setting].fix


def test_a_cluster_that_takes_the_domain_of_its_own_upstream_is_told_what_it_would_miss() -> None:
    found = report(cluster("quay", "io"), put("release", {}), drop("install"))
    assert found.keys() == {"release.image", "release.sources[0]", "release.sources[1]"}
    assert "give the cluster another domain" in found["release.image"].fix


@pytest.mark.parametrize(
    "edit",
    [
        put("uplink.timeServers", ["ntp.example.com", "okd.example.com.org", "fake-okd.example.com"]),
        put("services.image.location", "https://images.okd.example.com/debian-12.qcow2"),
        put("hypervisor.uri", "qemu+ssh://root@host.okd.example.com/system"),
        release(client={"location": "http://compute-0.okd.example.com/openshift-client-linux.tar.gz"}),
        release(image=IMAGE, sources=[IMAGE.rpartition(":")[0]], media="/media/usb", client={"location": "http://10.1.1.1/oc.tgz"}),
    ],
    ids=["neighbours of the domain", "image of Pulumi's machine", "libvirt host", "a record", "registries of media"],
)  # fmt: skip
def test_a_name_that_is_answered_or_asked_of_somebody_else_is_taken(edit: Edit) -> None:
    assert report(edit) == {}


def test_everything_that_is_denied_is_in_one_report_and_hides_its_passwords() -> None:
    web = "http://me:word@web.okd.example.com"
    found = report(
        put("uplink.timeServers", ["ntp.okd.example.com"]),
        image("kernel.location", f"{web}/kernel"),
        put("release", {"image": IMAGE, "sources": [IMAGE.rpartition(":")[0]], "client": {"location": f"{web}/oc.tar.gz"}}),
    )  # fmt: skip
    assert {"uplink.timeServers[0]", "release.image", "release.sources[0]", "release.client.location"} <= found.keys()
    assert "bootImage.kernel.location" in found
    assert "me:word" not in "".join(map(str, found.values()))


@pytest.mark.parametrize(
    "server", ["services.okd.example.com", "api.okd.example.com", "x.apps.okd.example.com", "localhost"]
)
def test_a_time_server_that_is_the_services_host_by_name_is_refused(server: str) -> None:
    found = report(put("uplink.timeServers", [server]))
    assert found.keys() == {"uplink.timeServers[0]"}
    assert found["uplink.timeServers[0]"].harm


def test_the_clusters_own_ingress_is_no_upstream_of_its_installation() -> None:
    edit = release(additionalImages=[f"quay.apps.okd.example.com/y/z@sha256:{ALL_NINES}"])
    assert "behind which nothing stands" in report(edit)["release.additionalImages[0]"].harm
    assert report(edit, stands=True) == {}


def test_a_standing_cluster_may_keep_the_upstream_it_was_installed_from_but_gets_no_such_time_server() -> None:
    assert report(ASKED["kernel"][0], stands=True) == {}
    assert report(ASKED["time server"][0], stands=True).keys() == {"uplink.timeServers[0]"}


def test_a_name_without_a_domain_is_a_warning() -> None:
    edits = put("uplink.timeServers", ["ntp"]), image("kernel.location", "http://web/kernel")
    told = Settings.parse(config_of(*edits), "hard-way").warnings
    assert [one.setting for one in told] == ["uplink.timeServers[0]", "bootImage.kernel.location"]
    assert "looks for web.okd.example.com first" in told[1].harm


def test_names_that_no_resolver_looks_up_are_a_warning() -> None:
    none = put("uplink.resolvers", []), drop("uplink.timeServers")
    (told,) = Settings.parse(config_of(*none), "hard-way").warnings
    assert told.setting == "uplink.resolvers"
    assert "no name outside of the cluster: github.com, quay.io" in told.harm
    addresses = release(
        image="198.51.100.1:5000/okd/scos-release:4.22.0-okd-scos.7", client={"location": "http://198.51.100.1/oc.tgz"}
    )
    assert Settings.parse(config_of(*none, addresses), "hard-way").warnings == ()


def test_a_record_is_what_the_name_server_answers_with() -> None:
    plan = planned("hard-way")
    records = {record.name: record.value for record in dns.records(plan) if record.type == "A"}
    for name, value in records.items():
        assert own_names.is_inside(plan.settings, name)
        assert str(own_names.answered(plan.settings, name.upper() + ".")) == value
    for name in ("okd.example.com", "apps.okd.example.com", "www.okd.example.com", "x.services.okd.example.com"):
        assert own_names.answered(plan.settings, name) is None


def test_the_case_of_a_registry_in_the_clusters_domain_is_one_report() -> None:
    config = config_of()
    config |= {
        "cluster": {"name": "acme", "baseDomain": "okd.com"},
        "uplink": {"resolvers": ["10.20.0.2"], "timeServers": ["ntp.acme.okd.com"]},
        "release": {
            "image": "mirror-registry.acme.okd.com:5000/openshift/okd4:4.22.0-okd-scos.7",
            "sources": ["mirror-registry.acme.okd.com:5000/openshift/okd4"],
            "client": {"location": "http://web.acme.okd.com/openshift-client-linux.tar.gz"},
        },
        "bootImage": {
            name: {"location": f"http://web.acme.okd.com/{name}"} for name in ("kernel", "initramfs", "rootfs")
        },
        "install": {"proxy": {"http": "http://proxy.acme.okd.com:3128"}},
    }
    with pytest.raises(SettingsError) as caught:
        Settings.parse(config, "acme")
    assert {problem.setting for problem in caught.value.problems} == {
        "uplink.timeServers[0]",
        "release.image",
        "release.sources[0]",
        "release.client.location",
        *(f"bootImage.{part}.location" for part in ("kernel", "initramfs", "rootfs")),
        "install.proxy.http",
    }
