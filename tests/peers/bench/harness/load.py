"""Requests per second and core of the local server: how many it answers for a second of its CPU.

The client shares the machine with the server, so the rate that was reached says less.
"""

import http.client
import json
import statistics
import threading
import time
import uuid
from itertools import cycle

from dynamodb import Server
from lambda_env import cpu_seconds, peak_mib

CLIENTS = 4
JSON = {"content-type": "application/json"}
# Of ten requests.
MIXES = {
    "me": ["me"],
    "intake": ["intake"],
    "login": ["login"],
    "mixed": ["me", "me", "intake", "me", "me", "login", "me", "me", "intake", "me"],
}


def load_local_server(options, directory):
    """One run against a server of its own, all routes and the database in one process."""
    email, password = "ops@example.com", "lantern-harbour-teal-4711"
    server = Server(
        options.release / "rollcall", directory, "--admin-email", email, "--admin-password", password
    )
    try:
        credentials = {"email": email, "password": password}
        session = send(connection(server), "POST", "/auth/login", credentials)
        figures = {name: drive(server, mix, session["token"], credentials, options.n) for name, mix in MIXES.items()}
        return figures | {"peak_mib": peak_mib(server.process.pid)}
    finally:
        server.stop()


def drive(server, mix, token, credentials, requests):
    elapsed_ms, failures = [], []

    def client():
        mine = connection(server)
        try:
            for kind in [kind for _, kind in zip(range(requests // CLIENTS), cycle(mix))]:
                start = time.perf_counter()
                if kind == "me":
                    send(mine, "GET", "/auth/me", None, {"authorization": f"Bearer {token}"})
                elif kind == "login":
                    send(mine, "POST", "/auth/login", credentials)
                else:
                    lead = {"name": "Ada Lovelace", "email": f"{uuid.uuid4().hex}@example.com"}
                    send(mine, "POST", "/api/intake/submit", lead)
                elapsed_ms.append((time.perf_counter() - start) * 1e3)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    start, cpu_before = time.perf_counter(), cpu_seconds(server.process.pid)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu = time.perf_counter() - start, cpu_seconds(server.process.pid) - cpu_before
    if failures:
        raise failures[0]
    return {
        "per_core_second": len(elapsed_ms) / cpu,
        "per_second": len(elapsed_ms) / seconds,
        "p50_ms": statistics.median(elapsed_ms),
        "p99_ms": sorted(elapsed_ms)[len(elapsed_ms) * 99 // 100],
    }


def connection(server):
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)


def send(connection, method, path, body, headers=None):
    connection.request(method, path, None if body is None else json.dumps(body), JSON | (headers or {}))
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status in (200, 201), f"{method} {path}: {answer.status} {text[:400]}"
    return json.loads(text)
