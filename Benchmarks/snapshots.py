"""What snapshots and forks cost on a tree of a million files.

The images are made once and kept in the folder (some 5 GiB); each test works on a copy. Tests:
  create   time of a commit, a snapshot and a fork at 10, 1,000 and 10,000 labels, side by side
  open     time to open the image with 10,000 labels, its memory, and the cost of listing them
  delete   deleting snapshots that alone hold 1 to 100,000 blocks
  churn    10,000 snapshots of a changing tree made and deleted in random order
  forks    1,000 forks changed by a client each, at the same time
  births   a tree whose files were born in 10,000 generations
  peers    what a copy of such a tree costs with cp, git and, where it is there, qemu-img
"""
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

import ninep
from tools import BLOCK, Server, compiled, forget, ream, timed

# The tree: so many folders of so many files. The files of the first folders hold 4 KiB each, as
# bench9p writes them, the others are empty.
FOLDERS, FILES, FULL_FOLDERS = 1000, 1000, 60
LABELS = (10, 1000, 10000)
ROWS = []


def note(row, value, unit):
    ROWS.append({"section": "snapshots", "row": row, "value": value, "unit": unit, "better": "lower"})


def full_file(random_):
    return "d%03d/small%06d" % (random_.randrange(FULL_FOLDERS), random_.randrange(FILES))


def milliseconds(values):
    return "%8.2f" % (statistics.median(values) * 1e3)


def snap(server, *words):
    server.console.run("snap", *words)


def check(options, image):
    """Checks an image; what it reports goes to the caller's screen when it is not clean."""
    seconds, result = timed(lambda: subprocess.run(
        [options.gefs, "check", image], text=True, capture_output=True))
    last = (result.stdout + result.stderr).strip().splitlines()
    print("  gefs check: exit %d, %.1f s: %s" % (result.returncode, seconds,
                                                 last[-1] if last else ""))
    return result.returncode == 0


# Images

def copy(options, name, to):
    """A copy of a kept image."""
    source, target = os.path.join(options.folder, name), os.path.join(options.folder, to)
    subprocess.run(["cp", "--sparse=always", source, target], check=True)
    # Else the first commits would wait for the copy.
    subprocess.run(["sync", target], check=True)
    return target


def make_tree(options, name, folders, full, files):
    """Makes the image of a tree with the load generator."""
    print("making %s" % name, flush=True)
    generator = compiled(options, "bench9p")
    image = ream(options, "making.img", "64G")
    with Server(options, image, "1G") as server:
        for folder in range(folders):
            subprocess.run(
                [generator, "-k", "-q", "32", "-n", str(files), "-d", "d%03d" % folder, "-t",
                 "createw" if folder < full else "create", "unix!" + server.socket, "0", "main",
                 "glenda"], check=True, stdout=subprocess.DEVNULL)
        server.console.run("sync")
    os.rename(image, os.path.join(options.folder, name))


def add_labels(server, start, end):
    """Snapshots of `main`, each after a change of one of its files."""
    random_ = random.Random(start)
    with_main = server.session()
    for number in range(start, end):
        with_main.put(full_file(random_) if not server.is_small else "d000/small000001",
                      b"%d" % number)
        snap(server, "create", "main", "s%05d" % number)
    with_main.close()


def prepare(options):
    """The kept images: a tree of a million files and one of a thousand, with labels."""
    os.makedirs(options.folder, exist_ok=True)
    for tree, folders, full, files in (("million", FOLDERS, FULL_FOLDERS, FILES),
                                       ("thousand", 1, 1, 1000)):
        base = "%s.img" % tree
        if not os.path.exists(os.path.join(options.folder, base)):
            make_tree(options, base, folders, full, files)
        previous, start = base, 0
        for count in LABELS:
            name = "%s-%d.img" % (tree, count)
            if not os.path.exists(os.path.join(options.folder, name)):
                print("making %s" % name, flush=True)
                image = copy(options, previous, "making.img")
                with Server(options, image) as server:
                    server.is_small = tree == "thousand"
                    seconds, _ = timed(add_labels, server, start, count)
                    print("  %d snapshots, each after a change of 4 bytes: %.1f s, %.2f ms each"
                          % (count - start, seconds, seconds / (count - start) * 1e3))
                if not check(options, image):
                    sys.exit(1)
                os.rename(image, os.path.join(options.folder, name))
            previous, start = name, count


