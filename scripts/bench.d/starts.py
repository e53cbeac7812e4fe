"""How long a command takes to start with layers: what `scripts/bench --start` measures, and what it is to come to.

The binary is what a container starts functions with, `slashopt-small` of scripts/release, unless another one is named. A warm
start is `slashopt exec LAYER... -- /bin/true` against `/bin/true`: the difference of two medians, in milliseconds. What a start
is compared with runs in the same surroundings: as the same user, under the same filter. A cold one fills an empty cache. The
caches, the roots and the layers lie in memory, for otherwise the figures would be a disk's; the program lies on a disk, and in
its page cache, as /bin/true does.

Every round has every start twenty times, in a rotating order, and everything that takes longer once.
"""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import platform
import shutil
import statistics
import struct
import sys
import tempfile
import time

from goals import goals_table
from participants import run
from places import Tmpfs
from workloads import TARGET, Workload, apart, five, many, say

TRUE = "/bin/true"
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
STARTS_A_ROUND = 20
# A layer that changed less long ago is hashed again, as it may change once more unnoticed.
SETTLED_SECONDS = 2.1

# Each layer unzipped by itself, entry by entry with its mode, then copied over the others: how SAM CLI prepares layers.
UNZIP_AND_COPY = """
import os, shutil, sys, zipfile
apart, merged = sys.argv[1:3]
for number, layer in enumerate(sys.argv[3:]):
    into = os.path.join(apart, str(number))
    with zipfile.ZipFile(layer) as archive:
        for entry in archive.infolist():
            path = archive.extract(entry, into)
            mode = entry.external_attr >> 16 & 0o777
            if mode:
                os.chmod(path, mode)
    shutil.copytree(into, merged, symlinks=True, dirs_exist_ok=True)
"""

# What Docker's default profile answers with EPERM, by the numbers of two architectures.
FORBIDDEN = {"x86_64": (0xC000003E, [165, 272, 428, 429, 430]), "aarch64": (0xC00000B7, [40, 97, 428, 429, 430])}


def forbid_mounting():
    """Puts this process under a filter of system calls that forbids namespaces and mounts."""
    architecture, calls = FORBIDDEN[platform.machine()]
    load, equal, answer, allow = 0x20, 0x15, 0x06, 0x7FFF0000
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, allow), (load, 0, 0, 0)]
    for call in calls:
        program += [(equal, 0, 1, call), (answer, 0, 0, 0x00050000 | errno.EPERM)]
    program.append((answer, 0, 0, allow))
    code = b"".join(struct.pack("HBBI", *line) for line in program)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(Program(len(program), code)), 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(2)")


def seconds(*commands, variables=()):
    """Wall seconds of these commands, one after the other; the run ends where one fails."""
    commands = [[shutil.which(command[0]), *command[1:]] for command in commands]
    sample, _, failure = run(commands, variables)
    if failure:
        sys.exit(f"error: {' '.join(commands[0][:3])} failed, exit {failure[0]}: {failure[1]}")
    return sample["wall"]


def seconds_where_nothing_can_be_mounted(*all_commands):
    forbid_mounting()
    return [seconds(command) for command in all_commands]


class Start:
    """A start, and what it is compared with."""

    def __init__(self, name, command, bare, is_forbidden=False):
        self.name = name
        self.commands = [command, bare]
        self.is_forbidden = is_forbidden
        self.samples = [[], []]

    def turn(self, counts=True):
        if self.is_forbidden:
            taken = apart(seconds_where_nothing_can_be_mounted, *self.commands)
        else:
            taken = [seconds(command) for command in self.commands]
        if counts:
            for samples, sample in zip(self.samples, taken):
                samples.append(sample)

    @property
    def medians(self):
        return [statistics.median(samples) * 1e3 for samples in self.samples]

    @property
    def over(self):
        ours, bare = self.medians
        return ours - bare


