"""What the end-to-end tests share: the built binary in a data directory of its own, and pictures made on the spot.

The binary is named by SIMILIS_BINARY (CTest sets it). Only Python's standard library is used.
"""

import json
import math
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import zlib
from pathlib import Path

BINARY = os.environ.get("SIMILIS_BINARY", "")


def png(path, width, height, pixel, colour_type=2):
    """Writes a PNG; pixel(x, y) gives its channels (3 for colour type 2, 4 for 6)."""
    rows = b"".join(
        b"\0" + bytes(c for x in range(width) for c in pixel(x, y)) for y in range(height))

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                           + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))
    return path


def pattern(path, seed, width=160, height=120):
    """A picture of coloured waves and discs: each seed looks different, neighbours share nothing."""
    rng = random.Random(seed)
    waves = [(rng.uniform(0.01, 0.2), rng.uniform(0.01, 0.2), rng.uniform(0, 6)) for _ in range(3)]
    discs = [(rng.uniform(0, width), rng.uniform(0, height), rng.uniform(5, 40),
              [rng.randrange(256) for _ in range(3)]) for _ in range(4)]

    def pixel(x, y):
        for cx, cy, r, colour in discs:
            if (x - cx) ** 2 + (y - cy) ** 2 < r * r:
                return colour
        return [int(127 + 127 * math.sin(a * x + b * y + c)) for a, b, c in waves]

    return png(path, width, height, pixel)


class Similis(unittest.TestCase):
    """A test with a data directory and a folder of pictures, both gone afterwards; so is every process it started."""

    def setUp(self):
        if not BINARY:
            self.fail("SIMILIS_BINARY does not name the built program")
        self.root = Path(tempfile.mkdtemp(prefix="similis-e2e-"))
        self.data = self.root / "data"
        self.pictures = self.root / "pictures"
        self.pictures.mkdir()
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def environment(self, **extra):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SIMILIS_") or k == "SIMILIS_MODELS_DIR"}
        kept.update(SIMILIS_DATA_DIR=str(self.data), COLUMNS="80", LC_ALL="C.UTF-8", **extra)
        return kept

    def start(self, *arguments, **extra):
        process = subprocess.Popen([BINARY, *map(str, arguments)], env=self.environment(**extra),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def run_similis(self, *arguments, code=0, stdin=None, timeout=120, lines_max=100, **extra):
        """Runs to the end and checks the exit code; (stdout, stderr) as text. `lines_max`: log lines are not wrapped."""
        done = subprocess.run([BINARY, *map(str, arguments)], env=self.environment(**extra), input=stdin,
                              stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True,
                              timeout=timeout)
        out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        if code is not None:
            self.assertEqual(done.returncode, code, f"similis {arguments}\nstdout: {out}\nstderr: {err}")
        for line in (out + err).splitlines():
            if arguments[0] in ("completion", "licenses"):
                break
            if not line.lstrip().startswith(("{", '"', "}", "]")):
                self.assertLessEqual(len(line), lines_max, line)
        return out, err

    def ask(self, *arguments, code=0, **extra):
        out, _ = self.run_similis(*arguments, "--json", code=code, **extra)
        return json.loads(out)

    def make_pictures(self, count, folder=None, first=0):
        folder = folder or self.pictures
        folder.mkdir(parents=True, exist_ok=True)
        return [pattern(folder / f"p{first + i:03}.png", first + i) for i in range(count)]

    def index(self, *arguments, code=0):
        """Indexes the pictures; the finished job."""
        out, _ = self.run_similis("index", self.pictures, "--json", *arguments, code=code)
        return json.loads(out.splitlines()[-1])

    def serve(self, *arguments):
        """A running server: (process, address, token)."""
        process = self.start("serve", "--listen", "127.0.0.1:0", *arguments)
        deadline = time.time() + 60
        text = ""
        while time.time() < deadline:
            line = process.stdout.readline().decode()
            if not line:
                self.fail(f"the server ended: {text}\n{process.stderr.read().decode()}")
            text += line
            if "token=" in line:
                address = line[line.index("http"):].split()[0]
                return process, address.split("/?")[0], address.split("token=")[1]
        self.fail(f"the server did not print its address: {text}")

    def until(self, condition, seconds=30):
        deadline = time.time() + seconds
        while not condition():
            self.assertLess(time.time(), deadline, "it did not come to that in time")
            time.sleep(0.1)

    def stop(self, process, how=signal.SIGTERM):
        process.send_signal(how)
        return process.wait(timeout=30)
