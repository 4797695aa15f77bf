#!/usr/bin/python3
"""shifted_clock.py HOURS PROGRAM ARGUMENT...: run a program, and whatever it starts, with its wall clock moved.

libfaketime replaces functions of the C library, which a static Go program such as openshift-install does not call.
Here the kernel's answer is changed: the program is traced, so that it has no vDSO and asks for the time by system
calls, and each of those that asks for the wall clock stops it for as long as the answer takes. x86-64 Linux.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import time

TRACEME, PEEKDATA, GETREGS, SETREGS, CONT, SETOPTIONS = 0, 2, 12, 13, 7, 0x4200
# clone, fork and vfork are followed; exec and the filter's stops are told; nobody outlives the tracer.
FORK, VFORK, CLONE, EXEC, SECCOMP, EXITKILL = 0x2, 0x4, 0x8, 0x10, 0x80, 0x100000
EVENTS = {1: "fork", 2: "vfork", 3: "clone", 4: "exec", 7: "seccomp"}
GETTIMEOFDAY, TIME, CLOCK_GETTIME = 96, 201, 228
ORIG_RAX, RAX, RSP, RDI, RSI = 15, 10, 19, 14, 13
AT_SYSINFO_EHDR, AT_IGNORE = 33, 1
WORD = 2**64 - 1
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
Registers = ctypes.c_ulonglong * 27


def ptrace(request: int, pid: int, address: int = 0, data: object = None) -> int:
    ctypes.set_errno(0)
    answer = libc.ptrace(request, pid, address, data)
    if answer == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(answer)


def filtered() -> None:
    """Stop this process, and its children, at system calls that ask for the wall clock (clocks 0 and 5)."""
    load, equal, end = 0x20, 0x15, 0x06
    trace, allow = 0x7FF00000, 0x7FFF0000
    rows = [
        (load, 0, 0, 0),
        (equal, 6, 0, GETTIMEOFDAY),
        (equal, 5, 0, TIME),
        (equal, 0, 3, CLOCK_GETTIME),
        (load, 0, 0, 16),
        (equal, 2, 0, 0),
        (equal, 1, 0, 5),
        (end, 0, 0, allow),
        (end, 0, 0, trace),
    ]
    code = b"".join(struct.pack("HBBI", *row) for row in rows)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rows), ctypes.addressof(buffer)))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        os._exit(126)


def without_vdso(pid: int) -> None:
    """Take the vDSO out of what the kernel tells a program that is about to start."""
    registers = Registers()
    ptrace(GETREGS, pid, 0, ctypes.addressof(registers))
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:

        def word(at: int) -> int:
            memory.seek(at)
            return int(struct.unpack("Q", memory.read(8))[0])

        at = registers[RSP]
        at += 8 * (word(at) + 2)
        while word(at):
            at += 8
        at += 8
        while kind := word(at):
            if kind == AT_SYSINFO_EHDR:
                memory.seek(at)
                memory.write(struct.pack("Q", AT_IGNORE))
            at += 16


def answer(pid: int, shift: float) -> None:
    """Answer the system call at which `pid` stopped."""
    registers = Registers()
    ptrace(GETREGS, pid, 0, ctypes.addressof(registers))
    call = registers[ORIG_RAX]
    now = time.time_ns() + int(shift * 1e9)
    seconds, rest = divmod(now, 10**9)
    into = registers[RSI] if call == CLOCK_GETTIME else registers[RDI]
    if into:
        content = {
            CLOCK_GETTIME: struct.pack("qq", seconds, rest),
            GETTIMEOFDAY: struct.pack("qq", seconds, rest // 1000),
            TIME: struct.pack("q", seconds),
        }[call]
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(into)
            memory.write(content)
    registers[RAX] = seconds if call == TIME else 0
    registers[ORIG_RAX] = WORD
    ptrace(SETREGS, pid, 0, ctypes.addressof(registers))


def follow(first: int, shift: float) -> int:
    """Trace until `first` has ended; its exit code."""
    known: set[int] = {first}
    while True:
        pid, status = os.waitpid(-1, 0x40000000)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if pid == first:
                return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            continue
        number, event = os.WSTOPSIG(status), EVENTS.get(status >> 16)
        pending = number
        if event == "exec":
            without_vdso(pid)
        elif event == "seccomp":
            answer(pid, shift)
        if event or (pid not in known and number == signal.SIGSTOP):
            pending = 0
        known.add(pid)
        try:
            ptrace(CONT, pid, 0, pending)
        except ProcessLookupError:
            continue


def main(argv: list[str]) -> int:
    shift, program = float(argv[0]) * 3600, argv[1:]
    child = os.fork()
    if child == 0:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        filtered()
        os.execvp(program[0], program)
    os.waitpid(child, 0)
    ptrace(SETOPTIONS, child, 0, FORK | VFORK | CLONE | EXEC | SECCOMP | EXITKILL)
    ptrace(CONT, child)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: os.kill(child, got))
    return follow(child, shift)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
