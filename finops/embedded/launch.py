"""Starts one program tied to its parent's life and, when asked to, under an unprivileged identity.

Run as a script, in a fresh interpreter and with the standard library alone:

    launch.py DEATH_SIGNAL IDENTITY PROGRAM [ARGUMENT ...]

DEATH_SIGNAL (a number, 0 for none) is what the program receives when its parent dies, however it
dies. IDENTITY is ``same``, ``namespace:UID:GID`` (a user namespace in which root is that user: files
stay root's own) or ``user:UID:GID`` (that user, who keeps root's way through directories). The
program replaces this process, so it keeps its process id.

With FINOPS_HOLD in the environment, the program and all its children hold a shared lock on the file
that it names: whoever can lock that file alone knows that all of them have ended.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CLONE_NEWUSER = 0x10000000
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def main(argv: list[str]) -> None:
    """Take on the identity, tie to the parent, become the program."""
    death_signal, identity, *program = argv
    parent = os.getppid()
    if file := os.environ.get("FINOPS_HOLD"):
        hold(file)
    assume(identity)
    if int(death_signal):
        end_with_parent(int(death_signal))
        if os.getppid() != parent:
            sys.exit(f"{program[0]} was not started: its parent had already ended")
    os.execv(program[0], program)  # noqa: S606  (no shell is wanted)


def end_with_parent(death_signal: int) -> None:
    """Let the kernel send this process a signal when the one that started it ends, however it ends."""
    _call(_libc.prctl, PR_SET_PDEATHSIG, death_signal, 0, 0, 0)


def hold(file: str) -> None:
    """Lock the file, shared, for as long as any process that inherits from this one lives."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.set_inheritable(descriptor, True)  # noqa: FBT003


def assume(identity: str) -> None:
    """Become the identity. Raises OSError where the kernel or a container forbids it."""
    if identity == "same":
        return
    kind, uid, gid = identity.split(":")
    if kind == "namespace":
        _enter_namespace(int(uid), int(gid))
    else:
        _become_user(int(uid), int(gid))


def _enter_namespace(uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _call(_libc.unshare, CLONE_NEWUSER)
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)


def _become_user(uid: int, gid: int) -> None:
    """Give up root, but keep the one capability that reaches a directory below ``/root``."""
    _call(_libc.prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    bit = 1 << CAP_DAC_OVERRIDE
    data = (_CapabilityData * 2)(_CapabilityData(bit, bit, bit), _CapabilityData())
    _call(_libc.capset, ctypes.byref(_CapabilityHeader(CAPABILITY_VERSION_3, 0)), data)
    _call(_libc.prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _call(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
