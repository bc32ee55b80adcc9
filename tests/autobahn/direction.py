"""The two directions: the suite's client against our server, and the suite's server against our client.

Each is a context manager that ends every process that it started, however it is left.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import processes

AGENT = "tickwire"
# The longest that one case may take by the suite's own timeouts is 480 s.
STALL_S = 600
# From a process's start to its first sign of life.
START_S = 60


class Broken(Exception):
    """A direction could not be tested to its end. Says why."""


class Direction:
    """What both directions have in common: processes, and a share of the cases for each."""

    name = None

    def __init__(self, root, suite):
        self.root = root
        self.suite = suite
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.end(self.processes)

    def start(self, command, log, environment=None):
        """Starts a process that ends with this direction at the latest."""
        with open(log, "wb") as output:
            options = {"env": environment, "stdout": output, "stderr": subprocess.STDOUT}
            return processes.start(command, self.processes, **options)

    def run(self, chosen, reports, jobs):
        """The suite's results, by the number of the case."""
        shutil.rmtree(reports, ignore_errors=True)
        self.prepare(reports)
        shares = [share for share in deal(chosen, jobs) if share]
        parts = []
        for index, share in enumerate(shares):
            folder = reports / str(index + 1)
            folder.mkdir(parents=True)
            parts.append(self.begin(folder, [case["id"] for case in share]))
        self.follow(parts, len(chosen))
        results = {}
        for index in range(len(shares)):
            results.update(read_report(reports / str(index + 1)))
        return results

    def follow(self, parts, cases):
        """Waits until each part has ended; says from time to time how far they are. A part is a process, what it says,
        and what the suite says."""
        told_at = moved_at = time.monotonic()
        begun = 0
        while any(process.poll() is None for process, _, _ in parts):
            time.sleep(0.2)
            refuse_failures(parts)
            now = time.monotonic()
            before, begun = begun, sum(read(log).count(b"Running test case") for _, _, log in parts)
            if begun > before:
                moved_at = now
            if now - moved_at > STALL_S:
                raise Broken(f"no case has begun for {STALL_S} s, after {begun} of {cases}; see {parts[0][2].parent}")
            if now - told_at > 60:
                told_at = now
                print(f"{self.name}: {begun} of {cases} cases have begun", flush=True)
        refuse_failures(parts)


class Server(Direction):
    """`wstest -m fuzzingclient` against `tickwire echo` on two shards, or against a server that already runs."""

    name = "server"

    def __init__(self, root, suite, url):
        super().__init__(root, suite)
        self.url = url
        self.server = None

    def run(self, chosen, reports, jobs):
        results = super().run(chosen, reports, jobs)
        if self.server:
            log = reports / "tickwire.log"
            if self.server.poll() is not None:
                raise Broken(f"the server ended by itself, with {self.server.returncode}: {tail(log)}")
            processes.end([self.server])
            if self.server.returncode != 0:
                raise Broken(f"the server, told to end, did so with {self.server.returncode}: {tail(log)}")
        return results

    def prepare(self, reports):
        reports.mkdir(parents=True)
        if self.url:
            return
        log = reports / "tickwire.log"
        command = [find_binary(self.root), "echo", "--listen", "127.0.0.1:0", "--shards", "2"]
        self.server = self.start(command, log)

        def address():
            return re.search(rb"ws://[0-9.]+:[0-9]+", read(log))

        self.url = wait_for("the server's address", address, self.server, log).group().decode()

    def begin(self, folder, numbers):
        spec = folder / "spec.json"
        servers = [{"agent": AGENT, "url": self.url}]
        spec.write_text(json.dumps({"outdir": str(folder), "servers": servers, "cases": numbers}))
        log = folder / "wstest.log"
        command = self.suite.command("-m", "fuzzingclient", "-s", str(spec))
        return self.start(command, log, self.suite.environment), log, log


