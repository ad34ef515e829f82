"""An execution environment of Lambda: the Runtime API (2018-06-01) for one bootstrap, and what it took.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

The API is served on blocking sockets in the caller's thread: a request costs this side about 0.05 ms,
counted from the event's first byte to the answer's last.
"""

import atexit
import ipaddress
import json
import os
import select
import signal
import socket
import subprocess
import time
import uuid
from itertools import cycle
from pathlib import Path

PREFIX = "/2018-06-01/runtime"
ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
ARN = "arn:aws:lambda:eu-west-2:123456789012:function:bench"
PATIENCE_SECONDS = 30
CPUCLOCK_SCHED = 2
# Whom requests come from, each from another, so that a limit by address refuses none: RFC 2544 keeps these
# for benchmarks.
CLIENTS = cycle(map(str, ipaddress.ip_network("198.18.0.0/15")))


class FunctionError(Exception):
    """The function posted an error, ended, or took too long."""


def cpu_seconds(pid):
    """What a process has used, its ended threads included: the kernel's own clock of it, in nanoseconds."""
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def peak_mib(pid):
    """The most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def http_event(method, path, body, headers):
    """An event of an API Gateway HTTP API, payload 2.0."""
    given = {name.lower(): value for name, value in headers.items()}
    address = next(CLIENTS)
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "host": "api.example.com",
            "content-type": "application/json",
            "user-agent": "bench/1",
            "x-forwarded-for": address,
            "x-forwarded-proto": "https",
            "x-forwarded-port": "443",
        }
        | given,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": address,
                "userAgent": "bench/1",
            },
            "requestId": uuid.uuid4().hex[:15] + "=",
            "routeKey": f"{method} {path}",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    } | ({} if body is None else {"body": body})


def stream_event(pk):
    """An event of a table's stream: an item was put. What it holds beside its key is left out, as nobody reads it."""
    key = {"pk": {"S": pk}, "sk": {"S": "#"}}
    record = {
        "eventID": uuid.uuid4().hex,
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-2",
        "dynamodb": {
            "ApproximateCreationDateTime": int(time.time()),
            "Keys": key,
            "NewImage": key,
            "SequenceNumber": "100000000000000000001",
            "SizeBytes": 512,
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": "arn:aws:dynamodb:eu-west-2:123456789012:table/bench/stream/2026-11-20T00:00:00.000",
    }
    return {"Records": [record]}


class Environment:
    """A spawned bootstrap that has asked for its first event, or FunctionError."""

    def __init__(self, command, variables, directory, handler, log):
        self.name, self.buffers, self.waiting = handler, {}, None
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": "/",
            "TZ": ":UTC",
            "LANG": "en_US.UTF-8",
            "_HANDLER": handler,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.listener.getsockname()[1]}",
            "LAMBDA_TASK_ROOT": str(directory),
            "AWS_REGION": "eu-west-2",
            "AWS_DEFAULT_REGION": "eu-west-2",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        } | variables
        with log.open("ab") as out:
            start = time.perf_counter()
            self.process = subprocess.Popen(
                command, env=variables, cwd=directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        atexit.register(self.close)
        self.until_next()
        self.init_ms = (time.perf_counter() - start) * 1e3
        self.init_cpu_ms = self.cpu_ms()
        self.init_mib = peak_mib(self.process.pid)

    def cpu_ms(self):
        return cpu_seconds(self.process.pid) * 1e3

    def invoke(self, event):
        """The answer to one event, and the milliseconds until it was there."""
        request_id, payload = str(uuid.uuid4()), json.dumps(event).encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {request_id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int((time.time() + PATIENCE_SECONDS) * 1000)}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {ARN}\r\nLambda-Runtime-Trace-Id: Root=1-{int(time.time()):08x}-"
            f"{request_id.replace('-', '')[:24]};Sampled=0\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        connection, self.waiting = self.waiting, None
        # Before the event is sent: on a busy machine the function runs before `sendall` returns.
        start = time.perf_counter()
        connection.sendall(head.encode() + payload)
        path, body, connection = self.request()
        elapsed_ms = (time.perf_counter() - start) * 1e3
        connection.sendall(ACCEPTED)
        self.until_next()
        if path != f"{PREFIX}/invocation/{request_id}/response":
            raise FunctionError(f"{self.name}: {path} {body[:2000]!r}")
        return json.loads(body), elapsed_ms

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for connection in [self.listener, *self.buffers]:
            connection.close()
        atexit.unregister(self.close)

    def until_next(self):
        path, body, connection = self.request()
        if path != f"{PREFIX}/invocation/next":
            raise FunctionError(f"{self.name}: {path} {body[:2000]!r}")
        self.waiting = connection

    def request(self):
        """Path, body and connection of the next whole request."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            ready = select.select([self.listener, *self.buffers], [], [], 0.25)[0]
            for readable in ready:
                if readable is self.listener:
                    connection = readable.accept()[0]
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.buffers[connection] = b""
                elif request := self.read(readable):
                    return *request, readable
            if not ready and self.process.poll() is not None:
                raise FunctionError(f"{self.name}: ended with {self.process.returncode}")
        raise FunctionError(f"{self.name}: not within {PATIENCE_SECONDS} s")

    def read(self, connection):
        try:
            data = connection.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            del self.buffers[connection]
            connection.close()
            return None
        self.buffers[connection] += data
        if parsed := parse(self.buffers[connection]):
            self.buffers[connection] = b""
        return parsed


def parse(buffer):
    """Path and body of a whole request, plain or chunked."""
    head, found, rest = buffer.partition(b"\r\n\r\n")
    if not found:
        return None
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    path = line.split(" ")[1]
    if "chunked" not in headers.get("transfer-encoding", ""):
        length = int(headers.get("content-length", 0))
        return (path, rest[:length]) if len(rest) >= length else None
    body = b""
    while b"\r\n" in rest:
        size, _, tail = rest.partition(b"\r\n")
        size = int(size.split(b";")[0], 16)
        if size == 0:
            return path, body
        if len(tail) < size + 2:
            return None
        body, rest = body + tail[:size], tail[size + 2 :]
    return None
