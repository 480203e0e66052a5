"""System calls by number, past whatever a library would do about them."""

import ctypes
import errno
import platform

_X86_64 = {
    "shmget": 29, "socket": 41, "socketpair": 53, "clone": 56, "ptrace": 101, "personality": 135,
    "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166, "add_key": 248,
    "request_key": 249, "keyctl": 250, "move_pages": 279, "unshare": 272, "perf_event_open": 298,
    "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "memfd_create": 319,
    "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "personality": 92, "unshare": 97,
    "ptrace": 117, "shmget": 194, "socket": 198, "socketpair": 199, "add_key": 217,
    "request_key": 218, "keyctl": 219, "clone": 220, "move_pages": 239, "perf_event_open": 241,
    "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268,
    "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "memfd_create": 279,
    "bpf": 280, "userfaultfd": 282,
}  # fmt: skip
_BOTH = {
    "io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "pidfd_open": 434, "clone3": 435,
    "pidfd_getfd": 438, "quotactl_fd": 443, "memfd_secret": 447,
}  # fmt: skip
NUMBERS = {**(_X86_64 if platform.machine() == "x86_64" else _AARCH64), **_BOTH}

_library = ctypes.CDLL(None, use_errno=True)
_library.syscall.restype = ctypes.c_long

REFUSED = (errno.EPERM, errno.ENOSYS)


def call(which, *arguments):
    """Make a call; return what it gives, or its error number below zero."""
    number = NUMBERS[which] if isinstance(which, str) else which
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = _library.syscall(ctypes.c_long(number), *given)
    return -ctypes.get_errno() if result == -1 else result


def looked_at(result):
    """Whether the kernel itself answered: no filter stood before it."""
    return -result not in REFUSED


NAMESPACES = {"user": 0x10000000, "mount": 0x20000, "net": 0x40000000, "pid": 0x20000000,
              "ipc": 0x08000000, "uts": 0x04000000, "cgroup": 0x02000000}  # fmt: skip


def powers_taken(*names):
    """Try to be root over namespaces of our own, from which there is more to be had."""
    flags = NAMESPACES["user"]
    for name in names:
        flags |= NAMESPACES[name]
    call("unshare", flags)
