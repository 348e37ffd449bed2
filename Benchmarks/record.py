"""Figures as rows, the last recorded run, and tables that compare with it.

A row is a dictionary: section, row, value, unit, better ("lower", "higher"), and where it is so: limit with limit_is ("max" or
"min"), what is demanded of the value; peers, the figures of others from the same run; and whatever else was seen.
The record is a file of JSON objects, one a line: first what machine and commit it is of, for each section; then the rows.
"""
import json
import os
import platform
import subprocess
import time

from tools import HERE, ROOT

LAST = os.path.join(HERE, "last.json")


def load(path=LAST):
    """The rows of the last recorded run by section and name, and what is said of its sections."""
    rows, about = {}, {}
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                row = json.loads(line)
                if "about" in row:
                    about[row["about"]] = row
                else:
                    rows[row["section"], row["row"]] = row
    return rows, about


def save(rows, path=LAST):
    """Takes the rows into the record, in place of all that it has of their sections."""
    old, about = load(path)
    sections = {row["section"] for row in rows}
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    for section in sections:
        about[section] = {"about": section, "date": time.strftime("%Y-%m-%d"), "commit": commit,
                          "processors": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}
    kept = [row for row in old.values() if row["section"] not in sections]
    with open(path, "w") as file:
        for row in [*about.values(), *kept, *rows]:
            file.write(json.dumps(row) + "\n")


def met(row):
    """Whether a row keeps its limit; None where it has none."""
    if row.get("limit") is None:
        return None
    return row["value"] <= row["limit"] if row.get("limit_is", "max") == "max" else row["value"] >= row["limit"]


def number(value):
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 1000:
        return "{:,.0f}".format(value)
    return "%.4g" % value


def change(row, last):
    """How the value differs from the last recorded one, with a mark where it is much worse."""
    if not last or not last.get("value") or not row["value"]:
        return "-"
    ratio = row["value"] / last["value"]
    worse = ratio if row.get("better", "lower") == "lower" else 1 / ratio
    return "%+.0f %%%s" % ((ratio - 1) * 100, " !" if worse > 1.25 else "")


def table(rows, last):
    """Prints rows, section by section, beside the record."""
    section = None
    for row in rows:
        if row["section"] != section:
            section = row["section"]
            print("\n== %s\n%-58s %12s %-24s %12s %9s  %s" % (
                section, "row", "value", "unit", "last", "change", "demanded; peers"))
        before = last.get((row["section"], row["row"]))
        notes = []
        if row.get("limit") is not None:
            notes.append("%s %s: %s" % ("at most" if row.get("limit_is", "max") == "max" else "at least",
                                        number(row["limit"]), "met" if met(row) else "MISSED"))
        notes += ["%s %s" % (name, number(value)) for name, value in (row.get("peers") or {}).items()]
        print("%-58s %12s %-24s %12s %9s  %s" % (
            row["row"], number(row["value"]), row["unit"], number(before["value"]) if before else "-",
            change(row, before), "; ".join(notes)))


def summary(rows):
    """Says what was demanded and not met; returns how many that are."""
    missed = [row for row in rows if met(row) is False]
    demanded = [row for row in rows if met(row) is not None]
    print("\n%d of %d demands met" % (len(demanded) - len(missed), len(demanded)))
    for row in missed:
        print("  missed: %s: %s is %s %s" % (row["section"], row["row"], number(row["value"]), row["unit"]))
    return len(missed)
