#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tries to reach things of others, and says what came of it.

usage: probe.py try           for each line "OWNER KIND WORD..." of the standard input, prints
                              "OWNER<tab>KIND THING<tab>GOT IT: ..." or "...<tab>refused: REASON"
       probe.py hold NAME     makes things that others may look for, and keeps them until SIGTERM
       probe.py drop NAME     removes what `hold` leaves behind when it is killed
"""

import ctypes
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


def tcp_port(port):
    with connected(socket.AF_INET, ("127.0.0.1", int(port))):
        return "connected"


def redis_key(key):
    with connected(socket.AF_INET, ("127.0.0.1", 6379)) as client:
        client.sendall(f"GET {key}\r\n".encode())
        answer = client.recv(4096).decode().split("\r\n")
    if answer[0] == "$-1":
        raise Refused("this redis has no such key")
    return f"value {answer[1]}"


def sysv_memory(name):
    checked(libc.shmget(key_of(name), 0, 0))
    return "found"


def posix_memory(name):
    return file(f"/dev/shm/{name}")


def posix_queue(name):
    os.close(checked(libc.mq_open(f"/{name}".encode(), os.O_RDONLY)))
    return "opened"


KINDS = [process, any_process, file, folder, unix_socket, abstract_socket, tcp_port, redis_key,
         sysv_memory, posix_memory, posix_queue]


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
        print(owner, f"{kind} {words[0]}", outcome(kinds[kind], words), sep="\t", flush=True)


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


def main():
    match sys.argv[1:]:
        case ["try"]:
            try_all()
        case ["hold", name]:
            hold(name)
        case ["drop", name]:
            drop(name)
        case _:
            sys.exit(__doc__)


main()
