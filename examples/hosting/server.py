#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A web server on all addresses: plays the internet, and a service of the host's.

usage: server.py NAME PORT...    NAME only tells one from another, in the list of processes

GET / says who asks, GET /N gives N bytes, and POST says how many bytes came.
"""

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 1 << 16


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(self.server_address)  # and no name is looked up


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def answer(self, size, blocks):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("Connection", "close")
        self.end_headers()
        for block in blocks:
            self.wfile.write(block)

    def say(self, text):
        self.answer(len(text), [text.encode()])

    def do_GET(self):
        if self.path == "/":
            self.say(f"you come from {self.client_address[0].removeprefix('::ffff:')}")
            return
        size = int(self.path[1:])
        whole, rest = divmod(size, BLOCK)
        self.answer(size, [bytes(BLOCK)] * whole + [bytes(rest)])

    def do_POST(self):
        left = size = int(self.headers["Content-Length"])
        while left and (block := self.rfile.read(min(left, BLOCK))):
            left -= len(block)
        self.say(f"{size - left} bytes came")

    def log_message(self, *_):
        pass


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    servers = [Server(("::", int(port)), Handler) for port in sys.argv[2:]]
    for server in servers:
        threading.Thread(target=server.serve_forever).start()


main()
