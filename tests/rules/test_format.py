import subprocess
import unittest

from tracked_files import REPO, tracked


class Format(unittest.TestCase):
    def run_over(self, command, names):
        self.assertTrue(names)
        done = subprocess.run(command + names, cwd=REPO, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[:4000])

    def test_sources_are_as_clang_format_makes_them(self):
        self.run_over(["clang-format-19", "--dry-run", "-Werror"], tracked("src/*.cc", "src/*.h", "bench/*.cc", "bench/*.h"))

    def test_shell_scripts_pass_shellcheck(self):
        self.run_over(["shellcheck"], ["run", "test", ".ci/run"] + tracked("scripts/*.sh"))


if __name__ == "__main__":
    unittest.main()
