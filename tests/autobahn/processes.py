"""Processes that end with this one, together with whatever they start themselves.

Never signals a process that was already waited for, because its number may be somebody else's by then.
"""
import os
import signal
import subprocess

# From the request to end to the end by force.
END_S = 5


def start(command, **options):
    """Starts a process as the head of a group of its own."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)


def end(processes):
    """Ends these processes and their groups, and waits until they have ended."""
    for process in processes:
        signal_group(process, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            signal_group(process, signal.SIGKILL)
            process.wait()


def output(command, **options):
    """What a command prints, once it has succeeded. An exception in between ends it."""
    process = start(command, stdout=subprocess.PIPE, text=True, **options)
    try:
        out, err = process.communicate()
    finally:
        end([process])
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command, out, err)
    return out


def signal_group(process, number):
    if process.returncode is None:
        os.killpg(process.pid, number)
