#!/usr/bin/env python3
"""Runs the end-to-end tests on a built program.

usage: run.py [-v] [-l] [NAME ...]

NAME selects tests whose identifier contains it (`kill`, `test_verbs.Copying`). Environment:
GEFS_BINARY the program, GEFS_SHARED the folder with the oracle and reference images, GEFS_SEED replays random
tests, GEFS_KILLS the kills of the crash loop (default 5), GEFS_KILL_CLIENTS its clients (default 64),
GEFS_SCALE multiplies sizes and counts (default 1), GEFS_BUILD_PACKAGE=1 builds this package on a mount.
"""
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness


class Result(unittest.TestResult):
    """One line for each test; failures are told when they happen."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        self.subtests_failed = 0

    def _say(self, word, test, detail=""):
        seconds = time.monotonic() - getattr(self, "started", time.monotonic())
        print("%-7s %-72s %6.1f s%s" % (word, test.id(), seconds, detail), flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        if self.subtests_failed == 0:
            self.passed += 1
            self._say("ok", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._say("FAILED", test)
        print(self.failures[-1][1], flush=True)

    def addError(self, test, error):
        super().addError(test, error)
        self._say("FAILED", test)
        print(self.errors[-1][1], flush=True)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.subtests_failed += 1
            self._say("FAILED", subtest)
            print((self.failures + self.errors)[-1][1] if not self.failures else self.failures[-1][1], flush=True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._say("skipped", test, ": " + reason)


def tests(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests(item)
        else:
            yield item


def main():
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if "-h" in sys.argv or "--help" in sys.argv:
        print(__doc__)
        return 0
    found = unittest.defaultTestLoader.discover(str(pathlib.Path(__file__).resolve().parent), "test_*.py")
    chosen = [test for test in tests(found) if not names or any(name in test.id() for name in names)]
    if "-l" in sys.argv:
        for test in chosen:
            print(test.id())
        return 0
    print("%s, GEFS_SEED=%d" % (harness.BINARY, harness.SEED), flush=True)
    result = Result()
    unittest.TestSuite(chosen).run(result)
    failed = len(result.failures) + len(result.errors)
    if result.skipped:
        print("%d skipped" % len(result.skipped))
    print("%d passed, %d failed" % (result.passed, failed))
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
