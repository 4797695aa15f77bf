"""What libvirt 9.0 and the kernel print, recorded from a real host, is read as what it means."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address, IPv4Network

import pytest

from cluster.preflight import answers
from cluster.preflight.facts import Domain, Network, Nic, Pool, Processors, Route

CAPABILITIES = """<capabilities>

  <host>
    <uuid>4a0d0d87-dbb2-485d-af9f-b836b507c352</uuid>
    <cpu>
      <arch>x86_64</arch>
      <model>kvm64</model>
      <feature name='vme'/>
      <feature name='hypervisor'/>
    </cpu>
  </host>

  <guest>
    <os_type>hvm</os_type>
    <arch name='i686'>
      <domain type='qemu'/>
      <domain type='kvm'/>
    </arch>
  </guest>

  <guest>
    <os_type>hvm</os_type>
    <arch name='x86_64'>
      <wordsize>64</wordsize>
      <emulator>/usr/bin/qemu-system-x86_64</emulator>
      <domain type='qemu'/>
    </arch>
  </guest>

</capabilities>

"""
NODE = """CPU model:           x86_64
CPU(s):              2
CPU frequency:       2596 MHz
Memory size:         15165644 KiB

"""
MEMORY = """total  :             24684084 KiB
free   :             13431576 KiB
buffers:               202572 KiB
cached :              3110420 KiB

"""
BALLOONS = """Domain: 'okd-look-compute-0'
  balloon.current=65536
  balloon.maximum=65536
  balloon.last-update=0
  balloon.rss=51892

Domain: 'an idle one'

Domain: 'busy'
  balloon.current=2097152

"""
DOMAINS = """<domain type='qemu' id='3'>
  <name>okd-look-compute-0</name>
  <uuid>a6b27437-9d5a-48a3-939d-607ffcf665b1</uuid>
  <memory unit='KiB'>65536</memory>
  <devices>
    <interface type='network'>
      <mac address='52:54:00:13:7F:A3'/>
      <source network='okd-look-cluster' portid='7a5b1079-2a0d-4566-806e-45379d25df3e' bridge='okdc-15a2b7ae'/>
      <target dev='vnet2'/>
    </interface>
    <interface type='bridge'>
      <mac address='52:54:00:13:7f:a4'/>
      <source bridge='br0'/>
    </interface>
    <interface type='user'>
      <mac address='52:54:00:13:7f:a5'/>
    </interface>
  </devices>
</domain>

<domain type='kvm'>
  <name>an idle one</name>
  <uuid>11111111-9d5a-48a3-939d-607ffcf665b1</uuid>
  <memory unit='KiB'>2097152</memory>
</domain>

"""
NETWORKS = """<network>
  <name>okd-look-uplink</name>
  <uuid>1b41e29b-9fcc-453e-89a2-372779884047</uuid>
  <forward mode='nat'>
    <nat>
      <port start='1024' end='65535'/>
    </nat>
  </forward>
  <bridge name='okdu-15a2b7ae' stp='on' delay='0'/>
  <ip family='ipv4' address='192.168.130.1' prefix='24'>
  </ip>
</network>

<network connections='3'>
  <name>okd-look-cluster</name>
  <uuid>cf63c007-fdb2-46eb-ba3e-bd2afbdc05c9</uuid>
  <bridge name='okdc-15a2b7ae' stp='on' delay='0'/>
  <mtu size='1500'/>
</network>

<network>
  <name>default</name>
  <uuid>00000000-fdb2-46eb-ba3e-bd2afbdc05c9</uuid>
  <ip address='192.168.122.1' netmask='255.255.255.0'/>
  <ip family='ipv6' address='fd00::1' prefix='64'/>
</network>

"""
POOLS = """<pool type='dir'>
  <name>okd-look</name>
  <uuid>5e07e2dc-1259-4d0c-899d-cfb377adb91b</uuid>
  <capacity unit='bytes'>270553174016</capacity>
  <available unit='bytes'>220926795776</available>
  <target>
    <path>/var/lib/libvirt/images/okd-look</path>
  </target>
</pool>

<pool type='dir'>
  <name>asleep</name>
  <uuid>00000000-1259-4d0c-899d-cfb377adb91b</uuid>
  <available unit='bytes'>0</available>
  <target>
    <path>/srv</path>
  </target>
</pool>

"""
ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100A8C0	0003	0	0	0	00000000	0	0	0
okdu-15a2b7ae	0082A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000A8C0	0100A8C0	0003	0	0	0	0000FFFF	0	0	0
gone	0000000A	00000000	0000	0	0	0	000000FF	0	0	0
"""
TRIE = """Main:
  +-- 0.0.0.0/0 2 0 2
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 192.168.130.0/24 2 0 2
        +-- 192.168.130.0/31 1 0 0
           |-- 192.168.130.0
              /24 link UNICAST
           |-- 192.168.130.1
              /32 host LOCAL
        |-- 192.168.130.255
           /32 link BROADCAST
"""


