#!/usr/bin/env python3
"""Writes the chart's README.md from README.md.gotmpl and the comments of values.yaml (those that begin with "# --").

    helm/readme.py [--check]     --check: exit 1 if README.md is out of date or a value has no comment

The comments are helm-docs', whose own template this is; this script needs nothing but python3-yaml.
"""
import json
import pathlib
import sys

try:
    import yaml
except ImportError:
    print("python3-yaml is not here: the README is neither written nor checked")
    sys.exit(77)

CHART = pathlib.Path(__file__).parent / "tributary"
MARK = '{{ template "chart.valuesTable" . }}'


def comment_above(lines, line):
    """The "# --" comment that ends right above `line` (counted from 0), in one string; None: there is none."""
    found = []
    for text in reversed(lines[:line]):
        text = text.strip()
        if not text.startswith("#"):
            return None
        found.insert(0, text.lstrip("# "))
        if text.startswith("# --"):
            found[0] = found[0].removeprefix("-- ")
            return " ".join(found)
    return None


def plain(node):
    return yaml.safe_load(yaml.serialize(node))


def rows(node, lines, path=()):
    """(path, default, description) of each value; description None where values.yaml says nothing."""
    for key, value in node.value:
        here = path + (key.value,)
        description = comment_above(lines, key.start_mark.line)
        if description is None and isinstance(value, yaml.MappingNode) and value.value:
            yield from rows(value, lines, here)
        else:
            yield here, plain(value), description


def render():
    text = (CHART / "values.yaml").read_text()
    lines = text.splitlines()
    table, bare = ["| value | default | what it is |", "|---|---|---|"], []
    for path, default, description in rows(yaml.compose(text), lines):
        name = ".".join(path)
        if description is None:
            bare.append(name)
            continue
        shown = json.dumps(default, ensure_ascii=False).replace("|", "\\|")
        table.append(f"| `{name}` | `{shown}` | {description.replace('|', chr(92) + '|')} |")
    template = (CHART / "README.md.gotmpl").read_text()
    note = "<!-- Written by helm/readme.py from README.md.gotmpl and values.yaml. -->\n"
    return note + template.replace(MARK, "\n".join(table)), bare


def main():
    text, bare = render()
    for name in bare:
        print(f"values.yaml: {name} has no comment that begins with '# --'", file=sys.stderr)
    if "--check" in sys.argv[1:]:
        stale = not (CHART / "README.md").exists() or (CHART / "README.md").read_text() != text
        if stale:
            print("helm/tributary/README.md is out of date: run helm/readme.py", file=sys.stderr)
        return 1 if stale or bare else 0
    (CHART / "README.md").write_text(text)
    return 1 if bare else 0


if __name__ == "__main__":
    sys.exit(main())
