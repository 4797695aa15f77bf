"""Profiles by MAC and role, and what the services host downloads for them."""

from __future__ import annotations

from typing import Any

from cluster import boot
from cluster.host_files import HostFile
from cluster.machines import Machine
from cluster.plan import Plan
from tests.cluster.conftest import planned


def bootstrap(plan: Plan) -> Machine:
    return plan.of_role("bootstrap")[0]


def files(plan: Plan) -> dict[str, HostFile]:
    bundle = next(bundle for bundle in plan.bundles if bundle.service == "boot")
    return {file.path: file for file in bundle.files}


def test_one_profile_and_one_script_a_machine_and_nothing_else(hard_way: Plan) -> None:
    found = files(hard_way)
    profiles = {path for path in found if path.startswith("/srv/tftp/pxelinux.cfg/")}
    scripts = {path for path in found if path.startswith("/var/www/okd/boot/")}
    macs = [machine.mac.replace(":", "-") for machine in hard_way.machines]
    assert profiles == {f"/srv/tftp/pxelinux.cfg/{name}" for name in ["default", *(f"01-{mac}" for mac in macs)]}
    names = {"boot.ipxe", "live.ign", *(f"mac-{mac}.ipxe" for mac in macs)}
    assert scripts == {f"/var/www/okd/boot/{name}" for name in names}


def test_the_role_decides_the_ignition_config(hard_way: Plan) -> None:
    found = files(hard_way)
    for mac, ignition in {"01-00": "bootstrap", "03-02": "master", "02-00": "worker", "05-01": "worker"}.items():
        for path in (f"/srv/tftp/pxelinux.cfg/01-f8-75-a4-ac-{mac}", f"/var/www/okd/boot/mac-f8-75-a4-ac-{mac}.ipxe"):
            text = str(found[path].text)
            assert f"coreos.inst.ignition_url=http://192.168.200.254:8080/ignition/{ignition}.ign" in text


def test_a_whole_profile(hard_way: Plan) -> None:
    assert files(hard_way)["/srv/tftp/pxelinux.cfg/01-f8-75-a4-ac-03-00"].text == (
        "# control-plane-0: control-plane\n"
        "DEFAULT install\n"
        "PROMPT 0\n"
        "LABEL install\n"
        "  KERNEL http://192.168.200.254:8080/images/kernel\n"
        "  APPEND initrd=http://192.168.200.254:8080/images/initramfs ip=dhcp rd.neednet=1 "
        "coreos.inst.install_dev=/dev/vda coreos.inst.ignition_url=http://192.168.200.254:8080/ignition/master.ign "
        "ignition.firstboot ignition.platform.id=metal "
        "ignition.config.url=http://192.168.200.254:8080/boot/live.ign "
        "coreos.live.rootfs_url=http://192.168.200.254:8080/images/rootfs console=tty0 console=ttyS0,115200n8\n"
    )


def test_a_whole_ipxe_script() -> None:
    def edit(config: dict[str, Any]) -> None:
        files = {name: {"location": f"http://198.51.100.1:8081/boot/{name}"} for name in ("kernel", "initramfs")}
        config["bootImage"] = files | {"kernelArguments": ["console=ttyS0"], "reportsBack": True}

    dev = planned("dev", edit)
    text = files(dev)[f"/var/www/okd/boot/mac-{bootstrap(dev).mac_hyphens}.ipxe"].text
    assert text == (
        "#!ipxe\n"
        "# bootstrap: bootstrap\n"
        "kernel http://192.168.200.254:8080/images/kernel initrd=initramfs ip=dhcp rd.neednet=1 "
        "coreos.inst.install_dev=/dev/vda coreos.inst.ignition_url=http://192.168.200.254:8080/ignition/bootstrap.ign "
        "ignition.firstboot ignition.platform.id=metal "
        "ignition.config.url=http://192.168.200.254:8080/boot/live.ign "
        "okd.report=http://192.168.200.254:8080/report console=ttyS0\n"
        "initrd --name initramfs http://192.168.200.254:8080/images/initramfs\n"
        "boot\n"
    )


def test_an_unknown_machine_boots_from_its_disk(dev: Plan) -> None:
    assert "LOCALBOOT" in str(files(dev)["/srv/tftp/pxelinux.cfg/default"].text)
    assert files(dev)["/var/www/okd/boot/boot.ipxe"].text == (
        "#!ipxe\nchain --autofree mac-${net0/mac:hexhyp}.ipxe || exit\n"
    )


def test_only_a_boot_image_that_reports_back_is_asked_to(dev: Plan, hard_way: Plan) -> None:
    assert "okd.report=" in " ".join(boot.kernel_arguments(dev, bootstrap(dev)))
    assert "okd.report=" not in " ".join(boot.kernel_arguments(hard_way, bootstrap(hard_way)))


FILES = {
    name: {"location": f"http://mirror.example.com/scos/live-{name}", "sha256": str(number) * 64}
    for number, name in enumerate(("kernel", "initramfs", "rootfs"), 1)
}
MIRRORED = {"release": f"services.okd.lab.example:5000/okd/scos-release@sha256:{'a' * 64}"} | {
    "digest": f"sha256:{'a' * 64}",
    "version": "4.22.0-okd-scos.7",
}


def own_image(**files: Any) -> Plan:
    def edit(config: dict[str, Any]) -> None:
        config["bootImage"] = files

    return planned("prod", edit)


def test_the_settings_boot_image_is_fetched_to_where_profiles_name_it() -> None:
    document = own_image(**FILES).boot_image(MIRRORED, {})
    assert [row["path"] for row in document["files"]] == ["images/kernel", "images/initramfs", "images/rootfs"]
    assert document["files"][0] == {
        "url": "http://mirror.example.com/scos/live-kernel",
        "sha256": "1" * 64,
        "path": "images/kernel",
    }


def test_without_one_the_releases_installer_is_asked() -> None:
    assert own_image().boot_image(MIRRORED, {}) == {
        "installer": "/usr/local/bin/openshift-install",
        "architecture": "x86_64",
        "version": "4.22.0-okd-scos.7",
        "root": "/var/www/okd",
        "files": None,
        "release": f"sha256:{'a' * 64}",
    }


def test_a_root_file_system_is_named_where_there_is_one() -> None:
    named = "coreos.live.rootfs_url=http://192.168.210.254:8080/images/rootfs"
    without = {name: FILES[name] for name in ("kernel", "initramfs")}
    for plan, expected in ((own_image(), True), (own_image(**FILES), True), (own_image(**without), False)):
        assert (named in boot.kernel_arguments(plan, bootstrap(plan))) is expected


def test_a_new_machine_changes_no_other_profile() -> None:
    def edit(config: dict[str, Any]) -> None:
        config["machines"]["compute-7"] = {"address": "192.168.200.27"}

    before, after = files(planned("dev")), files(planned("dev", edit))
    assert len(set(after) - set(before)) == 2
    assert all(after[path] == file for path, file in before.items())


def test_what_the_boot_is_measured_against(dev: Plan) -> None:
    document = boot.network_boot(dev, bootstrap(dev))
    assert document["expected"]["hostname"] == "bootstrap.okd.lab.example"
    assert document["expected"]["kernel"] == "/images/kernel"
    assert document["logs"] == {
        "http": "/var/log/nginx/boot.log",
        "report": "/var/log/nginx/report.log",
        "leases": "/var/lib/kea/kea-leases4.csv",
    }
    assert document["units"] == {
        "dhcp": "kea-dhcp4-server.service",
        "tftp": "tftpd-hpa.service",
        "http": "nginx.service",
    }