class Bench:
    """Everything that is measured, in one directory in memory."""

    def __init__(self, binary, threads, place, disk):
        self.threads = str(threads)
        self.place = place
        for directory in (place, disk):
            os.chmod(directory, 0o755)
        # Where the user nobody may run it too.
        self.binary = shutil.copy(binary, os.path.join(disk, "slashopt"))
        self.stacks = {"five": self.copied(five()), "many": self.copied(many())}
        os.mkdir(self.path("at"))
        os.mkdir(self.path("nobody"))
        os.chown(self.path("nobody"), NOBODY, NOBODY)
        self.longer = {}

    def path(self, *names):
        return os.path.join(self.place, *names)

    def copied(self, layers):
        """Layers where nobody can read them."""
        copies = [shutil.copy(layer, self.place) for layer in layers]
        for copy in copies:
            os.chmod(copy, 0o644)
        return copies

    def exec(self, stack, cache, at="at", flags=(), command=(TRUE,)):
        return [self.binary, "exec", *self.stacks[stack], "--cache-dir", self.path(cache), "--at", self.path(at),
                "--threads", self.threads, "--quota", "off", "-q", *flags, "--", *command]

    def extract(self, layers, into):
        return [self.binary, "extract", *layers, "--into", into, "--threads", self.threads, "--quota", "off", "-q"]

    def starts(self):
        mounts = ["--require-mount"]
        nobody = [*AS_NOBODY, TRUE]
        found = [Start("root, five layers", self.exec("five", "root", flags=mounts), [TRUE]),
                 Start("root, ten times the files", self.exec("many", "root", flags=mounts), [TRUE]),
                 Start("nobody, five layers", [*AS_NOBODY, *self.exec("five", "nobody/c", flags=mounts)], nobody),
                 Start("nobody, ten times the files", [*AS_NOBODY, *self.exec("many", "nobody/c", flags=mounts)], nobody),
                 Start("restart from an extracted root, mounting forbidden", self.exec("five", "root", at="extracted"), [TRUE],
                       is_forbidden=True)]
        if shutil.which("bwrap"):
            shown = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", self.path("plain"), self.path("at"), TRUE]
            found += [Start("bwrap with a prepared directory, root", shown, [TRUE]),
                      Start("bwrap with a prepared directory, nobody", [*AS_NOBODY, *shown], nobody)]
        else:
            say("skipped: bwrap is not installed (scripts/judges installs it)")
        return found

    def take(self, name, wall):
        self.longer.setdefault(name, []).append(wall)

    def digests(self):
        began = time.perf_counter()
        for layer in self.stacks["five"]:
            with open(layer, "rb") as file:
                hashlib.file_digest(file, "sha256")
        return time.perf_counter() - began

    def cold(self):
        with self.fresh():
            self.take("cold exec", seconds(self.exec("five", "run/cache", flags=["--require-mount"])))
        with self.fresh() as into:
            alone = [self.extract([layer], os.path.join(into, str(number))) for number, layer in enumerate(self.stacks["five"])]
            self.take("each layer extracted alone, and the digests", seconds(*alone) + self.digests())
        with self.fresh() as into:
            unzipped, merged = os.path.join(into, "apart"), os.path.join(into, "merged")
            script = [sys.executable, "-I", "-S", "-c", UNZIP_AND_COPY, unzipped, merged, *self.stacks["five"]]
            self.take("SAM CLI's unzip and copy", seconds(script))

    @contextlib.contextmanager
    def fresh(self):
        path = self.path("run")
        os.mkdir(path)
        try:
            yield path
        finally:
            shutil.rmtree(path)

    def imports(self):
        # What is compiled could be written beside the modules in the one directory, and not in the other.
        python = [sys.executable, "-B", "-c", "import pandas"]
        self.take("import of pandas, plain directory", seconds(python, variables={"PYTHONPATH": self.path("plain", "python")}))
        runtime = ["--runtime", f"python{sys.version_info.major}.{sys.version_info.minor}", "--require-mount"]
        self.take("import of pandas, exec", seconds(self.exec("five", "root", flags=runtime, command=python)))

    def median(self, name):
        return statistics.median(self.longer[name]) if name in self.longer else None


def measured(binary, threads, rounds):
    """The starts, and the medians of what takes longer, in seconds."""
    files = Workload("many", "", many, (), 0)
    files.prepare()
    with Tmpfs(3 * files.room + (4 << 30)) as place, tempfile.TemporaryDirectory(prefix="slashopt-bench.", dir="/var/tmp") as disk:
        bench = Bench(binary, threads, place.path, disk)
        seconds(bench.extract(bench.stacks["five"], bench.path("plain")))
        time.sleep(SETTLED_SECONDS)
        starts = bench.starts()
        # The wheels among the layers are for one Python.
        has_imports = sys.version_info[:2] == (3, 11)
        if not has_imports:
            say("skipped: the import of pandas, whose wheels are for Python 3.11")
        for number in range(rounds + 1):
            say("warming up" if number == 0 else f"round {number} of {rounds}")
            for again in range(STARTS_A_ROUND):
                first = again % len(starts)
                for start in starts[first:] + starts[:first]:
                    start.turn(counts=number > 0)
            if has_imports:
                bench.imports()
            bench.cold()
            if number == 0:
                bench.longer.clear()
        return starts, {name: bench.median(name) for name in bench.longer}


def judged(starts, longer):
    found = []

    def judge(goal, value, limit, unit=""):
        found.append({"goal": goal, "value": value, "limit": limit, "unit": unit, "held": value <= limit})

    for start in starts:
        if not start.name.startswith("bwrap"):
            judge(f"{start.name}: over {TRUE}", start.over, 2, "ms")
    judge("cold exec / extracting alone and digests", longer["cold exec"] / longer["each layer extracted alone, and the digests"], 1.15)
    if "import of pandas, exec" in longer:
        judge("import of pandas: exec / plain directory",
              longer["import of pandas, exec"] / longer["import of pandas, plain directory"], 1.1)
    return found


def report(starts, longer, found, rounds, load):
    print(f"## Starts\n\n{rounds * STARTS_A_ROUND} of each, interleaved; medians\n\n"
          f"| start | ms | {TRUE} there, ms | over it, ms |\n|---|---|---|---|")
    for start in starts:
        ours, bare = start.medians
        print(f"| {start.name} | {ours:.2f} | {bare:.2f} | {start.over:.2f} |")
    print(f"\n## What takes longer\n\n{rounds} of each, in the same run; medians\n\n| | s | cold exec is |\n|---|---|---|")
    for name, wall in longer.items():
        ratio = "" if name.startswith("import") else f"{longer['cold exec'] / wall:.2f}"
        print(f"| {name} | {wall:.3f} | {ratio} |")
    print(f"\n## Goals\n\n{goals_table(found)}\n\nload at the start {load:.1f}")


def main(binary, threads, rounds):
    if os.geteuid() != 0:
        sys.exit("error: the starts are root's and nobody's: run it as root")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    load = os.getloadavg()[0]
    starts, longer = measured(binary, threads, rounds)
    found = judged(starts, longer)
    report(starts, longer, found, rounds, load)
    with open(os.path.join(TARGET, "bench-start.json"), "w") as file:
        json.dump({"load_at_start": load, "goals": found, "seconds": longer,
                   "starts": [{"name": start.name, "seconds": start.samples[0], "bare_seconds": start.samples[1]} for start in starts]},
                  file, indent=1)
        file.write("\n")
    return 0
