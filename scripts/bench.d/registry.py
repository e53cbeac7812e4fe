"""The registry's server under load, beside moto's, which answers the same API for tests.

Both have the same layers, which came over the API too, and both have them in memory: moto in its own, ours on tmpfs. Whoever asks
shares the processors with who answers, so a rate is what both reach together. A connection is kept for the next request, if the
server keeps it. moto knows no pages: its one answer has all layers.

What is published is new each time, and comes from several clients at once. For this each server is started anew in every round, so
that its peak of memory is that of one round.
"""

import base64
import contextlib
import hashlib
import http.client
import io
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

import places
from participants import first_line
from workloads import ROOT, TARGET, entry, say

LAYERS, VERSIONS = 1000, 10
PATH = "/2018-10-31/layers"
# Nobody verifies it: it says which service is meant.
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=000000000000/20260102/us-east-1/lambda/aws4_request, "
                           "SignedHeaders=host, Signature=0"}
WRK_THREADS, WRK_CONNECTIONS, WRK_SECONDS = 2, 16, 3
FILLERS = 4
LISTINGS = 3
PUBLISHERS, PUBLICATIONS, PUBLISHED_BYTES = 8, 2, 20_000_000
# The work that each server is started anew for.
PUBLISHING = "PublishLayerVersion"
MIB = 1 << 20


