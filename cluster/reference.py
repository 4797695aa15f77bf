"""`python -m cluster.reference [--check]`: the reference page and the JSON Schema of a stack's settings.

Owns the page's form, and whether both files are fresh. Does not own what is said about a setting: that stands beside it
in its model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cluster import settings_schema
from cluster.machine_settings import DEFAULT_POOLS, Pool
from cluster.project_files import PROJECT
from cluster.settings import Settings
from cluster.settings_keys import section

PAGE, SCHEMA = PROJECT / "docs" / "settings.md", PROJECT / "docs" / "settings.schema.json"
HEAD = """\
# Settings

Every setting of a stack, made from the program's own models by `make reference`. They stand in `Pulumi.<stack>.yaml`
under `config:`, each section with the project's prefix:

```yaml
config:
  okd-libvirt:cluster:
    baseDomain: example.com
```

- Sizes are whole numbers without a unit; the key says which: `memoryMiB`, `diskGiB`, `bootMinutes`.
- `pulumi config set --path okd-libvirt:services.memoryMiB 8192` sets one; a secret with `--secret` as well, and is
  encrypted in the file.
- An unknown key is refused with the nearest known one. All that is wrong is said in one report, and nothing is made.
- Editors that read `# yaml-language-server: $schema=docs/settings.schema.json`, the stack files' first line, complete
  and check while one types.
- `examples/Pulumi.minimal.yaml` says as little as possible, `Pulumi.prod.yaml` is a worked example of real hardware,
  and `examples/Pulumi.hard-way.yaml` writes out most defaults.
"""
TABLE = "| setting | type | default | meaning |\n|---|---|---|---|\n"


def page() -> str:
    """The reference page."""
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        inner, names = section(field.annotation)
        assert inner is not None
        meaning = settings_schema.described(Settings)[name][0]
        optional = "" if settings_schema.is_needed(Settings, name) else " May be left out."
        rows = "\n".join(_rows(inner, "<name>." if names else ""))
        parts.append(f"## {field.alias}\n\n{meaning}{optional}\n\n{TABLE}{rows}\n")
        if inner is Pool:
            parts.append(_pools())
    return "\n".join(parts)


def schema() -> str:
    """The schema's text."""
    return json.dumps(settings_schema.document(), indent=2, ensure_ascii=False) + "\n"


def _rows(model: type[BaseModel], above: str = "") -> Iterator[str]:
    words = settings_schema.described(model)
    properties = settings_schema.of_section(model)["properties"]
    for name, field in model.model_fields.items():
        key, (meaning, default, _) = f"{above}{field.alias}", words[name]
        inner, _ = section(field.annotation)
        needed = "**required**" if settings_schema.is_needed(model, name) else ""
        if inner is not None:
            several = "[]" if properties[field.alias]["type"] == "array" else ""
            yield _row(f"`{key}`", "list of sections" if several else "section", default or needed, meaning)
            yield from _rows(inner, f"{key}{several}.")
        else:
            yield _row(f"`{key}`", _type(properties[field.alias]), default or needed or _default(field), meaning)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return _type(schema["anyOf"][0])
    if "enum" in schema:
        return f"one of {', '.join(_code(value) for value in schema['enum'])}"
    kind = schema.get("type")
    if kind == "array":
        return f"list of: {_type(schema['items'])}"
    if kind == "object":
        return f"mapping of label keys to: {_type(next(iter(schema['patternProperties'].values())))}"
    if kind == "integer":
        return f"whole number, {schema['minimum']} to {schema['maximum']}"
    if kind == "boolean":
        return "`true` or `false`"
    example = f", e.g. `{schema['examples'][0]}`" if "examples" in schema else ""
    return f"{schema.get('title', 'text')}{example}"


def _default(field: FieldInfo) -> str:
    value = settings_schema.plain_default(field)
    return "none" if value in (None, [], "") else _code(value)


def _code(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _pools() -> str:
    rows = [
        _row(f"`{name}`", *(_code(pool.model_dump(mode="json", by_alias=True)[key]) for key in _POOL_KEYS))
        for name, pool in ((name, Pool.model_validate(given)) for name, given in DEFAULT_POOLS.items())
    ]
    head = f"| usual pool | {' | '.join(_POOL_KEYS)} |\n|{'---|' * (len(_POOL_KEYS) + 1)}\n"
    return head + "\n".join(rows) + "\n"


_POOL_KEYS = ("role", "cpus", "memoryMiB", "diskGiB", "extraDisksGiB")


def main(argv: list[str]) -> int:
    """Write both files, or say which is stale; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.reference")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    check = parser.parse_args(argv).check
    stale = [
        (path, text)
        for path, text in ((PAGE, page()), (SCHEMA, schema()))
        if not path.exists() or path.read_text() != text
    ]
    for path, text in stale:
        if check:
            print(f"{path.relative_to(PROJECT)} is stale: run `make reference`", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"{path.relative_to(PROJECT)} written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
