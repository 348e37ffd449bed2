"""Speed of `gefs serve` over 9P, as ratios to what this machine does without a file system.

Each round takes the calibration (loopback echo, raw file) and then one pass of bench9p on a fresh
4 GiB sparse image. Ratios are taken within a round; the table shows best and median.
"""
import os
import statistics
import subprocess
import sys

from tools import Server, compiled, json_lines, ream

# Row: (messages an operation, the original's share of its ceiling, its server CPU in seconds an
# operation or a byte). Measured with the same load generator; see RESULTS.md.
ORIGINAL = {
    "create": (3, 0.22, 71e-6),
    "stat": (3, 0.21, 57e-6),
    "remove": (2, 0.14, 76e-6),
    "create+write4k": (4, 0.19, 116e-6),
    "remove4k": (2, 0.15, 79e-6),
    "randwrite4k": (1, 0.08, 76e-6),
    "randread4k": (1, 0.23, 20e-6),
    "seqwrite": (0, 0.30, 2.3e-9),
    "seqwrite+sync": (0, 0.30, 2.3e-9),
    "seqread": (0, 0.63, 1.0e-9),
    "readdir": (None, None, 320e-9),
}


def rows(output):
    return {row["name"]: row for row in json_lines(output)}


def one_round(options, msize, tests, words):
    generator = compiled(options, "bench9p")
    calibration = rows(subprocess.run([generator, "-C", options.folder], check=True, text=True,
                                      capture_output=True).stdout)
    image = ream(options, "bench.img", "4G")
    try:
        with Server(options, image, "1G") as server:
            command = [generator, "-p", str(server.process.pid), "-m", str(msize), *words]
            if tests:
                command += ["-t", tests]
            result = subprocess.run(command + ["unix!" + server.socket, "0", "main", "glenda"],
                                    text=True, capture_output=True)
            if result.returncode:
                sys.exit("bench9p: " + result.stderr)
    finally:
        os.unlink(image)
    return calibration, rows(result.stdout)


def table(rounds):
    names = [n for n in rounds[0][1]]
    print("%-16s %12s %-10s %7s %7s %7s %6s  %10s %10s" % (
        "row", "median", "unit", "best", "median", "orig.", "times", "cpu/op", "orig."))
    report = {}
    for name in names:
        values, shares, costs = [], [], []
        for calibration, served in rounds:
            row = served.get(name)
            if row is None:
                continue
            values.append(row["value"])
            cpu = row.get("server_cpu_s")
            messages, original, _ = ORIGINAL.get(name, (None, None, None))
            if messages:
                shares.append(row["value"] * messages / calibration["echo40"]["value"])
            elif messages == 0:
                shares.append(row["value"] / calibration["echo32k"]["value"])
            if cpu is not None and row["n"]:
                costs.append(cpu / row["n"])
        _, original, original_cost = ORIGINAL.get(name, (None, None, None))
        best = max(shares) if shares else None
        median = statistics.median(shares) if shares else None
        cost = statistics.median(costs) if costs else None
        report[name] = {"value": statistics.median(values), "unit": row["unit"], "share": median,
                        "best_share": best, "cpu_s": cost, "original": original}

        def show(x, form):
            return form % x if x is not None else "-"
        print("%-16s %12.2f %-10s %7s %7s %7s %6s  %10s %10s" % (
            name, statistics.median(values), row["unit"], show(best, "%.3f"),
            show(median, "%.3f"), show(original, "%.2f"),
            show(median / original if original and median else None, "%.2f"),
            show(cost * 1e6 if cost else None, "%.4f us"),
            show(original_cost * 1e6 if original_cost else None, "%.4f us")))
    for name in rounds[0][0]:
        values = [c[name]["value"] for c, _ in rounds]
        print("%-16s %12.2f %s" % (name, statistics.median(values), rounds[0][0][name]["unit"]))
        report[name] = {"value": statistics.median(values), "unit": rounds[0][0][name]["unit"]}
    return report


def add_arguments(parser):
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--msize", type=int, default=32792)
    parser.add_argument("-t", dest="tests")


def measure(options):
    words = ["-s", "32", "-n", "2000", "-r", "2000"] if options.quick else []
    rounds = [one_round(options, options.msize, options.tests, words)
              for _ in range(options.rounds or (1 if options.quick else 5))]
    found = []
    for name, row in table(rounds).items():
        peers = {}
        if row.get("original"):
            peers["share of the original"] = row["original"]
        section = "ninep" if options.msize == 32792 else "ninep, msize %d" % options.msize
        found.append({"section": section, "row": name, "value": row["value"], "unit": row["unit"],
                      "better": "lower" if row["unit"] == "ms" else "higher", "share": row.get("share"),
                      "cpu_s": row.get("cpu_s"), "peers": peers})
    return found
