"""In processes of their own, which load this one file: signals of pytest are its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hierbert_tf

FILE = Path(hierbert_tf.__file__).parent / "training" / "signal_watch.py"
LOAD = f"""
import importlib.util, os, signal, sys, threading, time
spec = importlib.util.spec_from_file_location("signal_watch", {str(FILE)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
watch = module.SignalWatch()
watch.on_exit = lambda name: print("told", name, flush=True)
"""


def run(code: str, signals: list[int], *arguments: str) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOAD + code, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines = []
    for number in signals:
        lines.append(process.stdout.readline())
        process.send_signal(number)
    output, _ = process.communicate(timeout=100)
    return process.returncode, "".join(lines) + output


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_process_whose_main_thread_runs_no_python(number, code):
    waiting = "print('ready', flush=True)\nthreading.Lock().acquire() and time.sleep(60)\n"
    found, output = run(waiting, [number])
    assert found == code
    assert f"told {signal.Signals(number).name}" in output and "nothing that was saved" in output


def test_the_first_is_noted_where_asked_for_and_the_second_ends_it():
    code = """
watch.on_signal = lambda number: print("noted", number, flush=True)
print("ready", flush=True)
time.sleep(60)
"""
    found, output = run(code, [signal.SIGTERM, signal.SIGTERM])
    assert found == 143
    assert "noted 15" in output and "told SIGTERM" in output


def test_the_handlers_are_put_back_at_close():
    code = """
watch.close()
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.set_wakeup_fd(-1), flush=True)
time.sleep(60)
"""
    found, output = run(code, [signal.SIGTERM])
    assert found == -signal.SIGTERM and output.startswith("True -1")
