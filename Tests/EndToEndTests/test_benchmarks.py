"""The benchmark suite's own parts, at sizes that say nothing: that they work together, and that the record is kept."""
import argparse
import os
import pathlib
import shutil
import sys
import unittest

import harness

FOLDER = harness.ROOT / "Benchmarks"


def part(name):
    """A module of the suite; its files stay without compiled copies."""
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(FOLDER))
    # The tests have a client of the same name.
    ours = sys.modules.pop("ninep", None)
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("ninep", None)
        if ours:
            sys.modules["ninep"] = ours
        sys.dont_write_bytecode = written


class Benchmarks(harness.TemporaryFolder):
    def options(self):
        return argparse.Namespace(folder=str(self.folder), gefs=harness.BINARY, quick=True)

    @unittest.skipUnless(shutil.which("cc"), "no C compiler")
    def test_load_of_many_connections_is_told_by_connection(self):
        """load9p makes files, looks at them, adds others, opens fids, and says what each connection got."""
        tools = part("tools")
        options = self.options()
        image = tools.ream(options, "load.img", "1G")
        with tools.Server(options, image, "16M") as server:
            made = server.load(options, "-c", 2, "-q", 3, "-t", "mkfiles", "-n", 300, "-N", 300)
            self.assertEqual(made["n"], 300)
            for kind in ("stat", "read", "pread"):
                seen = server.load(options, "-c", 8, "-q", 2, "-t", kind, "-n", 800, "-N", 300)
                self.assertEqual((seen["op"], seen["n"], seen["connections"]), (kind, 800, 8))
                self.assertGreater(seen["p99_of_fair"], 0)
                self.assertLessEqual(seen["share_min"], 1)
                self.assertGreaterEqual(seen["share_max"], 1)
            server.load(options, "-t", "create", "-n", 100, "-N", 300)
            server.load(options, "-t", "remove", "-n", 100, "-N", 300)
            server.load(options, "-t", "mkfiles", "-b", 300, "-n", 50)
            server.load(options, "-t", "rmfiles", "-b", 300, "-n", 50)
            fids = server.load(options, "-c", 4, "-f", 200, "-N", 300, "-w", 0)
            self.assertEqual(fids["n"], 200)
            self.assertGreater(fids["with_kib"], 0)
        self.assertEqual(len(harness.run_json("ls", image, "/one")), 300)

    def test_the_record_is_what_was_taken_last(self):
        """Sections that are taken anew take the place of what was recorded of them, and of nothing else."""
        record = part("record")
        path = self.folder / "last.json"
        rows = [{"section": "a", "row": "x", "value": 2.0, "unit": "us", "better": "lower", "limit": 3},
                {"section": "b", "row": "y", "value": 5.0, "unit": "/s", "better": "higher", "limit": 9, "limit_is": "min"}]
        record.save(rows, path)
        again = dict(rows[0], value=4.0)
        last, about = record.load(path)
        self.assertEqual(record.change(again, last["a", "x"]), "+100 % !")
        self.assertEqual([record.met(row) for row in (*rows, again)], [True, False, False])
        record.save([again], path)
        last, about = record.load(path)
        self.assertEqual(last["a", "x"]["value"], 4.0)
        self.assertEqual(last["b", "y"]["value"], 5.0)
        self.assertEqual(set(about), {"a", "b"})
