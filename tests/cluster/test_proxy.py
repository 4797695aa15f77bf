"""A proxy is one that machines can reach, told in words that the installer and the network operator take."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import install_config
from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from tests.cluster.certificates import CERTIFICATE
from tests.cluster.mistakes import Edit, both, put
from tests.cluster.test_domain import config_of, report

INSIDE = "http://192.168.200.8:3128"
ROUTER = put("network.router", "192.168.200.1")
MANIFESTS = put("install.manifests", "examples/manifests")


def http(url: str) -> Edit:
    return put("install.proxy", {"http": url})


def warnings(*edits: Edit, stands: bool = False) -> dict[str, str]:
    settings = Settings.parse(config_of(*edits), "hard-way", look_at_files=False, stands=stands)
    return {problem.setting: problem.harm for problem in settings.warnings}


UNREACHABLE = {
    "outside": (http("http://10.20.0.8:3128"), "forwards nothing"),
    "on the uplink": (http("http://192.168.126.20:3128"), "forwards nothing"),
    "in a neighbouring network": (http("http://192.168.201.8:3128"), "forwards nothing"),
    "the services host": (http("http://192.168.200.254:3128"), "runs no proxy"),
    "the services host by name": (http("http://services.okd.example.com:3128"), "runs no proxy"),
    "the services host on its uplink": (both(ROUTER, http("http://192.168.126.10:3128")), "runs no proxy"),
    "the cluster's ingress": (http("http://squid.apps.okd.example.com:3128"), "runs no proxy"),
    "a machine": (http("http://192.168.200.20:3128"), "compute-0, which runs no proxy"),
    "a machine by name": (http("http://bootstrap.okd.example.com:3128"), "bootstrap, which runs no proxy"),
    "the broadcast address": (http("http://192.168.200.255:3128"), "no proxy can have it"),
    "loopback": (both(ROUTER, http("http://127.0.0.1:3128")), "loopback"),
    "a name outside": (http("http://proxy.example.com:3128"), "answers for that alone"),
    "a name outside, behind a router": (both(ROUTER, http("http://proxy.example.com:3128")), "answers for that alone"),
    "a name that is no record": (http("http://proxy.okd.example.com:3128"), "it has no such record"),
}


@pytest.mark.parametrize(("edit", "words"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_proxy_that_no_machine_can_reach_is_refused(edit: Edit, words: str) -> None:
    found = report(edit)
    assert found.keys() == {"install.proxy.http"}
    assert words in found["install.proxy.http"].harm
    assert "give the address of a proxy inside of 192.168.200.0/24" in found["install.proxy.http"].fix


def test_both_proxies_are_told_in_one_report() -> None:
    found = report(put("install.proxy", {"http": "http://10.20.0.8:3128", "https": "https://proxy.example.com"}))
    assert found.keys() == {"install.proxy.http", "install.proxy.https"}


@pytest.mark.parametrize(
    "edit",
    [http(INSIDE), http("http://192.168.200.1"), both(ROUTER, http("http://10.20.0.8:3128")), both(ROUTER, http("http://192.168.200.1:3128"))],
    ids=["inside", "inside without a port", "behind a router of one's own", "that router itself"],
)  # fmt: skip
def test_a_proxy_that_machines_can_reach_is_taken(edit: Edit) -> None:
    assert report(edit) == {}
    assert warnings(edit) == {}


def test_manifests_of_the_users_own_may_tell_machines_a_name_where_a_router_leads_to_it() -> None:
    told = warnings(both(ROUTER, MANIFESTS), http("http://proxy.example.com:3128"))
    assert "only manifests of your own" in told["install.proxy.http"]
    with pytest.raises(SettingsError, match="answers for that alone"):
        warnings(MANIFESTS, http("http://proxy.example.com:3128"))


def test_a_proxy_is_not_judged_by_a_network_or_router_that_was_refused() -> None:
    edit = http("http://10.20.0.8:3128")
    assert report(edit, put("network.router", "router")).keys() == {"network.router"}
    assert "install.proxy.http" not in report(edit, put("network.cidr", "192.168.200.0"))


def test_a_cluster_that_was_installed_with_such_a_proxy_is_kept_with_a_warning() -> None:
    edit = UNREACHABLE["outside"][0]
    assert report(edit, stands=True) == {}
    assert "forwards nothing" in warnings(edit, stands=True)["install.proxy.http"]


FORMS = {
    "http://Proxy.example.com:3128": "lower-case",
    "http://my_proxy.example.com:3128": "lower-case",
    "http://proxy.example.com.:3128": "lower-case",
    "http://pro%78y.example.com": "lower-case",
    "http://[fd00::8]:3128": "IPv4 alone",
    "http://192.168.200.8:99999": "not the URL",
    "http://192.168.200.8:3128/path": "not the URL",
    "socks5://192.168.200.8": "not the URL",
}


@pytest.mark.parametrize(("url", "words"), FORMS.items(), ids=FORMS)
def test_a_proxys_url_is_one_that_the_network_operator_takes_too(url: str, words: str) -> None:
    found = report(http(url))
    assert found.keys() == {"install.proxy.http"}
    assert words in f"{found['install.proxy.http'].harm}; {found['install.proxy.http'].fix}"


ELEMENTS = {
    "10.0.0.0/33": "no network",
    "10.0.0/8": "no network",
    "300.0.0.0/8": "no network",
    "172.bad.16.0/16": "no wildcards",
    "10.0.0.0/255.0.0.0": "no wildcards",
    "*.example.com": "no wildcards",
    "example.com,example.org": "item of its own",
    "example.com example.org": "item of its own",
    "..example.com": "no wildcards",
    "Example.com": "lower case",
    "my_host.example.com": "no wildcards",
    "": "no wildcards",
    "example.com:8080": "write example.com alone",
    "10.20.0.8:80": "write 10.20.0.8 alone",
    "http://example.com": "without a scheme",
    "fd00::/8": "IPv4 alone",
    "::1": "IPv4 alone",
    f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 63}": "no wildcards",
}


@pytest.mark.parametrize(("element", "words"), ELEMENTS.items(), ids=lambda one: one[:24])
def test_what_the_installer_refuses_of_no_proxy_is_refused_before_anything_is_mirrored(
    element: str, words: str
) -> None:
    found = report(put("install.proxy", {"http": INSIDE, "noProxy": [".corp", element]}))
    assert found.keys() == {"install.proxy.noProxy[1]"}
    assert words in f"{found['install.proxy.noProxy[1]'].harm}; {found['install.proxy.noProxy[1]'].fix}"


def told(no_proxy: list[Any]) -> str:
    plan = Plan.of(Settings.parse(config_of(put("install.proxy", {"http": INSIDE, "noProxy": no_proxy})), "hard-way"))
    return str(install_config.document(plan, CERTIFICATE, "ssh-ed25519 AAAA\n")["proxy"]["noProxy"])


def test_what_the_installer_takes_of_no_proxy_is_taken_without_the_dot_that_the_network_operator_refuses() -> None:
    good = ["10.0.0.0/8", "10.20.0.5/16", "10.20.0.8", "registry.example.com", ".corp", "a--b.example.com"]
    assert told([*good, "bar.com.", ".foo.com."]) == ",".join([".okd.example.com", *good, "bar.com", ".foo.com"])
    assert told(["*"]) == "*"


@pytest.mark.parametrize("element", ["10.20", "300.1.1.1", "192.168.", "1.2.3.4.5"])
def test_numbers_that_match_nothing_are_a_warning(element: str) -> None:
    found = warnings(put("install.proxy", {"http": INSIDE, "noProxy": [element]}))
    assert "matches nothing" in found["install.proxy.noProxy[0]"]
