"""Scaling curves: what an operation costs by how many files, snapshots, clients, threads there are, how old the image is, and
how long opening takes.

Each part can be taken alone (-t), so that a long run can be resumed: files, served, snapshots, threads, clients, ageing, open.
"""
import os
import statistics

import engine
from tools import Server, forget, in_process

# Cost at the most files by that at this many, and the most that may be.
BASE_FILES, RATIO_LIMIT = 10000, 1.5
OPEN_LIMIT_SECONDS = 0.3
P99_OF_FAIR_LIMIT = 1.5
LAYOUTS = ("flat", "nested")


def row(name, value, unit, better="lower", **more):
    return {"section": "scaling", "row": name, "value": value, "unit": unit, "better": better, **more}


def curve(found, by, word):
    """Rows of gefs-bench that were taken at several counts, with the count in their names."""
    for item in engine.rows(found):
        item["section"] = "scaling"
        item["curve"] = item["row"]
        item["at"] = item[by]
        item["row"] = "%s, %s %s" % (item["row"], format(int(item[by]), ","), word)
    return found


def files(options):
    """In process: one directory, and nested ones."""
    counts = options.files or ("1000,10000" if options.quick else "1000,10000,100000,1000000,10000000")
    found = []
    for layout in LAYOUTS:
        found += curve(in_process(options, "files", "--folder", options.folder, "--layout", layout, "--counts", counts,
                                  *(["--operations", 5000] if options.quick else [])), "files", "files")
    return found + ratios(found, "in process", "cpu_us")


def ratios(found, where, field):
    """Cost at the most files by that at 10,000."""
    extra = []
    for name in dict.fromkeys(item["curve"] for item in found):
        points = {item["at"]: item[field] if item.get(field) is not None else item["value"]
                  for item in found if item["curve"] == name}
        most = max(points)
        if BASE_FILES in points and most > BASE_FILES and "fill" not in name:
            extra.append(row("%s %s: %s files to 10,000" % (where, name, format(int(most), ",")),
                             points[most] / points[BASE_FILES], "times", limit=RATIO_LIMIT))
    return extra


def served(options):
    """Over 9P, where an operation is what a client waits for: three messages."""
    counts = [10000, 20000] if options.quick else [10000, 100000, 1000000, 10000000]
    if options.files:
        counts = [int(count) for count in options.files.split(",")]
    found = []
    for layout in LAYOUTS:
        image = os.path.join(options.folder, "scaling.img")
        if os.path.exists(image):
            os.unlink(image)
        present = 0
        for count in counts:
            in_process(options, "fill", image, "--from", present, "--to", count, "--layout", layout,
                       *([] if present else ["--size", 64]))
            present = count
            with Server(options, image, "3G") as server:
                found += served_at(options, server, count, layout)
        os.unlink(image)
    # As a client sees it, where commits go on behind its back; and with all that a commit takes.
    return (found + ratios(found, "served, time of", "value")
            + ratios(found, "served, processors' time with commits of", "cpu_us"))


