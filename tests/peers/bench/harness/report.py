"""Turns what bench.py measured into docs/proof/speed.md, and prints its headline table."""

import json
import statistics
import sys
from pathlib import Path

PEERS = ["python", "node"]
WORKLOAD = json.loads((Path(__file__).resolve().parent.parent / "rollcall.json").read_text())
HASHING = {name for name, step in WORKLOAD["steps"].items() if step.get("hashes")}
# They read many rows with a call.
OF_MANY = {"list_customers", "dashboard"}
COMPARED = ["me", "intake_submit", "stripe_webhook", "create_customer"]
STEPS = {
    "me": "`GET /auth/me`",
    "intake_submit": "`POST /api/intake/submit`",
    "stripe_webhook": "`POST /api/webhooks/stripe`, a lead pays",
    "create_customer": "`POST /v1/customers`, new",
    "login": "`POST /auth/login`",
    "register": "`POST /auth/register`",
    "get_customer": "`GET /v1/customers/{id}`",
    "check": "`POST /v1/check`",
    "track": "`POST /v1/track`",
    "update_me": "`PATCH /auth/me`",
    "forgot_password": "`POST /auth/forgot-password`",
    "change_password": "`POST /auth/change-password`",
    "reset_password": "`POST /auth/reset-password`",
    "issue_credentials": "`POST /v1/customers/{id}/credentials`, handed over",
    "notify": "`notify`, an invitation",
    "list_customers": "`GET /v1/customers`, 20 of them",
    "dashboard": "`GET /admin/dashboard`, of all that the run made by then",
}
METHOD = """\
How it was measured. `tests/peers/bench/run` builds the release binaries, starts an embedded DynamoDB (the local server's) for each, and
hands events of an API Gateway HTTP API to real processes through the Runtime API: Rollcall as one binary per function, each
peer as one function with all routes (cold starts: also one per function), on AWS's own runtime clients. Rollcall and the peers
take turns, in {runs} runs of {inits} cold starts per function, then {warm} requests of each kind to warm up and {n} that count;
figures are medians over the runs. CPU is the kernel's clock of the process, all its threads. `notify` gets events of the table's
stream, and a stand-in for SES takes what it sends. The peers are written as their users would write them (`tests/peers/bench/py`,
`node`): awslambdaric, boto3, argon2-cffi, PyJWT, stripe; aws-lambda-ric, AWS SDK v3, @node-rs/argon2, jose, stripe, bundled and
minified. All hash with argon2id, 19 MiB, two passes.

What does not compare one to one. Rollcall does more per request: guards against duplicates, an outbox, counts of attempts,
limits by client address, a live read of the caller; how many calls to DynamoDB that takes is in the table. Limits are on, as
deployed, and count on intake, register and forgot-password; every request, Rollcall's or a peer's, comes from another address,
so that none is refused. Its webhook is the first payment of a new lead, which makes user, number, links and invitation; the
peers' sets a status. The peers hash a temporary password when a customer is created, Rollcall when the invitation is delivered
(`notify`). Its administrator has an API key, theirs a JWT. One machine serves client, function and database: time on the wall
includes waiting for a core.
"""


class Results:
    def __init__(self, path):
        self.data = json.loads(path.read_text())
        self.runs = self.data["runs"]

    def median(self, pick):
        """Over the runs; none where a figure was not taken."""
        values = [value for run in self.runs if (value := pick(run)) is not None]
        return statistics.median(values) if values else None

    def start(self, target, handler, field):
        return self.median(lambda run: run[target]["starts"][handler][field])

    def step(self, target, step, field):
        return self.median(lambda run: run[target]["steps"].get(step, {}).get(field))

    def handlers(self, target):
        return list(self.runs[0][target]["starts"])

    def slowest_start(self, field):
        return max(self.start("rollcall", handler, field) for handler in self.handlers("rollcall"))

    def quickest_start(self, peer):
        """CPU milliseconds and name of a peer's function with one route that starts quickest."""
        handlers = [handler for handler in self.handlers(peer) if handler != "app.handler"]
        return min((self.start(peer, handler, "init_cpu_ms"), handler) for handler in handlers)

    def better(self, step, field="cpu_ms"):
        return min(self.step(peer, step, field) for peer in PEERS)

    def per_call(self, target, step):
        return self.step(target, step, "cpu_ms") / self.data["calls"][target][step]

    def peak(self, target, steps=None):
        """The most memory of any process that answers `steps`."""
        return self.median(
            lambda run: max(it["peak_mib"] for step, it in run[target]["steps"].items() if not steps or step in steps)
        )

    def bare(self, how):
        return self.median(lambda run: run["bare_hash"].get(how))

    def local(self, mix, field):
        return self.median(lambda run: run["local"][mix][field])


