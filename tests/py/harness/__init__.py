"""What the tests in this folder share: servers, client processes, a faulty network, checks.

A client is a process of its own (`Client`), because the extension reads its configuration from the
environment once and stays loaded; killing one is killing a real application.
"""

from . import bank, injectors, ltx, raw
from .checks import Failed, check, database_content, each, equal, main, scratch, until
from .client import EXT, Client, Disconnected, SqlError
from .proxy import SPINNING, Proxy, Recorder
from .server import COMPACT, ROOT, TOKEN, Server

__all__ = [
    "COMPACT",
    "Client",
    "Disconnected",
    "EXT",
    "Failed",
    "Proxy",
    "ROOT",
    "Recorder",
    "SPINNING",
    "Server",
    "SqlError",
    "TOKEN",
    "bank",
    "check",
    "database_content",
    "each",
    "equal",
    "injectors",
    "ltx",
    "main",
    "raw",
    "scratch",
    "until",
]
