#!/usr/bin/env python3
"""Publishes messages to the channels of a moonwire cluster, straight into its Redis.

    ./publish.py CHANNEL EVENT JSON [IDEMPOTENCY_KEY]

Needs Python 3.8 or newer, and nothing else. REDIS is where Redis is: HOST:PORT, or the path of a
unix socket (default: 127.0.0.1:6379). REDIS_PASSWORD is its password. PUBLISH_LUA is the script
publish.lua of the nodes' version of moonwire (default: that of this source tree).
"""

import hashlib
import json
import os
import pathlib
import socket
import sys
import time
import uuid

MARK_TTL_S = 90000


class RedisError(Exception):
    """Redis has refused a command."""


class Connection:
    """A connection to Redis. Numbers in replies are int, texts bytes, and nothing is None."""

    def __init__(self, address, password=None, timeout=5):
        if "/" in address:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)), timeout)
        self.file = self.socket.makefile("rb")
        if password:
            self.call("AUTH", password)

    def close(self):
        self.file.close()
        self.socket.close()

    def call(self, *arguments):
        parts = [b"*%d\r\n" % len(arguments)]
        for argument in arguments:
            data = argument if isinstance(argument, bytes) else str(argument).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))
        return self._read()

    def _read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        data = self.file.read(int(rest) + 2)
        if len(data) < int(rest) + 2:
            raise ConnectionError("Redis has closed the connection")
        return data[:-2]


class Publisher:
    """Publishes to the cluster whose keys begin with {prefix}."""

    def __init__(self, address, script, password=None, prefix="mw", patience=10):
        self.address, self.script, self.password = address, script, password
        self.prefix, self.patience = "{%s}:" % prefix, patience
        self.digest = hashlib.sha1(script.encode()).hexdigest()
        self.connection = None

    def publish(self, channel, event, data, key=None, size=100, ttl_ms=0, is_final=False):
        """Publishes a message, and returns its position.

        `size` and `ttl_ms` are those of the channel's history in the app. `data` is any JSON value,
        or bytes. A message with the `key` of an earlier one is not published again for five
        minutes. Without a key, the message has one of its own, so that it can be sent again when
        the connection is lost. Raises RedisError, or after `patience` seconds OSError.
        """
        is_binary = isinstance(data, bytes)
        text = data if is_binary else json.dumps(data, allow_nan=False).encode()
        flags = ("b" if is_binary else "") + ("f" if is_final else "") or "-"
        name = event.encode()
        record = b"1 %b %d 0 0 0\n%b%b" % (flags.encode(), len(name), name, text)
        kinds = ["h", "s:" + channel, "c:" + channel, "n:", "i:" + (key or str(uuid.uuid4()))]
        keys = [self.prefix + kind for kind in kinds]
        rest = ["", 0, self.prefix + "m:" + channel, record, size, ttl_ms, MARK_TTL_S, int(is_final)]
        deadline = time.monotonic() + self.patience
        while True:
            try:
                reply = self._run(keys, rest)
                if reply[0] == b"OK":
                    return reply[1].decode()
                # Redis has restarted, and the nodes compare what they have seen; or no node runs
                raise ConnectionError("the nodes do not accept this Redis yet: " + reply[0].decode())
            except OSError:
                self.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _run(self, keys, rest):
        if not self.connection:
            self.connection = Connection(self.address, self.password)
            lines = self.connection.call("INFO", "server").decode().splitlines()
            self.run = next(line[7:] for line in lines if line.startswith("run_id:"))
        try:
            return self.connection.call("EVALSHA", self.digest, len(keys), *keys, self.run, *rest)
        except RedisError as error:
            code = str(error).split(" ")[0]
            if code in ("LOADING", "READONLY", "MASTERDOWN", "BUSY"):
                raise ConnectionError(str(error)) from error
            if code != "NOSCRIPT":
                raise
            return self.connection.call("EVAL", self.script, len(keys), *keys, self.run, *rest)

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: publish.py CHANNEL EVENT JSON [IDEMPOTENCY_KEY]")
    default = pathlib.Path(__file__).resolve().parents[2] / "csrc/broker/scripts/publish.lua"
    script = pathlib.Path(os.environ.get("PUBLISH_LUA", default)).read_text(encoding="utf-8")
    address = os.environ.get("REDIS", "127.0.0.1:6379")
    channel, event, data, *key = sys.argv[1:]
    publisher = Publisher(address, script, os.environ.get("REDIS_PASSWORD"))
    try:
        print(publisher.publish(channel, event, json.loads(data), *key))
    except (OSError, RedisError, ValueError) as error:
        sys.exit("publish.py: %s" % error)


if __name__ == "__main__":
    main()