def ms(value):
    return "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def headline(results):
    """What the README shows."""
    rows = []

    def row(what, ours, python, node, show):
        best = min(python, node)
        rows.append([what, show(ours), show(python), show(node), f"{best / ours:.1f} ×"])

    start = [results.start(peer, "app.handler", "init_cpu_ms") for peer in PEERS]
    slowest, quickest = results.slowest_start("init_cpu_ms"), [results.quickest_start(peer)[0] for peer in PEERS]
    row("cold start, CPU ms (the slowest binary; a peer with all routes)", slowest, *start, ms)
    row("cold start, CPU ms (the slowest binary; a peer's quickest with one route)", slowest, *quickest, ms)
    for step in [*COMPARED, "login"]:
        figures = [results.step(target, step, "cpu_ms") for target in ("rollcall", *PEERS)]
        row(f"{STEPS[step]}, CPU ms", *figures, ms)
    peaks = [results.peak(peer) for peer in PEERS]
    row("peak memory, MiB", results.peak("rollcall", set(STEPS) - HASHING), *peaks, "{:.0f}".format)
    row("peak memory of what hashes, MiB", results.peak("rollcall", HASHING), *peaks, "{:.0f}".format)
    head = ["on one machine, in one run", "Rollcall", "Python Lambda", "Node Lambda", "less than the better peer"]
    return table(head, rows)


def targets(results):
    """What was promised, and whether it holds."""
    rows = []

    def at_least(what, ratio, bound):
        rows.append([what, f"≥ {bound} ×", f"{ratio:.1f} ×", "met" if ratio >= bound else "**missed**"])

    def at_most(what, ratio, bound):
        rows.append([what, f"≤ {bound:.2f} ×", f"{ratio:.2f} ×", "met" if ratio <= bound else "**missed**"])

    start = results.slowest_start("init_cpu_ms")
    at_least("cold start, CPU, less than Node", results.start("node", "app.handler", "init_cpu_ms") / start, 20)
    at_least("cold start, CPU, less than Python", results.start("python", "app.handler", "init_cpu_ms") / start, 36)
    for step in COMPARED:
        ratio = results.better(step) / results.step("rollcall", step, "cpu_ms")
        at_least(f"{STEPS[step]}, CPU, less than the better peer", ratio, 6 if step == "me" else 3)
    # Not of creating a customer: the peers' one call comes with a hash.
    for step in ("intake_submit", "stripe_webhook"):
        better = min(results.per_call(peer, step) for peer in PEERS)
        at_least(f"{STEPS[step]}, CPU per DynamoDB call", better / results.per_call("rollcall", step), 8)
    login = results.step("rollcall", "login", "cpu_ms")
    at_most("login, CPU, of Node's", login / results.step("node", "login", "cpu_ms"), 1)
    if results.bare("kept"):
        ratio = results.median(lambda run: run["rollcall"]["steps"]["login"]["cpu_ms"] / run["bare_hash"]["kept"])
        at_most("login, CPU, of a bare hash", ratio, 1.1)
    peer = min(results.peak(name) for name in PEERS)
    at_most("peak memory, of the better peer's", results.peak("rollcall", set(STEPS) - HASHING) / peer, 0.25)
    at_most("peak memory of what hashes, of the better peer's", results.peak("rollcall", HASHING) / peer, 0.5)
    return table(["target", "bound", "measured", ""], rows) + f"\n{one_route(results)}\n"


def one_route(results):
    """The cold starts of the targets are of peers with all routes; the same of peers that are split as Rollcall is."""
    slowest = results.slowest_start("init_cpu_ms")
    split = [(peer.capitalize(), *results.quickest_start(peer)) for peer in PEERS]
    each = (f"{ms(cpu)} ms in {peer} (`{handler}`), {cpu / slowest:.1f} × as much" for peer, cpu, handler in split)
    return (
        "The cold starts above are Rollcall's slowest binary, of one function, beside a peer with all routes. "
        f"The quickest function of a peer with one route takes {'; '.join(each)}."
    )


