"""Who takes part: slashopt, the floor, and the tools people extract layers with today."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

from workloads import ROOT, TARGET, apart, count, say

RIPUNZIP_VERSION = "2.0.3"

# All layers in one process, which spares Python the starts; modes set afterwards, as SAM CLI does.
PYTHON_EXTRACT = """
import os, sys, zipfile
target = sys.argv[1]
for layer in sys.argv[2:]:
    with zipfile.ZipFile(layer) as archive:
        archive.extractall(target)
        for entry in archive.infolist():
            mode = entry.external_attr >> 16 & 0o777
            if mode:
                os.chmod(os.path.join(target, entry.filename), mode)
"""


def run(commands, variables=()):
    """Runs them one after the other: wall and CPU seconds, peak RSS in bytes, and what went wrong: (exit, words) or None."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLASHOPT_")}
    environment.update(variables)
    environment["RAYON_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
    with open(os.devnull, "r+b") as quiet, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), number) for number, file in enumerate((quiet, output, errors))]
        cpu, peak, status = 0.0, 0, 0
        began = time.perf_counter()
        for command in commands:
            child = os.posix_spawn(command[0], command, environment, file_actions=actions)
            _, ended, usage = os.wait4(child, 0)
            cpu += usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss * 1024)
            status = status or os.waitstatus_to_exitcode(ended)
        wall = time.perf_counter() - began
        for file in (output, errors):
            file.seek(0)
        text, words = output.read(4000).decode(errors="replace"), errors.read(2000).decode(errors="replace")
    return {"wall": wall, "cpu": cpu, "rss": peak}, text, (status, words) if status else None


class Tool:
    """Something that extracts layers: `commands` gives its commands for layers and a directory."""

    def __init__(self, name, version, commands, makes_directory=False):
        self.name = name
        self.version = version
        self.commands = commands
        self.makes_directory = makes_directory

    def sample(self, layers, into):
        """One extraction: what it took, and what went wrong."""
        if not self.makes_directory:
            os.mkdir(into)
        taken, _, failure = run(self.commands(layers, into))
        return taken, failure


class Floor:
    """The floor's program. Its wall time is a bound: that of the slowest entry alone, or all CPU time over the threads."""

    name = "floor"
    version = "tests/bench"

    def __init__(self, binary, threads):
        self.binary = binary
        self.threads = threads

    def sample(self, layers, into):
        taken, text, failure = run([[self.binary, into, str(self.threads), *layers]])
        if failure:
            return taken, failure
        parts = json.loads(text)
        cpu = parts["inflate_cpu"] + parts["create_cpu"]
        return {"wall": max(parts["alone"], cpu / self.threads), "cpu": cpu, "rss": taken["rss"], **parts}, None


def first_line(*command):
    """The first line that a program says of itself."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), "")


def built(name, *command):
    """The executable of that name that a cargo command says it made."""
    say(f"building {name}")
    done = subprocess.run([*command, "--message-format=json"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    made = [message["executable"] for message in messages if message.get("executable") and message["target"]["name"] == name]
    if done.returncode or not made:
        errors = [message["message"]["rendered"] for message in messages if message["reason"] == "compiler-message"]
        sys.exit(f"error: {name} could not be built\n{''.join(errors)}")
    return made[-1]


def slashopt(binary, threads):
    return Tool("slashopt", first_line(binary, "--version"),
                lambda layers, into: [[binary, "extract", *layers, "--into", into, "--threads", str(threads), "-q"]],
                makes_directory=True)


def dist():
    return built("slashopt", "cargo", "build", "--profile", "dist", "--bin", "slashopt")


def released(name):
    """A static binary, as it is shipped."""
    say(f"building {name}")
    if subprocess.run([os.path.join(ROOT, "scripts", "release")], stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"error: scripts/release could not make {name}")
    return os.path.join(TARGET, "release-static", name)


def floor(threads):
    return Floor(built("floor", "cargo", "bench", "--profile", "dist", "--bench", "floor", "--no-run"), threads)


def ripunzip():
    """The fastest peer, from crates.io into target/tools; None with the reason where that fails."""
    place = os.path.join(TARGET, "tools")
    binary = os.path.join(place, "bin", "ripunzip")
    if not os.path.exists(binary):
        say(f"installing ripunzip {RIPUNZIP_VERSION}")
        # It is compiled in a directory of its own, which goes away.
        elsewhere = {key: value for key, value in os.environ.items() if key != "CARGO_TARGET_DIR"}
        done = subprocess.run(
            ["cargo", "install", "ripunzip", "--version", RIPUNZIP_VERSION, "--locked", "--quiet", "--root", place],
            cwd=ROOT, env=elsewhere, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("error")] or ["no reason given"]
            return None, f"cargo install failed: {lines[0]}"
    return binary, None


def peers():
    """The other tools as they are installed, and who cannot take part, with the reason."""
    found, skipped = [], {}
    fast, reason = ripunzip()
    if fast:
        found.append(Tool("ripunzip", f"ripunzip {RIPUNZIP_VERSION}",
                          lambda layers, into: [[fast, "unzip-file", layer, "-d", into] for layer in layers]))
    else:
        skipped["ripunzip"] = reason

    def add(name, version, command):
        path = shutil.which(name)
        if path:
            found.append(Tool(name, version(path), lambda layers, into: [command(path, layer, into) for layer in layers]))
        else:
            skipped[name] = f"{name} is not installed (scripts/judges installs it)"

    add("bsdtar", lambda path: " ".join(first_line(path, "--version").split()[:2]),
        lambda path, layer, into: [path, "-xf", layer, "-C", into])
    add("7z", lambda path: first_line(path).split(":")[0].strip(),
        lambda path, layer, into: [path, "x", "-y", "-bd", "-bso0", "-o" + into, layer])
    add("unzip", lambda path: " ".join(first_line(path, "-v").split()[:2]),
        lambda path, layer, into: [path, "-qo", layer, "-d", into])
    found.append(Tool("python zipfile", f"Python {platform.python_version()}",
                      lambda layers, into: [[sys.executable, "-I", "-S", "-c", PYTHON_EXTRACT, into, *layers]]))
    return found, skipped


class Record:
    """What one participant did at one job."""

    def __init__(self, participant, layers, name=None):
        self.participant = participant
        self.layers = layers
        self.name = name or participant.name
        self.samples = []
        self.failures = []
        self.tree = None

    def turn(self, into, number):
        sample, failure = self.participant.sample(self.layers, into)
        if failure:
            self.failures.append({"round": number, "exit": failure[0], "stderr": failure[1]})
        if number == 0:
            self.tree = apart(count, into) if os.path.isdir(into) else None
        else:
            self.samples.append(sample)
