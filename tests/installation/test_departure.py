"""The bootstrap leaves: order, refusals, and a real HAProxy that drops no connection."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.installation.fake_api import DOMAIN, ETCD, FakeApi, authority, pointer
from tests.installation.machines import BOOTSTRAP, CONTROL_PLANE, Machines, machines, result, uuid, when_said
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port

__all__ = ["machines"]
SOON = 0.01


class ConfigServer:
    """A machine-config server: TLS for api-int, /healthz answered with `status`."""

    def __init__(self, address: str, port: int = 0) -> None:
        self.status = 200
        pair = authority().pair("machine-config-server", host=f"api-int.{DOMAIN}")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._pair = pair
        self._server = socket.create_server((address, port))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def load(self, directory: Path) -> ConfigServer:
        path = directory / f"mcs-{self.port}-{id(self)}.pem"
        path.write_bytes(self._pair.certificate + self._pair.key)
        self._context.load_cert_chain(path)
        return self

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._server.accept()
            except OSError:
                return
            with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as secure:
                secure.recv(4096)
                secure.sendall(f"HTTP/1.0 {self.status} x\r\nContent-Length: 0\r\n\r\n".encode())

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


class Site:
    """A cluster whose control plane answers for itself, and a load balancer that is only asked."""

    def __init__(self, agent: Any, api: FakeApi, machines: Machines, place: Path) -> None:
        self.departure = agent.load("installation.departure")
        self.machines, self.api = machines, api
        self.said: list[str] = []
        self.answers: dict[str, str] = {}
        self.delivered: list[Any] = []
        self._real = self.departure.deliver.main, self.departure.ask
        self.departure.deliver.main = lambda arguments, document: self.delivered.append(document)
        self.departure.ask = self._ask
        self.apis = []
        for row in CONTROL_PLANE:
            own = FakeApi(row["address"])
            own.stop()
            own.port = api.port
            own.start()
            own.etcd(EtcdMembersAvailable=True, EtcdBootstrapMemberRemoved=True)
            self.apis.append(own)
        first = ConfigServer(CONTROL_PLANE[0]["address"])
        self.configs = [first, *(ConfigServer(row["address"], first.port) for row in CONTROL_PLANE[1:])]
        for one in self.configs:
            one.load(place)
        text = pointer("master", authority().pem.decode()).replace(":22623/", f":{first.port}/")
        (agent.release / "install" / "master.ign").write_text(text)

    def with_real_load_balancer(self) -> None:
        self.departure.deliver.main, self.departure.ask = self._real

    def _ask(self, path: str, command: str) -> str:
        self.said.append(command)
        return self.answers.get(command, "api/bootstrap 1" if command.startswith("show") else "")

    def document(self, **other: Any) -> dict[str, Any]:
        return {
            "api": self.api.where,
            "bootstrap": {**BOOTSTRAP, "uuid": uuid(BOOTSTRAP)},
            "controlPlane": CONTROL_PLANE,
            "loadBalancer": {"socket": "/run/haproxy.sock", "backends": ["api", "machine-config"]},
            "bundle": {"service": "load-balancer"},
            "powerOff": True,
            "limitMinutes": 10,
            **other,
        }

    def leave(self, **other: Any) -> None:
        self.departure.main([], self.document(**other))

    def close(self) -> None:
        for one in [*self.apis, *self.configs]:
            with suppress(OSError):
                one.stop() if isinstance(one, FakeApi) else one.close()


@pytest.fixture
def site(agent: Any, api: FakeApi, machines: Machines, tmp_path: Path) -> Iterator[Site]:
    made = Site(agent, api, machines, tmp_path)
    yield made
    made.close()


def test_it_leaves_the_load_balancer_and_switches_itself_off(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.leave()
    assert [line for line in site.said if line.startswith("set")] == [
        "set server api/bootstrap state maint",
        "set server machine-config/bootstrap state maint",
    ]
    assert site.delivered == [{"service": "load-balancer"}]
    assert site.machines.order == ["bootstrap"]
    assert result(capsys.readouterr().out) == {"poweredOff": True}


def refused(site: Site, agent: Any) -> Any:
    """The failure of a departure that waits in vain, and touches nothing."""
    with pytest.raises(agent.failed) as caught:
        site.leave(limitMinutes=SOON)
    assert caught.value.stage == "1/3 control plane"
    assert "nothing was changed" in caught.value.in_service
    assert not [line for line in site.said if line.startswith("set")]
    assert (site.delivered, site.machines.order) == ([], [])
    return caught.value


def test_nothing_is_changed_while_the_control_plane_needs_it(site: Site, agent: Any) -> None:
    site.apis[1].fail = 500
    failed = refused(site, agent)
    assert "control-plane-1 cannot do without the bootstrap yet" in failed.why
    assert "/readyz" in failed.message
    assert f"ssh core@{CONTROL_PLANE[1]['address']}" in failed.remedy


@pytest.mark.parametrize("fault", ["silent", "unwell", "another's certificate"])
def test_a_machine_that_serves_no_machine_config_holds_it_back(site: Site, agent: Any, fault: str) -> None:
    if fault == "silent":
        site.configs[2].close()
    elif fault == "unwell":
        site.configs[2].status = 503
    else:
        text = pointer("master", authority().pem.decode()).replace("api-int.", "other.")
        (agent.release / "install" / "master.ign").write_text(text.replace(":22623/", f":{site.configs[0].port}/"))
    failed = refused(site, agent)
    assert "control-plane-2" in failed.why
    assert f"port {site.configs[0].port}" in failed.message


@pytest.mark.parametrize("state", ["no such condition", "not removed", "no object", "silent"])
def test_nothing_is_touched_until_the_cluster_says_that_the_bootstraps_etcd_member_is_removed(
    site: Site, agent: Any, state: str
) -> None:
    for own in site.apis:
        if state == "silent":
            own.refuse[("GET", ETCD)] = 503
        elif state == "no object":
            del own.objects[ETCD]
        else:
            own.etcd(**({"EtcdBootstrapMemberRemoved": False} if state == "not removed" else {}))
    failed = refused(site, agent)
    assert "etcd" in failed.message
    assert "member of etcd" in failed.why


def test_the_member_of_etcd_is_waited_for_and_one_machine_that_knows_is_enough(
    site: Site, agent: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for own in site.apis:
        own.etcd()
    remove = {"still a member of etcd": lambda: site.apis[2].etcd(EtcdBootstrapMemberRemoved=True)}
    when_said(agent, monkeypatch, remove)
    site.leave()
    assert "API 3 of 3; machine config 3 of 3; the bootstrap's etcd member is removed" in capsys.readouterr().out
    assert site.machines.order == ["bootstrap"]


def test_what_has_answered_once_may_be_away_for_its_next_revision(
    site: Site, agent: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.apis[2].fail = 500
    site.configs[0].status = 503

    def swap() -> None:
        site.apis[2].fail, site.apis[0].fail = 0, 500
        site.configs[0].status, site.configs[2].status = 200, 503

    when_said(agent, monkeypatch, {"API 2 of 3; machine config 2 of 3": swap})
    site.leave()
    shown = capsys.readouterr().out
    assert "control-plane-0: machine config: port" in shown
    assert "control-plane-2: its API is not ready" in shown
    assert site.machines.order == ["bootstrap"]


def test_a_control_plane_that_is_about_to_be_ready_is_waited_for(
    site: Site, agent: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.apis[0].fail = 503
    when_said(agent, monkeypatch, {"control-plane-0: its API": lambda: setattr(site.apis[0], "fail", 0)})
    site.leave()
    assert "still waiting: API 2 of 3" in capsys.readouterr().out
    assert site.machines.order == ["bootstrap"]


def test_a_load_balancer_without_it_is_fine(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    for backend in ("api", "machine-config"):
        site.answers[f"set server {backend}/bootstrap state maint"] = "No such server."
    site.leave()
    assert "bootstrap is out, as it was" in capsys.readouterr().out
    assert len(site.delivered) == 1


def test_a_load_balancer_that_refuses_is_named(site: Site, agent: Any) -> None:
    site.answers["set server api/bootstrap state maint"] = "Permission denied"
    with pytest.raises(agent.failed, match="does not let api/bootstrap go") as caught:
        site.leave()
    assert caught.value.message == "Permission denied"
    assert "systemctl status haproxy" in caught.value.remedy
    assert (site.delivered, site.machines.order) == ([], [])


def test_a_load_balancer_that_does_not_run_is_started_by_the_delivery(site: Site) -> None:
    def down(path: str, command: str) -> str:
        raise FileNotFoundError(path)

    site.departure.ask = down
    site.leave()
    assert len(site.delivered) == 1


def test_once_it_has_left_a_control_plane_machine_may_be_down(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.leave()
    for backend in ("api", "machine-config"):
        site.answers[f"show servers state {backend}"] = "1\n3 api 1 control-plane-0 127.0.22.20 2"
        site.answers[f"set server {backend}/bootstrap state maint"] = "No such server."
    site.apis[0].stop()
    site.leave()
    assert "the bootstrap has left" in capsys.readouterr().out
    assert site.machines.order == ["bootstrap"]


def test_another_machine_at_its_address_is_never_switched_off(site: Site, agent: Any) -> None:
    site.machines["bootstrap"].hostname = "compute-7.elsewhere.example"
    with pytest.raises(agent.failed, match="is not bootstrap") as caught:
        site.leave()
    assert "compute-7.elsewhere.example" in caught.value.message
    assert "not touched" in caught.value.in_service
    assert site.machines.order == []


def test_a_machine_without_a_bootstraps_journal_is_never_switched_off(site: Site, agent: Any) -> None:
    site.machines["bootstrap"].journal = ""
    with pytest.raises(agent.failed, match="is not bootstrap") as caught:
        site.leave()
    assert "no journal of bootkube" in caught.value.message
    assert site.machines.order == []


def test_a_bootstrap_that_cannot_be_logged_in_to_is_left_to_the_hypervisor(site: Site, agent: Any) -> None:
    site.machines["bootstrap"].login = False
    with pytest.raises(agent.failed, match="cannot be logged in to") as caught:
        site.leave()
    assert "virsh shutdown" in caught.value.remedy
    # The load balancer does without it all the same.
    assert len(site.delivered) == 1


def test_one_that_stays_on_is_named(site: Site, agent: Any) -> None:
    agent.waits("POWER_OFF", 0.2)
    site.machines["bootstrap"].stays = True
    with pytest.raises(agent.failed, match="does not switch itself off") as caught:
        site.leave()
    assert "virsh" in caught.value.remedy


def test_one_that_is_off_already_is_done(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.machines["bootstrap"].on = False
    site.leave()
    assert "is off already" in capsys.readouterr().out


def test_it_stays_on_when_the_settings_say_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.leave(powerOff=False)
    assert site.machines.order == []
    assert result(capsys.readouterr().out) == {"poweredOff": False}


def test_without_a_set_it_says_what_makes_one(site: Site, agent: Any) -> None:
    shutil.rmtree(agent.release / "install")
    with pytest.raises(agent.failed, match="no set of ignition configs") as caught:
        site.leave()
    assert "okd-host ignition" in caught.value.remedy


class Greeter:
    """A back end that says its name and then returns what it is sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._server.accept()
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.sendall(f"{self.name}\n".encode())
            while data := connection.recv(100):
                connection.sendall(data)


