#!/usr/bin/env python3
"""Adds up the results of all test runners in a folder and prints one closing line. Fails when none passed."""

import json
import pathlib
import sys
import xml.etree.ElementTree as xml


def main():
    passed = failed = skipped = 0
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        if path.suffix == ".xml":
            suite = xml.parse(path).getroot()
            bad, left = int(suite.get("failures")), int(suite.get("skipped")) + int(suite.get("disabled"))
            passed, failed, skipped = passed + int(suite.get("tests")) - bad - left, failed + bad, skipped + left
        elif path.suffix == ".json":
            counts = json.loads(path.read_text())
            # A suite that could not even be loaded counts as one failure.
            broken = counts["numFailedTestSuites"] if counts["numFailedTests"] == 0 else 0
            passed, failed = passed + counts["numPassedTests"], failed + counts["numFailedTests"] + broken
            skipped += counts["numPendingTests"]
    print(f"\n{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if passed and not failed else 1


sys.exit(main())
