-- All times are milliseconds since 1970. Text that is no UTF-8 stands as a BLOB. To read it with sqlite3:
--   SELECT id, datetime(accepted_at / 1000, 'unixepoch'), originator, group_uri FROM message;

CREATE TABLE meta (
  only_row INTEGER PRIMARY KEY CONSTRAINT "meta has one row" CHECK (only_row = 1),
  -- For keyed hashes, such as those of anonymous senders.
  key BLOB NOT NULL,
  -- Which start of the proxy this is; the upper half of the id of each message.
  run INTEGER NOT NULL,
  -- How often it was tried whether the file can be written.
  probes INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE message (
  -- Greater than those of messages accepted before.
  id INTEGER PRIMARY KEY,
  accepted_at INTEGER NOT NULL,
  -- 0: never.
  expires_at INTEGER NOT NULL,
  -- 1: recipients without an outcome are sent to after a restart. 0: here for its kept copies alone.
  promised INTEGER NOT NULL,
  -- When the last recipient had an outcome or a kept copy; NULL before.
  finished_at INTEGER,
  -- 1: the originator is a keyed hash.
  anonymous INTEGER NOT NULL,
  originator TEXT NOT NULL,
  group_uri TEXT NOT NULL,
  -- What the copies are made from.
  from_header TEXT NOT NULL,
  headers TEXT NOT NULL,
  charging TEXT NOT NULL,
  needs_stream INTEGER NOT NULL,
  window INTEGER NOT NULL,
  -- NULL: no bound of its own.
  most_at_once INTEGER,
  entry_at INTEGER NOT NULL,
  seed BLOB NOT NULL,
  -- What it takes here, without its kept copies.
  bytes INTEGER NOT NULL,
  recipient_count INTEGER NOT NULL,
  -- One address a line, in the order of their numbers from 0. Behind a tab, what a recipient has of its own:
  -- the word entry or nothing, and behind another tab header fields; \\, \t, \r and \n stand for those bytes.
  recipients TEXT NOT NULL,
  body BLOB NOT NULL
);

-- 256 recipients a row, three bytes each: the outcome (0: none), and the SIP status code, lower byte first. A
-- message has only the rows, and a row only the bytes, up to the last recipient with an outcome.
CREATE TABLE recipient_state (
  message INTEGER NOT NULL,
  chunk INTEGER NOT NULL,
  states BLOB NOT NULL,
  PRIMARY KEY (message, chunk)
) WITHOUT ROWID;

-- The requests that were answered 202 in the last 64*T1 (32 seconds).
CREATE TABLE request (
  message INTEGER PRIMARY KEY,
  accepted_at INTEGER NOT NULL,
  call_id TEXT NOT NULL,
  from_tag TEXT NOT NULL,
  cseq INTEGER NOT NULL,
  via TEXT NOT NULL,
  -- A keyed hash of authenticated originator, Request-URI and body.
  content BLOB NOT NULL
);

-- Copies for members who are away.
CREATE TABLE kept (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  message INTEGER NOT NULL,
  recipient INTEGER NOT NULL,
  -- The same for all spellings of an address.
  address_hash INTEGER NOT NULL,
  address TEXT NOT NULL,
  code INTEGER NOT NULL,
  kept_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  UNIQUE (message, recipient)
);
CREATE INDEX kept_address ON kept (address_hash, message, recipient);
CREATE INDEX kept_expires ON kept (expires_at);
