"""Files opened for reading, and nothing else that a path may name."""

import os
import stat


class NotRegularFile(Exception):
    """What a path names instead of a regular file, such as "a FIFO"."""


def open_regular_file(path: str) -> int:
    """Open the regular file at `path` for reading. Returns a descriptor, which the caller closes.

    Raises:
        NotRegularFile: it is something else, which might never end.
        OSError: it cannot be opened.
        ValueError: no file has such a path: NUL or a lone surrogate is in it.
    """
    # O_NONBLOCK: opening a FIFO would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotRegularFile(_kind(mode))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFCHR: "a character device",
        stat.S_IFBLK: "a block device",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
