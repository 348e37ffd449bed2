"""Plots of the record, as PNG files in Docs."""
import os
import sys

from tools import ROOT

SYSTEM_PYTHON = "/usr/bin/python3"
FOLDER = os.path.join(ROOT, "Docs")


def draw(rows):
    """Draws all plots that the rows have figures for; says what was drawn."""
    try:
        import matplotlib
    except ImportError:
        # Another Python may be in front of the system's, for which packages are.
        if sys.executable != SYSTEM_PYTHON and os.path.exists(SYSTEM_PYTHON):
            os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
        sys.exit("plots need matplotlib: on Debian, apt-get install python3-matplotlib")
    matplotlib.use("Agg")
    drawn = []
    for name, title, axis, choose in PLOTS:
        curves = choose(rows)
        if curves:
            path = os.path.join(FOLDER, "bench-%s.png" % name)
            lines(matplotlib, path, title, axis, curves)
            drawn.append(path)
    bars = peers(rows)
    if bars:
        path = os.path.join(FOLDER, "bench-mounts.png")
        bar_chart(matplotlib, path, bars)
        drawn.append(path)
    return drawn


def curves_of(section, only, value="value"):
    """Curves of a section's rows, by the name of each."""
    def choose(rows):
        found = {}
        for row in rows:
            if row["section"] == section and "curve" in row and only(row):
                figure = row.get(value) if row.get(value) is not None else row["value"]
                found.setdefault(row["curve"], []).append((row["at"], figure))
        return {name: sorted(points) for name, points in found.items() if len(points) > 1}
    return choose


def is_cost(row):
    return "fill" not in row["curve"]


PLOTS = [
    ("files", "In process, by how many files there are", ("files", "us of processors an operation"),
     curves_of("scaling, files", is_cost, "cpu_us")),
    ("served", "Over 9P, by how many files there are", ("files", "us of the server's processors an operation"),
     curves_of("scaling, served", is_cost, "server_cpu_us")),
    ("snapshots", "By how many snapshots there are", ("snapshots", "us"),
     curves_of("scaling, snapshots", lambda row: True)),
    ("clients", "By how many connections there are", ("connections", "operations a second"),
     curves_of("scaling, clients", lambda row: True)),
    ("threads", "In process, by how many threads there are", ("threads", "operations a second"),
     curves_of("scaling, threads", lambda row: True)),
]


def lines(matplotlib, path, title, axis, curves):
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(8, 5), dpi=100)
    for name, points in curves.items():
        axes.plot([at for at, _ in points], [value for _, value in points], marker="o", markersize=3, label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_title(title)
    axes.set_xlabel(axis[0])
    axes.set_ylabel(axis[1])
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def peers(rows):
    """Of each row of mounts the rates of all peers as parts of ours."""
    found = {}
    for row in rows:
        if row["section"] == "mounts" and row.get("peers") and row["value"]:
            for name, value in row["peers"].items():
                if value:
                    ratio = value / row["value"] if row["better"] == "higher" else row["value"] / value
                    found.setdefault(name, {})[row["row"]] = ratio
    return found


def bar_chart(matplotlib, path, found):
    from matplotlib import pyplot
    tests = list(dict.fromkeys(test for row in found.values() for test in row))
    figure, axes = pyplot.subplots(figsize=(9, 0.35 * len(tests) + 1.5), dpi=100)
    height = 0.8 / len(found)
    for index, (name, row) in enumerate(found.items()):
        axes.barh([place + index * height for place in range(len(tests))], [row.get(test, 0) for test in tests], height,
                  label=name)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks([place + 0.4 for place in range(len(tests))], tests, fontsize=7)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_title("Rates of others, gefs mount is 1")
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
