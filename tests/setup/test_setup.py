import os
import pathlib
import pty
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

REPO = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534


class Setup(unittest.TestCase):
    """Each test has a copy of the set-up without sources, with a home, a cache and a data directory of its own."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="similis-setup-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.repo = self.folder / "repo"
        shutil.copytree(REPO / "scripts", self.repo / "scripts")
        shutil.copytree(REPO / "models", self.repo / "models")
        shutil.copy(REPO / "run", self.repo)
        (self.folder / "bin").mkdir()
        self.environment = {
            "HOME": str(self.folder),
            "PATH": f"{self.folder}/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "80",
            "SIMILIS_CACHE_DIR": str(self.folder / "cache"),
            "SIMILIS_DATA_DIR": str(self.folder / "data"),
        }

    def run_it(self, *command, code=0, **options):
        done = subprocess.run([str(word) for word in command], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, **options)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def sourced(self, script, code=0):
        """Runs `script` with the set-up's functions."""
        prelude = f'set -euo pipefail; . {self.repo}/scripts/setup/paths.sh; . "$repo/scripts/setup/ui.sh"; '
        return self.run_it("bash", "-c", prelude + script, code=code)

    def test_help_and_usage_errors(self):
        out, _ = self.run_it(self.repo / "run", "--help")
        self.assertIn("Example: ./run ~/Pictures", out)
        for arguments, expected in [
            (["--colour"], "there is no option --colour"),
            (["/no/such/folder"], "/no/such/folder is not a folder"),
            (["/usr", "/etc"], "one folder at a time, not also /etc"),
            (["--listen"], "--listen needs a value"),
        ]:
            with self.subTest(arguments):
                _, err = self.run_it(self.repo / "run", *arguments, code=2)
                self.assertIn(expected, err)

    def test_a_step_says_time_and_note_and_fits_the_terminal(self):
        for columns in ("80", "60"):
            self.environment["COLUMNS"] = columns
            out, _ = self.sourced("run_step 2 7 quick 'model runtime' 'OpenVINO 2026.4.1, a note that is far too long "
                                  "for any line of a terminal and is cut' 1234 '' true")
            self.assertLessEqual(len(out.rstrip("\n")), int(columns))
            self.assertRegex(out, r"^ ✓ 2/7 model runtime  OpenVINO.* \d+ s +1\.2 GB\n$")

    def test_a_failed_step_shows_its_last_lines_and_what_to_do(self):
        out, err = self.sourced("run_step 3 7 bad build '' 0 'Do this.' bash -c 'seq 1 20; exit 9'", code=3)
        self.assertIn("✗ 3/7 build", out)
        self.assertNotIn("    5\n", out)
        for number in range(6, 21):
            self.assertIn(f"    {number}\n", out)
        self.assertIn(f"{self.repo}/build/logs/3-bad.log", err)
        self.assertIn("Do this.", err)

    def test_interrupting_ends_the_step_too(self):
        child = self.folder / "child"
        script = (f". {self.repo}/scripts/setup/paths.sh; . {self.repo}/scripts/setup/ui.sh; "
                  f"run_step 1 1 long long '' 0 '' bash -c 'echo $$ > {child}; sleep 100'")
        process = subprocess.Popen(["bash", "-c", script], env=self.environment, stdout=subprocess.PIPE, text=True)
        deadline = time.time() + 20
        while not (child.exists() and child.read_text().strip()) and time.time() < deadline:
            time.sleep(0.05)
        pid = int(child.read_text())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130)
        self.assertIn("goes on from here", out)
        while os.path.exists(f"/proc/{pid}") and time.time() < deadline:
            time.sleep(0.05)
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_missing_packages_without_root_or_sudo(self):
        (self.repo / "scripts/setup/packages-run.txt").write_text("bash\nno-such-package\n")
        (self.folder / "bin/sudo").write_text("#!/bin/sh\nexit 1\n")
        (self.folder / "bin/sudo").chmod(0o755)
        as_nobody = {}
        if os.geteuid() == 0:
            as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        start = time.time()
        out, err = self.run_it(self.repo / "run", "--no-serve", code=3, **as_nobody)
        self.assertIn("1 Debian packages (with sudo)", out)
        self.assertIn("\napt-get update && apt-get install -y --no-install-recommends no-such-package\n", err)
        self.assertLess(time.time() - start, 30)

    def test_uninstall_asks_and_deletes_only_what_set_up_made(self):
        for name in ("repo/build/x", "repo/demo/x", "cache/models/x", "data/similis.db", "Pictures/cat.png",
                     "data/blobs/ab/cd/abcd.png", "data/holiday/beach.png"):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        (self.folder / "cache/installed-packages").write_text("libfoo\n")
        out, err = self.run_it(self.repo / "run", "--uninstall", code=1)
        self.assertIn(str(self.folder / "data/similis.db"), out)
        self.assertIn("1 uploaded pictures, which are nowhere else", out)
        self.assertIn("--yes", err)
        self.assertTrue((self.folder / "data/similis.db").exists())

        self.assertEqual(self.answer("n\n"), 1)
        self.assertTrue((self.folder / "data/similis.db").exists())
        out, _ = self.run_it(self.repo / "run", "--uninstall", "--yes")
        self.assertIn("sudo apt-get remove --autoremove libfoo", out)
        left = sorted(str(path.relative_to(self.folder)) for path in self.folder.iterdir())
        self.assertEqual(left, ["Pictures", "bin", "data", "repo"])
        kept = [str(path.relative_to(self.folder)) for path in (self.folder / "data").rglob("*.*")]
        self.assertEqual(kept, ["data/holiday/beach.png"])
        self.assertFalse((self.repo / "build").exists())
        self.assertTrue((self.repo / "scripts/setup/ui.sh").exists())

    def answer(self, text):
        """Runs --uninstall on a terminal where somebody types `text`; the exit code."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(self.repo / "run", ["run", "--uninstall"], self.environment)
        os.write(terminal, text.encode())
        try:
            while os.read(terminal, 4096):
                pass
        except OSError:  # the other end is closed
            pass
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_a_running_similis_is_not_uninstalled(self):
        (self.folder / "data").mkdir()
        lock = self.folder / "data/lock"
        holder = subprocess.Popen(["flock", "--no-fork", str(lock), "sleep", "60"])
        self.addCleanup(lambda: (holder.kill(), holder.wait()))
        while subprocess.run(["flock", "-n", str(lock), "true"]).returncode == 0:
            time.sleep(0.05)
        _, err = self.run_it(self.repo / "run", "--uninstall", "--yes", code=1)
        self.assertIn("it is running", err)
        self.assertTrue((self.folder / "data").exists())


if __name__ == "__main__":
    unittest.main()
