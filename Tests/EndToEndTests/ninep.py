"""A small blocking 9P2000 client, for tests: one request at a time, or raw frames."""
import socket
import struct

(TVERSION, RVERSION, TAUTH, RAUTH, TATTACH, RATTACH, _, RERROR, TFLUSH, RFLUSH, TWALK, RWALK, TOPEN, ROPEN,
 TCREATE, RCREATE, TREAD, RREAD, TWRITE, RWRITE, TCLUNK, RCLUNK, TREMOVE, RREMOVE, TSTAT, RSTAT, TWSTAT,
 RWSTAT) = range(100, 128)
NOTAG, NOFID = 0xFFFF, 0xFFFFFFFF
OREAD, OWRITE, ORDWR, OTRUNC, ORCLOSE = 0, 1, 2, 16, 64
DMDIR = 0x80000000


class ServerError(Exception):
    """What an Rerror says."""


def text(value):
    value = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return struct.pack("<H", len(value)) + value


def take_text(data, at):
    count, = struct.unpack_from("<H", data, at)
    return data[at + 2:at + 2 + count].decode("utf-8", "surrogateescape"), at + 2 + count


def frame(kind, tag, body):
    return struct.pack("<IBH", 7 + len(body), kind, tag) + body


def elements(path):
    return [name for name in path.split("/") if name]


class Stat:
    """A directory record."""

    def __init__(self, data):
        (_, _, self.qid_type, self.qid_version, self.qid_path, self.mode, self.atime, self.mtime,
         self.length) = struct.unpack_from("<HIBIQIIIQ", data, 2)
        at = 41
        self.name, at = take_text(data, at)
        self.uid, at = take_text(data, at)
        self.gid, at = take_text(data, at)
        self.muid, at = take_text(data, at)
        self.size = at

    @property
    def is_directory(self):
        return bool(self.mode & DMDIR)


def changes(name="", mode=0xFFFFFFFF, length=0xFFFFFFFFFFFFFFFF, mtime=0xFFFFFFFF, uid="", gid=""):
    """A wstat record that changes what is given."""
    body = struct.pack("<HIBIQIIIQ", 0xFFFF, 0xFFFFFFFF, 0xFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, mode, 0xFFFFFFFF,
                       mtime, length)
    body += text(name) + text(uid) + text(gid) + text("")
    return struct.pack("<H", len(body)) + body


class Connection:
    """One connection; `address` is unix!PATH or tcp!HOST!PORT."""

    def __init__(self, address, msize=65560, timeout=60):
        kind, *rest = address.split("!")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            # Blocking: a queue of connections that is full for a moment is no failure.
            self.socket.connect("!".join(rest))
            self.socket.settimeout(timeout)
        else:
            self.socket = socket.create_connection((rest[0], int(rest[1])), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next_fid = 1
        reply = self.call(TVERSION, struct.pack("<I", msize) + text("9P2000"), NOTAG)
        self.msize, = struct.unpack_from("<I", reply)
        version, _ = take_text(reply, 4)
        if version != "9P2000":
            raise ServerError("version " + version)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, kind, body, tag=1):
        self.socket.sendall(frame(kind, tag, body))

    def receive(self):
        size, kind, tag = struct.unpack("<IBH", self._exactly(7))
        return kind, tag, self._exactly(size - 7)

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the server closed the connection")
            data += piece
        return bytes(data)

    def call(self, kind, body, tag=1):
        self.send(kind, body, tag)
        reply, reply_tag, data = self.receive()
        if reply == RERROR:
            raise ServerError(take_text(data, 0)[0])
        if reply != kind + 1 or reply_tag != tag:
            raise ServerError("T%d was answered by %d, tag %d by %d" % (kind, reply, tag, reply_tag))
        return data

    def attach(self, user="none", tree=""):
        fid = self.fid()
        self.call(TATTACH, struct.pack("<II", fid, NOFID) + text(user) + text(tree))
        return File(self, fid)

    def fid(self):
        self.next_fid += 1
        return self.next_fid - 1


class File:
    """A fid, and what can be done with it and with paths below it."""

    def __init__(self, connection, fid):
        self.connection, self.fid = connection, fid

    def walk(self, path=""):
        names, current, owned = elements(path), self, False
        while True:
            part, names = names[:16], names[16:]
            fid = self.connection.fid()
            body = struct.pack("<IIH", current.fid, fid, len(part)) + b"".join(map(text, part))
            reply = self.connection.call(TWALK, body)
            if struct.unpack_from("<H", reply)[0] != len(part):
                raise ServerError("directory entry not found")
            if owned:
                current.clunk()
            current, owned = File(self.connection, fid), True
            if not names:
                return current

    def open(self, mode=OREAD):
        self.connection.call(TOPEN, struct.pack("<IB", self.fid, mode))
        return self

    def create_here(self, name, mode=0o666, access=ORDWR):
        self.connection.call(TCREATE, struct.pack("<I", self.fid) + text(name) + struct.pack("<IB", mode, access))
        return self

    def read_at(self, offset, count):
        reply = self.connection.call(TREAD, struct.pack("<IQI", self.fid, offset, count))
        return reply[4:]

    def read_all(self):
        data, most = bytearray(), self.connection.msize - 24
        while True:
            piece = self.read_at(len(data), most)
            if not piece:
                return bytes(data)
            data += piece

    def write_at(self, offset, data):
        most = self.connection.msize - 24
        for start in range(0, len(data), most):
            piece = data[start:start + most]
            body = struct.pack("<IQI", self.fid, offset + start, len(piece)) + piece
            count, = struct.unpack("<I", self.connection.call(TWRITE, body))
            if count != len(piece):
                raise ServerError("short write")

    def stat(self):
        return Stat(self.connection.call(TSTAT, struct.pack("<I", self.fid))[2:])

    def change(self, **fields):
        record = changes(**fields)
        self.connection.call(TWSTAT, struct.pack("<IH", self.fid, len(record)) + record)

    def sync(self):
        self.change()

    def clunk(self):
        self.connection.call(TCLUNK, struct.pack("<I", self.fid))

    def remove_here(self):
        self.connection.call(TREMOVE, struct.pack("<I", self.fid))

    # Paths below this directory.

    def directory(self, path):
        names = elements(path)
        return self.walk("/".join(names[:-1])), names[-1]

    def make_directory(self, path, mode=0o775):
        parent, name = self.directory(path)
        parent.create_here(name, DMDIR | mode, OREAD).clunk()

    def put(self, path, data, mode=0o664, offset=0):
        parent, name = self.directory(path)
        try:
            file = parent.create_here(name, mode, OWRITE)
        except ServerError as error:
            if "exists" not in str(error):
                raise
            parent.clunk()
            file = self.walk(path).open(OWRITE | OTRUNC)
        file.write_at(offset, data)
        file.clunk()

    def get(self, path):
        file = self.walk(path).open()
        data = file.read_all()
        file.clunk()
        return data

    def list(self, path=""):
        file = self.walk(path).open()
        data, records, at = file.read_all(), [], 0
        file.clunk()
        while at < len(data):
            record = Stat(data[at:])
            records.append(record)
            at += record.size
        return records

    def remove(self, path):
        self.walk(path).remove_here()
