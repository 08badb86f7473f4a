-- Format 1. Numbers of 64 bits are kept bit by bit: one past 2^63 is stored as a negative integer.

-- The kernel's counters. One row.
CREATE TABLE kernel (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    body TEXT NOT NULL
) STRICT;

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

-- With a rowid, as blob is: a commit of many processes appends their pages in one place, and only
-- the small index is written where each process has its own.
CREATE TABLE page (
    pid  INTEGER NOT NULL,
    idx  INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (pid, idx)
) STRICT;

CREATE TABLE mail (
    pid    INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (pid, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE budget (
    id   INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

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

CREATE INDEX journal_pid ON journal (pid) WHERE pid IS NOT NULL;

-- Where the journal ends. One row.
CREATE TABLE head (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    length INTEGER NOT NULL,
    hash   BLOB NOT NULL
) STRICT;
