-- Format 1. Numbers of 64 bits are kept bit by bit: one past 2^63 is stored as a negative integer.

-- What nearly every commit changes and is small: where the journal ends (kind 0, the head), the
-- kernel's counters (kind 1), the nodes of the budget tree (kind 2). Together, so that a commit
-- writes one page for them and not three.
CREATE TABLE node (
    kind INTEGER NOT NULL,
    id   INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- What a process was started with. Apart from its state, which is written at every step.
CREATE TABLE spec (
    pid  INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE process (
    pid  INTEGER PRIMARY KEY,
    live INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- A restart finds the live ones without a look at those of a year before.
CREATE INDEX process_live ON process (pid) WHERE live = 1;

-- Pages and facts are only ever added, by many processes in turn. So both are kept in the order in
-- which they come, which a commit writes at one end, and what belongs to one process is found over
-- a sparse index: the blocks of 256 rows in which the process has any. A full index would be
-- written all over by every commit.
CREATE TABLE page (
    place INTEGER PRIMARY KEY,
    pid   INTEGER NOT NULL,
    idx   INTEGER NOT NULL,
    body  TEXT NOT NULL
) STRICT;

CREATE TABLE page_block (
    pid   INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (pid, block)
) STRICT, WITHOUT ROWID;

CREATE TABLE mail (
    pid    INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (pid, number)
) STRICT, WITHOUT ROWID;

-- Bodies by content address. With a rowid: bodies are appended, and only the index, a tenth of their
-- size, is written at random places. The example commit_cost was a quarter faster for it.
CREATE TABLE blob (
    hash  BLOB PRIMARY KEY,
    bytes TEXT NOT NULL
) STRICT;

CREATE TABLE journal (
    seq  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    pid  INTEGER,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE TABLE journal_block (
    pid   INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (pid, block)
) STRICT, WITHOUT ROWID;