# Tests

def test_create(options):
    """Commit, snapshot and fork, on all images in turns so that noise meets all alike."""
    names = ["thousand-%d.img" % LABELS[0]] + ["million-%d.img" % count for count in LABELS]
    servers = [Server(options, copy(options, name, "work-" + name)) for name in names]
    kinds = ("commit", "snapshot", "fork", "no change", "delete")
    times = {name: {kind: [] for kind in kinds} for name in names}
    transfer = {name: {kind: [] for kind in kinds} for name in names}
    processor = {name: {kind: [] for kind in kinds} for name in names}
    sessions = [server.session() for server in servers]
    random_ = random.Random(1)

    def measure(name, server, kind, body, *arguments):
        before = server.transfer()[1], server.processor_seconds()
        seconds, _ = timed(body, *arguments)
        times[name][kind].append(seconds)
        transfer[name][kind].append(server.transfer()[1] - before[0])
        processor[name][kind].append(server.processor_seconds() - before[1])

    for round_ in range(options.rounds):
        for name, server, session in zip(names, servers, sessions):
            def change():
                path = "d000/small%06d" % random_.randrange(1000)
                if name.startswith("million"):
                    path = full_file(random_)
                session.put(path, b"round %d" % round_)
            change()
            measure(name, server, "commit", session, ninep.sync(0))
            change()
            measure(name, server, "snapshot", snap, server, "create", "main", "timed-s")
            change()
            measure(name, server, "fork", snap, server, "fork", "main", "timed-f")
            measure(name, server, "no change", snap, server, "create", "main", "timed-n")
            measure(name, server, "delete", snap, server, "delete", "timed-f")
            snap(server, "delete", "timed-s", "timed-n")
    print("median of %d: milliseconds, of them milliseconds of server CPU, KiB written"
          % options.rounds)
    print("%-19s" % "image" + "".join("%20s" % kind for kind in kinds))
    for name in names:
        print("%-19s" % name[:-4] + "".join(
            "%8.2f %6.2f %4d" % (statistics.median(times[name][kind]) * 1e3,
                                 statistics.median(processor[name][kind]) * 1e3,
                                 statistics.median(transfer[name][kind]) // 1024)
            for kind in kinds))
    for name in names:
        for kind in kinds:
            note("%s, %s" % (kind, name[:-4]), statistics.median(times[name][kind]) * 1e3, "ms")
    for kind in kinds:
        medians = [statistics.median(times[name][kind]) for name in names]
        labels = medians[1:]
        print("%-10s slowest/fastest over labels %.2f, a million files/a thousand %.2f" % (
            kind, max(labels) / min(labels), medians[1] / medians[0]))
    for server in servers:
        server.stop()
    for name in names:
        os.unlink(server_image(options, name))


def server_image(options, name):
    return os.path.join(options.folder, "work-" + name)


def test_open(options):
    """Opening, memory, and listing."""
    print("%-22s %10s %10s %10s %10s %10s" % (
        "image", "cold s", "warm s", "RSS KiB", "list s", "dump s"))
    sizes = {}
    for count in LABELS:
        name = "million-%d.img" % count
        image = copy(options, name, "work-" + name)
        cold, warm, lists, dumps = [], [], [], []
        for _ in range(7):
            forget(image)
            for into in (cold, warm):
                with Server(options, image, "16M") as server:
                    into.append(server.start_seconds)
                    sizes[count] = server.status("VmRSS")
        with Server(options, image, "256M") as server:
            for _ in range(5):
                lists.append(timed(lambda: subprocess.run(
                    [options.gefs, "snap", "list", image], stdout=subprocess.DEVNULL,
                    check=True))[0])
                seconds, entries = timed(list_dump, server)
                assert entries == count + 3, entries
                dumps.append(seconds)
            attaches = []
            for number in random.Random(2).sample(range(count), min(count, 500)):
                session = server.session()
                attaches.append(timed(
                    session, ninep.attach(7, "glenda", "s%05d" % number))[0])
                session.close()
        print("%-22s %10.3f %10.3f %10d %10.3f %10.3f" % (
            name, statistics.median(cold), statistics.median(warm), sizes[count],
            statistics.median(lists), statistics.median(dumps)))
        note("open cold, %d labels" % count, statistics.median(cold), "s")
        note("open warm, %d labels" % count, statistics.median(warm), "s")
        note("attach by name, %d labels" % count, statistics.median(attaches) * 1e3, "ms")
        print("  attach by name: median %s ms" % milliseconds(attaches))
        os.unlink(image)
    low, high = LABELS[0], LABELS[-1]
    print("memory of a label: %.0f bytes" % (
        (sizes[high] - sizes[low]) * 1024 / (high - low)))


def list_dump(server):
    """Reads the directory of all labels; returns how many entries it has."""
    session = server.session("dump")
    session(ninep.walk(0, 1))
    session(ninep.open_(1, ninep.READ))
    offset = entries = 0
    while True:
        data = session(ninep.read(1, offset, 8192))[4:]
        if not data:
            break
        offset += len(data)
        while data:
            entries += 1
            data = data[2 + int.from_bytes(data[:2], "little"):]
    session.close()
    return entries


def settle(server):
    """Waits until nothing more becomes free; returns bytes in use and when that was first so."""
    used = server.used()
    since = begin = time.perf_counter()
    while time.perf_counter() - since < 0.5:
        time.sleep(0.002)
        now = server.used()
        if now != used:
            used, since = now, time.perf_counter()
    return used, since - begin


def test_delete(options):
    """Deleting costs what a snapshot alone holds."""
    image = copy(options, "million.img", "work-delete.img")
    rows = {}
    with Server(options, image, "256M") as server:
        for _ in range(options.repeats):
            for count in (1, 100, 10000, 100000):
                make_middle(server, count)
                rows.setdefault((count, "middle"), []).append(measure_delete(server, "victim"))
                snap(server, "delete", "before", "after")
                settle(server)
                make_fork(server, count)
                rows.setdefault((count, "fork"), []).append(measure_delete(server, "fork"))
    print("%-8s %9s %12s %12s %9s %10s %10s   (medians of %d)" % (
        "kind", "blocks", "answered ms", "all free ms", "freed", "read KiB", "writ. KiB",
        options.repeats))
    for (count, kind), found in rows.items():
        print("%-8s %9d %12.2f %12.2f %9d %10d %10d" % (
            kind, count, *map(statistics.median, zip(*found))))
    check(options, image)
    os.unlink(image)


def fill(session, name, count):
    """Writes so many blocks into a file."""
    session(ninep.walk(0, 1, name))
    session(ninep.open_(1, ninep.WRITE))
    data = os.urandom(BLOCK) * 4
    for start in range(0, count, 4):
        session(ninep.write(1, start * BLOCK, data[:min(4, count - start) * BLOCK]))
    session(ninep.clunk(1))


def make_middle(server, count):
    """A snapshot between two others: what it alone holds is on lists."""
    main = server.session()
    main.make("victim")
    fill(main, "victim", count)
    snap(server, "create", "main", "before")
    fill(main, "victim", count)
    snap(server, "create", "main", "victim")
    main.delete("victim")
    # The data of large files is cleared in the background.
    settle(server)
    snap(server, "create", "main", "after")
    main.close()


def make_fork(server, count):
    """A fork with blocks of its own: its tree is taken apart."""
    snap(server, "fork", "main", "fork")
    fork = server.session("fork")
    fork.make("own")
    fill(fork, "own", count)
    fork.close()
    server.console.run("sync")
    settle(server)


def measure_delete(server, label):
    used = server.used()
    before = server.transfer()
    seconds, _ = timed(snap, server, "delete", label)
    rest, after = settle(server)
    transfer = server.transfer()
    return (seconds * 1e3, (seconds + after) * 1e3, (used - rest) // BLOCK,
            (transfer[0] - before[0]) >> 10, (transfer[1] - before[1]) >> 10)


def test_churn(options):
    """Snapshots of a changing tree, made and deleted in random order."""
    image = copy(options, "million.img", "work-churn.img")
    random_ = random.Random(3)
    live, made = [], 0
    creating, deleting = [], []
    with Server(options, image, "256M") as server:
        main = server.session()
        begin = time.perf_counter()
        processor = server.processor_seconds()
        while made < options.snapshots or live:
            growing = made < options.snapshots
            if growing and (not live or random_.random() < 0.75):
                for _ in range(3):
                    main.put(full_file(random_), os.urandom(64))
                main.make("c%06d" % made, b"x" * random_.randrange(3 * BLOCK))
                if made > 20:
                    main.delete("c%06d" % (made - 20))
                label = "c%05d" % made
                creating.append(timed(snap, server, "create", "main", label)[0])
                live.append(label)
                made += 1
            else:
                index = random_.randrange(len(live))
                live[index], live[-1] = live[-1], live[index]
                deleting.append(timed(snap, server, "delete", live.pop())[0])
        seconds = time.perf_counter() - begin
        processor = server.processor_seconds() - processor
        settle(server)
        print("%d made and deleted in %.1f s (%.1f s of server CPU); create %s ms, delete %s ms "
              "(medians); at most %d MiB resident" % (
                  made, seconds, processor, milliseconds(creating).strip(),
                  milliseconds(deleting).strip(), server.status("VmHWM") >> 10))
    check(options, image)
    os.unlink(image)


def test_births(options):
    """Every file of a tree that has one file changed per snapshot is changed at once: as many
    deadlists as there are snapshots. Then the snapshots go in random order."""
    count = LABELS[-1]
    image = copy(options, "million-%d.img" % count, "work-births.img")
    with Server(options, image, "256M", "--commit-interval", "3600") as server:
        main = server.session()
        for folder in range(FULL_FOLDERS):
            for number in range(FILES):
                main.put("d%03d/small%06d" % (folder, number), b"new")
        written, processor = server.transfer()[1], server.processor_seconds()
        seconds, _ = timed(main, ninep.sync(0))
        print("commit of %d changed files, born in %d generations: %.0f ms, %.0f ms of CPU, "
              "%d MiB written" % (
                  FULL_FOLDERS * FILES, count, seconds * 1e3,
                  (server.processor_seconds() - processor) * 1e3,
                  (server.transfer()[1] - written) >> 20))
        labels = ["s%05d" % i for i in range(count)]
        random.Random(4).shuffle(labels)
        before, processor = server.transfer(), server.processor_seconds()
        begin = time.perf_counter()
        seconds = sorted(timed(snap, server, "delete", label)[0] for label in labels)
        total = time.perf_counter() - begin
        settle(server)
        after = server.transfer()
        print("%d deleted in random order: %.1f s, %.1f s of CPU; median %.2f ms, 99%% in %.2f ms, "
              "all in %.0f ms; %d MiB read, %d MiB written; at most %d MiB resident" % (
                  count, total, server.processor_seconds() - processor,
                  statistics.median(seconds) * 1e3, seconds[len(seconds) * 99 // 100] * 1e3,
                  seconds[-1] * 1e3, (after[0] - before[0]) >> 20, (after[1] - before[1]) >> 20,
                  server.status("VmHWM") >> 10))
    check(options, image)
    os.unlink(image)


def test_forks(options):
    """Forks of the tree, a client each, all at the same time."""
    image = copy(options, "million.img", "work-forks.img")
    count = options.forks
    with Server(options, image, "256M", "--max-connections", "8192") as server:
        print("resident before: %d MiB" % (server.status("VmRSS") >> 10))
        seconds, _ = timed(lambda: [snap(server, "fork", "main", "f%04d" % i)
                                    for i in range(count)])
        print("%d forks: %.2f s, %.2f ms each; resident %d MiB" % (
            count, seconds, seconds / count * 1e3, server.status("VmRSS") >> 10))
        syncs = []

        def script(number):
            random_ = random.Random(number)
            yield ninep.version()
            yield ninep.attach(0, "glenda", "f%04d" % number)
            for step in range(5):
                # An own file, a changed one, a removed one; then all of it durable.
                yield ninep.walk(0, 1)
                yield ninep.create(1, "own%d" % step)
                yield ninep.write(1, 0, own(number, step))
                yield ninep.clunk(1)
                yield ninep.walk(0, 1, *full_file(random_).split("/"))
                yield ninep.open_(1, ninep.WRITE)
                yield ninep.write(1, 0, b"changed by %06d" % number)
                yield ninep.clunk(1)
                yield ninep.walk(0, 1, "d%03d" % (FULL_FOLDERS + number % 900),
                                 "empty%06d" % step)
                yield ninep.remove(1)
                begin = time.perf_counter()
                yield ninep.sync(0)
                syncs.append(time.perf_counter() - begin)

        attached(server, count)
        processor = server.processor_seconds()
        written = server.transfer()[1]
        seconds, socks = timed(ninep.drive, server.socket, [script(i) for i in range(count)])
        processor = server.processor_seconds() - processor
        print("%d clients, 5 times (3 changes, sync): %.2f s, %.2f s of server CPU, "
              "%d MiB written; sync %s ms (median), %.0f ms at most" % (
                  count, seconds, processor, (server.transfer()[1] - written) >> 20,
                  milliseconds(syncs).strip(), max(syncs) * 1e3))
        print("resident at most: %d MiB" % (server.status("VmHWM") >> 10))
        print("a commit of main: beside %d attached forks %s ms" % (
            count, milliseconds(commits(server))), end="")
        for sock in socks:
            sock.close()
        print(", beside none %s ms" % milliseconds(commits(server)))
        verify(server, count)
    check(options, image)
    with Server(options, image, "256M") as server:
        verify(server, count)
        seconds, _ = timed(snap, server, "delete", *("f%04d" % i for i in range(50)))
        print("50 forks deleted in one command: %.1f ms" % (seconds * 1e3))
    check(options, image)
    os.unlink(image)


def attached(server, count):
    """Says how much of the server's memory connections take which do nothing."""
    sizes = [server.status("VmRSS")]
    sessions = [server.session() for _ in range(count)]
    sizes.append(server.status("VmRSS"))
    for number, session in enumerate(sessions):
        session(ninep.attach(9, "glenda", "f%04d" % number))
    sizes.append(server.status("VmRSS"))
    print("%d idle connections: %.1f KiB each, attached to a fork %.1f KiB more" % (
        count, (sizes[1] - sizes[0]) / count, (sizes[2] - sizes[1]) / count))
    for session in sessions:
        session.close()


def commits(server, count=40):
    """Seconds of commits of one file."""
    main = server.session()
    seconds = []
    for i in range(count):
        main.put("d000/small000000", b"commit %d" % i)
        seconds.append(timed(main, ninep.sync(0))[0])
    main.close()
    return seconds


def own(number, step):
    return b"fork %06d step %d " % (number, step) * 100


def verify(server, count):
    """Every fork holds its own changes, and none of another's."""
    wrong = []
    base = server.session("main")

    def verifier(number):
        random_ = random.Random(number)
        yield ninep.version()
        yield ninep.attach(0, "glenda", "f%04d" % number)
        changed = []
        for step in range(5):
            yield ninep.walk(0, 1, "own%d" % step)
            yield ninep.open_(1, ninep.READ)
            data = yield ninep.read(1, 0, 65536)
            yield ninep.clunk(1)
            if data[4:] != own(number, step):
                wrong.append((number, "own%d" % step))
            path = full_file(random_)
            changed.append(path)
            yield ninep.walk(0, 1, *path.split("/"))
            yield ninep.open_(1, ninep.READ)
            data = yield ninep.read(1, 0, 17)
            yield ninep.clunk(1)
            if data[4:] != b"changed by %06d" % number:
                wrong.append((number, path, data))
        # What another fork has changed is here as it was in the tree.
        other = random.Random((number + 1) % count)
        for _ in range(5):
            path = full_file(other)
            if path in changed:
                continue
            yield ninep.walk(0, 1, *path.split("/"))
            yield ninep.open_(1, ninep.READ)
            data = yield ninep.read(1, 0, 4096)
            yield ninep.clunk(1)
            if data[4:] != base.get(path, 4096):
                wrong.append((number, path))
        yield ninep.walk(0, 1, "d%03d" % (FULL_FOLDERS + number % 900))
        yield ninep.open_(1, ninep.READ)
        data = yield ninep.read(1, 0, 1024)
        names = entries(data[4:])
        if names[:2] != ["big", "empty000005"]:
            wrong.append((number, names[:2]))

    seconds, socks = timed(ninep.drive, server.socket, [verifier(i) for i in range(count)])
    for sock in [base, *socks]:
        sock.close()
    print("%d forks read back in %.2f s: %s; resident at most %d MiB" % (
        count, seconds, "all right" if not wrong else "WRONG: %s" % wrong[:5],
        server.status("VmHWM") >> 10))
    if wrong:
        sys.exit(1)


def entries(data):
    """Names in a piece of a directory."""
    names = []
    while data:
        size = int.from_bytes(data[:2], "little")
        length = int.from_bytes(data[41:43], "little")
        names.append(data[43:43 + length].decode())
        data = data[2 + size:]
    return names


def test_peers(options):
    """What a copy of such a tree costs with other means, on the file system of the folder."""
    tree = os.path.join(options.folder, "tree")
    if not os.path.exists(tree):
        print("making %s" % tree, flush=True)
        for folder in range(FOLDERS):
            os.makedirs(os.path.join(tree, "d%03d" % folder))
            full = folder < FULL_FOLDERS
            for number in range(FILES):
                name = "%s%06d" % ("small" if full else "empty", number)
                with open(os.path.join(tree, "d%03d" % folder, name), "wb") as file:
                    if full:
                        file.write(os.urandom(4096))
        os.sync()
    copied = os.path.join(options.folder, "copied")

    def run(what, *command, then=("sync",)):
        def body():
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, cwd=options.folder)
            subprocess.run(then, check=True)
        print("%-50s %8.2f s" % (what, timed(body)[0]), flush=True)

    run("cp -a of the tree", "cp", "-a", tree, copied)
    run("rm -r of the copy", "rm", "-r", copied)
    run("git: first commit", "sh", "-c",
        "cd tree && git init -q && git add . && git -c user.name=a -c user.email=a commit -qm a")
    run("git worktree add", "git", "-C", tree, "worktree", "add", "-f", copied)
    run("git worktree remove", "git", "-C", tree, "worktree", "remove", "--force", copied)
    shutil.rmtree(os.path.join(tree, ".git"))
    image = os.path.join(options.folder, "million.img")
    run("cp --sparse=always of the image", "cp", "--sparse=always", image, copied,
        then=("sync", copied))
    os.unlink(copied)
    if shutil.which("qemu-img"):
        qcow = os.path.join(options.folder, "peer.qcow2")
        run("qemu-img convert to qcow2", "qemu-img", "convert", "-O", "qcow2", image, qcow,
            then=("true",))
        os.sync()
        for what, flag in (("create", "-c"), ("delete", "-d")):
            seconds = [timed(lambda: subprocess.run(
                ["qemu-img", "snapshot", flag, "s%d" % i, qcow], check=True))[0]
                for i in range(10)]
            print("%-50s %8.3f s" % ("qemu-img snapshot, %s (median of 10)" % what,
                                     statistics.median(seconds)))
        os.unlink(qcow)


TESTS = {"create": test_create, "open": test_open, "delete": test_delete, "churn": test_churn,
         "births": test_births, "forks": test_forks, "peers": test_peers}


def add_arguments(parser):
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--snapshots", type=int)
    parser.add_argument("--forks", type=int)
    parser.add_argument("-t", dest="tests")


def measure(options):
    """Rows for the record: what `create` and `open` found; the rest is printed."""
    global FOLDERS, FULL_FOLDERS, LABELS
    quick = options.quick
    if quick:
        FOLDERS, FULL_FOLDERS, LABELS = 3, 2, (2, 10)
    options.rounds = options.rounds or (5 if quick else 200)
    options.repeats = options.repeats or (1 if quick else 5)
    options.snapshots = options.snapshots or (20 if quick else 10000)
    options.forks = options.forks or (5 if quick else 1000)
    options.folder = os.path.join(options.folder, "snapshots-quick" if quick else "snapshots")
    names = (options.tests or ("create,open,churn" if quick else ",".join(TESTS))).split(",")
    prepare(options)
    for name in names:
        print("== %s" % name, flush=True)
        TESTS[name](options)
    if quick:
        shutil.rmtree(options.folder)
    return ROWS