def test_processors_are_those_of_the_hosts_own_architecture() -> None:
    assert answers.processors(CAPABILITIES) == Processors("x86_64", frozenset({"qemu"}), virtual=True)
    bare = CAPABILITIES.replace("<feature name='hypervisor'/>", "").replace("type='qemu'", "type='kvm'")
    assert answers.processors(bare) == Processors("x86_64", frozenset({"kvm"}), virtual=False)


def test_what_was_not_answered_is_unknown() -> None:
    assert answers.processors("") is None
    assert answers.cpus("") is None
    assert answers.memory_free_mib("\n") is None
    assert answers.meminfo_available_mib("MemTotal: 1 kB\n") is None
    assert answers.volumes("") is None


def test_cpus_and_memory_are_counted() -> None:
    assert answers.cpus(NODE) == 2
    assert answers.memory_free_mib(MEMORY) == (13431576 + 202572 + 3110420) // 1024
    assert answers.meminfo_available_mib("MemFree: 5 kB\nMemAvailable:   2048 kB\n") == 2


def test_a_running_domain_takes_what_it_touched_or_else_all_it_may() -> None:
    assert answers.resident_mib(BALLOONS) == {"okd-look-compute-0": 50, "busy": 2048}


def test_domains_are_read_with_their_cards() -> None:
    running, idle = answers.domains(DOMAINS, answers.resident_mib(BALLOONS))
    nics = (
        Nic("52:54:00:13:7f:a3", "okd-look-cluster", "okdc-15a2b7ae"),
        Nic("52:54:00:13:7f:a4", bridge="br0"),
    )
    uuid = "a6b27437-9d5a-48a3-939d-607ffcf665b1"
    assert running == Domain("okd-look-compute-0", uuid, active=True, memory_mib=64, resident_mib=50, nics=nics)
    assert (idle.name, idle.active, idle.memory_mib, idle.resident_mib) == ("an idle one", False, 2048, None)


def test_networks_are_read_with_their_subnets() -> None:
    uplink, cluster, default = answers.networks(
        NETWORKS, frozenset({"1b41e29b-9fcc-453e-89a2-372779884047", "cf63c007-fdb2-46eb-ba3e-bd2afbdc05c9"})
    )
    assert uplink == Network(
        "okd-look-uplink",
        "1b41e29b-9fcc-453e-89a2-372779884047",
        active=True,
        bridge="okdu-15a2b7ae",
        subnets=(IPv4Network("192.168.130.0/24"),),
    )
    assert (cluster.subnets, cluster.bridge) == ((), "okdc-15a2b7ae")
    assert (default.active, default.bridge, default.subnets) == (False, None, (IPv4Network("192.168.122.0/24"),))


def test_an_inactive_pools_free_space_is_unknown() -> None:
    ours, asleep = answers.pools(POOLS, frozenset({"5e07e2dc-1259-4d0c-899d-cfb377adb91b"}))
    path = "/var/lib/libvirt/images/okd-look"
    assert ours == Pool("okd-look", "5e07e2dc-1259-4d0c-899d-cfb377adb91b", active=True, path=path, free=220926795776)
    assert (asleep.active, asleep.path, asleep.free) == (False, "/srv", None)


def test_an_empty_pool_has_no_volumes_and_a_missing_one_unknown_ones() -> None:
    head = " Name   Path\n----------------\n"
    assert answers.volumes(f"{head} okd-a-root   /p/okd-a-root\n b.iso   /p/b.iso\n\n") == {"okd-a-root", "b.iso"}
    assert answers.volumes(f"{head}\n") == frozenset()


def test_an_answer_that_is_cut_off_is_no_answer() -> None:
    with pytest.raises(answers.ParseError):
        answers.domains(DOMAINS[:400], {})


@pytest.mark.skipif(sys.byteorder == "big", reason="the kernel prints these numbers in the machine's byte order")
def test_routes_are_read_without_the_default_one_and_those_that_are_down() -> None:
    assert answers.routes(ROUTES) == (
        Route(IPv4Network("192.168.130.0/24"), "okdu-15a2b7ae"),
        Route(IPv4Network("192.168.0.0/16"), "tun0", direct=False),
    )


def test_this_machines_addresses_are_those_that_it_answers_to() -> None:
    assert answers.addresses(TRIE) == {IPv4Address("127.0.0.1"), IPv4Address("192.168.130.1")}
