"""The Lambda Runtime API (2018-06-01) for one real binary: hands it events, takes what it posts.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FUNCTION_SECONDS, PATIENCE_SECONDS = 30, 60


class Function:
    """A running function with `variables`, what Lambda itself sets, and nothing else."""

    def __init__(self, binary, directory, variables):
        self.name, self.log = binary.name, directory / f"{binary.name}.log"
        self.events, self.posted = queue.Queue(), queue.Queue()
        # HTTP/1.1 keeps connections open, and one waits for the next event: a thread for each.
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"function": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        variables = variables | {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_LOG_STREAM_NAME": "test",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([binary], env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def invoke(self, event):
        """What the function answers to `event`."""
        request_id, give_up = str(uuid.uuid4()), time.monotonic() + PATIENCE_SECONDS
        self.events.put((request_id, event))
        while self.posted.empty() and self.process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.01)
        assert not self.posted.empty(), f"{self.name} did not answer:\n{self.log.read_text()}"
        path, answer = self.posted.get()
        assert path.endswith(f"/invocation/{request_id}/response"), f"{path} {answer}\n{self.log.read_text()}"
        return answer

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        request_id, event = self.function.events.get()
        self.answer(200, event, request_id, int((time.time() + FUNCTION_SECONDS) * 1000))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.function.posted.put((self.path, json.loads(body)))
        self.answer(202, {"status": "OK"})

    def answer(self, status, value, request_id="", deadline_ms=0):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline_ms))
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{self.function.name}"
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing of requests."""