def starts(results):
    rows = []
    for target in ("rollcall", *PEERS):
        for handler in results.handlers(target):
            fields = [results.start(target, handler, field) for field in ("init_cpu_ms", "init_ms", "init_mib")]
            size = results.data["sizes"][target]
            size = size[handler] if target == "rollcall" else size
            name = f"`{handler}`" if target == "rollcall" else f"{target} `{handler}`"
            rows.append([name, ms(fields[0]), ms(fields[1]), f"{fields[2]:.1f}", f"{size / 1e6:.1f}"])
    return table(["function", "CPU ms", "wall ms", "MiB by then", "MB deployed"], rows)


def warm(results):
    rows = []
    for step, name in STEPS.items():
        for target in ("rollcall", *PEERS):
            if (cpu := results.step(target, step, "cpu_ms")) is None:
                continue
            wall = [ms(results.step(target, step, field)) for field in ("p10_ms", "p50_ms", "p99_ms")]
            calls, peak = results.data["calls"][target][step], results.step(target, step, "peak_mib")
            per_call = ms(results.per_call(target, step))
            rows.append([name, target, ms(cpu), " / ".join(wall), f"{calls:g}", per_call, f"{peak:.0f}"])
            name = ""
    head = ["request", "", "CPU ms", "wall ms p10 / p50 / p99", "DynamoDB calls", "CPU ms per call", "peak MiB"]
    return table(head, rows) + f"\n{line(results)}\n"


def line(results):
    """What the cost card computes with, `tests/harness/cost/price.rs`."""
    steps = [step for step in STEPS if step not in HASHING | OF_MANY and step in results.data["calls"]["rollcall"]]
    calls = [results.data["calls"]["rollcall"][step] for step in steps]
    each, once = statistics.linear_regression(calls, [results.step("rollcall", step, "cpu_ms") for step in steps])
    return (
        f"A request of Rollcall's that hashes nothing and is about one customer takes {once:.2f} ms of CPU and "
        f"{each:.2f} ms for each call to DynamoDB: the line through those above, by least squares."
    )


def login(results):
    names = {
        "kept": "a bare hash, `argon2-rust` in memory that is kept",
        "fresh": "a bare hash, `argon2-rust` in new memory",
        "reference": "a bare hash, `argon2`",
    }
    rows = [["login through the Runtime API", ms(results.step("rollcall", "login", "cpu_ms"))]]
    rows += [[name, ms(results.bare(how))] for how, name in names.items()]
    rows += [[f"login of the {peer} peer", ms(results.step(peer, "login", "cpu_ms"))] for peer in PEERS]
    return table(["", "CPU ms"], rows)


def local(results):
    rows = []
    for mix in (mix for mix in results.runs[0]["local"] if mix != "peak_mib"):
        core, rate, p50, p99 = (
            results.local(mix, field) for field in ("per_core_second", "per_second", "p50_ms", "p99_ms")
        )
        rows.append([mix, f"{core:.0f}", f"{rate:.0f}", f"{ms(p50)} / {ms(p99)}"])
    peak = results.median(lambda run: run["local"]["peak_mib"])
    head = ["requests (mixed: 7 me, 2 intake, 1 login)", "per second of its CPU", "per second, 4 clients", "ms p50 / p99"]
    return table(head, rows) + f"\nPeak memory {peak:.0f} MiB, the embedded DynamoDB and all it holds included.\n"


def main():
    source, destination = map(Path, sys.argv[1:])
    results = Results(source)
    machine, head = results.data["machine"], headline(results)
    method = METHOD.format(**results.data["parameters"])
    loads = [run[target]["load1"] for run in results.runs for target in ("rollcall", *PEERS)]
    about = (
        f"Commit `{machine['commit'][:12]}`, {machine['cpu']}, {machine['cores']} cores, "
        f"Python {machine['python']}, Node {machine['node']}; load {min(loads):.1f}–{max(loads):.1f}.\n"
    )
    sections = {
        "Speed": f"Made by `tests/peers/bench/run`; every figure is in `speed.json`. {about}\n{head}\n{method}",
        "Targets": targets(results),
        "Cold start": "Spawn until the first `/next`, of every function.\n\n" + starts(results),
        "Warm requests": warm(results),
        "Login": login(results),
        "Local server": "All routes and the database in one process, without limits by client address, as it starts "
        "unless told otherwise: all requests come from one.\n\n" + local(results),
    }
    marks = {name: "#" if name == "Speed" else "##" for name in sections}
    text = "\n".join(f"{marks[name]} {name}\n\n{body}" for name, body in sections.items())
    destination.write_text(text)
    print(f"{head}\n{sections['Targets']}")


if __name__ == "__main__":
    main()
