"""A 9P2000 client for benchmarks: one connection, and many connections at once."""
import selectors
import socket
import struct

TVERSION, TATTACH, RERROR, TWALK, TOPEN, TCREATE = 100, 104, 107, 110, 112, 114
TREAD, TWRITE, TCLUNK, TREMOVE, TSTAT, TWSTAT = 116, 118, 120, 122, 124, 126
NO_TAG, NO_FID = 0xFFFF, 0xFFFFFFFF
READ, WRITE, READ_WRITE, TRUNCATE = 0, 1, 2, 16
DIRECTORY = 0x80000000
MESSAGE_BYTES = 65536 + 24


class Refused(Exception):
    """The server answered with an error."""


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<H", len(data)) + data


def version():
    return TVERSION, struct.pack("<I", MESSAGE_BYTES) + string("9P2000")


def attach(fid, user, label):
    return TATTACH, struct.pack("<II", fid, NO_FID) + string(user) + string(label)


def walk(fid, new, *names):
    return TWALK, struct.pack("<IIH", fid, new, len(names)) + b"".join(map(string, names))


def open_(fid, mode):
    return TOPEN, struct.pack("<IB", fid, mode)


def create(fid, name, mode=0o644, opened=WRITE):
    return TCREATE, struct.pack("<I", fid) + string(name) + struct.pack("<IB", mode, opened)


def read(fid, offset, count):
    return TREAD, struct.pack("<IQI", fid, offset, count)


def write(fid, offset, data):
    return TWRITE, struct.pack("<IQI", fid, offset, len(data)) + data


def clunk(fid):
    return TCLUNK, struct.pack("<I", fid)


def remove(fid):
    return TREMOVE, struct.pack("<I", fid)


def sync(fid):
    """A wstat that changes nothing: everything acknowledged is durable when it is answered."""
    return TWSTAT, struct.pack("<I", fid) + struct.pack("<HH", 49, 47) + b"\xff" * 39 + bytes(8)


def truncate(fid, length):
    return TWSTAT, (struct.pack("<I", fid) + struct.pack("<HH", 49, 47) + b"\xff" * 31
                    + struct.pack("<Q", length) + bytes(8))


def frame(message):
    kind, body = message
    tag = NO_TAG if kind == TVERSION else 0
    return struct.pack("<IBH", 7 + len(body), kind, tag) + body


def checked(kind, answer):
    if answer[4] == RERROR:
        raise Refused(answer[9:].decode(errors="replace"))
    assert answer[4] == kind + 1, answer[:16]
    return answer[7:]


def dial(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock


class Session:
    """One connection with one request under way."""

    def __init__(self, path, label="main", user="glenda"):
        self.sock = dial(path)
        self.input = bytearray()
        self(version())
        self(attach(0, user, label))

    def __call__(self, message):
        self.sock.sendall(frame(message))
        while True:
            if len(self.input) >= 4:
                size, = struct.unpack_from("<I", self.input)
                if len(self.input) >= size:
                    answer = bytes(self.input[:size])
                    del self.input[:size]
                    return checked(message[0], answer)
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError("connection closed")
            self.input += data

    def put(self, path, data, offset=0, fid=1, opened=WRITE):
        """Writes into a file that is there."""
        self(walk(0, fid, *path.split("/")))
        self(open_(fid, opened))
        for start in range(0, len(data), MESSAGE_BYTES - 24):
            self(write(fid, offset + start, data[start:start + MESSAGE_BYTES - 24]))
        self(clunk(fid))

    def make(self, path, data=b"", fid=1):
        """Makes a file with contents."""
        *folder, name = path.split("/")
        self(walk(0, fid, *folder))
        self(create(fid, name))
        for start in range(0, len(data), MESSAGE_BYTES - 24):
            self(write(fid, start, data[start:start + MESSAGE_BYTES - 24]))
        self(clunk(fid))

    def delete(self, path, fid=1):
        self(walk(0, fid, *path.split("/")))
        self(remove(fid))

    def get(self, path, count, fid=1):
        self(walk(0, fid, *path.split("/")))
        self(open_(fid, READ))
        data = self(read(fid, 0, count))[4:]
        self(clunk(fid))
        return data

    def close(self):
        self.sock.close()


def drive(path, scripts):
    """Runs a script a connection, all at the same time, each with one request under way.

    A script is a generator that yields messages and is sent what is answered. The connections are
    left open for the caller to close.
    """
    socks = []
    selector = selectors.DefaultSelector()
    for script in scripts:
        sock = dial(path)
        socks.append(sock)
        state = [sock, script, bytearray(), next(script)]
        sock.sendall(frame(state[3]))
        selector.register(sock, selectors.EVENT_READ, state)
    left = len(selector.get_map())
    while left:
        for key, _ in selector.select():
            sock, script, data, message = state = key.data
            more = sock.recv(1 << 17)
            if not more:
                raise EOFError("connection closed")
            data += more
            if len(data) < 4 or len(data) < struct.unpack_from("<I", data)[0]:
                continue
            answer = bytes(data)
            data.clear()
            try:
                state[3] = script.send(checked(message[0], answer))
                sock.sendall(frame(state[3]))
            except StopIteration:
                selector.unregister(sock)
                left -= 1
    selector.close()
    return socks
