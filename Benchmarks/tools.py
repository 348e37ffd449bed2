"""What all parts of the suite share: programs, servers, clocks."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

import ninep

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BLOCK = 16384
PROMPT = b"gefs# "


def run(*words):
    """Runs a program that has nothing to say."""
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def compiled(options, name, *flags):
    """A program of this folder, compiled into the run's."""
    program, source = os.path.join(options.folder, name), os.path.join(HERE, name + ".c")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        run("cc", "-O2", "-o", program, source, *flags)
    return program


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def in_process(options, *words):
    """What gefs-bench prints, while it prints it."""
    command = [options.bench, *map(str, words)]
    rows = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            rows += json_lines(line)
            print(".", end="", flush=True, file=sys.stderr)
        print(file=sys.stderr)
    if process.returncode:
        sys.exit("%s: exit status %d" % (" ".join(command), process.returncode))
    return rows


def timed(body, *arguments):
    begin = time.perf_counter()
    result = body(*arguments)
    return time.perf_counter() - begin, result


def forget(image):
    """Drops an image from the page cache."""
    with open(image, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def ream(options, name, size):
    image = os.path.join(options.folder, name)
    run(options.gefs, "ream", image, "--size", size, "--user", "glenda", "--force", "--yes", "--quiet")
    return image


class Console:
    """Commands of the server, one at a time."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.answer()

    def answer(self):
        data = b""
        while not data.endswith(PROMPT):
            more = self.sock.recv(1 << 20)
            if not more:
                raise EOFError("console closed")
            data += more
        return data[:-len(PROMPT)].decode()

    def run(self, *words):
        """The reports that a command answers with."""
        line = json.dumps({"type": "request", "words": words})
        self.sock.sendall(line.encode() + b"\n")
        reports = list(map(json.loads, self.answer().splitlines()))
        if reports[-1]["type"] != "end":
            sys.exit("%s: %s" % (" ".join(words), reports[-1]))
        return reports[:-1]


class Server:
    """`gefs serve` of an image."""

    def __init__(self, options, image, cache="256M", *more):
        self.image = image
        self.socket = image + ".9p"
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            place = "\0gefs-bench-%d-%s" % (os.getpid(), os.path.basename(image))
            ready.bind(place)
            ready.settimeout(120)
            begin = time.perf_counter()
            self.process = subprocess.Popen(
                [options.gefs, "serve", image, "--listen", "unix:" + self.socket, "--cache",
                 cache, "--no-snapshots", "--quiet", *more], stdin=subprocess.DEVNULL,
                env=dict(os.environ, NOTIFY_SOCKET=place.replace("\0", "@")))
            try:
                ready.recv(4096)
            except socket.timeout:
                self.process.kill()
                sys.exit("the server of %s is not ready after two minutes" % image)
            self.start_seconds = time.perf_counter() - begin
        self.console = Console(image + ".cmd")

    def session(self, label="main"):
        return ninep.Session(self.socket, label)

    def status(self, field):
        """A field of /proc/PID/status in KiB: VmRSS, VmHWM."""
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1])

    def processor_seconds(self):
        total = 0
        for task in os.listdir("/proc/%d/task" % self.process.pid):
            with open("/proc/%d/task/%s/schedstat" % (self.process.pid, task)) as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def transfer(self):
        """Bytes read and written with system calls so far; sockets count, too, so it is a bound."""
        with open("/proc/%d/io" % self.process.pid) as file:
            fields = dict(line.split(": ") for line in file.read().splitlines())
        return int(fields["rchar"]), int(fields["wchar"])

    def used(self):
        """Bytes in use."""
        return self.console.run("df")[0]["used"]

    def load(self, options, *words):
        """What load9p says of this server."""
        command = [compiled(options, "load9p"), *map(str, words), "-p", str(self.process.pid),
                   "unix!" + self.socket, "0", "main", "glenda"]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, text=True, capture_output=True)
        if result.returncode:
            sys.exit("%s: %s" % (" ".join(command), result.stderr))
        return json_lines(result.stdout)[0]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(300)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
