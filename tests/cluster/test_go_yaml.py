"""What is reviewed, what Pulumi hands over and what Go's programs read is one and the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import (
    go_yaml,
    ignition,
    install_config,
    manifests,
    mirror,
    registry,
    secret_manifests,
    stack_file,
    user_manifests,
)
from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from tests.cluster.conftest import planned
from tests.cluster.go_yaml_table import KUBERNETES, NUMBERS, OLD_BOOLS, PULUMI, TEXTS, TIMES
from tests.conftest import stack_config

AMBIGUOUS = (
    *NUMBERS,
    *TEXTS,
    *OLD_BOOLS,
    *TIMES,
    "true",
    "False",
    "~",
    "null",
    "Null",
    "",
    " ",
    ".inf",
    "-.INF",
    ".nan",
)
READERS: tuple[Any, ...] = (go_yaml.Kubernetes, go_yaml.Pulumi, yaml.SafeLoader)


def read(text: str, reader: Any) -> Any:
    (document,) = go_yaml.load_all(text, reader)
    return document


@pytest.mark.parametrize(
    ("reader", "table"), [(go_yaml.Kubernetes, KUBERNETES), (go_yaml.Pulumi, PULUMI)], ids=["Kubernetes", "Pulumi"]
)
def test_a_plain_text_is_taken_for_what_go_takes_it_for(reader: Any, table: dict[str, Any]) -> None:
    found = {text: read(f"- {text}", reader)[0] for text in table}
    assert {text: (type(value), value) for text, value in found.items()} == {
        text: (type(value), value) for text, value in table.items()
    }


def test_a_date_is_a_time_to_pulumi_and_fits_no_setting_unquoted() -> None:
    assert all(" " in read(f"- {text}", go_yaml.Pulumi)[0] for text in TIMES)


@pytest.mark.parametrize("reader", READERS, ids=["Kubernetes", "Pulumi", "PyYAML"])
def test_what_is_written_is_read_as_itself_by_every_reader(reader: Any) -> None:
    document = {"keys": {text: text for text in AMBIGUOUS}, "list": list(AMBIGUOUS), "real": [8, 8.5, True, None]}
    (found,) = list(yaml.load_all(go_yaml.dump(document), reader))
    assert found == document


def test_plain_names_stay_plain() -> None:
    document = {
        "name": "compute-0",
        "version": "3.2.0",
        "address": "192.168.200.254:5000",
        "path": "/etc/x",
        "none": {},
    }
    assert go_yaml.dump(document) == yaml.safe_dump(document, sort_keys=False)


@pytest.mark.parametrize("key", ["08", "1e5", "010", "0o7", "1_000", "~", "null", "[a]", "1.50"])
@pytest.mark.parametrize("reader", READERS[:2], ids=["Kubernetes", "Pulumi"])
def test_a_key_that_changes_on_the_way_is_refused_with_its_line(key: str, reader: Any) -> None:
    with pytest.raises(yaml.YAMLError, match=r"a key is text: put it in quotes[\s\S]*line 2"):
        go_yaml.load_all(f"pools:\n  ? {key}\n  : {{}}\n", reader)


def test_a_key_that_only_one_of_them_changes_is_refused_there() -> None:
    assert read("y: {}\n", go_yaml.Pulumi) == {"y": {}}
    with pytest.raises(yaml.YAMLError, match="y would be read as true, and"):
        go_yaml.load_all("y: {}\n", go_yaml.Kubernetes)
    for reader in READERS[:2]:
        assert read("8: {}\ntrue: {}\n", reader) == {"8": {}, "true": {}}


@pytest.mark.parametrize(
    "text", ["a:\tb", "a: b\t# c", '{\n\t"a": "b"\n}', "\ufeffa: b", "a: b\r\n", "# c\n---\na: b", "a: b\n...\n"]
)
@pytest.mark.parametrize("reader", READERS[:2], ids=["Kubernetes", "Pulumi"])
def test_tabs_marks_and_line_ends_are_taken_where_go_takes_them(text: str, reader: Any) -> None:
    assert read(text, reader) == {"a": "b"}


@pytest.mark.parametrize(
    "text", ["a: .inf", "a: !!binary aGk=", "%YAML 1.2\n---\na: b", "a: 1\na: 2", "\ta: b", "a: *x", "a: !!set {x}"]
)
def test_what_has_no_like_in_json_or_in_go_is_refused(text: str) -> None:
    for reader in READERS[:2]:
        with pytest.raises(yaml.YAMLError):
            go_yaml.load_all(text, reader)


def test_what_is_merged_in_is_no_key_given_twice() -> None:
    text = "a: &a {x: 1, y1: 2}\nb:\n  <<: *a\n  x: 3\nc: {<<: *a}\n"
    assert read(text, go_yaml.Pulumi)["b"] == {"x": 3, "y1": 2}
    assert read(text, go_yaml.Kubernetes)["c"] == {"x": 1, "y1": 2}


NAMES = ("00891234", "1e5", "y", "No", "0o7", "012", "1_000", "null", "4.20", "2001-01-01", "0x1f")


@pytest.mark.parametrize("name", NAMES)
def test_an_administrators_name_reaches_the_cluster_as_it_is(name: str) -> None:
    plan = planned("prod", lambda config: config.setdefault("install", {}).update(adminUser={"name": name}))
    text = ignition.manifest_texts(plan)["99-okd-admin-binding.yaml"]
    for reader in READERS:
        assert yaml.load(text, reader)["subjects"][0]["name"] == name


@pytest.mark.parametrize("pool", ["08", "1e5", "y", "on", "0x1f", "012"])
def test_a_pools_name_reaches_the_cluster_as_it_is(pool: str) -> None:
    def edit(config: dict[str, Any]) -> None:
        config.setdefault("pools", {})[pool] = {}
        config["machines"][f"{pool}-1"] = {"address": "192.168.200.77"}

    plan = planned("hard-way", edit)
    document = read(ignition.manifest_texts(plan)[f"99-okd-pool-{pool}.yaml"], go_yaml.Kubernetes)
    assert document["metadata"]["name"] == pool
    assert document["spec"]["machineConfigSelector"]["matchExpressions"][0]["values"] == ["worker", pool]


@pytest.mark.parametrize("stack", ["dev", "prod", "hard-way"])
def test_a_stack_that_stands_sees_no_other_text_than_before(stack: str) -> None:
    plan = planned(stack)
    for document in (*manifests.built_in(plan).values(), registry.configuration(plan), mirror.image_set(plan)):
        assert go_yaml.dump(document) == yaml.safe_dump(document, sort_keys=False)


def test_every_document_for_go_is_read_as_it_was_planned() -> None:
    plan = planned("hard-way")
    for document in (
        registry.configuration(plan),
        install_config.document(plan, "bundle", "ssh-ed25519 AAAA"),
        mirror.image_set(plan),
    ):
        for reader in READERS:
            assert yaml.load(go_yaml.dump(document), reader) == json.loads(json.dumps(document))


STACK = """\
config:
  okd-libvirt:cluster: {{baseDomain: example.com}}
  okd-libvirt:install: {{adminUser: {{name: {name}}}}}
