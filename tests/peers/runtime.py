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

PREFIX = "/2018-06-01/runtime"
FUNCTION_SECONDS = 30
PATIENCE_SECONDS = 60


class Function:
    """A running function, with `variables` and what Lambda itself sets, and nothing else."""

    def __init__(self, path, directory, variables):
        self.name, self.log = path.name, directory / f"{path.name}.log"
        self.events, self.answers = queue.Queue(), queue.Queue()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        own = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "test",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([path], env=own | variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def handler(function):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                request_id, event = function.events.get()
                deadline_ms = int((time.time() + FUNCTION_SECONDS) * 1000)
                self.answer(200, json.dumps(event).encode(), request_id, deadline_ms)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                function.answers.put((self.path, json.loads(body or b"null")))
                self.answer(202, b"{}")

            def answer(self, status, body, request_id="", deadline_ms=0):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline_ms))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", f"arn:aws:lambda:eu-west-2:1:function:{function.name}")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def invoke(self, event):
        """What the function answers to `event`."""
        request_id = str(uuid.uuid4())
        self.events.put((request_id, event))
        for _ in range(PATIENCE_SECONDS):
            try:
                path, answer = self.answers.get(timeout=1)
            except queue.Empty:
                assert self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text()}"
                continue
            assert path == f"{PREFIX}/invocation/{request_id}/response", (path, answer, self.log.read_text())
            return answer
        raise AssertionError(f"{self.name} never answered:\n{self.log.read_text()}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.server.shutdown()
        self.server.server_close()
