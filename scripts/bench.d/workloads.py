"""What is extracted: the workloads, how their layers are made, and what a right tree of them is.

Real layers come from scripts/real-layers, the others are written once into target/bench-layers, always with the same bytes
for one version of Python. What a workload needs beyond this file is only its name.
"""

import json
import os
import random
import stat
import subprocess
import sys
import traceback
import zipfile
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Where cargo and the scripts write to; they are run elsewhere, so the variable becomes absolute.
TARGET = os.path.abspath(os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target"))
os.environ["CARGO_TARGET_DIR"] = TARGET
REAL = os.path.join(TARGET, "real-layers")
GENERATED = os.path.join(TARGET, "bench-layers")

# The times of all generated entries.
WHEN = (2026, 1, 2, 3, 4, 6)


def say(text):
    print(text, file=sys.stderr, flush=True)


def apart(work, *arguments):
    """Does it in a child, since the kernel counts our own memory to the programs that we start."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(there, "w") as results:
                json.dump(work(*arguments), results)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(there)
    with os.fdopen(here) as results:
        text = results.read()
    if os.waitpid(child, 0)[1]:
        sys.exit(f"error: {work.__name__} failed")
    return json.loads(text)


# ---- generating -----------------------------------------------------------------------------------------------------

def prose():
    """About 2 MB of words, which deflate to about a third as code and documentation do."""
    chance = random.Random(20260102)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(chance.choices(letters, range(26, 0, -1), k=chance.randint(2, 9))) for _ in range(4000)]
    return "\n".join(" ".join(chance.choices(words, range(4000, 0, -1), k=9)) for _ in range(40_000)).encode()


def entry(name, mode=stat.S_IFREG | 0o644):
    info = zipfile.ZipInfo(name, WHEN)
    info.create_system = 3
    info.compress_type = zipfile.ZIP_STORED if name.endswith("/") else zipfile.ZIP_DEFLATED
    info.external_attr = mode << 16 | (0x10 if name.endswith("/") else 0)
    return info


def fill(archive, count, sizes, seed, folder="python"):
    """So many files of such sizes, fifty in a directory, a hundred directories in a package."""
    text, chance = prose(), random.Random(seed)
    for number in range(count):
        package, module = f"{folder}/package{number // 5000:03}/", f"module{number // 50 % 100:02}/"
        if number % 5000 == 0:
            archive.writestr(entry(package, stat.S_IFDIR | 0o755), b"")
        if number % 50 == 0:
            archive.writestr(entry(package + module, stat.S_IFDIR | 0o755), b"")
        size = chance.randint(*sizes)
        start = chance.randrange(len(text) - size)
        archive.writestr(entry(f"{package}{module}file{number % 50:02}.py"), text[start:start + size])


def write_small(path, count):
    with zipfile.ZipFile(path, "w") as archive:
        fill(archive, count, (200, 2000), count)


def write_many(path, number):
    """As many small files as five such layers take to have ten times the files of the five real ones."""
    with zipfile.ZipFile(path, "w") as archive:
        fill(archive, 27_500, (200, 2000), number, f"python/layer{number}")


def write_version(path, version):
    """4,000 files of the same names whatever the version, about 120 MB."""
    with zipfile.ZipFile(path, "w") as archive:
        fill(archive, 4000, (1000, 60_000), version)


def write_big(path, names):
    """One executable of 85 MB: the two of the kubectl layer, joined."""
    with zipfile.ZipFile(os.path.join(REAL, "cdk-kubectl.zip")) as kubectl, zipfile.ZipFile(path, "w") as archive:
        with archive.open(entry(f"bin/{'-'.join(names)}", stat.S_IFREG | 0o755), "w") as joined:
            for name in names:
                joined.write(kubectl.read(f"{name}/{name}"))


def write_huge(path):
    """One entry of 5 GB, of text that repeats: it is there for the memory that it takes, not for its inflating."""
    text = prose()
    with zipfile.ZipFile(path, "w", compresslevel=1) as archive:
        info = entry("data/huge.bin")
        info._compresslevel = 1
        with archive.open(info, "w", force_zip64=True) as file:
            for block in range(5000):
                start = block * 317 % (len(text) - 20_000)
                file.write(text[start:start + 20_000] * 50)


def generated(name, write, *arguments):
    """A layer's path; it is written where it is missing, and appears whole."""
    path = os.path.join(GENERATED, name + ".zip")
    if not os.path.exists(path):
        say(f"writing {os.path.relpath(path, ROOT)}")
        os.makedirs(GENERATED, exist_ok=True)
        apart(write, path + ".new", *arguments)
        os.replace(path + ".new", path)
    return path


def real_layers(*names):
    """Has scripts/real-layers make what is missing: these, or all without names."""
    if subprocess.run([os.path.join(ROOT, "scripts", "real-layers"), *names], check=False, stdout=sys.stderr).returncode:
        sys.exit("error: the real layers could not be built")


def five():
    """The five layers, built where one is missing or the list is that of another place."""
    listing = os.path.join(REAL, "five.list")

    def listed():
        if not os.path.exists(listing):
            return []
        with open(listing) as lines:
            return [line.rstrip("\n") for line in lines]

    layers = listed()
    if not layers or not all(os.path.dirname(layer) == REAL and os.path.exists(layer) for layer in layers):
        say("building the real layers")
        real_layers()
        layers = listed()
    return layers


def big():
    if not os.path.exists(os.path.join(REAL, "cdk-kubectl.zip")):
        real_layers("cdk-kubectl")
    return [generated("big-1", write_big, ["kubectl", "helm"]), generated("big-2", write_big, ["helm", "kubectl"])]


def small(thousands):
    return [generated(f"small-{thousands}k", write_small, thousands * 1000)]


def many():
    return [generated(f"many-{number}", write_many, number) for number in range(1, 6)]


def overridden():
    return [generated(f"version-{version:02}", write_version, version) for version in range(1, 11)]


def huge():
    return [generated("huge", write_huge)]


class Workload:
    """A job: what it is, who makes its layers, who takes part, and how many rounds are worth their time."""

    def __init__(self, name, title, make, peers, runs, quick=False):
        self.name = name
        self.title = title
        self.make = make
        self.peers = peers
        self.runs = runs
        self.quick = quick
        self.layers = []

    def prepare(self):
        """Makes the layers, and has them in the page cache."""
        self.layers = self.make()
        for layer in self.layers:
            with open(layer, "rb") as file:
                while file.read(1 << 20):
                    pass
        self.inventory = [apart(describe, layer) for layer in self.layers]

    @property
    def room(self):
        """Bytes that a tree of all entries takes at the most, on a file system with pages of 4 KiB."""
        return sum(layer["unzipped"] + 5000 * layer["entries"] for layer in self.inventory)


ALL = ("ripunzip", "bsdtar", "7z", "unzip", "python zipfile")
FAST = ("ripunzip",)
WORKLOADS = [
    Workload("five", "five real layers", five, ALL, 11, quick=True),
    Workload("big", "two layers of one big executable each", big, ALL, 7, quick=True),
    Workload("small-10k", "10,000 small files", lambda: small(10), FAST, 11, quick=True),
    Workload("small-100k", "100,000 small files", lambda: small(100), ALL, 5),
    Workload("small-500k", "500,000 small files", lambda: small(500), FAST, 3),
    Workload("overridden", "ten layers, nine of them wholly overridden", overridden, FAST, 11, quick=True),
    Workload("huge", "one entry of 5 GB", huge, (), 3),
]


# ---- judging --------------------------------------------------------------------------------------------------------

def describe(layer):
    """What is in a layer."""
    with zipfile.ZipFile(layer) as archive:
        entries = archive.infolist()
    return {"name": os.path.basename(layer), "bytes": os.path.getsize(layer), "entries": len(entries),
            "files": sum(not entry.is_dir() for entry in entries), "unzipped": sum(entry.file_size for entry in entries)}


def wanted(layers):
    """Path to (kind, CRC-32): the later layer wins. The workloads have no layers that disagree about a path's kind."""
    tree = {}
    for layer in layers:
        with zipfile.ZipFile(layer) as archive:
            for info in archive.infolist():
                raw = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
                parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
                for depth in range(1, len(parts)):
                    tree.setdefault(b"/".join(parts[:depth]), ("directory", 0))
                kind = "directory" if raw.endswith(b"/") else "file"
                if info.create_system == 3 and stat.S_ISLNK(info.external_attr >> 16):
                    kind = "link"
                if parts:
                    tree[b"/".join(parts)] = (kind, 0 if kind == "directory" else info.CRC)
    return tree


def crc_of(path):
    crc = 0
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            crc = zlib.crc32(piece, crc)
    return crc


def walk(into):
    """Everything below a directory: (path, kind), both without following a link."""
    for folder, folders, names in os.walk(os.fsencode(into)):
        for name in folders + names:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            yield path, "directory" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "file"


def count(into):
    """What a tool left behind: it says at a glance who lost the links."""
    counts = {"file": 0, "directory": 0, "link": 0}
    for _, kind in walk(into):
        counts[kind] += 1
    return counts


def mistakes(into, layers):
    """Where a tree is not what the directories of the layers say; the first few."""
    expected, found = wanted(layers), []
    for path, kind in walk(into):
        crc = {"file": crc_of, "link": lambda link: zlib.crc32(os.readlink(link)), "directory": lambda _: 0}[kind](path)
        below = os.path.relpath(path, os.fsencode(into))
        if expected.pop(below, None) != (kind, crc):
            found.append(f"{os.fsdecode(below)} is not the layers'")
    return (found + [f"{os.fsdecode(path)} is missing" for path in expected])[:5]