"""


def test_a_review_reads_settings_as_pulumi_hands_them_over(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text("config:\n  okd-libvirt:x:\n" + "".join(f"    - {text}\n" for text in PULUMI))
    assert stack_file.stack_config(path) == {"x": list(PULUMI.values())}


def test_a_review_takes_a_key_without_the_project_as_pulumi_does(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + STACK.format(name="me").replace("okd-libvirt:cluster", "cluster").encode())
    assert stack_file.stack_config(path)["cluster"] == {"baseDomain": "example.com"}


@pytest.mark.parametrize("text", ["config:\n  okd-libvirt:pools:\n    08: {}\n", "config: {}\n---\nconfig: {}\n"])
def test_a_stack_file_that_pulumi_would_refuse_or_cut_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(text)
    with pytest.raises(yaml.YAMLError, match=r"in quotes|more than one document"):
        stack_file.stack_config(path)


@pytest.mark.parametrize("key", ["08", "1e5", "010", "0x1f", "~", "1.50", "2001-01-01"])
def test_a_key_that_pulumi_changes_is_a_problem_of_the_settings(tmp_path: Path, key: str) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(f"config:\n  okd-libvirt:pools:\n    {key}: {{}}\n")
    (problem,) = stack_file.misread(path)
    assert problem.setting == "Pulumi.x.yaml"
    assert problem.harm.startswith(f"line 3: {key} would be read as ")
    assert problem.fix == "put it in quotes"
    path.write_text(f"config:\n  okd-libvirt:pools:\n    '{key}': {{}}\n")
    assert stack_file.misread(path) == []
    assert stack_file.misread(tmp_path / "Pulumi.other.yaml") == []


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "x"}, **more}


ONE, TWO = config_map("one"), config_map("two", data={"a": "08"})
PLAIN = yaml.safe_dump(ONE)
SEVERAL = {
    "documents": ("a.yaml", f"# first\n---\n{PLAIN}---\n---\n{go_yaml.dump(TWO)}---\n# the end\n"),
    "documents with Windows' line ends": ("a.yaml", f"{PLAIN}---\n{go_yaml.dump(TWO)}".replace("\n", "\r\n")),
    "a list": ("a.yaml", go_yaml.dump({"apiVersion": "v1", "kind": "List", "items": [ONE, TWO]})),
    "a list in JSON": ("a.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": [ONE, TWO]}, indent="\t")),
    "a list of one kind": (
        "a.yaml",
        go_yaml.dump({"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": ONE["metadata"]}, TWO]}),
    ),
    "JSON after JSON": ("a.json", f"{json.dumps(ONE)}\n{json.dumps(TWO)}"),
    "a list and one more": ("a.yml", f"{go_yaml.dump({'kind': 'List', 'items': [ONE]})}---\n{go_yaml.dump(TWO)}"),
}


@pytest.mark.parametrize(("name", "text"), SEVERAL.values(), ids=SEVERAL)
def test_each_object_of_a_file_becomes_a_file_of_its_own(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    found, faults = user_manifests.load(tmp_path)
    stem, _, suffix = name.partition(".")
    assert faults == []
    assert [one.name for one in found] == [f"{stem}-1.{suffix}", f"{stem}-2.{suffix}"]
    # The first document alone is what the bootstrap machine reads.
    assert [go_yaml.load_all(one.text, go_yaml.Kubernetes) for one in found] == [[ONE], [TWO]]


SINGLE = {
    "a byte order mark": f"\ufeff{PLAIN}",
    "Windows' line ends": PLAIN.replace("\n", "\r\n"),
    "comments before the document": f"# mine\n---\n{PLAIN}",
    "an empty document before": f"---\n---\n{PLAIN}",
    "an end mark": f"{PLAIN}...\n",
    "JSON": json.dumps(ONE, indent="\t"),
    "JSON with escaped slashes": json.dumps(ONE).replace("v1", "v\\u0031").replace('"x"', '"\\u0078"'),
    "flow style": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: x,}\n",
    "tabs": PLAIN.replace("kind: ", "kind:\t").replace("v1", "v1\t# of core"),
}


@pytest.mark.parametrize("text", SINGLE.values(), ids=SINGLE)
def test_a_manifest_is_taken_in_every_form_that_oc_takes(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_bytes(text.encode())
    ((manifest,), faults) = user_manifests.load(tmp_path)
    assert (faults, manifest.name, manifest.object) == ([], "a.yaml", ONE)
    assert go_yaml.load_all(manifest.text, go_yaml.Kubernetes)[0] == ONE


def test_a_slash_that_json_escapes_and_yaml_does_not_is_written_plainly(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(config_map("one", data={"a": "b/c"})).replace("b/c", "b\\/c"))
    ((manifest,), _) = user_manifests.load(tmp_path)
    assert "\\/" not in manifest.text
    assert json.loads(manifest.text)["data"] == {"a": "b/c"}


HARMS = {
    "a name that is a number": (PLAIN.replace("one", "08"), "metadata.name is a number to Kubernetes"),
    "a name that is true": (PLAIN.replace("one", "y"), "metadata.name is true or false"),
    "a namespace that is a number": (PLAIN.replace("namespace: x", "namespace: 1e5"), "metadata.namespace is a number"),
    "a label that is true": (PLAIN.replace("metadata:", "metadata:\n  labels: {a: on}"), "metadata.labels.a is true"),
    "an annotation that is a number": (
        PLAIN.replace("metadata:", "metadata:\n  annotations: {a: 012}"),
        "metadata.annotations.a is a number",
    ),
    "data that is a number": (f"{PLAIN}data: {{a: 1_000}}\n", "data.a is a number"),
    "a label's key that changes": (PLAIN.replace("metadata:", "metadata:\n  labels: {08: x}"), "08 would be read as"),
    "a key given twice": (f"{PLAIN}kind: Secret\n", "'kind' is given twice"),
    "a tab at the begin": (f"{PLAIN}data:\n\ta: b\n", "not YAML that Kubernetes reads in line 7"),
    "the second of two": (f"{PLAIN}---\n{PLAIN.replace('one', '08')}", "object 2: metadata.name is a number"),
}


@pytest.mark.parametrize(("text", "words"), HARMS.values(), ids=HARMS)
def test_what_kubernetes_would_read_otherwise_or_refuse_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        Settings.parse(stack_config("prod") | {"install": {"manifests": str(tmp_path)}}, "prod")
    (problem,) = caught.value.problems
    assert (problem.setting, problem.value) == ("install.manifests", f"{tmp_path}/a.yaml")
    assert words in problem.harm


def test_a_secret_among_other_objects_travels_apart(tmp_path: Path) -> None:
    secret = {**config_map("hidden", stringData={"word": "12345678"}), "kind": "Secret"}
    (tmp_path / "a.yaml").write_text(f"{PLAIN}---\n{go_yaml.dump(secret)}")
    plan = Plan.of(Settings.parse(stack_config("prod") | {"install": {"manifests": str(tmp_path)}}, "prod"))
    texts = ignition.manifest_texts(plan)
    assert "a-1.yaml" in texts
    assert "a-2.yaml" not in texts
    assert "12345678" not in str(texts)
    assert "a-2.yaml" in secret_manifests.names(plan)


def test_files_whose_objects_would_meet_under_one_name_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{PLAIN}---\n{go_yaml.dump(TWO)}")
    (tmp_path / "a-1.yaml").write_text(go_yaml.dump(config_map("three")))
    ((fault,)) = user_manifests.load(tmp_path)[1]
    assert "would be written to a-1.yaml as well" in fault.harm
