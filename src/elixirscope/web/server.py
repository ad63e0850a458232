"""The Cinema's server process: a loopback socket, a token, uvicorn."""

from __future__ import annotations

import errno
import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from elixirscope.errors import EnvironmentProblem
from elixirscope.film import Film
from elixirscope.web.address import Address
from elixirscope.web.app import application
from elixirscope.web.security import Guard
from elixirscope.web.showing import Showing
from elixirscope.web.warming import Warming


class Server:
    """Serves what is shown at `url` on 127.0.0.1. The socket is bound on creation, so `url` is final.

    `address`: the port, 0 for a free one, and the token; a new one where it is None. With `insist`, a port that is
    taken or refused raises `EnvironmentProblem`; without, another one is used.
    """

    def __init__(self, shown: Film | Showing, *, address: Address | None = None, insist: bool = False) -> None:
        self.showing = shown if isinstance(shown, Showing) else Showing(shown)
        wanted = address or Address.new()
        try:
            self._socket = _listen(wanted.port)
        except EnvironmentProblem:
            if insist or wanted.port == 0:
                raise
            self._socket = _listen(0)
        self.port: int = self._socket.getsockname()[1]
        self.token = wanted.token
        app = Guard(application(self.showing), port=self.port, token=self.token)
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", server_header=False)
        self._server = uvicorn.Server(config)

    @property
    def address(self) -> Address:
        """The port and the token."""
        return Address(self.port, self.token)

    @property
    def url(self) -> str:
        """Address of the page, token included."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def run(self) -> None:
        """Serve until interrupted or `stop`."""
        # What is loaded by now stays: looking through it for garbage again and again takes tens of milliseconds.
        gc.freeze()
        warming = Warming(self.showing)
        warming.start()
        try:
            self._server.run(sockets=[self._socket])
        except KeyboardInterrupt:
            pass  # Ctrl-C is how a person ends it
        finally:
            warming.stop()
            self._socket.close()

    def stop(self) -> None:
        """Ask `run` to return; safe from another thread."""
        self._server.should_exit = True


@contextmanager
def serving(shown: Film | Showing, *, address: Address | None = None) -> Iterator[Server]:
    """A server that runs beside the caller while inside."""
    server = Server(shown, address=address, insist=address is not None)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def _listen(port: int) -> socket.socket:
    # With its protocol named: only then does asyncio turn off Nagle's algorithm, which holds each answer back 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # Lets a restarted server take its port back at once; a port that is listened on stays an error.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message, hint = (
                f"port {port} is in use",
                "choose another with --port, or leave it out for a free one",
            )
        else:
            message, hint = (
                f"cannot listen on port {port}: {error.strerror}",
                "choose a port above 1023 with --port",
            )
        raise EnvironmentProblem(message, hint) from error
    listener.listen(128)
    return listener
