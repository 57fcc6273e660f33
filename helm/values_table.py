"""The table of values in the chart's README, made of values.yaml and its comments.

    values_table.py           writes it
    values_table.py --check   fails where README.md says something else

The comment above a key is its description, up to the first empty comment line. Every value has one, or lies in one that has.
"""

import argparse
import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parent / "millrace"
MARK = "<!-- Below: made of values.yaml by helm/values_table.py -->"
KEY = re.compile(r"^( *)([A-Za-z0-9]+):(?: |$)")


def descriptions(lines):
    """[(path, text)] of the keys that have a comment right above them."""
    found, comment, above = [], [], []
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        key = KEY.match(line)
        if key:
            above[len(key[1]) // 2:] = [key[2]]
            if comment:
                text = comment[:comment.index("")] if "" in comment else comment
                found.append((tuple(above), " ".join(text)))
        comment = []
    return found


def value_at(values, path):
    for step in path:
        values = values[step]
    return values


def leaves(values, path=()):
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def table():
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    described = descriptions(text.splitlines())
    known = {path for path, _ in described}
    silent = [".".join(path) for path in leaves(values) if not any(path[:n] in known for n in range(1, len(path) + 1))]
    if silent:
        sys.exit(f"values_table: {', '.join(silent)}: no comment says what it is — write one above it in values.yaml")
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for path, description in described:
        default = json.dumps(value_at(values, path), ensure_ascii=False)
        rows.append(f"| `{'.'.join(path)}` | `{default}` | {description.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    readme = CHART / "README.md"
    text = readme.read_text()
    wanted = text[:text.index(MARK)] + MARK + "\n\n" + table()
    if arguments.check and text != wanted:
        sys.exit("values_table: README.md of the chart is not what values.yaml says — try ./run chart readme")
    if not arguments.check:
        readme.write_text(wanted)


if __name__ == "__main__":
    main()
