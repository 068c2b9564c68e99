#!/usr/bin/env python3
"""Writes what `similis licenses` prints: collect_licenses.py --out DIR makes DIR/licenses.txt (name, licence, use) and
DIR/notices.txt (the texts that packaging/licenses.toml points at)."""

import argparse
import pathlib
import sys
import textwrap
import tomllib

REPO = pathlib.Path(__file__).resolve().parents[1]


class Places:
    """Where the kinds of notice lie."""

    def __init__(self, share, openvino):
        self._share = share
        (self._openvino,) = openvino.glob("openvino-*.dist-info/licenses") if openvino else (None,)

    def path(self, notice):
        kind, _, name = notice.partition(":")
        match kind:
            case "repo":
                return REPO / name
            case "debian":
                return pathlib.Path("/usr/share/doc") / name / "copyright"
            case "openvino":
                return self._openvino / name
            case "model":
                (path,) = (self._share / "models" / name).glob("*/LICENSE")
                return path
            case "page":
                return self._share / "web" / "notices.txt"
        raise ValueError(f"licenses.toml: {notice}: there is no kind {kind}")


def collect(components, places):
    """The table and the notices; a text that several components share is given once."""
    table, parts, given = [], [], set()
    for component in components:
        table.append(f"{component['name']}: {component['licence']}\n")
        table.append(textwrap.fill(component["use"], 78, initial_indent="    ", subsequent_indent="    ") + "\n")
        texts = []
        for notice in component["notice"]:
            path = places.path(notice)
            if path not in given:
                given.add(path)
                texts.append(path.read_text(errors="replace").strip())
        heading = f"{component['name']} ({component['licence']}): {component['use']}"
        parts.append("\n\n".join([heading + "\n" + "=" * len(heading), *texts]) + "\n")
    return "".join(table), "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--share", type=pathlib.Path, required=True, help="the folder with models/ and web/")
    parser.add_argument("--openvino", type=pathlib.Path, required=True, help="the unpacked SDK")
    arguments = parser.parse_args()
    components = tomllib.loads((REPO / "packaging/licenses.toml").read_text())["component"]
    try:
        table, notices = collect(components, Places(arguments.share, arguments.openvino))
    except (OSError, ValueError) as error:
        sys.exit(f"collect_licenses: {error}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "licenses.txt").write_text(table)
    (arguments.out / "notices.txt").write_text(notices)


if __name__ == "__main__":
    main()
