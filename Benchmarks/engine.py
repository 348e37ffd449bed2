"""What gefs-bench measures in process, as rows: micro, engine, and what is written to the device."""
import os
import statistics
import subprocess

from tools import in_process, run


def rows(found, better="lower"):
    for row in found:
        row["better"] = "higher" if row["unit"] in ("MB/s", "/s") else better
    return found


def micro(options):
    return rows(in_process(options, "micro", "--seconds", 0.02 if options.quick else 1))


def engine(options):
    sizes = (["--files", 20000, "--operations", 5000, "--data", 16] if options.quick
             else ["--files", 1000000, "--operations", 200000, "--data", 512])
    return rows(in_process(options, "engine", "--folder", options.folder, *sizes))


# Bytes that a byte of metadata may cost in creations, and blocks that the commit of one may.
CREATION_LIMITS = {"create, ascending names": 3, "create, random names": 6}
ONE_BLOCK_LIMIT = 12


def writes(options):
    """What is written, beside what is demanded, and what the kernel's file systems write for the same."""
    files = 20000 if options.quick else 1000000
    found = rows(in_process(options, "writes", "--folder", options.folder, "--files", files,
                            *(["--commit-every", 5000] if options.quick else [])))
    for row in found:
        if row["row"] in CREATION_LIMITS:
            row["limit"] = CREATION_LIMITS[row["row"]]
            row["bytes_per_file"] = row["written_mib"] * 2**20 / files
        elif row["row"] == "commit of one dirty block":
            row["limit"] = ONE_BLOCK_LIMIT
        elif "bound" in row:
            # What a commit writes at least is in the bound for a single block.
            row["limit"] = max(row["bound"], ONE_BLOCK_LIMIT)
    if options.kernel_peers:
        for peer in ("ext4", "xfs", "btrfs"):
            for name in CREATION_LIMITS:
                mine = next(row for row in found if row["row"] == name)
                mine.setdefault("peers", {"gefs, bytes a file": mine["bytes_per_file"]})
                spent = kernel_creations(options, peer, files, "random" in name)
                if spent:
                    mine["peers"]["%s, bytes a file" % peer] = spent
    return found


def kernel_creations(options, peer, files, is_random):
    """Bytes that a file system of the kernel writes for each of so many creations, counted by its device."""
    image, place = os.path.join(options.folder, "peer.img"), os.path.join(options.folder, "peer")
    os.makedirs(place, exist_ok=True)
    with open(image, "wb") as file:
        file.truncate(8 << 30)
    loop = None
    try:
        loop = subprocess.run(["losetup", "--find", "--show", image], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()
        # Enough inodes; and commits as often as ours.
        make = {"ext4": ["mkfs.ext4", "-q", "-F", "-N", str(files * 5 // 4 + 1000)],
                "xfs": ["mkfs.xfs", "-q", "-f"], "btrfs": ["mkfs.btrfs", "-q", "-f"]}[peer]
        run(*make, loop)
        run("mount", *({"ext4": ["-o", "commit=5"], "btrfs": ["-o", "commit=5"]}.get(peer, [])), loop, place)
        try:
            folder = os.path.join(place, "one")
            os.mkdir(folder)
            os.sync()
            before = written(loop)
            step = files * 618 // 1000 | 1
            for index in range(files):
                number = index * step % files if is_random else index
                os.close(os.open("%s/f%09d" % (folder, number), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.sync()
            return (written(loop) - before) / files
        finally:
            run("umount", place)
    except (OSError, subprocess.CalledProcessError) as error:
        print("%s is left out: %s" % (peer, error))
        return None
    finally:
        if loop:
            subprocess.run(["losetup", "-d", loop])
        os.unlink(image)


def written(loop):
    with open("/sys/block/%s/stat" % os.path.basename(loop)) as file:
        return int(file.read().split()[6]) * 512
