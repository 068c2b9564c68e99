"""The command line beside other programs: names of any bytes, pipes, JSON, and the programs it starts."""

import json
import os
import shutil
import signal
import subprocess
import unittest

from harness import BINARY, Similis, pattern

ODD_NAME = b"caf\xe9 \xff.png"  # Latin-1, not UTF-8


class Names(Similis):
    def test_paths_come_byte_for_byte(self):
        self.make_pictures(2)
        odd = os.fsencode(self.pictures) + b"/" + ODD_NAME
        pattern(os.fsdecode(odd), 77)
        self.index()
        for option, end in (("--paths", b"\n"), ("-0", b"\0")):
            done = subprocess.run([BINARY, "search", odd, "-k", "1", option], env=self.environment(),
                                  stdin=subprocess.DEVNULL, capture_output=True, check=True)
            self.assertEqual(done.stdout, odd + end)
            self.assertTrue(os.path.exists(done.stdout.rstrip(b"\n\0")))

    def test_errors_about_such_names_are_json(self):
        for arguments in ([b"search", b"no such " + ODD_NAME], [b"index", ODD_NAME]):
            done = subprocess.run([BINARY, *arguments, "--json"], env=self.environment(), stdin=subprocess.DEVNULL,
                                  cwd=self.root, capture_output=True)
            self.assertIn(done.returncode, (2, 3), done.stderr)
            problem = json.loads(done.stderr.decode("utf-8"))
            self.assertIn(problem["code"], ("not_found", "conflict"))

    def test_a_collections_name_is_checked_with_and_without_a_server(self):
        self.make_pictures(2)
        self.index()
        picture = self.pictures / "p000.png"

        def check():
            for arguments in (("search", picture), ("index", self.pictures), ("status",), ("status", "--failures")):
                _, err = self.run_similis(*arguments, "--collection", "My Pics", code=2)
                flat = " ".join(err.split())
                self.assertIn('"My Pics" cannot be a collection\'s name', flat)
                self.assertIn("a-z, 0-9", flat)

        check()
        self.serve()
        check()


class Output(Similis):
    def setUp(self):
        super().setUp()
        self.make_pictures(2)
        self.index()
        self.picture = self.pictures / "p000.png"

    def test_a_pipe_is_a_picture(self):
        done = subprocess.run(["bash", "-c", f'"{BINARY}" search <(cat "{self.picture}") --json'],
                              env=self.environment(), capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["hits"][0]["name"], "p000.png")

    def test_drawings_do_not_mix_with_output_for_programs(self):
        for option in ("--json", "--paths", "-0"):
            out, err = self.run_similis("search", self.picture, "--show", option, code=2)
            self.assertEqual(out, "")
            self.assertIn("--show", err)

    def test_the_hits_come_even_where_no_browser_opens(self):
        environment = {k: v for k, v in self.environment().items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
        done = subprocess.run([BINARY, "search", self.picture, "--open"], env=dict(environment, TMPDIR=str(self.root)),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("p000.png", done.stdout)
        self.assertIn("no desktop", " ".join(done.stderr.split()))

    def test_a_browser_can_be_interrupted(self):
        programs = self.root / "programs"
        programs.mkdir()
        script = programs / "xdg-open"
        script.write_text("#!/bin/sh\nkill -TERM $$\ntouch \"$(dirname \"$0\")/survived\"\n")
        script.chmod(0o755)
        self.run_similis("search", self.picture, "--open", DISPLAY=":none", TMPDIR=str(self.root),
                         PATH=f"{programs}:{os.environ['PATH']}")
        self.assertFalse((programs / "survived").exists(), "the browser was started with SIGTERM blocked")


class Bench(Similis):
    """`similis bench` hands everything to the program beside it, and is not there without it."""

    def setUp(self):
        super().setUp()
        folder = self.root / "bin"
        folder.mkdir()
        self.binary = folder / "similis"
        shutil.copy2(BINARY, self.binary)
        self.program = folder / "similis-bench"

    def install(self, text):
        self.program.write_text("#!/bin/sh\n" + text)
        self.program.chmod(0o755)

    def run_copy(self, *arguments):
        return subprocess.run([self.binary, *arguments], env=self.environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)

    def test_the_programs_words_and_options_reach_it(self):
        self.install('printf "%s|" "$@"\nexit 7\n')
        for words in (["ingest", "--help"], ["query", "--rows", "10", "--json"], ["ingest", "--quiet"]):
            done = self.run_copy("bench", *words)
            self.assertEqual((done.returncode, done.stdout), (7, "".join(w + "|" for w in words)), done.stderr)
        self.assertIn("Example", self.run_copy("bench", "--help").stdout)

    def test_it_can_be_interrupted(self):
        for name in ("INT", "TERM", "HUP"):
            self.install(f"kill -{name} $$\necho survived\n")
            done = self.run_copy("bench", "ingest")
            self.assertEqual(done.stdout, "")
            self.assertEqual(done.returncode, -getattr(signal, f"SIG{name}"))

    def test_without_the_program_there_is_no_such_command(self):
        self.assertEqual(self.run_copy("bench", "ingest").returncode, 2)
        self.assertNotIn("bench", self.run_copy("--help").stdout)
        for shell in ("bash", "zsh", "fish"):
            self.assertNotIn("bench", self.run_copy("completion", shell).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
