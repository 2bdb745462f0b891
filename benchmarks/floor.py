"""The floor, in a process of its own: aiohttp behind TLS that decodes what is posted and forgets it.

``/nothing`` does not even decode: a no-op handler. Prints the port.
"""

from __future__ import annotations

import socket
import ssl
import sys

from aiohttp import web

from detector.entries import decode_body

MAX_BODY = 64 << 20


async def _decode(request: web.Request) -> web.Response:
    decode_body(await request.read())
    return web.Response()


async def _nothing(request: web.Request) -> web.Response:
    await request.read()
    return web.Response()


def main() -> None:
    """Serve until killed; the arguments are the files of certificate and key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    application = web.Application(client_max_size=MAX_BODY)
    application.add_routes([web.post("/decode", _decode), web.post("/nothing", _nothing)])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        web.run_app(application, sock=listening, ssl_context=context, print=None, access_log=None)


if __name__ == "__main__":
    main()
