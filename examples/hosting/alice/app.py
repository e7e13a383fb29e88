# SPDX-License-Identifier: Apache-2.0
"""alice's site, WSGI: counts its visits in a redis of her own."""

import platform

import redis

store = redis.Redis(host="127.0.0.1", port=6379)


def application(environ, start_response):
    visit = store.incr("alice:visits")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"alice, WSGI on Python {platform.python_version()}: visit {visit}\n".encode()]