class Server:
    """One that answers Lambda's API on this machine until it is left."""

    def __init__(self, name, version, command, environment=None):
        self.name = name
        self.version = version
        self.command = command
        self.environment = environment or {}

    @contextlib.contextmanager
    def started(self, folder):
        """Serves with a folder of its own."""
        folder = tempfile.mkdtemp(prefix=f"{self.name}.", dir=folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SLASHOPT_")}
        with tempfile.TemporaryFile() as words:
            process = subprocess.Popen(self.command(folder, port), stdin=subprocess.DEVNULL, stdout=words, stderr=words,
                                       env=environment | self.environment)
            try:
                running = Running(self.name, process, port)
                if not running.answers():
                    words.seek(0)
                    sys.exit(f"error: {self.name} does not answer: {words.read(2000).decode(errors='replace').strip()}")
                yield running
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                shutil.rmtree(folder, ignore_errors=True)


class Running:
    """A server that runs."""

    def __init__(self, name, process, port):
        self.name = name
        self.process = process
        self.port = port

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def answers(self):
        """Whether it does, within a minute."""
        for _ in range(600):
            if self.process.poll() is not None:
                return False
            with contextlib.suppress(OSError):
                asked(self.connection(), "GET", PATH)
                return True
            time.sleep(0.1)
        return False

    def peak(self):
        """The most memory that it ever had, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def asked(connection, method, path, body=None, headers=None):
    """What is answered; a refusal ends the run."""
    connection.request(method, path, body=body, headers=SIGNED | (headers or {}))
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in (200, 201):
        sys.exit(f"error: {method} {path}: {answer.status}: {text[:300].decode(errors='replace')}")
    return json.loads(text)


def at_once(count, work):
    """Does `work(number)` so many times at once; what came of each. A failure of one is one of all."""
    results, failures = [None] * count, []

    def one(number):
        try:
            results[number] = work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


# ---- what is there --------------------------------------------------------------------------------------------------

def names():
    return [f"layer-{number:04}" for number in range(LAYERS)]


def archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in files:
            made.writestr(entry(name), content)
    return buffer.getvalue()


def fill(server):
    """Publishes all versions of all layers, each layer's one after the other."""
    say(f"{server.name}: publishing {LAYERS * VERSIONS:,} versions")
    zip_file = base64.b64encode(archive([("python/module.py", b"answer = 42\n")])).decode()
    body = json.dumps({"Content": {"ZipFile": zip_file}, "Description": "A layer among many",
                       "CompatibleRuntimes": ["python3.13", "python3.12"], "CompatibleArchitectures": ["x86_64"],
                       "LicenseInfo": "MIT"}).encode()

    def publish(number):
        connection = server.connection()
        for name in names()[number::FILLERS]:
            for _ in range(VERSIONS):
                asked(connection, "POST", f"{PATH}/{name}/versions", body)

    at_once(FILLERS, publish)


# ---- the work -------------------------------------------------------------------------------------------------------

def asked_for(paths):
    """Work: many connections ask for these paths, in turn."""
    def work(server):
        with tempfile.NamedTemporaryFile("w", prefix="slashopt-bench.") as listing:
            listing.writelines(f"{path}\n" for path in paths)
            listing.flush()
            done = subprocess.run(
                ["wrk", f"--threads={WRK_THREADS}", f"--connections={WRK_CONNECTIONS}", f"--duration={WRK_SECONDS}s", "--latency",
                 "--timeout=30s", "--header", f"Authorization: {SIGNED['Authorization']}",
                 "--script", os.path.join(ROOT, "scripts", "bench.d", "requests.lua"), f"http://127.0.0.1:{server.port}", "--",
                 listing.name], stdout=subprocess.PIPE, text=True, check=True)
        figures = json.loads(done.stdout.rstrip().splitlines()[-1])
        wrong = figures.pop("refused") + figures.pop("broken")
        if wrong or not figures["answers"]:
            sys.exit(f"error: {server.name}: {wrong} of {figures['answers']} requests for {paths[0]} were not answered well")
        return {"rate": figures["answers"] / figures["seconds"], **figures}
    return work


def listed(server):
    """Work: one client goes through all pages, a few times."""
    connection = server.connection()
    taken, answers = [], 0
    for _ in range(LISTINGS):
        began = time.perf_counter()
        found, marker = [], ""
        while marker is not None:
            page = asked(connection, "GET", PATH + (f"?Marker={marker}" if marker else ""))
            found += [layer["LayerName"] for layer in page["Layers"]]
            marker = page.get("NextMarker")
            answers += 1
        taken.append(time.perf_counter() - began)
        if sorted(found) != names():
            sys.exit(f"error: {server.name}: its pages have {len(found)} layers, not the {LAYERS} that are there")
    return {"rate": LISTINGS / sum(taken), "answers": answers, "seconds": sum(taken), "p50": statistics.median(taken), "max": max(taken)}


class Publishing:
    """Archives of random bytes, all of one size and each another one by the comment at its end."""

    COMMENT = 32

    def __init__(self):
        chance = random.Random(20260102)
        sizes = [("python/big.so", PUBLISHED_BYTES // 2)] + [(f"python/part{number:02}.bin", PUBLISHED_BYTES // 100) for number in range(50)]
        whole = archive([(name, chance.randbytes(size)) for name, size in sizes])
        # The length of the comment is what an archive ends with.
        self.archive = whole[:-2] + self.COMMENT.to_bytes(2, "little")
        self.bytes = len(self.archive) + self.COMMENT
        same = len(self.archive) // 3 * 3
        self.before = b'{"Content":{"ZipFile":"' + base64.b64encode(self.archive[:same])
        self.rest = self.archive[same:]
        self.hash = hashlib.sha256(self.archive)
        self.number = 0

    def new(self):
        """The body of one more, in parts, and its digest as the service writes it."""
        self.number += 1
        comment = f"{self.number:0{self.COMMENT}}".encode()
        digest = self.hash.copy()
        digest.update(comment)
        return [self.before, base64.b64encode(self.rest + comment) + b'"}}'], base64.b64encode(digest.digest()).decode()

    def __call__(self, server):
        """Work: several clients publish, each a few times, each a layer of its own."""
        before = server.peak()
        bodies = [[self.new() for _ in range(PUBLICATIONS)] for _ in range(PUBLISHERS)]
        taken = []

        def publish(number):
            connection = server.connection()
            for parts, digest in bodies[number]:
                began = time.perf_counter()
                answer = asked(connection, "POST", f"{PATH}/big-{number}/versions", parts,
                               {"Content-Length": str(sum(map(len, parts)))})
                taken.append(time.perf_counter() - began)
                if answer["Content"]["CodeSha256"] != digest:
                    sys.exit(f"error: {server.name} published something else than it was sent")

        began = time.perf_counter()
        at_once(PUBLISHERS, publish)
        seconds = time.perf_counter() - began
        return {"rate": len(taken) / seconds, "answers": len(taken), "seconds": seconds, "p50": statistics.median(taken),
                "max": max(taken), "peak": server.peak(), "idle": before}


# ---- the run --------------------------------------------------------------------------------------------------------

def servers(binary):
    """Ours, and moto's out of the environment that scripts/s3-server makes."""
    if not shutil.which("wrk"):
        sys.exit("error: wrk is not installed (scripts/judges installs it)")
    if subprocess.run([os.path.join(ROOT, "scripts", "s3-server")], check=False, stdout=sys.stderr).returncode:
        sys.exit("error: moto could not be installed")
    python = os.path.join(TARGET, "s3-server", "bin", "python")
    version = first_line(python, "-c", "import moto; print('moto', moto.__version__)")
    return [
        Server("slashopt", first_line(binary, "--version"),
               lambda folder, port: [binary, "registry", "serve", "--listen", f"127.0.0.1:{port}", "--store", folder, "-q"]),
        Server("moto", version, lambda _, port: [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]),
    ]


def measure(binary, runs):
    """A first round for warmth, then `runs` rounds, each with the other server first; by work and server, the samples."""
    both = servers(binary)
    for server in both:
        say(f"taking part: {server.name} ({server.version})")
    publishing = Publishing()
    works = {
        "GetLayerVersion": asked_for([f"{PATH}/{name}/versions/{number}" for name in names() for number in range(1, VERSIONS + 1)]),
        "ListLayers, the first answer": asked_for([PATH]),
        "ListLayers, all layers": listed,
    }
    samples = {work: {server.name: [] for server in both} for work in [*works, PUBLISHING]}
    room = PUBLISHERS * PUBLICATIONS * publishing.bytes * 3 + LAYERS * VERSIONS * 8192
    with places.Tmpfs(room) as place, place.fresh() as folder, contextlib.ExitStack() as stack:
        running = [stack.enter_context(server.started(folder)) for server in both]
        for server in running:
            fill(server)
        for turn in range(runs + 1):
            say(f"registry: {'warming up' if turn == 0 else f'round {turn} of {runs}'}")
            for work, carried_out in works.items():
                for server in in_turn(running, turn):
                    note(samples[work][server.name], turn, carried_out(server))
            for server in in_turn(both, turn):
                with server.started(folder) as fresh:
                    note(samples[PUBLISHING][server.name], turn, publishing(fresh))
    return {"versions": {server.name: server.version for server in both}, "published_bytes": publishing.bytes, "samples": samples}


def in_turn(some, turn):
    start = turn % len(some)
    return some[start:] + some[:start]


def note(samples, turn, sample):
    if turn > 0:
        samples.append(sample)


def median(figures, work, server, key):
    return statistics.median(sample[key] for sample in figures["samples"][work][server])


def table(figures):
    """Everything, a line for each work and server."""
    lines = ["| work | server | a second (min–max) | median ms | p99 ms | longest ms | peak RSS MiB | our rate / its |",
             "|---|---|---|---|---|---|---|---|"]
    for work, records in figures["samples"].items():
        for server, samples in records.items():
            rates = [sample["rate"] for sample in samples]

            def shown(key, scale, samples=samples):
                return f"{statistics.median(sample[key] for sample in samples) * scale:.2f}" if key in samples[0] else ""

            ours = median(figures, work, "slashopt", "rate")
            cells = [work, server, f"{statistics.median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f})", shown("p50", 1e3),
                     shown("p99", 1e3), f"{max(sample['max'] for sample in samples) * 1e3:.2f}",
                     f"{max(sample['peak'] for sample in samples) / MIB:.0f}" if "peak" in samples[0] else "",
                     "" if server == "slashopt" else f"{ours / statistics.median(rates):.1f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def report(figures, threads):
    rounds = len(figures["samples"][PUBLISHING]["slashopt"])
    print(f"## registry: {LAYERS:,} layers with {VERSIONS} versions each, tmpfs\n\n"
          f"{threads} processors, which whoever asks shares; GetLayerVersion and the first answer of ListLayers by wrk, {WRK_THREADS} threads, "
          f"{WRK_CONNECTIONS} connections, {WRK_SECONDS} s; all layers by one client; {figures['published_bytes'] / 1e6:.0f} MB that do not "
          f"compress published by {PUBLISHERS} clients at once, {PUBLICATIONS} times each; {rounds} rounds, interleaved; medians, and the "
          f"longest of all\n\n{table(figures)}\n")
