"""What is resident: caches beside their limits, a cached node, an open fid, and what is given back when nothing is to be done."""
import os
import time

from tools import Server, in_process, ream

CACHE_LIMIT = 1.1
# What the pool of blocks keeps for the next ones, and what a heap has of holes.
POOL_MIB = 16 + 8
# The flush thread looks every five seconds: once it commits, once it sees that the commit has read, then it gives back.
IDLE_SECONDS = 25


def row(name, value, unit, **more):
    return {"section": "memory", "row": name, "value": value, "unit": unit, "better": "lower", **more}


def measure(options):
    sizes = ["--files", 400000, "--caches", "16"] if options.quick else []
    found = in_process(options, "memory", "--folder", options.folder, *sizes)
    for item in found:
        item["better"] = "lower"
        item["limit"] = CACHE_LIMIT
    nodes = [row("a cached node, " + item["row"].split(",")[0], item["bytes_per_block"], "bytes") for item in found
             if item["evictions"] > 0]
    return found + nodes + fids(options) + caches(options)


def fids(options):
    """A million open fids of a server, and what is left of them when they are gone."""
    names, count = (50000, 100000) if options.quick else (1000000, 1000000)
    image = os.path.join(options.folder, "fids.img")
    if os.path.exists(image):
        os.unlink(image)
    in_process(options, "fill", image, "--size", 16, "--to", names)
    found = []
    with Server(options, image, "256M") as server:
        # The tree is in the cache before, so that only the fids are seen.
        server.load(options, "-n", 10000 if options.quick else 300000, "-t", "stat", "-N", names)
        before = server.status("VmRSS")
        seen = server.load(options, "-c", 8, "-f", count, "-N", names, "-w", 1)
        found.append(row("an open fid", seen["value"], "bytes", fids=seen["n"], seconds=seen["secs"]))
        time.sleep(IDLE_SECONDS)
        left = (server.status("VmRSS") - before) * 1024
        held = max(1, (seen["with_kib"] - seen["before_kib"]) * 1024)
        found.append(row("of the memory of fids, left when they are gone and nothing is done", left / held, "times",
                         left_mib=left / 2**20, held_mib=held / 2**20, limit=0.1))
    os.unlink(image)
    return found


def caches(options):
    """A server with a cache of 64 MiB under load, and idle after it."""
    image = ream(options, "idle.img", "16G")
    names = 10000 if options.quick else 1000000
    found = []
    with Server(options, image, "64M") as server:
        fresh = server.status("VmRSS")
        server.load(options, "-c", 16, "-q", 8, "-t", "mkfiles", "-n", names, "-N", names)
        server.load(options, "-c", 64, "-q", 8, "-t", "stat", "-n", names, "-N", names)
        high = server.status("VmHWM")
        time.sleep(1 if options.quick else IDLE_SECONDS)
        idle = server.status("VmRSS")
        found.append(row("server, fresh", fresh / 1024, "MiB"))
        found.append(row("server with a cache of 64 MiB, most under load", high / 1024, "MiB"))
        found.append(row("server with a cache of 64 MiB, idle after it, above fresh", (idle - fresh) / 1024, "MiB",
                         limit=64 * CACHE_LIMIT + POOL_MIB))
    os.unlink(image)
    return found
