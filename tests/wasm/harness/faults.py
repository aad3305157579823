"""The faulty network of the native tests, for those in the browser: one proxy, driven by lines.

usage: faults.py PORT      of the server on the loopback interface

Prints the proxy's URL. Each line on standard input is a JSON object whose member `do` says what; each
is answered with a line of JSON. Ends when standard input does. Faults leave alone what browsers ask
before a request (OPTIONS), so that they break what was meant.
"""

import json
import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "py"))
sys.dont_write_bytecode = True

from harness.proxy import Proxy  # noqa: E402


def answer_with(exchange, command):
    """The answer that the fault names, readable for the page unless `hidden`."""
    origin = dict((k.lower(), v) for k, v in exchange.headers).get("origin")
    readable = [("Access-Control-Allow-Origin", origin)] if origin and not command.get("hidden") else []
    exchange.answer(command["status"], command.get("body", "").encode(), readable)


def cut_answer(exchange, _):
    """Half of the answer arrives."""
    status, headers, body = exchange.forward()
    exchange.answer(status, body[:len(body) // 2], headers, length=len(body))
    exchange.cut()


def lose_answer(exchange, _):
    """The server does it, and nobody hears of it."""
    exchange.forward()
    exchange.cut()


FAULTS = {
    "status": answer_with,
    "cut": cut_answer,
    "lose": lose_answer,
    "drop": lambda exchange, _: exchange.cut(),
    "silence": lambda exchange, _: exchange.wait_for_client_to_leave(),
}


def break_with(proxy, command):
    left = [command.get("times")]

    def fault(exchange):
        if exchange.method == "OPTIONS" or left[0] == 0:
            return False
        if left[0] is not None:
            left[0] -= 1
        return FAULTS[command["fault"]](exchange, command)

    proxy.break_with(fault, command.get("path"))


def counts(proxy):
    """What was asked since the last time, without the browser's own questions."""
    requests = [f"{method} {path}" for method, path in proxy.requests if method != "OPTIONS"]
    told = {"requests": requests, "sent": proxy.bytes_out, "received": proxy.bytes_in}
    proxy.requests.clear()
    proxy.bytes_out = proxy.bytes_in = 0
    return told


def main():
    proxy = Proxy(types.SimpleNamespace(port=int(sys.argv[1])))
    print(proxy.url, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        told = None
        match command["do"]:
            case "break": break_with(proxy, command)
            case "heal": proxy.heal()
            case "down": proxy.down()
            case "up": proxy.up()
            case "counts": told = counts(proxy)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
