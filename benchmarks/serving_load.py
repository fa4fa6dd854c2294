"""A load on an export over loopback: many clients, mixed lengths, bad requests among the good.

    python benchmarks/serving_load.py saved_models/mine [--minutes 20] [--clients 4]

The server is the tests' stand-in for TensorFlow Serving (one Session, no batching), in a process of
its own; the clients are threads here, half over gRPC, half over REST. Printed: how many good
requests failed (none may) and how many bad ones were not refused, latencies, and the server's
memory by quarters of the time.
"""

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from hierbert_tf.serving.client import Client, GrpcClient, RestClient, ServingError

WORDS = (
    "the", "of", "and", "cat", "dog", "river", "tower", "music", "winter", "market", "1920", "Über",
    "北京", "!",
)  # fmt: skip
BAD = ("no such signature", "no such input", "a number for a text", "a missing input")


def text(draw: random.Random) -> str:
    """Mostly a sentence, sometimes a page, seldom nothing."""
    words = draw.choices((0, 8, 20, 60, 600), weights=(1, 30, 40, 25, 4))[0]
    return " ".join(draw.choices(WORDS, k=words))


def good(client: Client, signature: str, inputs: list[str], draw: random.Random) -> None:
    rows = draw.choice((1, 1, 1, 4, 16))
    found = client.predict(
        signature, **{name: [text(draw) for _ in range(rows)] for name in inputs}
    )
    if any(len(value) != rows for value in found.values()):
        raise ServingError(f"{signature} gave another number of rows", "INTERNAL")


def bad(client: Client, signature: str, inputs: list[str], kind: str) -> None:
    texts = {name: ["a"] for name in inputs}
    if kind == BAD[0]:
        client.predict("nothing", **texts)
    elif kind == BAD[1]:
        client.predict(signature, words=["a"], **texts)
    elif kind == BAD[2]:
        client.predict(signature, **{name: [1.5] for name in inputs})
    else:
        client.predict(signature)


class Clients:
    """What the threads did."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seconds: dict[str, list[float]] = {}
        self.failed: list[str] = []
        self.refused = self.not_refused = 0

    def work(self, make, signatures: dict[str, list[str]], seed: int, end: float) -> None:
        """Asks until the end; `signatures` are the names of inputs by signature."""
        draw, client = random.Random(seed), make()
        while time.monotonic() < end:
            signature = draw.choice(sorted(signatures))
            inputs = signatures[signature]
            if draw.random() < 0.1:
                try:
                    bad(client, signature, inputs, draw.choice(BAD))
                    found = False
                except (ServingError, KeyError):
                    found = True
                with self.lock:
                    self.refused += found
                    self.not_refused += not found
                continue
            begin = time.monotonic()
            try:
                good(client, signature, inputs, draw)
            except Exception as error:  # anything: it is counted, and the thread goes on
                with self.lock:
                    self.failed.append(f"{signature}: {error}")
                continue
            with self.lock:
                self.seconds.setdefault(signature, []).append(time.monotonic() - begin)


def resident_megabytes(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the server's memory is not to be seen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the model's folder, with its versions")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.serving.stand_in_server", str(options.folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    ports = json.loads(server.stdout.readline())
    name = options.folder.name
    makers = [
        lambda: GrpcClient(f"127.0.0.1:{ports['grpc']}", name, timeout=120),
        lambda: RestClient(f"http://127.0.0.1:{ports['rest']}", name, timeout=120),
    ]
    signatures = {
        signature: list(one.inputs)
        for signature, one in makers[0]().signatures().items()
        if {info.dtype for info in one.inputs.values()} == {"object"}
        and "examples" not in signature
    }
    clients, end = Clients(), time.monotonic() + 60 * options.minutes
    threads = [
        threading.Thread(target=clients.work, args=(makers[n % 2], signatures, n, end))
        for n in range(options.clients)
    ]
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        memory.append(resident_megabytes(server.pid))
        time.sleep(1)
    server.stdin.close()
    server.wait(60)

    count = sum(map(len, clients.seconds.values()))
    print(
        f"{options.minutes:g} minutes, {options.clients} clients: {count} good requests answered, "
        f"{len(clients.failed)} failed; {clients.refused} bad ones refused, "
        f"{clients.not_refused} not"
    )
    for failure in clients.failed[:5]:
        print(f"  failed: {failure}")
    print("\n| signature | requests | p50, ms | p99, ms |\n|---|---:|---:|---:|")
    for signature, seconds in sorted(clients.seconds.items()):
        middle, late = 1e3 * np.percentile(seconds, [50, 99])
        print(f"| {signature} | {len(seconds)} | {middle:.1f} | {late:.1f} |")
    quarters = [np.median(part) for part in np.array_split(memory, 4)]
    print("\n| quarter | resident memory of the server, MiB |\n|---|---:|")
    for number, value in enumerate(quarters, 1):
        print(f"| {number} | {value:.0f} |")
    print(f"\nlast quarter against the second: {quarters[3] / quarters[1] - 1:+.1%}")
    sys.exit(bool(clients.failed or clients.not_refused))


if __name__ == "__main__":
    main()
