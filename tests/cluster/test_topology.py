"""The picture of a stack shows what is planned, all of it, and can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cluster import topology
from cluster.firewall import CLUSTER_PORTS
from cluster.plan import Plan
from cluster.settings import Settings
from cluster.stack_file import stack_config, stack_file
from tests.cluster.conftest import planned
from tests.conftest import ROOT

SVG = "{http://www.w3.org/2000/svg}"
# A sans-serif's average character at 12 and 13 px; bold and monospace are the widest.
WIDEST = 7.6


def drawn(plan: Plan) -> ElementTree.Element:
    return ElementTree.fromstring(topology.svg(plan))


def texts(picture: ElementTree.Element) -> list[tuple[float, float, str]]:
    return [(float(one.get("x", "")), float(one.get("y", "")), one.text or "") for one in picture.iter(f"{SVG}text")]


def boxes(picture: ElementTree.Element, *kinds: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each box of these kinds."""
    found = []
    for one in picture.iter(f"{SVG}rect"):
        if one.get("class") in kinds:
            x, y, width, height = (float(one.get(key, "")) for key in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found


def dots(picture: ElementTree.Element) -> dict[float, list[tuple[float, str]]]:
    """Each lane's dots from left to right (place, kind), by the lane's height; the legend is left out."""
    lanes: dict[float, list[tuple[float, str]]] = {}
    for one in picture.iter(f"{SVG}circle"):
        lanes.setdefault(float(one.get("cy", "")), []).append((float(one.get("cx", "")), one.get("class", "")))
    del lanes[max(lanes)]
    return lanes


def lane(picture: ElementTree.Element, purpose: str) -> list[str]:
    """What the pools do with a port, in their order."""
    height = next(y for _, y, text in texts(picture) if re.fullmatch(rf"\d.*/[a-z+]+ {purpose}", text)) - 4
    return [kind for _, kind in sorted(dots(picture).get(height, []))]


def within(x: float, y: float, box: tuple[float, float, float, float]) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


@pytest.fixture(params=["dev", "prod", "hard-way", "long names"])
def plan(request: pytest.FixtureRequest) -> Plan:
    def long_names(config: dict[str, Any]) -> None:
        config["cluster"]["baseDomain"] = "department.company.example"
        config["machines"]["compute-with-a-long-name-100"] = {"address": "192.168.200.99", "pool": "compute"}

    return planned("dev", long_names) if request.param == "long names" else planned(request.param)


def test_every_machine_is_in_a_box_with_its_name_role_address_and_mac(plan: Plan) -> None:
    picture = drawn(plan)
    frames = boxes(picture, "bootstrap", "control-plane", "compute")
    held = [[text for x, y, text in texts(picture) if within(x, y, frame)] for frame in frames]
    wanted = [(machine.name, machine.role, str(machine.address), machine.mac) for machine in plan.machines]
    assert [(name, role.split(",")[0], address, mac) for name, role, address, mac, _ in held] == wanted


def test_every_port_of_the_cluster_network_has_its_lane(plan: Plan) -> None:
    shown = " ".join(text for _, _, text in texts(drawn(plan)))
    found = {
        (int(number), protocol)
        for number, protocols in re.findall(r"\b(\d+)/([a-z+]+)", shown)
        for protocol in protocols.split("+")
    }
    assert found == {(port.number, port.protocol) for port in CLUSTER_PORTS}


def test_networks_hypervisor_and_services_host_are_named(plan: Plan) -> None:
    shown = "\n".join(text for _, _, text in texts(drawn(plan)))
    for fact in (
        f"cluster network {plan.network}",
        plan.names.cluster_network,
        f"uplink {plan.settings.uplink.cidr}",
        plan.settings.hypervisor.uri,
        plan.services_fqdn,
        str(plan.services_address),
        str(plan.settings.uplink.address),
    ):
        assert fact in shown


def test_flows_follow_the_load_balancers_rows() -> None:
    # bootstrap, control plane, compute
    picture = drawn(planned("dev"))
    assert lane(picture, "PXE boot") == ["asks", "asks", "asks"]
    assert lane(picture, "images") == ["asks", "asks", "asks"]
    assert lane(picture, "API") == ["backup", "answers", "asks"]
    assert lane(picture, "machine config") == ["backup", "answers", "asks"]
    assert lane(picture, "ingress") == ["answers"]
    assert lane(picture, "statistics") == []


def test_without_compute_machines_the_control_plane_answers_the_ingress() -> None:
    def compact(config: dict[str, Any]) -> None:
        for name in ("compute-0", "compute-1"):
            del config["machines"][name]

    picture = drawn(planned("dev", compact))
    assert lane(picture, "ingress") == ["answers"]
    lanes = dots(picture)
    assert max(place for row in lanes.values() for place, _ in row) == lanes[max(lanes)][0][0]


def test_boxes_do_not_overlap_and_lie_inside_the_libvirt_host(plan: Plan) -> None:
    picture = drawn(plan)
    frames = boxes(picture, "services", "bootstrap", "control-plane", "compute")
    [host] = boxes(picture, "host")
    for number, one in enumerate(frames):
        assert within(one[0], one[1], host)
        assert within(one[2], one[3], host)
        for other in frames[number + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_no_text_runs_out_of_its_box_or_into_another(plan: Plan) -> None:
    picture = drawn(plan)
    frames = boxes(picture, "outside", "services", "bootstrap", "control-plane", "compute")
    width = float(picture.get("width", ""))
    for x, y, text in texts(picture):
        end = x + len(text) * WIDEST
        assert end <= width or y < 60
        own = [frame for frame in frames if within(x, y, frame)]
        for frame in own:
            assert end <= frame[2], text
        for frame in frames:
            assert frame in own or not (frame[1] <= y <= frame[3] and x <= frame[2] and frame[0] <= end), text


def test_it_needs_nothing_from_elsewhere_and_is_dark_on_white(plan: Plan) -> None:
    text = topology.svg(plan)
    assert re.findall(r"https?://[^\"\s<]*", text.replace(plan.settings.hypervisor.uri, "")) == [
        "http://www.w3.org/2000/svg"
    ]
    assert not re.search(r"@import|url\(|href|<script|<image|@font-face", text)
    assert "text { font-family: sans-serif; fill: #111; }" in text
    assert 'width="100%" height="100%" style="fill: #fff; stroke: none"' in text


def test_a_value_with_markup_stays_text() -> None:
    def odd(config: dict[str, Any]) -> None:
        config["hypervisor"]["uri"] = "qemu+tls://host/system?a=<b>&c=d"

    plan = planned("dev", odd)
    assert any("?a=<b>&c=d" in text for _, _, text in texts(drawn(plan)))


def test_the_picture_in_the_documents_is_fresh() -> None:
    config = Settings.parse(stack_config(stack_file("dev")), "dev", look_at_files=False)
    assert (ROOT / "docs" / "topology.svg").read_text() == topology.svg(Plan.of(config)), "run: make topology"


def test_the_command_writes_a_file_or_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "picture.svg"
    assert topology.main(["--stack", "hard-way", "--out", str(target)]) == 0
    assert target.read_text().startswith("<svg ")
    assert topology.main(["--stack", "nowhere", "--out", str(target)]) == 1
    assert "no stack nowhere" in capsys.readouterr().err
