"""Requests from a file of steps, with `${variables}`; `${u}` is new for each."""

import hashlib
import hmac
import json
import re
import string
import time
import uuid
from base64 import urlsafe_b64encode

JWT_SECRET = "bench-secret-bench-secret-bench-secret"
WEBHOOK_SECRET = "whsec_bench"


def admin_jwt():
    """What the peers take for an administrator."""
    now = int(time.time())
    claims = {"sub": "admin-1", "email": "admin@example.com", "role": "admin", "iat": now, "exp": now + 86_400}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    mac = hmac.digest(JWT_SECRET.encode(), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


class Workload:
    def __init__(self, path, admin_token):
        self.file = json.loads(path.read_text())
        self.setup, self.measure, self.steps = (self.file[name] for name in ("setup", "measure", "steps"))
        self.variables = self.file.get("vars", {}) | {"admin_token": admin_token}

    def request(self, step):
        """Method, path, body and headers."""
        step, variables = self.steps[step], self.variables | {"u": uuid.uuid4().hex[:16], "now": int(time.time())}

        def fill(text):
            return string.Template(text).substitute(variables)

        # A number stands as a text in the file: `"created": "${now}"`.
        body = fill(json.dumps(step["body"]).replace('"${now}"', "${now}")) if "body" in step else None
        headers = {name: fill(value) for name, value in step.get("headers", {}).items()}
        if step.get("signed"):
            now = str(int(time.time()))
            mac = hmac.digest(WEBHOOK_SECRET.encode(), f"{now}.{body}".encode(), hashlib.sha256)
            headers["stripe-signature"] = f"t={now},v1={mac.hex()}"
        return step["method"], fill(step["path"]), body, headers

    def take(self, name, status, body):
        """Checks an answer, and keeps of it what later steps need."""
        step = self.steps[name]
        assert status == step.get("expect", 200), f"{name}: {status} {body[:400]}"
        if "capture" in step:
            answer = json.loads(body)
            self.variables |= {variable: answer[field] for variable, field in step["capture"].items()}

    def take_letter(self, name, answer, text):
        """The same of a delivery: what the stream is told, and the text of the letter."""
        assert answer == {"batchItemFailures": []}, f"{name}: {answer}"
        for variable, pattern in self.steps[name].get("capture", {}).items():
            self.variables[variable] = re.search(pattern, text)[1]
