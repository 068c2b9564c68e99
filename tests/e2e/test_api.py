"""The running server against docs/openapi.yaml: its examples, its curl lines, and requests made up by a fuzzer.

Needs the Python of tests/requirements.txt (PyYAML, jsonschema_rs, schemathesis).
"""

import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import unittest
import zipfile
from pathlib import Path

import jsonschema_rs
import yaml

from harness import Similis, pattern

HERE = Path(__file__).resolve().parent
SPEC_FILE = HERE.parent.parent / "docs" / "openapi.yaml"
SPEC = yaml.safe_load(SPEC_FILE.read_text())
METHODS = ("get", "post", "patch", "delete")
OWNER_ONLY = ("list_keys", "create_key", "delete_key", "start_verify")
# The owner's word is taken for where an export is written: made-up paths would be files all over this machine.
NOT_FUZZED = ("start_export",)
FUZZ_EXAMPLES = os.environ.get("SIMILIS_FUZZ_EXAMPLES", "10")


def resolve(node):
    while isinstance(node, dict) and "$ref" in node:
        target = SPEC
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        node = target
    return node


def plain(schema):
    """A schema of OpenAPI 3.0 as plain JSON Schema, without references."""
    schema = resolve(schema)
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: plain(one) for name, one in value.items()}
        elif key not in ("nullable", "example", "description", "title", "default"):
            out[key] = plain(value)
    if out.get("exclusiveMinimum") is True:
        out["exclusiveMinimum"] = out.pop("minimum")
    if schema.get("nullable"):
        return {"anyOf": [out, {"type": "null"}]}
    return out


