"""One data directory, several commands: who holds it, what happens when the holder ends, and whose jobs run."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import BINARY, Similis, pattern


class Sharing(Similis):
    def job(self):
        """The newest job, as any command sees it."""
        return self.ask("jobs")["jobs"][0]

    def index_until(self, ready, *arguments):
        """Starts `index --json` and returns it once so many pictures are ready."""
        process = self.start("index", self.pictures, "--json", *arguments)
        for line in process.stdout:
            if json.loads(line)["counters"]["ready"] >= ready:
                return process
        self.fail(process.stderr.read().decode())

    def kill(self, process):
        process.kill()
        process.wait()

    def hold(self, *arguments, **extra):
        """A command that holds the data directory while its standard input stays open."""
        process = subprocess.Popen([BINARY, *arguments], env=self.environment(**extra), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(process)
        deadline = time.time() + 20
        while not (self.data / "similis.sock").exists():
            self.assertLess(time.time(), deadline)
            time.sleep(0.02)
        return process


class Jobs(Sharing):
    def test_a_killed_run_is_nobody_elses(self):
        self.make_pictures(150)
        self.kill(self.index_until(1))
        holder = self.hold("search", "-")  # has the time to work, and nothing to do
        time.sleep(1.5)
        before = self.ask("status")["collections"][0]["counts"]
        self.assertLess(before["ready"], 150)
        self.assertEqual(self.job()["state"], "queued")
        holder.stdin.write((self.pictures / "p000.png").read_bytes())
        holder.stdin.close()
        holder.wait(timeout=60)
        self.assertLess(self.ask("status")["collections"][0]["counts"]["ready"], 150)
        out, _ = self.run_similis("jobs", "resume", self.job()["id"])
        self.assertIn("150", out)
        self.assertEqual(self.job()["state"], "done")
        self.assertEqual(self.ask("status")["collections"][0]["counts"]["ready"], 150)

    def test_a_server_takes_up_what_was_left(self):
        self.make_pictures(60)
        self.kill(self.index_until(1))
        self.serve()
        deadline = time.time() + 60
        while self.job()["state"] != "done":
            self.assertLess(time.time(), deadline)
            time.sleep(0.1)

    def test_interrupted_verify_is_paused(self):
        self.make_pictures(2)
        self.index()
        # Uploads that take their time to be read.
        blobs = self.data / "blobs" / "ab" / "cd"
        blobs.mkdir(parents=True)
        for i in range(80):
            with open(blobs / f"abcd{i:060x}.png", "wb") as file:
                file.truncate(100 << 20)
        process = self.start("verify")
        deadline = time.time() + 60
        while not any(j["kind"] == "verify" and j["state"] == "running" for j in self.ask("jobs")["jobs"]):
            self.assertLess(time.time(), deadline)
            self.assertIsNone(process.poll(), "verify ended too soon to be interrupted")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=30), 130)
        self.assertIn("Paused", process.stderr.read().decode())
        self.assertEqual(self.job()["state"], "paused")


class Holders(Sharing):
    def test_overlapping_searches_all_answer(self):
        self.make_pictures(4)
        self.index()
        processes = [self.start("search", self.pictures / f"p{i % 4:03}.png", "--json", "-k", "1") for i in range(24)]
        for i, process in enumerate(processes):
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err.decode())
            self.assertEqual(json.loads(out)["hits"][0]["name"], f"p{i % 4:03}.png")

    def test_a_run_goes_on_when_the_command_that_held_the_directory_ends(self):
        self.make_pictures(4)
        self.index()
        self.make_pictures(200, first=4)
        holder = self.hold("search", "-", "--json")
        follower = self.index_until(5)
        self.assertIsNone(holder.poll())
        holder.stdin.write((self.pictures / "p001.png").read_bytes())
        holder.stdin.close()
        self.assertEqual(holder.wait(timeout=60), 0, holder.stderr.read().decode())
        self.assertIsNone(follower.poll(), "the run ended before its holder: nothing was tested")
        last = follower.stdout.read().decode().splitlines()[-1]
        self.assertEqual(follower.wait(timeout=120), 0, follower.stderr.read().decode())
        self.assertEqual(json.loads(last)["state"], "done")
        self.assertEqual(self.ask("status")["collections"][0]["counts"]["ready"], 204)

    def test_a_run_whose_server_is_killed_did_not_finish(self):
        for first, option in ((0, "--json"), (1000, "--quiet")):
            with self.subTest(option):
                folder = self.pictures / option.strip("-")  # each run has all its work before it when it is cut off
                self.make_pictures(300, folder, first)
                server, _, _ = self.serve()
                process = self.start("index", folder, option)
                deadline = time.time() + 60
                while not any(j["state"] == "running" and j["root"] == str(folder) and j["counters"]["found"] > 0
                              for j in self.ask("jobs")["jobs"]):
                    self.assertLess(time.time(), deadline)
                self.kill(server)
                _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 3, err.decode())
                self.assertIn("has ended", err.decode())
        self.assertEqual(self.index()["state"], "done")

    def test_a_server_that_comes_back_is_found_again(self):
        self.make_pictures(200)
        server, _, _ = self.serve()
        process = self.start("index", self.pictures, "--json")
        process.stdout.readline()
        self.assertEqual(self.stop(server), 0)
        self.serve()
        last = process.stdout.read().decode().splitlines()[-1]
        self.assertEqual(process.wait(timeout=120), 0, process.stderr.read().decode())
        self.assertEqual(json.loads(last)["state"], "done")

    def test_another_version_is_named(self):
        self.data.mkdir(mode=0o700)
        with open(self.data / "lock", "w") as lock, socket.socket(socket.AF_UNIX) as server:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.write(f"{os.getpid()} serve\n")
            lock.flush()
            server.bind(str(self.data / "similis.sock"))
            server.listen()
            bodies = [b'{"status":"ok","version":"0.0.1"}', b'{"status":"ok"}']

            def answer():
                for body in bodies:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                                           + str(len(body)).encode() + b"\r\n\r\n" + body)

            thread = threading.Thread(target=answer)
            thread.start()
            for words in ("is 0.0.1, of this program", "is an older one, of this program"):
                _, err = self.run_similis("status", code=3)
                flat = " ".join(err.split())
                self.assertIn(words, flat)
                self.assertIn(f"process {os.getpid()}", flat)
                self.assertIn("similis serve", flat)
            thread.join()


class Failures(Sharing):
    def test_failures_of_every_folder_each_with_its_line_to_copy(self):
        whole = pattern(self.root / "whole.png", 5).read_bytes()
        folders = [self.root / "one", self.root / "it's two" / ("deep" * 12), self.root / "fine"]
        for folder in folders:
            self.make_pictures(2, folder)
        for folder in folders[:2]:
            (folder / f"bad {folder.parent.name}.png").write_bytes(whole[:300])
        self.run_similis("index", *folders, "--collection", "mine")
        answer = self.ask("status", "--failures", "--collection", "mine")
        self.assertEqual(answer["failed"], 2)
        self.assertEqual(len(answer["failures"]), 2)
        done = subprocess.run([BINARY, "status", "--failures", "--collection", "mine"],
                              env=dict(self.environment(), SIMILIS_COMMAND=BINARY), capture_output=True, check=True)
        lines = [line.removeprefix("retry: ") for line in done.stdout.decode().splitlines() if "retry: " in line]
        self.assertEqual(len(lines), 2, done.stdout)
        for folder in folders[:2]:
            (folder / f"bad {folder.parent.name}.png").write_bytes(whole)
        for line in lines:
            self.assertIn("--collection mine", line)
            subprocess.run(["bash", "-c", line], env=self.environment(), capture_output=True, check=True)
        self.assertEqual(self.ask("status", "--failures", "--collection", "mine")["failed"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
