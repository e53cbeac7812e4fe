"""Where it is extracted to: file systems that are fresh or truly in memory, and a control group with little memory."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

SHARED = "/dev/shm"
IMAGE_BYTES = 4 << 30

# The journal and the tables of inodes are written by mkfs, so that no kernel thread does it while we measure.
MAKERS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-O", "has_journal"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K"],
}
PACKAGES = {"ext4": "e2fsprogs", "xfs": "xfsprogs"}


class Unavailable(Exception):
    """Why a place cannot be had here."""


def mounts():
    """The kernel's own table: (device, mount point, type) each."""
    with open("/proc/self/mountinfo") as table:
        for line in table:
            fields = line.split()
            yield fields[2], fields[4], fields[fields.index("-") + 1]


def file_system(path):
    """The type of the file system that holds a path."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    return next((kind for found, _, kind in mounts() if found == wanted), "unknown")


class Tmpfs:
    """A directory that truly is on tmpfs: under /dev/shm, else on one that we mount, which takes root."""

    name = "tmpfs"

    def __init__(self, needed):
        self.needed = needed
        self.mounted = False

    def __enter__(self):
        if os.path.isdir(SHARED) and file_system(SHARED) == "tmpfs":
            room = os.statvfs(SHARED)
            if room.f_bavail * room.f_frsize > self.needed:
                self.path = tempfile.mkdtemp(prefix="slashopt-bench.", dir=SHARED)
                return self
        if os.geteuid() != 0:
            sys.exit("error: no tmpfs with enough room: /dev/shm is not one, and mounting one takes root")
        self.path = tempfile.mkdtemp(prefix="slashopt-bench.")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.needed * 2}", "slashopt-bench", self.path], check=True)
        self.mounted = True
        if file_system(self.path) != "tmpfs":
            sys.exit("error: the file system just mounted is not tmpfs")
        return self

    @contextlib.contextmanager
    def fresh(self):
        """An empty directory; what is in it afterwards is deleted, which tmpfs does not remember."""
        path = os.path.join(self.path, "run")
        os.mkdir(path)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def __exit__(self, *_):
        if self.mounted:
            subprocess.run(["umount", self.path], check=False)
        shutil.rmtree(self.path, ignore_errors=True)


class Image:
    """A file system in an image on tmpfs, made anew for every single run: nothing was ever deleted on it."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        maker = MAKERS[self.name][0]
        if os.geteuid() != 0:
            raise Unavailable("mounting takes root")
        if not shutil.which(maker):
            raise Unavailable(f"{maker} is not installed (Debian's package {PACKAGES[self.name]})")
        if file_system(SHARED) != "tmpfs":
            raise Unavailable("/dev/shm is not tmpfs")
        self.path = tempfile.mkdtemp(prefix="slashopt-bench.", dir=SHARED)
        self.image, self.point = os.path.join(self.path, "image"), os.path.join(self.path, "mounted")
        os.mkdir(self.point)
        try:
            with self.fresh():
                pass
        except subprocess.CalledProcessError as error:
            self.__exit__()
            raise Unavailable(f"{' '.join(error.cmd[:3])}: {error.stderr.decode(errors='replace').strip()}") from error
        return self

    @contextlib.contextmanager
    def fresh(self):
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        subprocess.run([*MAKERS[self.name], self.image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.point], check=True, capture_output=True)
        try:
            if file_system(self.point) != self.name:
                sys.exit(f"error: the file system just mounted is not {self.name}")
            yield self.point
        finally:
            subprocess.run(["umount", self.point], check=True)
            os.unlink(self.image)

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def memory_controller():
    """Where a group can be made, and the files that limit it; the limit of memory comes first."""
    all_mounts = list(mounts())
    unified = next((point for _, point, kind in all_mounts if kind == "cgroup2"), None)
    if unified:
        handed_down = os.path.join(unified, "cgroup.subtree_control")
        if os.path.exists(handed_down):
            with open(handed_down) as file:
                if "memory" in file.read().split():
                    return unified, ["memory.max", "memory.swap.max"]
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            own = os.path.join("/sys/fs/cgroup/memory", path.lstrip("/"))
            if "memory" in controllers.split(",") and os.path.isdir(own):
                return own, ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    raise Unavailable("no memory controller is handed down to us, neither of version 2 nor of version 1")


@contextlib.contextmanager
def little_memory(limit):
    """A control group that allows so many bytes, without swap: what to put before a command that is to run in it.

    Nothing of the machine's set-up is changed for it: where the controller is not handed down, there is no group.
    """
    if os.geteuid() != 0:
        raise Unavailable("making a control group takes root")
    top, limits = memory_controller()
    group = os.path.join(top, f"slashopt-bench.{os.getpid()}")
    try:
        os.mkdir(group)
    except OSError as error:
        raise Unavailable(f"{group}: {error.strerror}") from error
    try:
        for name in limits:
            path = os.path.join(group, name)
            if os.path.exists(path):
                with open(path, "w") as file:
                    file.write("0" if name == "memory.swap.max" else str(limit))
        yield ["/bin/sh", "-c", 'echo $$ >"$0"/cgroup.procs && exec "$@"', group]
    finally:
        os.rmdir(group)
