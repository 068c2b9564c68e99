"""Collections written to an archive, and archives taken in: from the command line, with and without a server."""

import ast
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import tarfile
import unittest
import urllib.error
import urllib.request
import zipfile

from harness import Similis


class Archives(Similis):
    def last(self, *arguments, code=0):
        """The job a command ended with."""
        out, _ = self.run_similis(*arguments, "--json", code=code)
        return json.loads(out.splitlines()[-1])

    def zip(self, name, files):
        with zipfile.ZipFile(self.root / name, "w") as archive:
            for member, file in files.items():
                archive.write(file, member)
        return self.root / name

    def post(self, address, token, path, body):
        request = urllib.request.Request(address + path, data=body, method="POST", headers={
            "Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_what_was_exported_comes_back_with_tags_and_the_same_embeddings(self):
        self.make_pictures(6)
        broken = self.pictures / "gone.png"
        shutil.copy(self.pictures / "p001.png", broken)
        with open(broken, "ab") as file:
            file.write(b"more")
        self.index()
        broken.unlink()
        out, _ = self.run_similis("export", self.root / "all.tar")
        self.assertRegex(out, r"Exported 6 pictures · [0-9.]+ kB in .*all\.tar")
        self.assertRegex(out, r"failed +1\n +gone\.png  .*no longer there")

        # The system's own tar has nothing to say against it.
        listed = subprocess.run(["tar", "-tvf", self.root / "all.tar"], capture_output=True, text=True, check=True)
        self.assertEqual(listed.stderr, "")
        self.assertEqual(len(listed.stdout.splitlines()), 3 + 6)
        with tarfile.open(self.root / "all.tar") as tar:
            names = tar.getnames()
            self.assertEqual(names[:3], ["similis.json", "rows/000001.jsonl", "embeddings/000001.npy"])
            rows = [json.loads(line) for line in tar.extractfile(names[1])]
            npy = tar.extractfile(names[2]).read()
            manifest = json.load(tar.extractfile("similis.json"))
            p003 = next(row for row in rows if row["name"] == "p003.png")
            self.assertEqual(tar.extractfile(p003["file"]).read(), (self.pictures / "p003.png").read_bytes())
        self.assertEqual(len(rows), 7)
        self.assertEqual(manifest["model"]["dimensions"], 1280)
        # NumPy's format, read without NumPy.
        self.assertEqual(npy[:8], b"\x93NUMPY\x01\x00")
        (length,) = struct.unpack("<H", npy[8:10])
        header = ast.literal_eval(npy[10:10 + length].decode())
        self.assertEqual(header, {"descr": "<f4", "fortran_order": False, "shape": (7, 1280)})
        vector = struct.unpack("<1280f", npy[10 + length:10 + length + 4 * 1280])
        self.assertAlmostEqual(sum(x * x for x in vector), 1, places=3)

        job = self.last("import", self.root / "all.tar", "--collection", "copy")
        self.assertEqual((job["kind"], job["state"]), ("import", "done"))
        self.assertEqual(job["counters"]["ready"], 6)
        answer = self.ask("search", self.pictures / "p003.png", "-c", "copy", "-k", "1")
        self.assertEqual(answer["hits"][0]["name"], "p003.png")
        self.assertGreater(answer["hits"][0]["score"], 0.999)
        # Into the collection it came from: everything is there, the row whose file is gone too.
        job = self.last("import", self.root / "all.tar", "--collection", "pictures")
        self.assertEqual((job["counters"]["ready"], job["counters"]["unchanged"]), (0, 7))
        out, _ = self.run_similis("jobs")
        self.assertRegex(out, r"export +done")

    def test_a_zip_of_pictures(self):
        self.make_pictures(4)
        broken = self.root / "broken.png"
        broken.write_bytes((self.pictures / "p000.png").read_bytes()[:200])
        archive = self.zip("set.zip", {
            "red/a.png": self.pictures / "p000.png", "red/b.png": self.pictures / "p001.png",
            "c.png": self.pictures / "p002.png", "red/broken.png": broken, "readme.txt": __file__})
        out, _ = self.run_similis("import", archive)
        self.assertRegex(out, r"Imported 3 pictures · 1 skipped, not pictures")
        self.assertRegex(out, r"failed +1\n +red/broken\.png  PNG")
        answer = self.ask("search", self.pictures / "p000.png", "--filter", 'tag = "red"', code=None)
        self.assertEqual(sorted(hit["name"] for hit in answer["hits"]), ["a.png", "b.png"])
        out, _ = self.run_similis("import", archive)
        self.assertRegex(out, r"Imported 0 pictures · 3 there already")

    def test_a_data_set_is_sent_to_a_server(self):
        self.make_pictures(3)
        archive = self.zip("set.zip", {f"x/{i}.png": self.pictures / f"p{i:03}.png" for i in range(3)})
        process, address, token = self.serve()
        builds = "/api/v1/collections/sent/builds"
        status, job = self.post(address, token, builds, archive.read_bytes())
        self.assertEqual((status, job["kind"], job["collection"]), (202, "import", "sent"))

        def state():
            return next(j for j in self.ask("jobs")["jobs"] if j["id"] == job["id"])
        self.until(lambda: state()["state"] == "done")
        self.assertEqual(state()["counters"]["ready"], 3)
        self.until(lambda: list((self.data / "imports").iterdir()) == [])
        status, problem = self.post(address, token, builds, b"just some text")
        self.assertEqual((status, problem["code"]), (415, "unsupported_media"))
        # The command line's import and export are the server's work then.
        job = self.last("import", archive, "--collection", "sent")
        self.assertEqual(job["counters"]["unchanged"], 3)
        self.last("export", self.root / "sent.tar", "--collection", "sent", "--no-pictures")
        with tarfile.open(self.root / "sent.tar") as tar:
            self.assertEqual(len(tar.getnames()), 3)
        self.stop(process)

    def test_what_cannot_be_done_says_what_to_do(self):
        self.make_pictures(1)
        (self.root / "text.zip").write_text("a text")
        for arguments, code, said in [
                (("import", self.root / "none.zip"), 2, "exists and can be read"),
                (("import", self.pictures), 2, "similis index"),
                (("import", self.root / "text.zip"), 4, "zip or tar"),
                (("export", self.root / "a.tar"), 3, "similis index"),
                (("index", self.root / "text.zip"), 2, "similis import")]:
            with self.subTest(arguments):
                _, error = self.run_similis(*arguments, code=code)
                self.assertIn(said, " ".join(error.split()))
        self.index()
        (self.root / "there.tar").write_text("mine")
        for file, code, said in [(self.root / "there.tar", None, "Choose another name"),
                                 (self.root / "none" / "a.tar", 2, "folder that exists"),
                                 (self.data / "a.tar", 2, "somewhere else"),
                                 (f"{self.root}/", 2, "Name the file")]:
            with self.subTest(file):
                _, error = self.run_similis("export", file, code=code)
                self.assertIn(said, " ".join(error.split()))
        self.assertEqual((self.root / "there.tar").read_text(), "mine")

    def test_an_import_that_is_killed_goes_on_with_the_same_command(self):
        files = self.make_pictures(150)
        archive = self.zip("set.zip", {file.name: file for file in files})

        def ready():
            # Read beside the process that works: its database is in WAL mode.
            with contextlib.closing(sqlite3.connect(f"file:{self.data}/similis.db?mode=ro", uri=True)) as rows:
                return rows.execute("SELECT count(*) FROM image").fetchone()[0]
        for least in (1, 40, 80):
            process = self.start("import", archive)
            self.until(lambda: (self.data / "similis.db").exists() and ready() >= least)
            self.stop(process, signal.SIGKILL)
            self.assertLess(ready(), 150)
        job = self.last("import", archive)
        self.assertEqual(job["state"], "done")
        self.assertEqual(self.ask("status")["collections"][0]["counts"]["ready"], 150)
        self.assertEqual(self.ask("status")["collections"][0]["counts"].get("pending", 0), 0)

    def test_an_export_replaces_nothing_and_leaves_no_part(self):
        self.make_pictures(5)
        self.index()
        os.mkfifo(self.root / "pipe.tar")
        _, error = self.run_similis("export", self.root / "pipe.tar", code=None)
        self.assertIn("exists already", error)
        self.last("export", self.root / "out.tar")
        self.assertEqual([f.name for f in self.root.glob("*.partial")], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
