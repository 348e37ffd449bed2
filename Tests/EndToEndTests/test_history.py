"""Histories that the original began: labels are made and deleted in any order, and what remains stays as it was."""
import collections
import contextlib
import importlib.util
import io
import random
import re
import unittest

import harness
import ninep

# Labels that nobody can delete.
RESERVED = ("adm", "empty")
# What a snapshot may hold of files that are being removed; no fault of labels.
ABOUT_FILES = re.compile(r"data blocks (of removed files|past the end)|allocated blocks are referenced by nothing")


def load_oracle():
    spec = importlib.util.spec_from_file_location("gefs_oracle", harness.ORACLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Disk:
    """An image as the oracle sees it."""

    def __init__(self, oracle, path):
        check = oracle.Checker(path)
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            self.status = check.run()
        self.output = text.getvalue()
        self.warnings = {line for line in self.output.splitlines()
                         if line.startswith("warn:") and not ABOUT_FILES.search(line)}
        # Blocks in use, logs aside, and those that nothing refers to.
        self.allocated, self.leaked = 0, set()
        for arena in check.img.arenas:
            for index, is_free in enumerate(arena.free):
                address = arena.start + index * oracle.BLK
                # The last two of an arena never enter the free map.
                if is_free or address >= arena.end - 2 * oracle.BLK:
                    continue
                self.allocated += check.used.get(address, ("",))[0] != "log"
                if address not in check.used and address not in check.dead:
                    self.leaked.add(address)
        self.labels, self.records, _, _ = check.img.snaptree()
        self.trees = {label: tree["entries"] for label, tree in oracle.manifest(check.img)["snapshots"].items()}
        self.check = check

    def forgotten(self):
        """Blocks that a snapshot holds, its successor does not, and no deadlist knows.

        The original forgets the siblings of a merge (SEMANTICS 12.37): they leak as soon as that snapshot goes.
        """
        blocks = set()
        for generation, record in self.records.items():
            after = self.records.get(record.succ)
            if generation and after and after.pred == generation:
                blocks |= self.check.held(record).keys() - self.check.held(after).keys()
        return blocks - self.check.dead.keys()

    def wrong_counts(self, is_n):
        """Records whose counts or links are not those of the disk's dialect. FORMAT 11."""
        none = (1 << 64) - 1
        labels = collections.Counter(generation for generation, _ in self.labels.values())
        first = {g: t.pred in (none, t.base) for g, t in self.records.items()}
        wrong = []
        for generation, record in self.records.items():
            if record.nlbl != labels[generation]:
                wrong.append("%d: nlbl %d" % (generation, record.nlbl))
            others = [t for g, t in self.records.items() if g != 0]
            if is_n:
                count = sum(t.base == generation and first[t.gen] for t in others)
            else:
                count = sum(t.pred == generation for t in others)
            if record.nref != count:
                wrong.append("%d: nref %d, not %d" % (generation, record.nref, count))
            if generation == 0:
                continue
            if not labels[generation] and not any(
                    t.pred == generation or t.base == generation for t in others):
                wrong.append("%d: nothing needs it" % generation)
            if not is_n and record.pred == none:
                wrong.append("%d: without pred" % generation)
            if record.pred != none and record.pred not in self.records:
                wrong.append("%d: pred %d is missing" % (generation, record.pred))
            if record.base not in self.records:
                wrong.append("%d: base %d is missing" % (generation, record.base))
            if record.succ != none:
                after = self.records.get(record.succ)
                if after is None or after.pred != generation:
                    wrong.append("%d: succ %d" % (generation, record.succ))
        return wrong


@harness.needs_shared
class ReferenceHistories(harness.TemporaryFolder):
    """A disk of the original, used on by us: in each round some changes, a stop or a kill, and a look at the disk."""

    def setUp(self):
        super().setUp()
        self.oracle = load_oracle()

    def test_labels_are_deleted_in_any_order(self):
        for name in harness.reference_images():
            for seed in range(harness.SEED, harness.SEED + harness.scale()):
                with self.subTest(image=name, seed=seed):
                    self.play(name, seed)

    def play(self, name, seed):
        self.chance = random.Random("%s %d" % (name, seed))
        self.image, manifest = self.unpack(name)
        original = Disk(self.oracle, self.image)
        self.is_n = name.startswith("N-") or name == "e-R-then-N"
        status, output = harness.oracle("compare", self.image, manifest)
        self.assertEqual(status, 0, output)
        self.lost = original.leaked | original.forgotten()
        # What each label holds; None for one that was written since the last look.
        self.trees = dict(original.trees)
        self.mutable = {label for label, (_, flags) in original.labels.items() if flags & 1}
        self.made = 0
        self.log = []
        rounds = 0
        while self.deletable() and rounds < 40:
            rounds += 1
            killed = self.round(grows=rounds < 6)
            self.look(killed)
        self.log.append("delete the rest")
        server = self.serve(self.image)
        for label in self.shuffled(self.deletable()):
            self.delete(label)
        self.assertEqual(server.halt(), 0, server.output())
        self.look(False)
        # A stop leaves a list of what is to be freed; the commits after the next start free it.
        server = self.serve(self.image)
        for _ in range(2):
            self.verb("create", "empty", "last")
            self.verb("delete", "last", "--yes")
        self.assertEqual(server.halt(), 0, server.output())
        disk = self.look(False)
        self.assertEqual(set(disk.labels), set(RESERVED))
        self.assertEqual(len(disk.records), 2, disk.records)
        self.assertLess(disk.allocated - len(disk.leaked), 30, self.story())

    def deletable(self):
        return [label for label in self.trees if label not in RESERVED]

    def shuffled(self, items):
        items = sorted(items)
        self.chance.shuffle(items)
        return items

    def story(self):
        return "\n".join(self.log)

    # Changes.

    def round(self, grows):
        server = self.serve(self.image, "--commit-interval", self.chance.choice(["0.1", "5"]))
        for _ in range(self.chance.randrange(2, 7)):
            kinds = [self.delete_some, self.delete_some, self.delete_some, self.write, self.write]
            if grows:
                kinds += [self.snapshot, self.snapshot, self.fork, self.roll_back, self.rename]
            self.chance.choice(kinds)(server)
        killed = self.chance.randrange(3) == 0
        self.log.append("kill" if killed else "halt")
        if killed:
            server.kill()
            # What was acknowledged of labels is durable; of files, what was synced.
        else:
            self.assertEqual(server.halt(), 0, server.output() + self.story())
        return killed

    def verb(self, *arguments):
        self.log.append(" ".join(map(str, arguments)))
        harness.run("snap", arguments[0], self.image, *arguments[1:])

    def new_label(self, kind):
        self.made += 1
        return "our-%s-%d" % (kind, self.made)

    def any_label(self):
        return self.chance.choice(sorted(self.trees))

    def delete(self, label):
        self.verb("delete", label, "--yes")
        del self.trees[label]
        self.mutable.discard(label)

    def delete_some(self, _):
        labels = self.shuffled(self.deletable())[:self.chance.choice([1, 1, 1, 2, 4])]
        if len(self.trees) > 60:
            labels = self.shuffled(self.deletable())[:40]
        if not labels:
            return
        self.verb("delete", *labels, "--yes")
        for label in labels:
            del self.trees[label]
            self.mutable.discard(label)

    def snapshot(self, _):
        label, name = self.any_label(), self.new_label("snap")
        self.verb("create", label, name)
        self.trees[name] = self.trees[label]

    def fork(self, _):
        label, name = self.any_label(), self.new_label("fork")
        self.verb("fork", label, name)
        self.trees[name] = self.trees[label]
        self.mutable.add(name)

    def roll_back(self, _):
        branches = self.mutable - {"adm"}
        if not branches:
            return
        branch, target = self.chance.choice(sorted(branches)), self.any_label()
        left = self.trees[branch]
        if self.chance.randrange(2):
            name = self.new_label("left")
            self.verb("rollback", branch, target, "--keep", name)
            self.trees[name] = left
        else:
            self.verb("rollback", branch, target, "--discard", "--yes")
        self.trees[branch] = self.trees[target]

    def rename(self, _):
        labels = self.deletable()
        if not labels:
            return
        label, name = self.chance.choice(sorted(labels)), self.new_label("renamed")
        self.verb("rename", label, name)
        self.trees[name] = self.trees.pop(label)
        if label in self.mutable:
            self.mutable.remove(label)
            self.mutable.add(name)

    def write(self, server):
        branches = self.mutable - {"adm"}
        if not branches:
            return
        branch = self.chance.choice(sorted(branches))
        self.log.append("write " + branch)
        with server.connect() as connection:
            root = connection.attach("adm", "%" + branch)
            files = [entry["path"] for entry in self.trees[branch] or () if "sha256" in entry]
            for path in self.chance.sample(files, min(len(files), self.chance.randrange(30))):
                removes, data = self.chance.randrange(3) == 0, self.chance.randbytes(self.chance.randrange(40000))
                try:
                    if removes:
                        root.remove(path)
                    else:
                        root.put(path, data)
                except ninep.ServerError as error:
                    if "permission" not in str(error):
                        raise
            for number in range(self.chance.randrange(10)):
                root.put("/made-by-us-%d" % self.chance.randrange(1 << 30), b"new" * 1000 * number)
            root.sync()
            # The label is left at once, since a label in use cannot be deleted.
            root.clunk()
        self.trees[branch] = None

    # The disk.

    def look(self, killed):
        disk = Disk(self.oracle, self.image)
        story = self.story() + "\n" + disk.output
        self.assertEqual(disk.status, 0, story)
        self.assertEqual(disk.leaked - self.lost, set(), story)
        self.assertEqual(set(disk.labels), set(self.trees), story)
        report = harness.run_json("check", self.image)[-1]
        self.assertEqual(report["errors"], 0, story)
        self.assertEqual(report["leakedBlocks"], len(disk.leaked), story)
        for label, tree in disk.trees.items():
            if self.trees[label] is None:
                self.trees[label] = tree
            self.assertTrue(self.trees[label] == tree, "%s differs; %s" % (label, story))
        if not killed:
            # A stop leaves nothing unfinished; what the original had left wrong is put right meanwhile.
            self.assertEqual(disk.warnings, set(), story)
            self.assertEqual(disk.wrong_counts(self.is_n), [], story)
        return disk


if __name__ == "__main__":
    unittest.main()
