"""Runs the shell lines of README.md as a newcomer would copy them."""

import os
import re
import shlex
import subprocess
import unittest
from pathlib import Path

from harness import BINARY, Similis, pattern

REPO = Path(__file__).resolve().parents[2]
README = (REPO / "README.md").read_text()


def shell_lines():
    """The indented lines that begin with a command."""
    return [line[4:] for line in README.splitlines() if re.match(r"    (\./|curl )", line)]


class Readme(Similis):
    def setUp(self):
        super().setUp()
        (self.root / "home/Pictures").mkdir(parents=True)
        for seed in range(4):
            pattern(self.root / f"home/Pictures/p{seed}.png", seed)
        (self.root / "home/Pictures/p0.png").rename(self.root / "home/Pictures/beach.jpg")  # told by content
        (self.root / "similis").symlink_to(BINARY)
        self.address, self.token = "", ""

    def shell(self, line):
        environment = self.environment(HOME=str(self.root / "home"), TOKEN=self.token)
        return subprocess.run(["bash", "-c", line], cwd=self.root, env=environment, capture_output=True, text=True,
                              timeout=120)

    def test_its_lines_work(self):
        seen = set()
        for line in shell_lines():
            with self.subTest(line):
                command = shlex.split(line, comments=True)
                seen.add(" ".join(command[:2]))
                if command[0] in ("./run", "./test"):
                    # Set-up itself is tested in tests/setup; here only that the command takes these arguments.
                    self.assertTrue(os.access(REPO / command[0], os.X_OK))
                    continue
                if command[:2] == ["./similis", "serve"]:
                    self.assertEqual(command[2:], [])
                    _, self.address, self.token = self.serve()
                    continue
                if command[0] == "curl":
                    self.assertTrue(self.address, "a curl line before the line that starts the server")
                    self.assertIn("http://127.0.0.1:8420/", line)
                    (self.root / "beach.jpg").write_bytes((self.root / "home/Pictures/beach.jpg").read_bytes())
                    line = line.replace("http://127.0.0.1:8420", self.address).replace("curl ", "curl -sS --fail ", 1)
                done = self.shell(line)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertLessEqual({"./run ~/Pictures", "./test", "./similis index", "./similis search", "./similis serve",
                              "curl -T"}, seen)

    def test_it_is_short_and_its_links_lead_somewhere(self):
        self.assertLessEqual(len(README.splitlines()), 150)
        for target in re.findall(r"\]\(([^)#]+)\)", README):
            self.assertTrue((REPO / target).exists(), target)


if __name__ == "__main__":
    unittest.main()