def operations():
    """Each (path, method, operation) of the description."""
    for path, item in SPEC["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def answer_schema(operation, status):
    answers = operation["responses"]
    answer = resolve(answers.get(str(status), answers.get("default")))
    content = answer.get("content", {})
    for media_type in ("application/json", "application/problem+json"):
        if media_type in content:
            return plain(content[media_type]["schema"])
    return None


class Description(unittest.TestCase):
    """What stands in the file alone."""

    def test_examples_fit_their_schemas(self):
        checked = 0
        for path, method, operation in operations():
            bodies = [("request", operation.get("requestBody", {}))]
            bodies += [(status, resolve(answer)) for status, answer in operation["responses"].items()]
            for where, body in bodies:
                for media_type, content in body.get("content", {}).items():
                    if "json" not in media_type:
                        continue
                    examples = [content["example"]] if "example" in content else []
                    examples += [one["value"] for one in content.get("examples", {}).values()]
                    if where != "request":
                        self.assertTrue(examples or media_type == "application/json" and path == "/openapi.json",
                                        f"{method} {path} {where} has no example")
                    for example in examples:
                        with self.subTest(f"{method} {path} {where}"):
                            jsonschema_rs.validator_for(plain(content["schema"])).validate(example)
                            checked += 1
        self.assertGreater(checked, 100)

    def test_each_operation_has_a_curl_line(self):
        for path, method, operation in operations():
            samples = operation.get("x-codeSamples", [])
            self.assertTrue(any(one["lang"] == "curl" for one in samples), f"{method} {path} has no curl line")


class Forwarder(socketserver.ThreadingTCPServer):
    """A TCP port that leads to the owner's socket: the fuzzer speaks TCP only."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, path):
        self.path = str(path)
        super().__init__(("127.0.0.1", 0), self.Link)

    class Link(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.socket(socket.AF_UNIX) as inner:
                inner.connect(self.server.path)
                back = threading.Thread(target=self.pump, args=(inner, self.request), daemon=True)
                back.start()
                self.pump(self.request, inner)
                back.join()

        @staticmethod
        def pump(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # one side has gone; the other notices


class Api(Similis):
    def setUp(self):
        super().setUp()
        self.make_pictures(6)
        (self.pictures / "broken.png").write_bytes((self.pictures / "p000.png").read_bytes()[:300])
        self.job = self.index()
        self.others = self.root / "others"
        self.make_pictures(2, self.others, first=50)
        self.process, self.address, self.token = self.serve(
            SIMILIS_SERVER_ALLOWED_ROOTS=f"{self.pictures}:{self.others}")

    def serve(self, **extra):
        # The harness' own serve(), with a changed environment.
        start = self.start
        self.start = lambda *arguments: start(*arguments, **extra)
        try:
            return super().serve()
        finally:
            self.start = start

    def curl(self, line, directory, expect=0):
        """Runs a documented line in a shell where curl fails on an error of the server; its output."""
        script = 'set -eu\ncurl() { command curl -sS --fail-with-body --max-time 60 "$@"; }\n' + line
        environment = dict(os.environ, SIMILIS=self.address, TOKEN=self.token, SIMILIS_DATA_DIR=str(self.data))
        done = subprocess.run(["bash", "-c", script], cwd=directory, env=environment, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, expect, f"{line}\n{done.stdout[:2000]!r}\n{done.stderr.decode()}")
        return done.stdout

    def json(self, line):
        return json.loads(self.curl(line, self.root))

    def test_every_curl_line_of_the_description_works(self):
        directory = self.root / "at"
        directory.mkdir()
        (directory / "cat.jpg").write_bytes((self.pictures / "p001.png").read_bytes())
        (directory / "notes.pdf").write_bytes(b"%PDF-1.4\nnothing here\n")
        with zipfile.ZipFile(directory / "set.zip", "w") as archive:
            archive.write(directory / "cat.jpg", "cats/cat.jpg")
        bearer = '-H "Authorization: Bearer $TOKEN"'
        images = self.json(f"curl {bearer} $SIMILIS/api/v1/collections/pictures/images")["images"]
        watching = self.json(
            f"curl {bearer} -H 'Content-Type: application/json' "
            f"-d '{json.dumps({'path': str(self.others), 'watch': True})}' "
            "$SIMILIS/api/v1/collections/others/builds")
        key = self.json('curl --unix-socket "$SIMILIS_DATA_DIR/similis.sock" -H "Content-Type: application/json" '
                        "-d '{\"name\": \"spare\"}' http://localhost/api/v1/keys")
        job_of = {"pause_job": watching, "resume_job": watching, "cancel_job": watching}
        # What takes something away comes last; a job is paused before it is taken up again.
        order = sorted(operations(), key=lambda one: (one[1] == "delete", one[0].endswith("/cancel")))
        run = 0
        for path, method, operation in order:
            for sample in operation["x-codeSamples"]:
                line = sample["source"]
                for number, image in zip(("412", "421", "77"), images):
                    line = re.sub(rf'(images/|"image_id": "){number}\b', rf'\g<1>{image["id"]}', line)
                job = job_of.get(operation["operationId"], self.job)
                line = line.replace("/jobs/17", f"/jobs/{job['id']}").replace("/keys/3", f"/keys/{key['id']}")
                line = line.replace("/srv/pictures", str(self.pictures)).replace("/srv", str(directory))
                with self.subTest(line):
                    output = self.curl(line, directory)
                    status = next(one for one in operation["responses"] if one.startswith("2"))
                    schema = answer_schema(operation, status)
                    if schema:
                        jsonschema_rs.validator_for(schema).validate(json.loads(output))
                    run += 1
        self.assertGreater(run, 30)
        self.assertGreater((directory / "thumbnail.jpg").stat().st_size, 100)
        self.assertGreater((directory / "preview.jpg").stat().st_size, 100)

    def fuzz(self, address, *arguments):
        tool = Path(sys.executable).with_name("schemathesis")
        done = subprocess.run(
            [tool, "--config-file", HERE / "schemathesis.toml", "run", SPEC_FILE, "--url", address,
             "--phases", "examples,coverage,fuzzing", "--max-examples", FUZZ_EXAMPLES, "--continue-on-failure",
             "--request-timeout", "30", "--warnings", "off", "--no-color", *arguments],
            cwd=self.root, capture_output=True, text=True, timeout=550)
        shown = re.sub(r"(.)\1{200,}", r"\1...\1", done.stdout)  # the fuzzer likes long texts
        print(shown[-1500:])
        self.assertEqual(done.returncode, 0, shown[:20000])
        self.assertIsNone(self.process.poll(), "the server ended")

    def test_made_up_requests_over_tcp(self):
        self.fuzz(self.address, "-H", f"Authorization: Bearer {self.token}",
                  *(word for name in OWNER_ONLY + NOT_FUZZED for word in ("--exclude-operation-id", name)))

    def test_made_up_requests_of_the_owner(self):
        with Forwarder(self.data / "similis.sock") as forwarder:
            threading.Thread(target=forwarder.serve_forever, daemon=True).start()
            self.fuzz(f"http://127.0.0.1:{forwarder.server_address[1]}", "--exclude-checks", "ignored_auth",
                      *(word for name in OWNER_ONLY for word in ("--include-operation-id", name)))
            forwarder.shutdown()


if __name__ == "__main__":
    unittest.main(verbosity=2)
