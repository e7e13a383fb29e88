#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tries to reach things of others, and says what came of it.

usage: probe.py try           for each line "OWNER KIND WORD..." of the standard input, prints
                              "OWNER<tab>KIND THING<tab>GOT IT: ..." or "...<tab>refused: REASON"
       probe.py hold NAME     makes things that others may look for, and keeps them until SIGTERM
       probe.py drop NAME     removes what `hold` leaves behind when it is killed
       probe.py own NAME SERVICE PORT
                              writes into a service on 127.0.0.1 whose it is
       probe.py store ADDRESS PORT COUNT
       probe.py load ADDRESS PORT COUNT
                              passes that many values of a million bytes to a memcached, or from it
"""

import ctypes
import http.client
import os
import signal
import socket
import sys
import zlib
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
IPC_CREAT, IPC_RMID = 0o1000, 0


class Refused(Exception):
    pass


def checked(result):
    """The result of a call of the C library; an OSError where it is -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def connected(family, address):
    client = socket.socket(family)
    client.settimeout(10)
    client.connect(address)
    return client


def connected_to(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return connected(family, (address, int(port)))


def ask(address, port, request):
    """The first line of the answer, and the one after it, which may never come."""
    with connected_to(address, port) as client, client.makefile("rb") as answer:
        client.sendall(request.encode())
        yield answer.readline().decode().strip()
        yield answer.readline().decode().strip()


def command_line(pid):
    """The words of a process; none when it has ended."""
    try:
        return Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


# --- what can be tried: KIND is the name of a function, and what it returns was got -------------


def process(pid, name):
    os.kill(int(pid), 0)
    if name not in command_line(pid):
        raise Refused("that number is another process here")
    return "may be signalled"


def any_process(name):
    pids = [entry for entry in os.listdir("/proc") if entry.isdigit()]
    if not any(name in command_line(pid) for pid in pids):
        raise Refused(f"{len(pids)} processes in sight, all of them others")
    return "seen in /proc"


def file(path):
    return f"{len(Path(path).read_bytes())} bytes read"


def folder(path, identity):
    status = os.stat(path)
    if f"{status.st_dev}:{status.st_ino}" != identity:
        raise Refused("another folder of that name")
    return f"{len(os.listdir(path))} entries read"


def unix_socket(path):
    with connected(socket.AF_UNIX, path):
        return "connected"


def abstract_socket(name):
    with connected(socket.AF_UNIX, "\0" + name):
        return "connected"


def redis_key(key):
    answer = ask("127.0.0.1", 6379, f"GET {key}\r\n")
    if next(answer) == "$-1":
        raise Refused("this redis has no such key")
    return f"value {next(answer)}"


def redis(address, port, owner):
    return whose(owner, ask(address, port, "GET owner\r\n"), "$-1")


def memcached(address, port, owner):
    return whose(owner, ask(address, port, "get owner\r\n"), "END")


def beanstalkd(address, port, owner):
    return whose(owner, ask(address, port, "peek-ready\r\n"), "NOT_FOUND")


def whose(owner, answer, nobody):
    if next(answer) == nobody:
        raise Refused("it is nobody's")
    found = next(answer)
    if found != owner:
        raise Refused(f"it is {found}'s there")
    return f"it is {owner}'s"


def web(address, port):
    client = http.client.HTTPConnection(address, int(port), timeout=10)
    client.request("GET", "/")
    answer = client.getresponse()
    text = answer.read().decode()
    client.close()
    return text if answer.status == 200 else f"status {answer.status}"


def sysv_memory(name):
    checked(libc.shmget(key_of(name), 0, 0))
    return "found"


def posix_memory(name):
    return file(f"/dev/shm/{name}")


def posix_queue(name):
    os.close(checked(libc.mq_open(f"/{name}".encode(), os.O_RDONLY)))
    return "opened"


BY_ADDRESS = [redis, memcached, beanstalkd, web]
KINDS = [process, any_process, file, folder, unix_socket, abstract_socket, sysv_memory,
         posix_memory, posix_queue, redis_key, *BY_ADDRESS]


def outcome(kind, words):
    try:
        return f"GOT IT: {kind(*words)}"
    except Refused as reason:
        return f"refused: {reason}"
    except OSError as error:
        return f"refused: {error.strerror or error}"


def try_all():
    kinds = {kind.__name__.replace("_", "-"): kind for kind in KINDS}
    for line in sys.stdin:
        owner, kind, *words = line.split()
        thing = " ".join([kind, *words[:2 if kinds[kind] in BY_ADDRESS else 1]])
        print(owner, thing, outcome(kinds[kind], words), sep="\t", flush=True)


# --- what others may look for --------------------------------------------------------------------


def key_of(name):
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def hold(name):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    checked(libc.shmget(key_of(name), 4096, IPC_CREAT | 0o666))
    Path("/dev/shm", name).write_text(f"of {name}\n", encoding="ascii")
    os.close(checked(libc.mq_open(f"/{name}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None)))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()  # the last: who can connect knows that all is there
        signal.sigwait({signal.SIGTERM})
    drop(name)


def drop(name):
    libc.shmctl(libc.shmget(key_of(name), 0, 0), IPC_RMID, None)
    Path("/dev/shm", name).unlink(missing_ok=True)
    libc.mq_unlink(f"/{name}".encode())


# --- services ------------------------------------------------------------------------------------


MARKS = {
    "redis": "SET owner {name}\r\n",
    "memcached": "set owner 0 0 {size}\r\n{name}\r\n",
    "beanstalkd": "put 0 0 60 {size}\r\n{name}\r\n",
}


def own(name, service, port):
    request = MARKS[service].format(name=name, size=len(name))
    print(next(ask("127.0.0.1", port, request)))


VALUE = bytes(1_000_000)


def store(address, port, count):
    with connected_to(address, port) as client, client.makefile("rb") as answer:
        for _ in range(int(count)):
            client.sendall(b"set big 0 0 %d\r\n%b\r\n" % (len(VALUE), VALUE))
            if answer.readline() != b"STORED\r\n":
                sys.exit("it was not taken")
    print(f"{int(count) * len(VALUE)} bytes came")


def load(address, port, count):
    with connected_to(address, port) as client, client.makefile("rb") as answer:
        for _ in range(int(count)):
            client.sendall(b"get big\r\n")
            answer.readline()
            if answer.read(len(VALUE)) != VALUE:
                sys.exit("it is not what was stored")
            answer.readline()
            answer.readline()
    print(f"{int(count) * len(VALUE)} bytes came")


def main():
    match sys.argv[1:]:
        case ["try"]:
            try_all()
        case ["hold", name]:
            hold(name)
        case ["drop", name]:
            drop(name)
        case ["own", name, service, port]:
            own(name, service, port)
        case ["store", address, port, count]:
            store(address, port, count)
        case ["load", address, port, count]:
            load(address, port, count)
        case _:
            sys.exit(__doc__)


main()
