"""Starts the local server that the peers talk to, and ends it again.

The binary is the one that `cargo build` (or `cargo run`) made; ROLLCALL_BINARY names another.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
ADMIN_EMAIL = "ops@example.com"
ADMIN_PASSWORD = "lantern-harbour-teal-4711"
START_SECONDS = 60
STOP_SECONDS = 20
EFFECT_SECONDS = 20


def until(attempt, what, seconds=EFFECT_SECONDS):
    """The first truthy answer of `attempt`: messages are delivered a moment after the request."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (answer := attempt()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        pause.wait(0.05)
    return answer


def binary():
    named = os.environ.get("ROLLCALL_BINARY")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(named) if named else ROOT / target / "debug" / "rollcall"
    if not path.is_file():
        pytest.fail(f"no server at {path}: run `cargo build` first")
    return path


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


class Server:
    """One local server in memory, on ports that it picks itself."""

    def __init__(self, directory):
        self.stdout, self.stderr = directory / "stdout", directory / "stderr"
        command = [binary(), "serve", "--memory", "--port", "0", "--dynamodb-port", "0"]
        command += ["--admin-email", ADMIN_EMAIL, "--admin-password", ADMIN_PASSWORD]
        with self.stdout.open("wb") as stdout, self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
        try:
            self.url = self.printed(r"^listening on (http://127\.0\.0\.1:\d+)$")
            self.dynamodb_url = self.printed(r"^dynamodb at (http://127\.0\.0\.1:\d+)$")
        except BaseException:
            self.stop()
            raise

    def printed(self, pattern):
        def look():
            if self.process.poll() is not None:
                pytest.fail(f"the server ended with {self.process.returncode}:\n{self.output()}")
            return re.search(pattern, self.stdout.read_text(), re.MULTILINE)

        return until(look, f"a line {pattern}", START_SECONDS).group(1)

    def output(self):
        return self.stdout.read_text(errors="replace") + self.stderr.read_text(errors="replace")

    def stop(self):
        """Asks the process to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"still running {STOP_SECONDS} s after SIGTERM")

    def send(self, method, path, body=None, *, token=None, headers=None):
        headers = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # Straight to the loopback address, whatever proxy the environment names.
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **kwargs):
        return self.send("GET", path, **kwargs)

    def post(self, path, body, **kwargs):
        return self.send("POST", path, body, **kwargs)

    def login(self, email, password):
        return self.post("/auth/login", {"email": email, "password": password})

    def message_to(self, address):
        """The latest message to an address, once it is delivered."""

        def look():
            return [it for it in self.get("/dev/outbox").json if it["to"] == address]

        return until(look, f"a message to {address}")[0]

    def table(self):
        """Every item of the raw table, as boto3 reads it."""
        client = boto3.client(
            "dynamodb",
            endpoint_url=self.dynamodb_url,
            region_name="us-east-1",
            aws_access_key_id="anybody",
            aws_secret_access_key="anything",
            config=Config(proxies={}),
        )
        pages = client.get_paginator("scan").paginate(TableName="rollcall", ConsistentRead=True)
        value = TypeDeserializer().deserialize
        return [{name: value(it) for name, it in item.items()} for page in pages for item in page["Items"]]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    assert server.stop() == 0, server.output()
