"""Runs Rollcall's binaries and the peers side by side, interleaved, and writes what they took as JSON.

CPU is compared first: unlike time on the wall it hardly moves when the machine has other work.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

from dynamodb import CountingProxy, Server, call, waiting_messages
from lambda_env import Environment, http_event, peak_mib, stream_event
from load import load_local_server
from mail import Mail
from workload import JWT_SECRET, WEBHOOK_SECRET, Workload, admin_jwt

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parents[2]
TABLES = count(1)
COUNTED_REQUESTS = 5
HASH_WAYS = ["kept", "fresh", "reference"]


class Target:
    """One of those that are compared, on a fresh table."""

    def __init__(self, name, description, options, directory, port):
        self.name, self.description, self.options, self.directory = name, description, options, directory
        self.port, self.environments, self.table = port, {}, f"bench-{next(TABLES)}"
        token = self.prepare()
        self.work = Workload(HERE / description["workload"], token)
        for step in self.work.setup:
            self.call(step)

    def prepare(self):
        """Makes the table; an administrator's token."""
        if self.name != "rollcall":
            schema = {
                "TableName": self.table,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            }
            status, answer = call(self.options.dynamodb_port, "CreateTable", schema)
            assert status == 200, answer
            return admin_jwt()
        self.admin("create-table")
        made = self.admin("create-api-key", "--label", "bench")
        return next(line.split()[1] for line in made.splitlines() if line.startswith("api_key:"))

    def admin(self, *command):
        endpoint = f"http://127.0.0.1:{self.options.dynamodb_port}"
        command = [self.options.release / "admin", "--table", self.table, "--endpoint", endpoint, *command]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def spawn(self, handler):
        def place(text):
            paths = {"release": str(self.options.release), "cache": str(self.options.cache), "handler": handler}
            for name, value in paths.items():
                text = text.replace(f"{{{name}}}", value)
            return text

        variables = {
            "TABLE_NAME": self.table,
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{self.port}",
            "AWS_ENDPOINT_URL_SESV2": self.options.mail.url,
            "JWT_SECRET": JWT_SECRET,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        } | self.description.get("variables", {})
        command = [place(part) for part in self.description["command"]]
        log = self.directory / f"{self.name}-{handler}.log"
        return Environment(command, variables, Path(place(self.description["directory"])), handler, log)

    def handler(self, step):
        """Rollcall is one binary per function; a peer is one function with all routes."""
        if handlers := self.description.get("handlers"):
            return handlers[0]
        return self.work.steps[step].get("function", step.replace("_", "-"))

    def handlers(self):
        """All that can be started."""
        if handlers := self.description.get("handlers"):
            return handlers + self.description["also_start"]
        return sorted(path.stem for path in (ROOT / "functions/src/bin").glob("*.rs"))

    def environment(self, step):
        handler = self.handler(step)
        if handler not in self.environments:
            self.environments[handler] = self.spawn(handler)
        return self.environments[handler]

    def call(self, step):
        """Milliseconds on the wall and on the CPU, without what the step needs anew each time."""
        self.call_before(step)
        return self.send(step)

    def call_before(self, step):
        if before := self.work.steps[step].get("before"):
            waiting = self.waiting(step)
            self.call(before)
            self.new_messages = self.waiting(step) - waiting

    def waiting(self, step):
        """The messages that a step finds, if it delivers any."""
        delivers = self.work.steps[step].get("delivers")
        return waiting_messages(self.options.dynamodb_port, self.table) if delivers else set()

    def send(self, step):
        environment, event = self.environment(step), self.event(step)
        cpu_before = environment.cpu_ms()
        answer, elapsed_ms = environment.invoke(event)
        cpu_ms = environment.cpu_ms() - cpu_before
        if self.work.steps[step].get("delivers"):
            self.work.take_letter(step, answer, self.options.mail.text)
        else:
            self.work.take(step, answer.get("statusCode", 200), answer.get("body") or "{}")
        return elapsed_ms, cpu_ms

    def event(self, step):
        """A request, or what the stream says of the one message that came with what was before."""
        if self.work.steps[step].get("delivers"):
            (message,) = self.new_messages
            return stream_event(message)
        return http_event(*self.work.request(step))

    def close(self):
        for environment in self.environments.values():
            environment.close()


