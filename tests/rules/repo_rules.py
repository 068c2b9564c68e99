"""What may stand in the repository: text of a readable size, without traces of one machine."""

import re

TEXT_BYTES_MAX = 600_000
SOURCE_LINES_MAX = 600
TEST_LINES_MAX = 800  # a suite of many small cases still reads from the top
TEST = re.compile(r"^tests/|_test\.(cc|py|ts)$|(^|/)test_\w+\.py$")
GENERATED = re.compile(r"(^|/)package-lock\.json$")
PICTURE = re.compile(r"^docs/.*\.(png|webp|jpg)$")
SOURCE = re.compile(r"\.(cc|h|py|sh|ts|vue)$|(^|/)(run|test)$")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
# Folders of one machine, and hosts that packages are fetched from: those are the reader's own settings.
MACHINE = re.compile(r"(?<![\w./~-])/(work|root)\b|\b(registry\.npmjs|pypi|pythonhosted|deb\.debian)\.org\b")


def problems(name, content):
    """What is wrong with one tracked file, one line each. `name` is relative to the repository."""
    if PICTURE.search(name):
        return [f"{name}: {len(content)} bytes"] if len(content) > TEXT_BYTES_MAX else []
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return [f"{name}: not text"]
    if "\0" in text:
        return [f"{name}: not text"]
    found = []
    if len(content) > TEXT_BYTES_MAX:
        found.append(f"{name}: {len(content)} bytes")
    lines = text.splitlines()
    if SOURCE.search(name) and len(lines) > (TEST_LINES_MAX if TEST.search(name) else SOURCE_LINES_MAX):
        found.append(f"{name}: {len(lines)} lines; split it where it holds two ideas")
    for number, line in enumerate(lines, 1):
        if match := MACHINE.search(line):
            found.append(f"{name}:{number}: names {match[0]}")
        if SOURCE.search(name) and (match := UNFINISHED.search(line)):
            found.append(f"{name}:{number}: unfinished: {match[0]}")
    if text and not text.endswith("\n") and not GENERATED.search(name):
        found.append(f"{name}: the last line does not end")
    return found
