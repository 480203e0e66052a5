"""After a sync that failed: has the next one mean everything again.

Linux reports a failed sync once, and counts what it could not write as written (fsync(2); so do
others). Whatever of the write-ahead log was not synced before may then be missing on the disk,
while all that follows it is there: and recovery ends at the first frame that is missing. It is
still in memory, so it is written once more as it is, and synced.
"""

from __future__ import annotations

import apsw

from bridle.store.sqlite.statements import execute_of

_STEP = 1 << 16  # SQLite writes no more than this at once
# Bytes before the first frame, and before the page in each (https://sqlite.org/walformat.html).
_HEAD, _FRAME_HEAD = 32, 24


def rewrite(connection: apsw.Connection, synced: int) -> None:
    """Write the log file of a connection as it is, and sync it. Raises `apsw.Error`.

    The first `synced` frames are left alone: they are on the disk, and nothing should tear them.
    Nothing else may write to the log meanwhile; readers may read.
    """
    log = connection.filename_wal
    flags = [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0]
    file = apsw.VFSFile(connection.open_vfs, log, flags)
    try:
        size, at = file.xFileSize(), _end_of(connection, synced)
        while at < size:
            part = file.xRead(min(_STEP, size - at), at)
            # Its annotation names `Buffer`, which Python 3.11 does not have.
            file.xWrite(part, at)  # pyright: ignore[reportUnknownMemberType]
            at += len(part)
        file.xSync(apsw.SQLITE_SYNC_NORMAL)
    finally:
        file.xClose()


def _end_of(connection: apsw.Connection, frames: int) -> int:
    page = int(execute_of(connection)("PRAGMA page_size").get)
    return _HEAD + frames * (_FRAME_HEAD + page) if frames else 0
