#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Takes as much as it can get, and says how much that was.

usage: hog.py memory       until it is killed
       hog.py processes    until there are no more
       hog.py processor    for four seconds, with two processes
"""

import os
import resource
import signal
import sys
import time


def take_memory():
    blocks = []
    while True:
        blocks.append(b"x" * (1 << 20))


def take_processes():
    children = []
    try:
        while len(children) < 1000:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except OSError as error:
        print(f"{len(children)} more, and then: {error.strerror}")
    for child in children:
        os.kill(child, signal.SIGKILL)


def take_processor():
    end = time.monotonic() + 4
    first = os.fork() != 0
    while time.monotonic() < end:
        pass
    if not first:
        os._exit(0)
    os.wait()
    used = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    print(f"{used / 4:.2f} of a processor")


match sys.argv[1:]:
    case ["memory"]:
        take_memory()
    case ["processes"]:
        take_processes()
    case ["processor"]:
        take_processor()
    case _:
        sys.exit(__doc__)
