"""The schema of `index.db`, as migrations that only go forward, and the public views.

Tables are private and may change with any release; the views `files`, `remote_files` and `changes` are the
public API (README, "The index"). A migration that has been released is never edited.

Paths are BLOBs in byte order, which is the order of the scanner's walk: that is what lets a scan and a
cursor over `entry` be joined in one step each. `path_text` is only there for names that are not UTF-8.

This module is imported to migrate; opening a current index needs only `identity.py`.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from fileferry.index.identity import APPLICATION_ID, SCHEMA_VERSION, SKEW_KEY

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLES = """
CREATE TABLE meta (
    key    TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE folder (
    id                 INTEGER PRIMARY KEY,
    name               TEXT NOT NULL UNIQUE,
    root               BLOB NOT NULL UNIQUE,
    attachment         TEXT NOT NULL DEFAULT 'active'      -- active | detached
        CHECK (attachment IN ('active', 'detached')),
    policy             TEXT NOT NULL DEFAULT '',           -- fingerprint: purpose, name
    ignore_rules       TEXT NOT NULL DEFAULT '',           -- fingerprint of the ignore rules
    contact            TEXT NOT NULL DEFAULT 'new'         -- judged by the upload budget?
        CHECK (contact IN ('new', 'judged')),
    identity           TEXT,                               -- JSON: how the root is recognised
    halt               TEXT,                               -- why nothing is done here; NULL: nothing halts
    retire_seconds     REAL NOT NULL DEFAULT 600,          -- how long a replaced id lives on
    delete_seconds     REAL NOT NULL DEFAULT 600,          -- how long a removed one does
    scan_began_at      REAL,                               -- of the last whole scan that proved its root and ended
    scan_ended_at      REAL
) STRICT;

CREATE TABLE content (
    id         INTEGER PRIMARY KEY,
    digest     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    purpose    TEXT NOT NULL,
    extension  TEXT NOT NULL,
    variant    TEXT NOT NULL,
    due_at     REAL,                                       -- wall seconds: an upload may begin; NULL: none is wanted
    renew_at   REAL,                                       -- server seconds: a new id is needed; NULL: never
    attempts   INTEGER NOT NULL DEFAULT 0,                 -- failures in a row
    error      TEXT,                                       -- why the last one failed
    UNIQUE (digest, size, purpose, extension, variant)
) STRICT;
CREATE INDEX content_due ON content (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX content_renew ON content (renew_at) WHERE renew_at IS NOT NULL;

CREATE TABLE remote (
    id           INTEGER PRIMARY KEY,
    file_id      TEXT NOT NULL UNIQUE,
    content_id   INTEGER REFERENCES content (id),
    name         TEXT NOT NULL,
    size         INTEGER NOT NULL,
    purpose      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,                         -- server seconds
    expires_at   INTEGER,                                  -- server seconds
    recorded_at  REAL NOT NULL,
    state        TEXT NOT NULL
        CHECK (state IN ('live', 'retiring', 'deleting', 'lost', 'deleted')),
    proof        TEXT NOT NULL CHECK (proof IN ('proven', 'matched')),
    reason       TEXT,                                     -- why it was retired
    folder_id    INTEGER,                                  -- whose removal retired it: the guard counts by it
    retired_at   REAL,
    delete_at    REAL,                                     -- wall seconds: its delete is due
    ended_at     REAL,                                     -- deleted or found lost
    attempts     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX remote_one_live ON remote (content_id) WHERE state = 'live';
CREATE INDEX remote_content ON remote (content_id);
CREATE INDEX remote_expiry ON remote (expires_at) WHERE state = 'live' AND expires_at IS NOT NULL;
CREATE INDEX remote_leaving ON remote (delete_at) WHERE state IN ('retiring', 'deleting');
CREATE INDEX remote_removed ON remote (folder_id, retired_at) WHERE reason = 'removed';

CREATE TABLE hold (
    id          INTEGER PRIMARY KEY,
    folder_id   INTEGER NOT NULL REFERENCES folder (id),
    kind        TEXT NOT NULL CHECK (kind IN ('delete', 'upload')),
    made_at     REAL NOT NULL,
    files       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    decision    TEXT CHECK (decision IN ('approved', 'discarded')),
    decided_at  REAL
) STRICT;

CREATE TABLE entry (
    folder_id      INTEGER NOT NULL REFERENCES folder (id),
    path           BLOB NOT NULL,
    size           INTEGER NOT NULL,                       -- the stamp: what fstat said last
    mtime_ns       INTEGER NOT NULL,
    ctime_ns       INTEGER NOT NULL,
    inode          INTEGER NOT NULL,
    device         INTEGER NOT NULL,
    state          TEXT NOT NULL,
    held_id        INTEGER REFERENCES content (id),        -- whose remote file answers for the path
    held_mtime_ns  INTEGER,                                -- mtime of the version that it holds
    want_id        INTEGER REFERENCES content (id),        -- what the stamp was read as, while it is not held yet
    due_at         REAL,                                   -- wall seconds: look at it again; NULL: nothing to do
    seen_at        REAL NOT NULL,                          -- since when it is as the stamp says, or absent
    unsettled_at   REAL,                                   -- since when it has been changing
    absent         INTEGER NOT NULL DEFAULT 0,             -- proven gone, not yet let go
    attempts       INTEGER NOT NULL DEFAULT 0,
    hold_id        INTEGER REFERENCES hold (id),           -- what keeps it from being acted on
    approved       INTEGER NOT NULL DEFAULT 0,             -- a hold on it was released
    error          TEXT,
    path_text      TEXT,
    PRIMARY KEY (folder_id, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_due ON entry (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX entry_held ON entry (held_id) WHERE held_id IS NOT NULL;
CREATE INDEX entry_want ON entry (want_id) WHERE want_id IS NOT NULL;
CREATE INDEX entry_hold ON entry (hold_id) WHERE hold_id IS NOT NULL;
CREATE INDEX entry_absent ON entry (folder_id) WHERE absent = 1;
CREATE INDEX entry_trouble ON entry (state) WHERE state <> 'synced';
CREATE INDEX entry_public_path ON entry (COALESCE(path_text, CAST(path AS TEXT)));

CREATE TABLE intent (
    id               INTEGER PRIMARY KEY,
    content_id       INTEGER NOT NULL REFERENCES content (id),
    name             TEXT NOT NULL,
    size             INTEGER NOT NULL,
    purpose          TEXT NOT NULL,
    expires_seconds  INTEGER,                              -- as sent: its nonce is in it; NULL: no expiry, no proof
    state            TEXT NOT NULL CHECK (state IN ('open', 'unknown', 'closed')),
    outcome          TEXT,                                 -- if closed: done | not sent | none | refused | continued
    opened_at        REAL NOT NULL,                        -- server seconds, estimated
    begun_at         REAL NOT NULL,                        -- wall seconds: the same moment
    unknown_at       REAL,                                 -- wall seconds: when the answer was given up
    closed_at        REAL,
    absences         INTEGER NOT NULL DEFAULT 0,           -- listings that did not show it
    read_folder_id   INTEGER,                              -- whose file is read while it is sent; NULL: it was before
    read_path        BLOB,
    read_stamp       TEXT,                                 -- JSON: as what it was read when it was planned
    spoilt           INTEGER NOT NULL DEFAULT 0,           -- what was sent is not what was planned
    file_id          TEXT
) STRICT;
CREATE UNIQUE INDEX intent_one_in_flight ON intent (name, size, purpose) WHERE state <> 'closed';
CREATE INDEX intent_content ON intent (content_id) WHERE state <> 'closed';
CREATE INDEX intent_alike ON intent (name, size, purpose);
CREATE INDEX intent_closed ON intent (closed_at) WHERE state = 'closed';

CREATE TABLE upload (                                      -- large files, sent in parts
    id               INTEGER PRIMARY KEY,
    content_id       INTEGER NOT NULL REFERENCES content (id) ON DELETE CASCADE,
    intent_id        INTEGER NOT NULL REFERENCES intent (id) ON DELETE CASCADE, -- that sends it, or did last
    upload_id        TEXT UNIQUE,                          -- NULL: asked for, not answered
    name             TEXT NOT NULL,
    expires_seconds  INTEGER,                              -- of the file, as sent
    life_seconds     INTEGER,                              -- of the file, as asked for
    part_bytes       INTEGER NOT NULL,
    expires_at       REAL,                                 -- of the Upload, server seconds
    state            TEXT NOT NULL CHECK (state IN ('pending', 'completing', 'cancelling')),
    retry_at         REAL,                                 -- wall seconds: its cancel is due
    attempts         INTEGER NOT NULL DEFAULT 0            -- cancels that failed
) STRICT;
CREATE UNIQUE INDEX upload_one_of_content ON upload (content_id) WHERE state <> 'cancelling';

CREATE TABLE part (
    parcel_id  INTEGER NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    part_id    TEXT NOT NULL,
    digest     TEXT NOT NULL,
    PRIMARY KEY (parcel_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE change_log (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    at           REAL NOT NULL,
    folder_id    INTEGER NOT NULL,
    path         BLOB NOT NULL,
    path_text    TEXT,
    event        TEXT NOT NULL,
    old_file_id  TEXT,
    new_file_id  TEXT
) STRICT;
CREATE INDEX change_log_path ON change_log (folder_id, path);
"""

_RFC3339 = "strftime('%Y-%m-%dT%H:%M:%SZ', {0}, 'unixepoch')"
_PATH_TEXT = "COALESCE({0}.path_text, CAST({0}.path AS TEXT))"
_ROOT_TEXT = "CAST(folder.root AS TEXT)"

_SERVER_NOW = (
    "(CAST(strftime('%s', 'now') AS INTEGER)"  # noqa: S608
    f" + COALESCE((SELECT CAST(value AS REAL) FROM meta WHERE key = '{SKEW_KEY}'), 0.0))"
)


def _moment(column: str) -> str:
    return _RFC3339.format(column)


_VIEWS = f"""
CREATE VIEW files AS
SELECT folder.name AS folder,
       {_ROOT_TEXT} AS root,
       {_PATH_TEXT.format("entry")} AS path,
       CASE WHEN NOT EXISTS (SELECT 1 FROM meta WHERE key = 'unaudited')
            AND (remote.expires_at IS NULL OR remote.expires_at > {_SERVER_NOW}) THEN remote.file_id END AS file_id,
       entry.state AS state,
       held.digest AS digest,
       held.size AS size,
       {_moment("entry.held_mtime_ns / 1000000000")} AS mtime,
       COALESCE(held.purpose, want.purpose) AS purpose,
       remote.name AS remote_name,
       {_moment("remote.expires_at")} AS expires_at,
       {_moment("remote.recorded_at")} AS uploaded_at,
       COALESCE(entry.error, want.error) AS error,
       CASE WHEN entry.path_text IS NULL THEN NULL ELSE entry.path END AS path_raw
FROM entry
JOIN folder ON folder.id = entry.folder_id
LEFT JOIN content AS held ON held.id = entry.held_id
LEFT JOIN content AS want ON want.id = entry.want_id
LEFT JOIN remote ON remote.content_id = entry.held_id AND remote.state = 'live';

CREATE VIEW remote_files AS
SELECT remote.file_id AS file_id,
       content.digest AS digest,
       remote.size AS size,
       remote.purpose AS purpose,
       remote.name AS remote_name,
       {_moment("remote.created_at")} AS created_at,
       {_moment("remote.expires_at")} AS expires_at,
       remote.state AS state,
       CASE WHEN remote.state <> 'live' THEN '[]' ELSE
           (SELECT json_group_array({_ROOT_TEXT} || '/' || {_PATH_TEXT.format("entry")})
            FROM entry JOIN folder ON folder.id = entry.folder_id
            WHERE entry.held_id = remote.content_id)
       END AS paths
FROM remote
LEFT JOIN content ON content.id = remote.content_id;

CREATE VIEW changes AS
SELECT change_log.seq AS seq,
       {_moment("change_log.at")} AS at,
       folder.name AS folder,
       {_PATH_TEXT.format("change_log")} AS path,
       change_log.event AS event,
       change_log.old_file_id AS old_file_id,
       change_log.new_file_id AS new_file_id
FROM change_log
LEFT JOIN folder ON folder.id = change_log.folder_id;
"""  # noqa: S608


def _m001_initial(db: Database) -> None:
    _run(db.conn, _TABLES)


def _run(connection: sqlite3.Connection, script: str) -> None:
    # executescript would commit the migration's transaction first.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an index up to this release: tables by migrations, views made anew.

    Args:
        connection: open for writing, outside of a transaction.
    """
    from sqlite_utils import Database, Migrations

    migrations = Migrations("fileferry")
    migrations(name="m001_initial")(_m001_initial)
    db = Database(connection, execute_plugins=False)
    migrations.apply(db)
    connection.execute("BEGIN IMMEDIATE")
    for view in ("files", "remote_files", "changes"):
        connection.execute(f"DROP VIEW IF EXISTS {view}")
    _run(connection, _VIEWS)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