def measure(target, options):
    """One run: cold starts, then warm requests."""
    starts, steps = {}, {}
    for handler in target.handlers():
        spawned = []
        for _ in range(options.inits):
            spawned.append(target.spawn(handler))
            spawned[-1].close()
        starts[handler] = {
            field: statistics.median(getattr(environment, field) for environment in spawned)
            for field in ("init_ms", "init_cpu_ms", "init_mib")
        }
    for step in target.work.measure:
        for _ in range(options.warm):
            target.call(step)
        samples = [target.call(step) for _ in range(options.n)]
        wall = sorted(elapsed_ms for elapsed_ms, _ in samples)
        steps[step] = {
            "cpu_ms": statistics.fmean(cpu_ms for _, cpu_ms in samples),
            "p10_ms": wall[len(wall) // 10],
            "p50_ms": statistics.median(wall),
            "p99_ms": wall[min(len(wall) - 1, len(wall) * 99 // 100)],
            "peak_mib": peak_mib(target.environment(step).process.pid),
        }
    return {"starts": starts, "steps": steps, "load1": os.getloadavg()[0]}


def count_calls(target, proxy):
    """DynamoDB calls per request: in a pass of their own, so that what is timed has no proxy."""
    calls = {}
    for step in target.work.measure:
        target.environment(step)
        counted = 0
        for _ in range(COUNTED_REQUESTS):
            target.call_before(step)
            proxy.calls.clear()
            target.send(step)
            counted += proxy.calls.total()
        calls[step] = counted / COUNTED_REQUESTS
    return calls


def bare_hashes(options):
    """CPU milliseconds of one argon2id with a login's parameters."""
    if not (binary := options.release / "examples/bare_hash").is_file():
        return {}

    def cpu_ms(how, rounds):
        before = os.times()
        subprocess.run([binary, how, str(rounds)], check=True)
        after = os.times()
        return (after.children_user + after.children_system - before.children_user - before.children_system) * 1e3

    # What starting costs is in both.
    return {how: (cpu_ms(how, options.n + 1) - cpu_ms(how, 1)) / options.n for how in HASH_WAYS}


def sizes(options):
    """Bytes of what is deployed."""

    def tree(folder, leave_out=()):
        files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(path.stat().st_size for path in files if path.relative_to(folder).parts[0] not in leave_out)

    binaries = (ROOT / "functions/src/bin").glob("*.rs")
    packages = next((options.cache / "venv/lib").glob("python3*/site-packages"))
    build_only = {path.name for path in packages.iterdir() if path.name.startswith(("pip", "setuptools", "cmake"))}
    modules = options.cache / "node/node_modules"
    node = tree(options.cache / "node/dist") + tree(modules / "aws-lambda-ric/dist") + tree(modules / "@node-rs")
    return {
        "rollcall": {path.stem: (options.release / path.stem).stat().st_size for path in binaries},
        "python": tree(packages, build_only | {"__pycache__", "pkg_resources", "_distutils_hack"}),
        "node": node,
    }


def machine():
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {
        "cpu": model.split(":")[1].strip(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "node": subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip(),
        "commit": commit,
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, required=True, help="where the binaries are")
    parser.add_argument("--cache", type=Path, required=True, help="where `setup` built the peers")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--targets", default="rollcall,python,node")
    parser.add_argument("--runs", type=int, default=5, help="each target once per run, in turns")
    parser.add_argument("--n", type=int, default=200, help="requests of each step that are measured")
    parser.add_argument("--warm", type=int, default=50, help="requests of each step before that")
    parser.add_argument("--inits", type=int, default=7, help="cold starts of each function per run")
    return parser.parse_args()


@contextlib.contextmanager
def database(options, directory):
    """An embedded DynamoDB of its own: it gets slower by what was written to it, whoever did."""
    server = Server(options.release / "rollcall", directory)
    options.dynamodb_port = server.dynamodb_port
    try:
        yield server.dynamodb_port
    finally:
        server.stop()


def main():
    options = arguments()
    options.release, options.cache = options.release.resolve(), options.cache.resolve()
    targets = {
        name: description
        for name, description in json.loads((HERE / "targets.json").read_text()).items()
        if name in options.targets.split(",")
    }
    result = {"machine": machine(), "runs": [], "calls": {}, "sizes": sizes(options)}
    result |= {"parameters": {name: getattr(options, name) for name in ("runs", "n", "warm", "inits")}}
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as directory:
        directory = Path(directory)
        options.mail = Mail()
        try:
            with database(options, directory) as port:
                proxy = CountingProxy(port)
                for name, description in targets.items():
                    target = Target(name, description, options, directory, proxy.port)
                    result["calls"][name] = count_calls(target, proxy)
                    target.close()
            for run in range(options.runs):
                figures = {"bare_hash": bare_hashes(options)}
                order = list(targets)
                # Who goes first differs from run to run.
                for name in order[run % len(order) :] + order[: run % len(order)]:
                    with database(options, directory) as port:
                        target = Target(name, targets[name], options, directory, port)
                        figures[name] = measure(target, options)
                        target.close()
                    print(f"run {run + 1} of {options.runs}: {name}", file=sys.stderr)
                figures["local"] = load_local_server(options, directory)
                result["runs"].append(figures)
        except BaseException:
            for log in sorted(directory.glob("*.log")):
                print(f"{log.name}: {log.read_text(errors='replace')[-2000:]}", file=sys.stderr)
            raise
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
