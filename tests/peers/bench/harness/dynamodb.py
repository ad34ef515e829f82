"""The DynamoDB that all of them use: the one of Rollcall's local server, and a proxy that counts calls to it."""

import asyncio
import http.client
import json
import re
import subprocess
import threading
import time
from collections import Counter

PATIENCE_SECONDS = 30
SIGNED = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-date": "20260101T000000Z",
    "authorization": "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-2/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
}


class Server:
    """A local server in memory, on ports that it picks itself."""

    def __init__(self, binary, directory, *flags):
        log = directory / f"rollcall-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [binary, "serve", "--memory", "--port", "0", "--dynamodb-port", "0", *flags],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        give_up = time.monotonic() + PATIENCE_SECONDS
        pattern = r"^listening on http://127\.0\.0\.1:(\d+)\ndynamodb at http://127\.0\.0\.1:(\d+)\n"
        while not (found := re.search(pattern, log.read_text(), re.MULTILINE)):
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(f"the local server did not start: {log.read_text()}")
            time.sleep(0.01)
        self.port, self.dynamodb_port = map(int, found.groups())

    def stop(self):
        self.process.kill()
        self.process.wait()


def call(port, operation, body):
    """What DynamoDB answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = SIGNED | {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    connection.request("POST", "/", json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"{}")


def waiting_messages(port, table):
    """The keys of the latest messages that wait to be delivered: of more than were made in any second."""
    query = {
        "TableName": table,
        "IndexName": "gsi2",
        "KeyConditionExpression": "gsi2pk = :work",
        "ExpressionAttributeValues": {":work": {"S": "WORK"}},
        "ScanIndexForward": False,
        "Limit": 400,
    }
    status, answer = call(port, "Query", query)
    assert status == 200, answer
    keys = (item["pk"]["S"] for item in answer["Items"])
    return {key for key in keys if key.startswith("OUTBOX#")}


class CountingProxy:
    """In front of a DynamoDB: how often each operation was called."""

    def __init__(self, upstream_port):
        self.calls, self.upstream_port = Counter(), upstream_port
        ready = threading.Event()
        threading.Thread(target=asyncio.run, args=(self.serve(ready),), daemon=True).start()
        ready.wait()

    async def serve(self, ready):
        server = await asyncio.start_server(self.client, "127.0.0.1", 0, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def client(self, reader, writer):
        upstream = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        try:
            while True:
                request = await message(reader)
                operation = re.search(rb"(?i)x-amz-target: *DynamoDB_\w+\.(\w+)", request)
                self.calls[operation[1].decode() if operation else "?"] += 1
                upstream[1].write(request)
                writer.write(await message(upstream[0]))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            upstream[1].close()


async def message(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return head + await reader.readexactly(int(length[1]) if length else 0)
