"""Packs the working directory as Python programs do: `pack.py WAY ARCHIVE`."""

import io
import os
import shutil
import stat
import struct
import sys
import zipfile
import zlib


def names():
    """Everything here, directories before what they hold; links to directories are not entered."""
    for folder, folders, files in os.walk("."):
        folders.sort()
        for name in sorted(folders + files):
            yield os.path.relpath(os.path.join(folder, name), ".")


class Pipe(io.RawIOBase):
    """What a socket or a pipe is to zipfile: it can be written, and nothing else."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def writable(self):
        return True

    def seekable(self):
        return False

    def write(self, data):
        return self.file.write(data)

    def close(self):
        self.file.close()
        super().close()


def add_all(archive):
    for name in names():
        archive.write(name)


def seekable(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        add_all(archive)


def stored(path):
    with zipfile.ZipFile(path, "w") as archive:
        add_all(archive)


def unseekable(path):
    with Pipe(path) as pipe, zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        add_all(archive)


def unseekable_stored(path):
    with Pipe(path) as pipe, zipfile.ZipFile(pipe, "w") as archive:
        add_all(archive)


def without_zip64(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=False) as archive:
        add_all(archive)


def force_zip64(path, pipe=None):
    with zipfile.ZipFile(pipe or path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names():
            entry = zipfile.ZipInfo.from_file(name)
            if entry.is_dir():
                archive.write(name)
                continue
            entry.compress_type = zipfile.ZIP_DEFLATED
            with open(name, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


def force_zip64_unseekable(path):
    with Pipe(path) as pipe:
        force_zip64(path, pipe)


def writestr(path):
    """Names and bytes, as build scripts write them: no times to speak of, mode 0600, links as SAM CLI keeps them."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names():
            if os.path.islink(name):
                entry = zipfile.ZipInfo(name)
                entry.create_system = 3
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(entry, os.readlink(name))
            elif os.path.isfile(name):
                with open(name, "rb") as source:
                    archive.writestr(name, source.read(), zipfile.ZIP_DEFLATED)


def mkdir(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names():
            if os.path.isdir(name):
                archive.mkdir(name)
            else:
                archive.write(name)


def appended(path):
    """Written, closed, opened again: the second directory takes the place of the first."""
    every = list(names())
    for half in (every[::2], every[1::2]):
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            for name in half:
                archive.write(name)


def make_archive(path):
    shutil.make_archive(path.removesuffix(".zip"), "zip", ".")


def make_archive_below(path):
    shutil.make_archive(path.removesuffix(".zip"), "zip", "..", os.path.basename(os.getcwd()))


def go(path, is_zip64=False):
    """What Go's archive/zip writes, byte by byte: the header before the data knows no size, a signed descriptor follows the
    data, the extended timestamp stands in both headers, and only directories do without a descriptor. With zip64 the 32-bit
    fields are saturated as for an entry beyond 4 GiB: the directory's extra field holds sizes and place, the descriptor has
    64-bit sizes, and the local header does not know about either."""
    out = bytearray()
    directory = bytearray()
    count = 0
    for name in names():
        status = os.lstat(name)
        is_directory = stat.S_ISDIR(status.st_mode)
        stored_name = (name + "/" if is_directory else name).encode()
        content = b""
        if stat.S_ISLNK(status.st_mode):
            content = os.readlink(name).encode()
        elif not is_directory:
            with open(name, "rb") as source:
                content = source.read()
        method, data = 0, content
        if not is_directory:
            compressor = zlib.compressobj(5, zlib.DEFLATED, -15)
            method, data = 8, compressor.compress(content) + compressor.flush()
        flags = (0 if is_directory else 8) | (0 if stored_name.isascii() else 0x800)
        moment = zipfile.ZipInfo.from_file(name).date_time if os.path.exists(name) else (1980, 1, 1, 0, 0, 0)
        date = (moment[0] - 1980) << 9 | moment[1] << 5 | moment[2]
        time = moment[3] << 11 | moment[4] << 5 | moment[5] // 2
        extended = struct.pack("<HHBL", 0x5455, 5, 1, int(status.st_mtime))
        offset, crc = len(out), zlib.crc32(content)
        out += struct.pack("<LHHHHHLLLHH", 0x04034B50, 20, flags, method, time, date, 0, 0, 0, len(stored_name), len(extended))
        out += stored_name + extended + data
        is_long = is_zip64 and not is_directory
        if flags & 8:
            out += struct.pack("<LLQQ" if is_long else "<LLLL", 0x08074B50, crc, len(data), len(content))
        extra, sizes, place = extended, (len(data), len(content)), offset
        if is_long:
            extra += struct.pack("<HHQQQ", 1, 24, len(content), len(data), offset)
            sizes, place = (0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF
        attributes = status.st_mode << 16 | (0x10 if is_directory else 0)
        directory += struct.pack("<LHHHHHHLLLHHHHHLL", 0x02014B50, 3 << 8 | (45 if is_long else 20), 45 if is_long else 20,
                                 flags, method, time, date, crc, *sizes, len(stored_name), len(extra), 0, 0, 0, attributes, place)
        directory += stored_name + extra
        count += 1
    start = len(out)
    out += directory
    ends = [count, len(directory), start]
    if is_zip64:
        out += struct.pack("<LQHHLLQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(directory), start)
        out += struct.pack("<LLQL", 0x07064B50, 0, start + len(directory), 1)
        ends = [0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF]
    out += struct.pack("<LHHHHLLH", 0x06054B50, 0, 0, ends[0], ends[0], ends[1], ends[2], 0)
    with open(path, "wb") as file:
        file.write(out)


def go_zip64(path):
    go(path, is_zip64=True)


globals()[sys.argv[1]](sys.argv[2])