def served_at(options, server, count, layout):
    operations = 2000 if options.quick else 20000
    place = ["-L"] if layout == "nested" else []
    found = []

    def load(kind, number, *more):
        """One pass that pays for nothing of what was done before, and what its commit takes."""
        server.console.run("sync")
        before = server.processor_seconds()
        seen = server.load(options, "-n", number, "-t", kind, "-N", count, *place, *more)
        server.console.run("sync")
        seen["with_commit"] = (server.processor_seconds() - before) / number * 1e6
        return seen

    # The nodes are read before anything is measured.
    load("stat", 1000 if options.quick else max(50000, count // 20))
    # What undoes each kind, so that there are as many files each time.
    kinds = {"stat": ("stat", None), "create, random": ("create", "remove"), "remove, random": ("remove", "create")}
    if layout == "flat":
        kinds["create, ascending"] = ("mkfiles", "rmfiles")
    number = min(operations, count)
    for word, (kind, undo) in kinds.items():
        more = ["-b", count] if kind == "mkfiles" else []
        if kind == "remove":
            load(undo, number)
        each = []
        for _ in range(1 if options.quick else 5):
            each.append(load(kind, number, *more))
            if undo:
                load(undo, number, *more)
        if kind == "remove":
            load(kind, number)
        name = "%s %s" % (layout, word)
        found.append(row("served %s, %s files" % (name, format(count, ",")),
                         1e6 / max(item["value"] for item in each), "us", curve=name, at=count,
                         server_cpu_us=min(item["server_cpu_us"] for item in each),
                         cpu_us=min(item["with_commit"] for item in each),
                         p99_us=min(item["p99_us"] for item in each)))
    return found


def snapshots(options):
    sizes = ["--files", 5000, "--counts", "1,10"] if options.quick else []
    return curve(in_process(options, "snapshots", "--folder", options.folder, *sizes), "snapshots", "snapshots")


def threads(options):
    sizes = ["--files", 20000, "--operations", 20000] if options.quick else []
    return curve(in_process(options, "threads", "--folder", options.folder, *sizes), "threads", "threads")


def ageing(options):
    sizes = ["--size", 256, "--operations", 2000] if options.quick else []
    found = engine.rows(in_process(options, "ageing", "--folder", options.folder, *sizes))
    for item in found:
        item["section"], item["row"] = "scaling", "ageing, " + item["row"]
        if item["unit"] == "blocks":
            item["better"] = "higher"
    return found


def clients(options):
    """One connection and many, with 1 and with 8 operations outstanding; who gets how much."""
    image = os.path.join(options.folder, "clients.img")
    if os.path.exists(image):
        os.unlink(image)
    names = 10000 if options.quick else 100000
    in_process(options, "fill", image, "--size", 16, "--to", names)
    seconds = 0.3 if options.quick else 3
    numbers = (1, 8, 64) if options.quick else (1, 2, 4, 8, 16, 32, 64)
    found, rates = [], {}
    with Server(options, image, "1G") as server:
        for kind in ("stat", "read", "pread", "create"):
            made = 0
            for outstanding in (1, 8):
                for connections in numbers:
                    words = ["-c", connections, "-q", outstanding, "-t", kind, "-N", names]
                    if kind == "create":
                        count = names // (2 * len(numbers) + 1)
                        words += ["-n", count, "-b", made]
                        made += count
                        seen = server.load(options, *words)
                    else:
                        seen = max((server.load(options, *words, "-s", seconds) for _ in range(1 if options.quick else 3)),
                                   key=lambda item: item["value"])
                    rates[kind, connections, outstanding] = seen
                    more = {}
                    if connections == 64:
                        found.append(row("%s, 64 connections, %d each: p99 of the fair share" % (kind, outstanding),
                                         seen["p99_of_fair"], "times", limit=P99_OF_FAIR_LIMIT,
                                         share_min=seen["share_min"], share_max=seen["share_max"]))
                    found.append(row("%s, %d connections, %d each" % (kind, connections, outstanding), seen["value"], "/s",
                                     "higher", curve="%s, %d each" % (kind, outstanding), at=connections,
                                     server_cpu_us=seen["server_cpu_us"], p50_us=seen["p50_us"], p99_us=seen["p99_us"],
                                     share_min=seen["share_min"], share_max=seen["share_max"], **more))
            many = {each: rates[kind, 64, each]["value"] for each in (1, 8)}
            for each in (1, 8):
                found.append(row("%s, 64 connections with %d each to one with 8" % (kind, each),
                                 many[each] / rates[kind, 1, 8]["value"], "times", "higher", limit=1, limit_is="min"))
                found.append(row("%s, 64 connections with %d each to one with 1" % (kind, each),
                                 many[each] / rates[kind, 1, 1]["value"], "times", "higher", limit=4, limit_is="min"))
    os.unlink(image)
    return found


def opening(options):
    """By the length of the logs, and of an image with many files of which 64 GiB are in use."""
    found = in_process(options, "logs", "--folder", options.folder, *(["--commits", "1,50"] if options.quick else []))
    count, used = (20000, 1) if options.quick else (10000000, 64)
    image = os.path.join(options.folder, "open-%d.img" % count)
    made = image + ".making"
    if not os.path.exists(image):
        if os.path.exists(made):
            os.unlink(made)
        in_process(options, "fill", made, "--size", 2 * used + 16, "--to", count, "--data", used)
        os.rename(made, image)
    forget(image)
    found += in_process(options, "open", image, "--name", "%s files, %d GiB used" % (format(count, ","), used))
    engine.rows(found)
    for item in found:
        item["section"], item["row"] = "scaling", "open " + item["row"]
        item["limit"] = OPEN_LIMIT_SECONDS
    large = found[-1]
    found.append(row(large["row"] + ", not in the page cache", large["first_s"], "s", limit=OPEN_LIMIT_SECONDS))
    starts = []
    for _ in range(1 if options.quick else 5):
        forget(image)
        with Server(options, image) as server:
            starts.append(server.start_seconds)
    found.append(row(large["row"] + ", served, not in the page cache", statistics.median(starts), "s",
                     limit=OPEN_LIMIT_SECONDS))
    if options.quick:
        os.unlink(image)
    return found


PARTS = {"files": files, "served": served, "snapshots": snapshots, "threads": threads, "clients": clients,
         "ageing": ageing, "open": opening}


def add_arguments(parser):
    parser.add_argument("-t", dest="tests", help="some of " + ",".join(PARTS))
    parser.add_argument("--files", help="numbers of files, with commas between")


def measure(options):
    found = []
    for name in options.tests.split(",") if options.tests else PARTS:
        # Each part is a section of its own in the record, so that one can be taken anew.
        part = PARTS[name](options)
        for item in part:
            item["section"] = "scaling, " + name
        found += part
    return found
