"""Processes that end with this one, together with whatever they start themselves.

Never signals a process that was already waited for, because its number may be somebody else's by then. No signal comes
between the start of a process and its being noted.
"""
import os
import signal
import subprocess
import sys

# From the request to end to the end by force.
END_S = 5
SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]

_starting = False
_waiting = None


def heed_signals():
    """Turns a signal into an exception, so that what was started is ended on the way out."""
    for number in SIGNALS:
        signal.signal(number, _heed)


def start(command, started, **options):
    """Starts a process as the head of a group of its own, and adds it to those that were started."""
    global _starting
    _starting = True
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
        started.append(process)
    finally:
        _starting = False
    if _waiting is not None:
        _heed(_waiting, None)
    return process


def end(started):
    """Ends these processes and their groups, and waits until they have ended."""
    for process in started:
        _signal_group(process, signal.SIGTERM)
    for process in started:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()


def output(command, **options):
    """What a command prints, once it has succeeded. An exception in between ends it."""
    started = []
    try:
        process = start(command, started, stdout=subprocess.PIPE, text=True, **options)
        out, err = process.communicate()
    finally:
        end(started)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command, out, err)
    return out


def _heed(number, _frame):
    global _waiting
    if _starting:
        _waiting = number
        return
    # The way out is short, and is not left for another one.
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def _signal_group(process, number):
    if process.returncode is None:
        os.killpg(process.pid, number)
