"""Bad and odd pictures through the built program: none stops a run, each failure has a reason.

Needs SIMILIS_HOSTILE_FILES, the program that writes them (CTest sets it).
"""

import json
import os
import random
import subprocess
import unittest
from pathlib import Path

from harness import Similis


class Hostile(Similis):
    def test_none_stops_the_run_and_each_failure_has_a_reason(self):
        seed = random.randrange(1 << 31)
        print(f"seed {seed}")
        subprocess.run([os.environ["SIMILIS_HOSTILE_FILES"], self.pictures, str(seed)], check=True)
        expected = {}
        for line in (self.pictures / "EXPECTED").read_text().splitlines():
            name, outcome = line.split("\t")
            expected[name] = outcome
        (self.pictures / "EXPECTED").unlink()
        self.assertGreaterEqual(len(expected), 200)
        job = self.index()
        counters = job["counters"]
        self.assertEqual(job["state"], "done")
        self.assertEqual(counters["ready"] + counters["failed"] + counters["skipped"], len(expected))
        self.assertEqual(counters["skipped"], sum(outcome == "skipped" for outcome in expected.values()))

        failures = self.ask("status", "--failures")["failures"]
        self.assertEqual(len(failures), counters["failed"])
        failed = {failure["name"] for failure in failures}
        for failure in failures:
            self.assertGreater(len(failure["reason"]), 10, failure)
        for name, outcome in expected.items():
            if outcome in ("failed", "picture"):  # "typed": either, depending on which bits were hit
                self.assertEqual(name in failed, outcome == "failed", name)

        # Which way up a picture is stored changes nothing.
        rows = {row["name"]: row["id"] for row in self.rows()}
        for kind, least in (("png", 0.9999), ("tif", 0.9999), ("jpg", 0.995), ("webp", 0.995)):  # two of them lose some
            hits = self.ask("search", f"id:{rows[f'orientation-1.{kind}']}", "-k", "1000", "--min-score", "0")["hits"]
            scores = {hit["name"]: hit["score"] for hit in hits}
            for orientation in range(2, 9):
                self.assertGreaterEqual(scores[f"orientation-{orientation}.{kind}"], least, (kind, orientation))

        # Nothing is tried again for nothing, and a second run ends the same way.
        again = self.index()["counters"]
        self.assertEqual((again["failed"], again["skipped"], again["moved"], again["removed"]),
                         (counters["failed"], counters["skipped"], 0, 0))
        self.run_similis("verify")

    def rows(self):
        process, address, token = self.serve()
        out = subprocess.run(["curl", "-sS", "--fail", "-H", f"Authorization: Bearer {token}",
                              f"{address}/api/v1/collections/pictures/images?limit=1000"],
                             capture_output=True, check=True).stdout
        self.stop(process)
        return json.loads(out)["images"]


class FullDisk(Similis):
    """The data directory on a file system of a few megabytes, in a mount namespace of its own."""

    def inside(self, script, code=0):
        mount = f"mount -t tmpfs -o size=3m tmpfs {self.data} && cd {self.root} && "
        done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", mount + script],
                              env=self.environment(S=os.environ["SIMILIS_BINARY"]), capture_output=True, text=True,
                              timeout=300)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def test_what_is_stored_stays_and_the_error_says_what_to_do(self):
        self.data.mkdir()
        probe = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True, text=True)
        if probe.returncode != 0:
            self.skipTest("no mount namespaces here: " + probe.stderr.strip())
        few, many = self.root / "few", self.root / "many"
        self.make_pictures(8, few)
        self.make_pictures(300, many, first=100)
        out, err = self.inside(f"""
            $S index {few} --quiet && $S status --json > before.json
            $S index {many} --quiet; echo "full $?"
            $S status --json > after.json; echo "status $?"
            $S search {few}/p000.png -k 1 --paths; echo "search $?"
            mount -o remount,size=100m {self.data} && $S index {many} --quiet; echo "room $?"
            $S verify --quiet; echo "verify $?"
            $S status --json > end.json""")
        before, after, end = (json.loads((self.root / f"{name}.json").read_text()) for name in ("before", "after", "end"))
        ready = lambda status: status["collections"][0]["counts"]["ready"]  # noqa: E731
        self.assertEqual(ready(before), 8)
        self.assertIn("full 3", out)
        self.assertRegex(" ".join(err.split()), r"(?i)(disk.*full|no space).*free \d")
        self.assertIn("status 0", out)
        self.assertIn("p000.png\nsearch 0", out)
        self.assertGreaterEqual(ready(after), 8)
        self.assertIn("room 0", out)
        self.assertIn("verify 0", out)
        self.assertEqual(ready(end), 308)
        self.assertEqual(end["collections"][0]["counts"]["failed"], 0)


if __name__ == "__main__":
    unittest.main()
