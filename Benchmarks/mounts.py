"""Speed of `gefs mount` beside other file systems, as ratios to what answers without doing anything.

Peers: gefs and posix (ours, without and with the feature posix), null (nullfuse.c: a FUSE server with files in memory), ext4,
xfs, btrfs (the kernel's, on a loop device), fuse2fs, ntfs-3g, zfs-fuse; those whose programs are not installed are left out.
Each round makes each of them anew on a sparse file of 4 GiB and runs fsbench once; the table has medians, and ours over
the null server's. Wants root, and a machine with nothing else to do.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from tools import compiled, json_lines, run

IMAGE_BYTES = 4 << 30

# What fsbench does by itself to make caches cold.
FORGET = "sync; echo 3 > /proc/sys/vm/drop_caches"
# git reads every file again that is not older than its index, by whole seconds. So a second passes between what was made and
# what is looked at: otherwise chance decides whether git_status is a walk or reads all files.
PAUSE = "sleep 1; "


class Peer:
    """A file system on an image: how it is made, mounted, and unmounted."""

    def __init__(self, name, needs, make, mount, drop=None):
        self.name, self.needs, self.make, self.mount, self.drop = name, needs, make, mount, drop

    def exists(self):
        return all(os.path.exists(word) or shutil.which(word) for word in self.needs)

    def bench(self, folder, fsbench, words):
        image, place = os.path.join(folder, "image"), os.path.join(folder, "mnt")
        os.makedirs(place, exist_ok=True)
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        server = None
        try:
            if self.make:
                run(*(word.format(image=image) for word in self.make))
            mount = [word.format(image=image, place=place) for word in self.mount]
            if self.name == "null":
                server = subprocess.Popen(mount)
                while not os.path.ismount(place):
                    time.sleep(0.01)
            else:
                run(*mount)
            drop = (self.drop or FORGET).format(place=place, again=" ".join(mount))
            command = [fsbench, place, *words, "-d", PAUSE + drop]
            result = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        finally:
            subprocess.run(["umount", place], stderr=subprocess.DEVNULL)
            if server:
                server.wait(60)
            time.sleep(0.2)
            os.unlink(image)
        found = {row["test"]: row for row in json_lines(result.stdout) if "value" in row}
        return found


def peers(gefs, null):
    ours = "{gefs} umount {{place}} && {{again}}".format(gefs=gefs)
    mount = [gefs, "mount", "{image}", "{place}", "--no-snapshots"]
    ream = [gefs, "ream", "{image}", "--force", "--yes", "--quiet", "--user", "root"]
    loop = ["mount", "-o", "loop", "{image}", "{place}"]
    return [
        Peer("gefs", [gefs], ream, mount, ours),
        Peer("posix", [gefs], [*ream, "--features", "posix"], mount, ours),
        Peer("null", [null], None, [null, "{place}"]),
        Peer("ext4", ["mkfs.ext4"], ["mkfs.ext4", "-q", "-F", "{image}"], loop),
        Peer("xfs", ["mkfs.xfs"], ["mkfs.xfs", "-q", "-f", "{image}"], loop),
        Peer("btrfs", ["mkfs.btrfs"], ["mkfs.btrfs", "-q", "-f", "{image}"], loop),
        Peer("fuse2fs", ["fuse2fs", "mkfs.ext4"], ["mkfs.ext4", "-q", "-F", "{image}"],
             ["fuse2fs", "{image}", "{place}"]),
        Peer("ntfs-3g", ["ntfs-3g", "mkfs.ntfs"], ["mkfs.ntfs", "-q", "-F", "-f", "{image}"],
             ["ntfs-3g", "-o", "big_writes", "{image}", "{place}"]),
    ]


def table(rounds, names):
    tests = []
    for found in rounds:
        for rows in found.values():
            tests += [test for test in rows if test not in tests]
    print("%-22s %-10s" % ("row", "unit") + "".join("%12s" % name for name in names) + "%10s" % "of null")
    report = {}
    for test in tests:
        medians, unit = {}, ""
        for name in names:
            values = [found[name][test]["value"] for found in rounds if test in found.get(name, {})]
            if values:
                medians[name] = statistics.median(values)
                unit = next(f[name][test]["unit"] for f in rounds if test in f.get(name, {}))
        ratios = [found["gefs"][test]["value"] / found["null"][test]["value"] for found in rounds
                  if test in found.get("gefs", {}) and found.get("null", {}).get(test, {}).get("value")]
        cells = "".join("%12.5g" % medians[name] if name in medians else "%12s" % "-" for name in names)
        print("%-22s %-10s" % (test, unit) + cells + ("%10.2f" % statistics.median(ratios) if ratios else ""))
        report[test] = {"unit": unit, **medians}
    return report


def add_arguments(parser):
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--peers")
    parser.add_argument("--scale")
    parser.add_argument("-o", dest="tests")
    parser.add_argument("--tar", help="unpack this archive, too; by default one of /usr/include")
    parser.add_argument("--git", help="clone this bare repository, too")


def archive(folder):
    """An archive of /usr/include, for who has named no other one."""
    name = os.path.join(folder, "include.tar")
    run("tar", "-C", "/usr", "-cf", name, "include")
    return name


def measure(options):
    quick = options.quick
    rounds_wanted = options.rounds or (1 if quick else 3)
    tests = options.tests or ("meta" if quick else None)
    scale = options.scale or ("0.05" if quick else "1")
    folder = tempfile.mkdtemp(prefix="gefs-mounts-", dir=options.folder)
    try:
        fsbench = compiled(options, "fsbench")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.split()
        null = compiled(options, "nullfuse", *flags)
        wanted = (options.peers or ("gefs,null" if quick else "gefs,posix,null,ext4,xfs,btrfs")).split(",")
        chosen = [peer for peer in peers(os.path.abspath(options.gefs), null)
                  if peer.exists() and peer.name in wanted]
        words = ["-s", scale] + (["-o", tests] if tests else [])
        tar = options.tar or (archive(folder) if not quick and os.path.isdir("/usr/include") else None)
        for letter, path in (("-t", tar), ("-g", options.git)):
            words += [letter, os.path.abspath(path)] if path else []
        rounds = []
        for number in range(rounds_wanted):
            found = {}
            for peer in chosen:
                print("round %d: %s" % (number + 1, peer.name), file=sys.stderr)
                found[peer.name] = peer.bench(folder, fsbench, words)
            rounds.append(found)
        return rows(table(rounds, [peer.name for peer in chosen]))
    finally:
        shutil.rmtree(folder)


def rows(report):
    """The report as rows for the record, ours first."""
    found = []
    for test, row in report.items():
        unit = row.pop("unit")
        found.append({"section": "mounts", "row": test, "value": row.pop("gefs", None), "unit": unit,
                      "better": "lower" if unit in ("s", "us", "ms") else "higher", "peers": row})
    return [row for row in found if row["value"] is not None]
