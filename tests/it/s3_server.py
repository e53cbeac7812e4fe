"""moto's S3 with the tricks that scripts/s3-server tells of: one request after the other is carried out."""

import io
import logging
import os
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

logging.disable()
application = DomainDispatcherApplication(create_backend_app)
carrying_out = threading.Lock()
forgetful, holds = set(), {}


class Hold:
    """A request that is to be held, and whether it is."""

    def __init__(self, number, when):
        self.left, self.when = int(number), when
        self.held, self.released = threading.Event(), threading.Event()


def trick(path):
    word, bucket, *more = path[2:].split("/")
    if word == "forget":
        forgetful.add(bucket)
    elif word == "hold":
        holds[bucket] = Hold(*more)
    elif word == "release":
        holds.pop(bucket).released.set()
    elif word == "held":
        return b"yes" if holds[bucket].held.is_set() else b"no"
    return b"done"


def answered(start, status, text):
    start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]


def counted(bucket, changes):
    hold = holds.get(bucket)
    if hold is None or not changes:
        return None
    hold.left -= 1
    return hold if hold.left == 0 else None


def serve(environment, start):
    path = environment["PATH_INFO"]
    if path.startswith("/_"):
        return answered(start, "200 OK", trick(path))
    bucket = path.split("/")[1]
    body = environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
    with carrying_out:
        hold = counted(bucket, environment["REQUEST_METHOD"] not in ("GET", "HEAD"))
        if bucket in forgetful:
            environment.pop("HTTP_IF_NONE_MATCH", None)
        if hold is None or hold.when == "after":
            environment["wsgi.input"] = io.BytesIO(body)
            said = []
            result = application(environment, lambda *words: said.append(words))
            text = b"".join(result)
    if hold:
        hold.held.set()
        hold.released.wait()
    if hold and hold.when == "before":
        return answered(start, "503 Service Unavailable", b"held")
    start(*said[0])
    return [text]


def until_nobody_listens():
    sys.stdin.buffer.read()
    os._exit(0)


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


server = make_server("127.0.0.1", 0, serve, threaded=True, request_handler=Quiet)
print(f"http://127.0.0.1:{server.port}", flush=True)
threading.Thread(target=until_nobody_listens, daemon=True).start()
server.serve_forever()
