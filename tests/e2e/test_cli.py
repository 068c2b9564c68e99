"""The command line, from an empty data directory to answers, and what it says when something is wrong."""

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from harness import BINARY, Similis, pattern, png


class FirstSteps(Similis):
    def test_index_search_status(self):
        self.make_pictures(12)
        (self.pictures / "notes.txt").write_text("not a picture")
        (self.pictures / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        job = self.index()
        self.assertEqual(job["state"], "done")
        self.assertEqual(job["counters"]["ready"], 12)
        self.assertEqual(job["counters"]["failed"], 0)
        self.assertEqual(job["counters"]["skipped"], 2)

        answer = self.ask("search", self.pictures / "p003.png", "-k", "3")
        self.assertEqual(len(answer["hits"]), 3)
        self.assertEqual(answer["hits"][0]["name"], "p003.png")
        self.assertGreater(answer["hits"][0]["score"], 0.999)
        self.assertEqual(answer["total"], 12)
        scores = [hit["score"] for hit in answer["hits"]]
        self.assertEqual(scores, sorted(scores, reverse=True))

        by_id = self.ask("search", f"id:{answer['hits'][0]['id']}", "--exclude-self", code=None)
        self.assertNotIn("p003.png", [hit["name"] for hit in by_id["hits"]])

        out, _ = self.run_similis("search", self.pictures / "p003.png")
        self.assertIn("p003.png", out)
        self.assertIn("1.00", out)
        out, _ = self.run_similis("search", self.pictures / "p003.png", "--paths")
        self.assertIn(str(self.pictures / "p003.png"), out.splitlines())
        out, _ = self.run_similis("status")
        self.assertIn("12 ready", out)
        self.assertEqual(stat.S_IMODE(os.stat(self.data).st_mode), 0o700)

    def test_standard_input(self):
        self.make_pictures(2)
        self.index()
        picture = (self.pictures / "p001.png").read_bytes()
        out, _ = self.run_similis("search", "-", "--json", stdin=picture)
        self.assertEqual(json.loads(out)["hits"][0]["name"], "p001.png")

    def test_running_again_changes_nothing(self):
        self.make_pictures(5)
        self.index()
        before = self.ask("status")["collections"][0]
        job = self.index()
        self.assertEqual(job["counters"]["unchanged"], 5)
        self.assertEqual(job["counters"]["ready"], 0)
        after = self.ask("status")["collections"][0]
        self.assertEqual(before["counts"], after["counts"])

    def test_changes_moves_and_deletions_are_followed(self):
        self.make_pictures(6)
        self.index()
        old = self.ask("search", self.pictures / "p002.png", "-k", "1")["hits"][0]
        (self.pictures / "sub").mkdir()
        (self.pictures / "p002.png").rename(self.pictures / "sub" / "moved.png")
        (self.pictures / "p004.png").unlink()
        pattern(self.pictures / "p005.png", 500)
        pattern(self.pictures / "p999.png", 999)
        counters = self.index()["counters"]
        self.assertEqual((counters["moved"], counters["removed"], counters["ready"]), (1, 1, 2))
        new = self.ask("search", self.pictures / "sub" / "moved.png", "-k", "1")["hits"][0]
        self.assertEqual((new["id"], new["name"]), (old["id"], "moved.png"))
        self.assertEqual(self.ask("status")["collections"][0]["counts"]["ready"], 6)

    def test_black_letters_on_transparent_are_not_all_alike(self):
        letters = {"bar": lambda x, y: 30 < x < 50, "ring": lambda x, y: 400 < (x - 48) ** 2 + (y - 48) ** 2 < 1200,
                   "cross": lambda x, y: abs(x - 48) < 8 or abs(y - 48) < 8, "slash": lambda x, y: abs(x - y) < 9}
        for name, inside in letters.items():
            png(self.pictures / f"{name}.png", 96, 96, lambda x, y, f=inside: (0, 0, 0, 255 if f(x, y) else 0), 6)
        self.index()
        for name in letters:
            hits = self.ask("search", self.pictures / f"{name}.png", "-k", "4")["hits"]
            self.assertEqual(hits[0]["name"], f"{name}.png")
            for other in hits[1:]:
                self.assertLess(other["score"], 0.99, f"{name} and {other['name']}")


class Errors(Similis):
    def says(self, *arguments, code, words, **extra):
        _, err = self.run_similis(*arguments, code=code, **extra)
        self.assertTrue(err.startswith("similis: "), err)
        flat = " ".join(err.split())
        for word in words:
            self.assertIn(word, flat)

    def test_nothing_indexed(self):
        picture = pattern(self.root / "q.png", 1)
        self.says("search", picture, code=3, words=["similis index"])

    def test_usage(self):
        self.run_similis("serch", code=2)
        self.run_similis("search", code=2)
        self.run_similis("search", "x.png", "-k", "0", code=2)
        self.says("index", self.root / "nowhere", code=2, words=["nowhere", "No such file"])
        self.says("index", pattern(self.root / "q.png", 1), code=2, words=["it is a file"])

    def test_query_pictures_that_are_none(self):
        self.make_pictures(2)
        self.index()
        (self.root / "a.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n")
        self.says("search", self.root / "a.pdf", code=4, words=["PDF"])
        whole = (self.pictures / "p000.png").read_bytes()
        (self.root / "cut.png").write_bytes(whole[: len(whole) // 2])
        self.says("search", self.root / "cut.png", code=4, words=["cut.png", f"{len(whole) // 2:,}"])
        (self.root / "empty.png").write_bytes(b"")
        self.says("search", self.root / "empty.png", code=4, words=["empty"])
        self.says("search", self.root / "none.png", code=2, words=["none.png"])
        self.says("search", self.pictures, code=2, words=["folder"])

    def test_unknown_names_get_the_nearest(self):
        self.make_pictures(2)
        self.index("--collection", "holidays")
        self.says("search", self.pictures / "p000.png", "--collection", "holidyas", code=2, words=["holidays"])
        self.says("status", code=2, words=["SIMILIS_SERVER_LISTEN"], SIMILIS_SERVER_LISTN="127.0.0.1:1")
        self.says("search", "id:987654", code=2, words=["987654"])

    def test_filter_error_points_at_the_place(self):
        self.make_pictures(2)
        self.index()
        _, err = self.run_similis("search", self.pictures / "p000.png", "--filter", "width > big", code=2)
        lines = err.splitlines()
        at = next(i for i, line in enumerate(lines) if line.strip() == "^")
        self.assertEqual(lines[at - 1][lines[at].index("^"):], "big")

    def test_several_collections_need_a_name(self):
        self.make_pictures(2)
        self.index("--collection", "one")
        self.index("--collection", "two")
        self.says("search", self.pictures / "p000.png", code=2, words=["one, two", "--collection"])

    def test_failures_are_listed_and_can_be_retried(self):
        self.make_pictures(3)
        whole = (self.pictures / "p001.png").read_bytes()
        (self.pictures / "p001.png").write_bytes(whole[:300])
        job = self.index()
        self.assertEqual((job["counters"]["ready"], job["counters"]["failed"]), (2, 1))
        out, _ = self.run_similis("status", "--failures")
        self.assertIn("p001.png", out)
        self.assertIn("300", out)
        again = self.index("--strict", code=1)["counters"]  # unchanged: known to fail, not tried again
        self.assertEqual((again["failed"], again["ready"]), (1, 0))
        (self.pictures / "p001.png").write_bytes(whole)
        self.assertEqual(self.index()["counters"]["ready"], 1)
        self.assertIn("0 failed", self.run_similis("status", "--failures")[0])


class OneDataDirectory(Similis):
    def test_the_command_line_uses_a_running_server(self):
        self.make_pictures(4)
        self.index()
        server, _, _ = self.serve()
        answer = self.ask("search", self.pictures / "p002.png")
        self.assertEqual(answer["hits"][0]["name"], "p002.png")
        self.assertIsNotNone(self.ask("status")["server"])
        pattern(self.pictures / "p100.png", 100)
        self.assertEqual(self.index()["counters"]["ready"], 1)
        _, err = self.run_similis("serve", code=3)
        self.assertIn(f"process {server.pid} since ", " ".join(err.split()))
        pid, started, kind = (self.data / "lock").read_text().split()
        self.assertEqual(kind, "serve")
        self.assertEqual(int(pid), server.pid)
        self.assertLess(abs(time.time() - int(started)), 120)
        self.assertEqual(self.stop(server), 0)

    def test_a_watched_folder_can_be_indexed_again(self):
        self.make_pictures(3)
        (self.pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
        server, address, token = self.serve()
        watcher = self.start("index", self.pictures, "--watch", "--quiet")
        self.until(lambda: any(job["following"] for job in self.ask("jobs")["jobs"]))
        pattern(self.pictures / "p100.png", 100)
        job = self.index()
        self.assertEqual((job["state"], job["following"], job["options"]["watch"]), ("running", True, True))
        self.assertEqual((job["counters"]["done"], job["counters"]["failed"]), (5, 1))
        out, err = self.run_similis("index", self.pictures, "--retry-failed")
        self.assertIn(f"watched by job {job['id']}", err)
        self.run_similis("index", self.pictures, "--retry-failed")
        request = urllib.request.Request(f"{address}/api/v1/jobs/{job['id']}/failures",
                                         headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            failures = json.loads(answer.read())["failures"]
        self.assertEqual([f["attempts"] for f in failures], [3])
        self.assertIsNone(watcher.poll())
        self.assertEqual(self.stop(server), 0)
        server, _, _ = self.serve()  # and by the next server, too
        pattern(self.pictures / "p101.png", 101)
        self.until(lambda: self.ask("status")["collections"][0]["counts"]["ready"] == 5)
        self.assertEqual(self.stop(server), 0)

    def test_what_takes_a_pictures_place_is_not_read(self):
        pictures = self.make_pictures(2)
        self.index()
        secret = self.root / "secret.txt"
        secret.write_text("secret")
        pictures[0].unlink()
        pictures[0].symlink_to(secret)
        pictures[1].unlink()
        os.mkfifo(pictures[1])
        server, address, token = self.serve()

        def get(path):
            request = urllib.request.Request(address + path, headers={"Authorization": f"Bearer {token}"})
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        images = json.loads(get("/api/v1/collections/pictures/images")[1])["images"]
        self.assertEqual(len(images), 2)
        for image in images:
            for url in (image["file_url"], image["preview_url"]):
                for _ in range(20):  # more than there are threads to answer
                    status, body = get(url)
                    self.assertEqual(status, 404, url)
                    self.assertNotIn(b"secret", body)
        self.assertEqual(get("/healthz")[0], 200)
        self.assertEqual(self.stop(server), 0)

    def test_a_model_that_is_not_the_collections(self):
        self.make_pictures(1)
        _, err = self.run_similis("index", self.pictures, "--model", "nosuch", code=2)
        self.assertIn("nosuch", err)
        self.assertEqual(self.ask("collections")["collections"], [])
        self.index()
        for model in ("nosuch", "efficientnet-lite0+grayscale"):
            _, err = self.run_similis("index", self.pictures, "--model", model,
                                      code=2 if model == "nosuch" else 3)
            self.assertIn("nosuch" if model == "nosuch" else "keeps its model", " ".join(err.split()), model)
        self.index("--model", "efficientnet-lite0")

    def test_keys_of_the_configuration_do_what_they_say(self):
        self.make_pictures(2)
        pattern(self.pictures / ".hidden.png", 7)
        self.assertEqual(self.index()["counters"]["found"], 2)
        out, _ = self.run_similis("index", self.pictures, "--json", SIMILIS_INGEST_HIDDEN="true")
        self.assertEqual(json.loads(out.splitlines()[-1])["counters"]["found"], 3)

    def test_interrupt_pauses_and_the_same_command_goes_on(self):
        count = 300  # a run that takes seconds: the signal comes while it is at work
        self.make_pictures(count)
        process = self.start("index", self.pictures, "--json")
        for line in process.stdout:
            if json.loads(line)["counters"]["ready"] > 0:
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        self.assertEqual(process.wait(timeout=30), 130)
        self.assertIn("Paused at", process.stderr.read().decode())
        paused = self.ask("jobs")["jobs"][0]
        self.assertEqual(paused["state"], "paused")
        counts = self.ask("status")["collections"][0]["counts"]
        self.assertTrue(0 < counts["ready"] < count, counts)
        job = self.index()
        self.assertEqual((job["state"], job["id"]), ("done", paused["id"]))
        self.assertEqual(self.ask("status")["collections"][0]["counts"]["ready"], count)

    def test_killed_at_random_moments_ends_with_the_same_result(self):
        self.make_pictures(40)
        seed = int(os.environ.get("SIMILIS_TEST_SEED", time.time_ns() % 10**6))
        print(f"seed {seed}")
        import random
        rng = random.Random(seed)
        for _ in range(6):
            process = self.start("index", self.pictures, "--quiet")
            try:
                process.wait(timeout=rng.uniform(0.05, 1.2))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.index()
        counts = self.ask("status")["collections"][0]
        self.assertEqual(counts["counts"]["ready"], 40)
        self.assertEqual(counts["index"]["vectors"], 40)
        for i in (0, 17, 39):
            hits = self.ask("search", self.pictures / f"p{i:03}.png", "-k", "2")["hits"]
            self.assertEqual(hits[0]["name"], f"p{i:03}.png")
            self.assertLess(hits[1]["score"], 0.9999)
        self.run_similis("verify")


class Damage(Similis):
    def index_folder(self):
        folders = list(self.data.glob("collections/*/indexes/*"))
        self.assertEqual(len(folders), 1)
        return folders[0]

    def test_a_lost_index_is_made_again_by_verify(self):
        self.make_pictures(6)
        for i in range(8):  # the database knows of more writes than the new index will have
            pattern(self.pictures / "p000.png", 700 + i)
            self.index()
        shutil.rmtree(self.index_folder())
        self.run_similis("search", self.pictures / "p003.png", code=None)
        out, err = self.run_similis("verify", code=None)
        self.assertIn("missing", out + err)
        hits = self.ask("search", self.pictures / "p003.png", "-k", "6", "--min-score", "0")["hits"]
        self.assertEqual(hits[0]["name"], "p003.png")
        self.assertEqual(len(hits), 6)
        self.run_similis("verify")

    def test_a_flipped_byte_is_named_by_its_place_and_what_to_do_mends_it(self):
        self.make_pictures(12)
        self.index()
        log = max(self.index_folder().glob("wal-*"), key=lambda f: f.stat().st_size)  # no parts of so few
        content = bytearray(log.read_bytes())
        at = len(content) // 2
        content[at] ^= 0x10
        log.write_bytes(content)
        out, err = self.run_similis("verify", code=None, lines_max=200)
        said = " ".join((out + err).split())
        place = re.search(rf"{log.name}: write \d+ is damaged or torn at byte (\d+)", said)
        self.assertIsNotNone(place, said)
        self.assertLessEqual(int(place[1]), at)
        self.assertGreater(int(place[1]), at - len(content) // 6)
        self.assertIn("Move the folder of index 1 away and verify again", said)
        self.assertIn("2 findings", said)
        self.index_folder().rename(self.data / "away")
        self.run_similis("verify", code=None)
        for name in ("p000.png", "p007.png", "p011.png"):
            hits = self.ask("search", self.pictures / name, "-k", "12", "--min-score", "0")["hits"]
            self.assertEqual(hits[0]["name"], name)
            self.assertGreater(hits[0]["score"], 0.999)
            self.assertEqual(len(hits), 12)
        self.run_similis("verify")

    def test_a_flipped_byte_of_a_vector_is_mended_by_verify_itself(self):
        colours = random.Random(5)
        for i in range(900):  # so many that with little memory their vectors leave the log for a part
            cells = [[colours.randrange(256) for _ in range(3)] for _ in range(9)]
            png(self.pictures / f"p{i:03}.png", 24, 24, lambda x, y, c=cells: c[x // 8 + y // 8 * 3])
        self.run_similis("index", self.pictures, SIMILIS_INDEX_MEMORY_MAX="16MiB")
        part = min(self.index_folder().glob("part-*"))
        content = bytearray(part.read_bytes())
        content[3000] ^= 0x10  # in the second vector's slot
        part.write_bytes(content)
        out, err = self.run_similis("verify", code=None, lines_max=200)
        said = " ".join((out + err).split())
        self.assertIn(f"{part.name}: a vector's checksum is wrong at byte 2560", said)
        self.assertIn("its vector was missing; it was made again", said)
        self.assertIn("2 findings", said)
        out, _ = self.run_similis("verify")
        self.assertIn("Everything stored is as it was written", out)
        self.assertFalse(part.exists())
        hits = self.ask("search", self.pictures / "p001.png", "-k", "12", "--min-score", "0")["hits"]
        self.assertEqual(len(hits), 12)

    def test_a_missing_manifest_throws_nothing_away(self):
        self.make_pictures(12)
        self.index()
        manifest = self.index_folder() / "MANIFEST"
        kept = manifest.read_bytes()
        manifest.unlink()
        names = sorted(f.name for f in self.index_folder().iterdir())
        for words in (("search", self.pictures / "p001.png"), ("index", self.pictures), ("verify",)):
            out, err = self.run_similis(*words, code=None, lines_max=300)
            said = " ".join((out + err).split())
            self.assertIn("MANIFEST is missing, though", said)
            self.assertIn("ove the folder", said)
            self.assertEqual(sorted(f.name for f in self.index_folder().iterdir()), names)
        manifest.write_bytes(kept)
        self.run_similis("verify")

    def test_a_lost_database_costs_no_upload(self):
        self.make_pictures(2)
        self.index()
        database = self.data / "similis.db"
        kept = database.read_bytes()
        database.unlink()
        _, err = self.run_similis("status", code=3)
        self.assertIn("is missing", err)
        self.assertIn("Put a copy of it back", err)
        self.assertFalse(database.exists())
        self.index_folder()
        database.write_bytes(kept)
        self.assertEqual(len(self.ask("search", self.pictures / "p000.png", "--min-score", "0")["hits"]), 2)

    def test_an_index_that_does_not_open_is_named_and_hides_nothing(self):
        self.make_pictures(3)
        self.index("--collection", "good")
        self.index("--collection", "bad")
        folder = max(self.data.glob("collections/*/indexes/*"), key=lambda f: int(f.parent.parent.name))
        manifest = folder / "MANIFEST"
        manifest.write_bytes(bytes(b ^ 0x55 for b in manifest.read_bytes()))
        wide = {"lines_max": 1000}  # the log names the damage on each start
        collections = {c["name"]: c for c in self.ask("status", **wide)["collections"]}
        self.assertEqual(collections["good"]["index"]["vectors"], 3)
        self.assertIsNone(collections["good"]["index_error"])
        self.assertEqual(collections["bad"]["counts"]["ready"], 3)
        self.assertIsNone(collections["bad"]["index"])
        self.assertEqual(collections["bad"]["index_error"]["code"], "corruption")
        self.assertIn("cannot be used", self.run_similis("status", **wide)[0])
        answer = self.ask("search", self.pictures / "p001.png", "--collection", "good", **wide)
        self.assertEqual(answer["hits"][0]["name"], "p001.png")
        out, err = self.run_similis("verify", code=None, **wide)
        self.assertIn("MANIFEST", out + err)
        shutil.rmtree(folder)  # what the finding says
        self.run_similis("verify", code=None, **wide)
        answer = self.ask("search", self.pictures / "p001.png", "--collection", "bad", **wide)
        self.assertEqual(answer["hits"][0]["name"], "p001.png")

    def test_a_damaged_row_is_named_and_the_rest_answers(self):
        self.make_pictures(4)
        self.index()
        database = sqlite3.connect(self.data / "similis.db")
        with database:
            database.execute("UPDATE image SET size_bytes = size_bytes + 1 WHERE name = 'p002.png'")
        database.close()
        hits = self.ask("search", self.pictures / "p001.png", "-k", "4", "--min-score", "0")["hits"]
        self.assertEqual(sorted(hit["name"] for hit in hits), ["p000.png", "p001.png", "p003.png"])
        out, err = self.run_similis("verify", code=None)
        self.assertIn("checksum", out + err)


class Local(Similis):
    def test_every_command_explains_itself_with_an_example(self):
        out, _ = self.run_similis("--help")
        for command in self.COMMANDS:
            if command == "keys":  # its commands explain themselves
                continue
            self.assertIn(command, out)
            text, _ = self.run_similis(command, "--help")
            self.assertIn("Example", text, command)

    COMMANDS = ("index", "search", "serve", "import", "export", "status", "verify", "jobs", "collections", "keys",
                "models", "config", "doctor", "licenses", "completion")

    def offered(self, words):
        """What bash would offer after these words, by the script itself."""
        script, _ = self.run_similis("completion", "bash")
        line = " ".join(f"'{word}'" for word in ("similis", *words, ""))
        done = subprocess.run(
            ["bash", "-c", script + f"\nCOMP_WORDS=({line}); COMP_CWORD={len(words) + 1}; _similis\n"
             'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    def options_of(self, *command):
        """The options and subcommands that its --help lists, one a line in the first column."""
        text, _ = self.run_similis(*command, "--help")
        found, part = set(), ""
        for line in text.splitlines():
            if line and not line.startswith(" "):
                part = line.rstrip(":")
            elif line.startswith("  ") and not line.startswith("   ") and part == "Options":
                found |= {w for w in line.split("  ")[1].replace(",", " ").split() if w.startswith("-")}
            elif line.startswith("  ") and not line.startswith("   ") and part == "Subcommands":
                found.add(line.split()[0])
        self.assertIn("--help", found, text)
        return {word for word in found if word.startswith("--") or word in ("-k", "-0") or word[0] != "-"}

    def test_completion_offers_what_each_command_takes_and_no_more(self):
        self.assertLessEqual(set(self.COMMANDS), self.offered([]))
        for command in self.COMMANDS:
            with self.subTest(command):
                taken = self.options_of(command)
                if command == "completion":
                    taken |= {"bash", "zsh", "fish"}
                if command == "keys":  # takes the common options after its subcommands only
                    taken |= self.options_of("keys", "list")
                self.assertEqual(self.offered([command]), taken)

    def test_config_shows_sources(self):
        (self.root / "c.toml").write_text("[server]\nthreads = 3\n")
        values = {v["key"]: v for v in self.ask("config", "--config", self.root / "c.toml")["values"]}
        self.assertEqual(values["server.threads"]["value"], "3")
        self.assertIn("c.toml", values["server.threads"]["source"])
        self.assertIn("SIMILIS_DATA_DIR", values["data_dir"]["source"])

    def test_doctor_and_licenses(self):
        for started in (False, True):
            checks = {check["name"]: check for check in self.ask("doctor")["checks"]}
            names = {"processor", "memory", "disk", "stores", "formats", "sandbox", "models", "page",
                     "io_uring"}
            self.assertEqual(set(checks) - {"reading"}, names)
            self.assertEqual("reading" in checks, started)
            formats = checks["formats"]
            self.assertEqual(formats["state"], "ok", formats)
            for name in ("JPEG", "PNG", "WebP", "GIF", "TIFF", "HEIC", "AVIF", "JXL", "BMP"):
                self.assertIn(name, formats["detail"])
            for check in checks.values():
                self.assertTrue(check["state"] == "ok" or check["advice"], check)
            if started:
                self.assertIn("1 collection, 2 vectors", checks["stores"]["detail"])
                self.assertRegex(checks["reading"]["detail"], r"\d (MB|GB) a second")
            else:
                self.make_pictures(2)
                self.index()
        self.assertFalse(list(self.data.glob("doctor.tmp*")))
        self.serve()
        checks = {check["name"]: check for check in self.ask("doctor")["checks"]}
        self.assertIn("is open in process", checks["stores"]["detail"])
        out, _ = self.run_similis("licenses")
        self.assertIn("Apache", out)
        self.assertIn("OpenVINO", out)

    def test_version(self):
        done = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True)
        self.assertRegex(done.stdout, r"^similis \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