class Client(Direction):
    """`wstest -m fuzzingserver` against the session of our client, which tests/autobahn_client.rs drives."""

    name = "client"

    def prepare(self, reports):
        reports.mkdir(parents=True)
        self.binary = build_client(self.root)

    def begin(self, folder, numbers):
        port, log = self.serve(folder, numbers)
        environment = {**os.environ, "TICKWIRE_AUTOBAHN": f"127.0.0.1:{port}"}
        said = folder / "client.log"
        return self.start([self.binary, "--nocapture"], said, environment), said, log

    def serve(self, folder, numbers):
        """Starts the suite's server on a port that was free a moment ago, and gives the port."""
        log = folder / "wstest.log"
        for attempt in range(5):
            port = free_port()
            spec = folder / "spec.json"
            url = f"ws://127.0.0.1:{port}"
            spec.write_text(json.dumps({"outdir": str(folder), "url": url, "cases": numbers}))
            command = self.suite.command("-m", "fuzzingserver", "-s", str(spec), "-u", "0")
            server = self.start(command, log, self.suite.environment)
            try:
                wait_for("the suite's server", lambda: accepts(port), server, log)
                return port, log
            except Broken:
                if attempt == 4 or b"CannotListenError" not in read(log):
                    raise


def refuse_failures(parts):
    for process, said, _ in parts:
        if process.poll() not in [None, 0]:
            raise Broken(f"{process.args[0]} ended with {process.returncode}: {tail(said)}")


def deal(cases, jobs):
    """Shares of about the same cost: neighbours are alike, and the dear ones are last of their group."""
    shares = [[] for _ in range(jobs)]
    rounds = [cases[at : at + jobs] for at in range(0, len(cases), jobs)]
    for index, dealt in enumerate(rounds):
        order = shares if index % 2 == 0 else shares[::-1]
        for share, case in zip(order, dealt):
            share.append(case)
    return shares


def read_report(folder):
    """The results of one process of the suite, by case; none where it ended before it wrote them."""
    index = folder / "index.json"
    if not index.is_file():
        return {}
    results = json.loads(index.read_text()).get(AGENT, {})
    for result in results.values():
        case = json.loads((folder / result["reportfile"]).read_text(errors="replace"))
        report = os.path.relpath(folder / result["reportfile"])
        result["words"] = f"{case['result']} {case['resultClose']} ({report})"
    return results


def find_binary(root):
    binary = os.environ.get("TICKWIRE_BIN")
    if binary is None:
        cargo(root, ["build", "--release", "--locked", "--bin", "tickwire"])
        binary = target_folder(root) / "release/tickwire"
    if not os.access(binary, os.X_OK):
        raise Broken(f"no binary at {binary}")
    return str(binary)


def build_client(root):
    """Builds the test that is our client, and gives its path."""
    messages = cargo(root, ["test", "--locked", "--test", "autobahn_client", "--no-run", "--message-format=json"])
    for line in messages.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "autobahn_client" and message.get("executable"):
            return message["executable"]
    raise Broken("cargo built no client")


def target_folder(root):
    """Where cargo builds; a relative name counts from where it is called, which is the root."""
    return root / os.environ.get("CARGO_TARGET_DIR", "target")


def cargo(root, arguments):
    try:
        return processes.output(["cargo", *arguments], cwd=root)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Broken(f"cargo {' '.join(arguments)}: {error}")


def wait_for(what, sign, process, log):
    """Waits for a sign of life of a process that was just started."""
    given_up_at = time.monotonic() + START_S
    while not (seen := sign()):
        if process.poll() is not None:
            raise Broken(f"{what} did not come: the process ended with {process.returncode}: {tail(log)}")
        if time.monotonic() > given_up_at:
            raise Broken(f"{what} did not come within {START_S} s: {tail(log)}")
        time.sleep(0.05)
    return seen


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def read(log):
    return Path(log).read_bytes()


def tail(log):
    lines = read(log).decode(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:]) or "it said nothing"
