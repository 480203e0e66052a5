"""After a sync that failed: has the next one mean everything again.

Linux reports a failed sync once, and counts what it could not write as written (fsync(2); so do
others). Whatever of the write-ahead log was not synced before may then be missing on the disk,
while all that follows it is there: and recovery ends at the first frame that is missing. It is
still in memory, so it is written once more as it is, and synced.
"""

from __future__ import annotations

import apsw

_STEP = 1 << 16  # SQLite writes no more than this at once


def rewrite(connection: apsw.Connection) -> None:
    """Write the log file of a connection as it is, and sync it. Raises `apsw.Error`.

    Nothing else may write to it meanwhile; readers may read.
    """
    log = connection.filename_wal
    flags = [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0]
    file = apsw.VFSFile(connection.open_vfs, log, flags)
    try:
        size, at = file.xFileSize(), 0
        while at < size:
            part = file.xRead(min(_STEP, size - at), at)
            # Its annotation names `Buffer`, which Python 3.11 does not have.
            file.xWrite(part, at)  # pyright: ignore[reportUnknownMemberType]
            at += len(part)
        file.xSync(apsw.SQLITE_SYNC_NORMAL)
    finally:
        file.xClose()
