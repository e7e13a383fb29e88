#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the bytes of a file as the initialiser of a C++ array."""

import sys

with open(sys.argv[1], "rb") as image:
    data = image.read()
with open(sys.argv[2], "w", encoding="ascii") as out:
    for start in range(0, len(data), 20):
        out.write("".join(f"{byte}," for byte in data[start : start + 20]) + "\n")
