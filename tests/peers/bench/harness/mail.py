"""An SES that takes every message and keeps the text of the last."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TAKEN = b'{"MessageId":"0107018b-e5a1"}'


class Mail(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url, self.text = f"http://127.0.0.1:{self.server_port}", None
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: the second would wait for the first to be acknowledged.
    wbufsize = -1

    def do_POST(self):
        letter = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.text = letter["Content"]["Simple"]["Body"]["Text"]["Data"]
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(TAKEN)))
        self.end_headers()
        self.wfile.write(TAKEN)

    def log_message(self, *_):
        pass
