"""The documents hold what they promise: links lead somewhere, commands exist, nothing is left to fill in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster.firewall import CLUSTER_PORTS
from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from tests.conftest import stack_config

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "decisions"
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")
TARGET = re.compile(r"^([a-z][a-z-]*):(?!=)(.*)$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
HEADINGS = ("Context", "Choice", "Consequences", "What would change it")
ONE_SCREEN = 45


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as common renderers make them."""
    titles = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(text: str) -> str:
    """What a document shows as code: fenced blocks and inline code."""
    return "\n".join([*FENCE.findall(text), *CODE.findall(prose(text))])


def targets() -> dict[str, str]:
    """Every target of the Makefile with the rest of its line."""
    return dict(TARGET.findall((ROOT / "Makefile").read_text()))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    text = document.read_text()
    lost = []
    for link in LINK.findall(prose(text)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            lost.append(link)
    assert not lost


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_make_target_in_a_document_exists(document: Path) -> None:
    assert set(MAKE.findall(commands(document.read_text()))) <= set(targets())


def test_every_described_target_is_documented() -> None:
    shown = set().union(*(MAKE.findall(commands(document.read_text())) for document in DOCUMENTS))
    described = {target for target, rest in targets().items() if "##" in rest}
    assert described
    assert described <= shown, f"undocumented: {', '.join(sorted(described - shown))}"


def test_every_decision_is_in_the_index_by_its_title() -> None:
    rows = dict(re.findall(r"^\| \[\d+\]\((\S+)\) \| (.*) \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE))
    titles = {
        page.name: page.read_text().splitlines()[0].partition(". ")[2] for page in sorted(DECISIONS.glob("[0-9]*.md"))
    }
    assert rows == titles


def test_decisions_are_numbered_without_a_gap() -> None:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    heads = [page.read_text().splitlines()[0] for page in pages]
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    assert all(head.startswith(f"# {number}. ") for number, head in enumerate(heads, 1))


@pytest.mark.parametrize("page", sorted(DECISIONS.glob("[0-9]*.md")), ids=lambda page: page.stem)
def test_a_decision_has_its_four_parts_on_one_screen(page: Path) -> None:
    text = page.read_text()
    assert tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) == HEADINGS
    assert len(text.splitlines()) <= ONE_SCREEN


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_paths_of_the_repository_that_a_document_names_exist(document: Path) -> None:
    shown = "\n".join(CODE.findall(prose(document.read_text())))
    tops = "cluster|components|templates|scripts|lab|examples|tests|docs"
    paths = re.findall(rf"^(?:{tops})/[\w./-]*[\w/]$", shown, re.MULTILINE)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_nothing_is_left_to_measure_or_to_fill_in(document: Path) -> None:
    left = [
        f"{named(document)}:{number}: {line.strip()}"
        for number, line in enumerate(document.read_text().splitlines(), 1)
        if "TO MEASURE" in line or "TO FILL" in line
    ]
    assert not left, "\n".join(left)


def test_the_port_table_is_the_firewalls() -> None:
    rows = re.findall(
        r"^\| (\d+) \| ([a-z, ]+) \| (.*?) \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE
    )
    shown = {(int(number), protocol, use) for number, protocols, use in rows for protocol in protocols.split(", ")}
    assert shown == {(port.number, port.protocol, port.purpose) for port in CLUSTER_PORTS} | {(22, "tcp", "no")}


def test_the_services_named_are_the_plans() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    shown = re.search(r"The services, one resource each: (.*?)\.\s", text, re.DOTALL)
    assert shown
    plan = Plan.of(Settings.parse(stack_config("dev"), "dev"))
    assert CODE.findall(shown[1]) == [bundle.service for bundle in plan.services]


def test_the_files_said_to_touch_the_provider_are_those_that_import_it() -> None:
    page = (DECISIONS / "0016-where-the-provider-is-touched.md").read_text()
    importing = {
        path.name for path in (ROOT / "components").glob("*.py") if "import pulumi_libvirt" in path.read_text()
    }
    assert set(re.findall(r"^\| `(\w+\.py)` \|", page, re.MULTILINE)) == importing


def test_the_report_shown_for_wrong_settings_is_the_real_one() -> None:
    config = stack_config("dev")
    machines = config["machines"]
    machines["compute-0"]["mac"] = machines["compute-1"]["mac"] = "52:54:00:00:00:01"
    machines["compute-1"]["address"] = "10.0.0.7"
    del machines["control-plane-2"]
    config["services"]["memoryMib"] = 4096
    with pytest.raises(SettingsError) as refused:
        Settings.parse(config, "dev")
    assert f"```\n{refused.value}\n```" in (ROOT / "docs" / "operations.md").read_text()


def test_the_tests_that_documents_name_exist() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {path.stem for path in files}
    known |= {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
    named_tests = {name for page in DOCUMENTS for name in re.findall(r"\btest_\w+", page.read_text())}
    assert len(named_tests) > 50
    assert sorted(named_tests - known) == []