class Balancer:
    """The real HAProxy, its configuration delivered by the real `deliver`."""

    def __init__(self, place: Path) -> None:
        self.place, self.socket = place, str(place / "admin.sock")
        self.port = free_port()
        self.greeters = [Greeter("bootstrap"), Greeter("control-plane-0")]
        self.config = place / "service" / "haproxy.cfg"
        self.config.parent.mkdir()
        self.config.write_text("".join(f"{line}\n" for line in self.lines(self.greeters)))
        argv = ["haproxy", "-W", "-db", "-f", str(self.config)]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.greeting():
            assert time.monotonic() < deadline, "HAProxy does not start"
            time.sleep(0.05)

    def lines(self, greeters: list[Greeter]) -> list[str]:
        return [
            "global",
            f"    stats socket {self.socket} mode 600 level admin expose-fd listeners",
            "defaults",
            "    mode tcp",
            "    timeout connect 5s",
            "    timeout client 1h",
            "    timeout server 1h",
            "frontend api",
            f"    bind 127.0.0.1:{self.port}",
            "    default_backend api",
            "backend api",
            "    balance roundrobin",
            *(f"    server {one.name} 127.0.0.1:{one.port} check inter 1s" for one in greeters),
        ]

    def bundle(self) -> dict[str, Any]:
        """The load balancer without the bootstrap."""
        row = {"path": str(self.config), "owner": "root", "group": "root", "mode": "0644"}
        return {
            "service": "load-balancer",
            "files": [row | {"lines": self.lines(self.greeters[1:])}],
            "checks": [{"name": "haproxy", "argv": ["haproxy", "-c", "-f", str(self.config)]}],
            "units": [],
            "reload": ["kill", "-USR2", str(self.process.pid)],
            "health": [{"name": "accepts", "tcp": f"127.0.0.1:{self.port}"}],
        }

    def connect(self) -> tuple[socket.socket, str]:
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)
        return connection, connection.recv(100).decode().strip()

    def greeting(self) -> str:
        try:
            connection, name = self.connect()
        except OSError:
            return ""
        connection.close()
        return name

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Balancer]:
    made = Balancer(tmp_path)
    yield made
    made.close()


@pytest.mark.daemons
def test_no_connection_is_dropped_and_none_is_refused(site: Site, balancer: Balancer) -> None:
    site.with_real_load_balancer()
    streams = [balancer.connect() for _ in range(6)]
    assert {name for _, name in streams} == {"bootstrap", "control-plane-0"}
    names: list[str] = []
    ended = threading.Event()

    def knock() -> None:
        while not ended.is_set():
            names.append(balancer.greeting())

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        place = {"socket": balancer.socket, "backends": ["api"]}
        site.leave(loadBalancer=place, bundle=balancer.bundle())
        while len(names) <= 20:
            time.sleep(0.01)
    finally:
        ended.set()
        knocking.join()
    assert "" not in names
    assert {balancer.greeting() for _ in range(10)} == {"control-plane-0"}
    for connection, _ in streams:
        connection.sendall(b"still here")
        assert connection.recv(100) == b"still here"
    assert "bootstrap" not in balancer.config.read_text()
    assert site.machines.order == ["bootstrap"]
