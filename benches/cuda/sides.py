"""The programs of both sides: esparsa's, one process a call, and PyTorch's, one process that answers commands."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time


# Of the output of a program that took too long so much is shown.
SHOWN_BYTES = 4096


class Failed(Exception):
    """A program failed or took too long; the message is the last that it wrote."""


class TookTooLong(Failed):
    """A program took too long; `found` is what it had written to standard output."""

    def __init__(self, message, found):
        super().__init__(message)
        self.found = found


def say(message):
    print(message, file=sys.stderr, flush=True)


def last_line(text, default):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("error: ").removeprefix("Error: ")[:300] if lines else default


def output(command, limit_s, is_quiet=False, **more):
    """Exit code, output and messages of a program, which is killed with all it started when the time is up."""
    if limit_s <= 0:
        raise Failed("no time was left")
    command = [str(part) for part in command]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **more)
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from error
    try:
        found, messages = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        # What it wrote before it was ended.
        found, messages = process.communicate()
        say("  " + " ".join(command) + f": took longer than {limit_s:.0f} s; its last output:")
        for text in (found, messages):
            sys.stderr.write(text[-SHOWN_BYTES:])
        sys.stderr.flush()
        last = last_line(messages or found, "it wrote nothing")
        raise TookTooLong(f"took longer than {limit_s:.0f} s; the last that it wrote: {last}", found) from None
    if process.returncode != 0 and not is_quiet:
        say("  " + " ".join(command))
        sys.stderr.write(messages[-SHOWN_BYTES:])
    return process.returncode, found, messages


def call(command, limit_s, **more):
    """What a program prints."""
    code, found, messages = output(command, limit_s, **more)
    if code != 0:
        raise Failed(last_line(messages or found, f"exit code {code}"))
    return found


def json_lines(text):
    """The objects of a program's output; a line that was cut short is left out."""
    objects = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                objects.append(json.loads(line))
            except json.JSONDecodeError:
                say(f"  cut short: {line[:80]}")
    return objects


class Server:
    """PyTorch's side. Commands may be sent ahead of their answers, which come in order."""

    def __init__(self, command):
        self.command, self.process, self.answers, self.waiting = [str(part) for part in command], None, None, 0
        # What was loaded into the process that runs now.
        self.loaded = set()

    def start(self):
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        except OSError as error:
            raise Failed(f"{self.command[0]}: {error.strerror}") from error
        self.answers, self.waiting = queue.Queue(), 0
        threading.Thread(target=self.read, args=(self.process, self.answers), daemon=True).start()

    @staticmethod
    def read(process, answers):
        for line in process.stdout:
            answers.put(line)
        answers.put(None)

    def send(self, **command):
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failed(f"PyTorch's side ended: {error.strerror}") from error
        self.waiting += 1

    def answer(self, limit_s):
        """The next answer. When the time is up the process is ended, and what it had loaded is gone."""
        try:
            line = self.answers.get(timeout=max(limit_s, 0.001))
        except queue.Empty:
            self.end()
            raise Failed(f"took longer than {limit_s:.0f} s") from None
        if line is None:
            self.end()
            raise Failed("PyTorch's side ended, see its messages above")
        self.waiting -= 1
        found = json.loads(line)
        if "error" in found:
            raise Failed(found["error"])
        return found

    def ask(self, seconds, /, **command):
        """The answer to a command, after answers that nobody waited for."""
        if seconds <= 0:
            # Not sent: an answer that nobody can wait for would cost the process and all that it loaded.
            raise Failed("no time was left")
        deadline = time.monotonic() + seconds
        self.send(**command)
        while self.waiting > 1:
            try:
                self.answer(deadline - time.monotonic())
            except Failed:
                if self.process is None:
                    raise
        return self.answer(deadline - time.monotonic())

    def end(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            self.loaded.clear()
