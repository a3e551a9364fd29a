-- What all nodes together have promised. Times of messages are milliseconds since 1970, by the clock of the node that has
-- accepted them; times of leases are PostgreSQL's own. Texts of SIP are bytes: encode(group_uri, 'escape') shows them.
--
-- A backup of it is of no use an hour later, and sends again what has long been sent: pg_dump --exclude-schema=cimf_ledger.
CREATE SCHEMA cimf_ledger;

CREATE TABLE cimf_ledger.meta (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- The version of these tables.
  version integer NOT NULL,
  -- For keyed hashes, such as those of anonymous senders, the same on all nodes.
  key bytea NOT NULL
);
INSERT INTO cimf_ledger.meta (version, key) VALUES (1, uuid_send(gen_random_uuid()));

-- Which start of which node it is: the upper half of the number of each message.
CREATE SEQUENCE cimf_ledger.run MINVALUE 1 MAXVALUE 2147483647 NO CYCLE;

-- Each start of each node. It sends as long as its lease holds; then the others take over what it has left.
CREATE TABLE cimf_ledger.node (
  run bigint PRIMARY KEY,
  name text NOT NULL,
  -- So that no other start is taken for it, whatever was restored.
  token bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- -infinity: it has left, and others may go on at once.
  lease_until timestamptz NOT NULL,
  -- Takes no new messages (cimf.drain).
  drains boolean NOT NULL DEFAULT false
);

-- Nobody's: what is to be sent by whoever takes it over.
INSERT INTO cimf_ledger.node (run, name, token, lease_until) VALUES (0, '', 0, '-infinity');

-- Recipients, one address a line as in the ledger of a single node, once for all messages that have the same.
CREATE TABLE cimf_ledger.list (
  hash bytea PRIMARY KEY,
  recipients bytea NOT NULL,
  used_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE cimf_ledger.message (
  id bigint PRIMARY KEY,
  -- Everybody has an outcome: here for its kept copies alone.
  finished boolean NOT NULL DEFAULT false,
  -- The start of a node that sends it.
  run bigint NOT NULL REFERENCES cimf_ledger.node,
  accepted_at bigint NOT NULL,
  -- 0: never.
  expires_at bigint NOT NULL,
  -- The originator is a keyed hash.
  anonymous boolean NOT NULL,
  originator bytea NOT NULL,
  group_uri bytea NOT NULL,
  -- What the copies are made from.
  from_header bytea NOT NULL,
  headers bytea NOT NULL,
  charging bytea NOT NULL,
  needs_stream boolean NOT NULL,
  send_window bigint NOT NULL,
  -- NULL: no bound of its own.
  most_at_once bigint,
  entry_at bigint NOT NULL,
  seed bytea NOT NULL,
  body bytea NOT NULL,
  recipient_count bigint NOT NULL,
  -- The recipients themselves, where they are few; else those of a list, but for the one in this line, counted from 0.
  recipients bytea,
  list bytea REFERENCES cimf_ledger.list,
  omitted bigint,
  -- The key of its request, for its withdrawal.
  request bytea,
  CHECK ((recipients IS NULL) <> (list IS NULL))
);
CREATE INDEX message_run ON cimf_ledger.message (run, accepted_at, id) WHERE NOT finished;
CREATE INDEX message_finished ON cimf_ledger.message (id) WHERE finished;
CREATE INDEX message_list ON cimf_ledger.message (list);

-- 256 recipients a row, three bytes each: the outcome (0: none), and the SIP status code, lower byte first.
CREATE TABLE cimf_ledger.recipient_state (
  message bigint NOT NULL REFERENCES cimf_ledger.message ON DELETE CASCADE,
  chunk bigint NOT NULL,
  states bytea NOT NULL,
  PRIMARY KEY (message, chunk)
);

-- The requests that were answered 202 in the last minutes: a keyed hash of Call-ID, From tag, CSeq, authenticated
-- originator, Request-URI and body.
CREATE TABLE cimf_ledger.request (
  key bytea PRIMARY KEY,
  message bigint NOT NULL,
  answered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Another node has answered 202 because this row was here: its message is not withdrawn any more.
  relied boolean NOT NULL DEFAULT false
);
CREATE INDEX request_answered_at ON cimf_ledger.request (answered_at);

-- Copies for members who are away. Each node follows it into a file of its own, by revisions.
CREATE TABLE cimf_ledger.kept (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message bigint NOT NULL REFERENCES cimf_ledger.message,
  recipient bigint NOT NULL,
  -- The same for all spellings of an address.
  address_hash bigint NOT NULL,
  address bytea NOT NULL,
  code bigint NOT NULL,
  kept_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  revision bigint NOT NULL,
  UNIQUE (message, recipient)
);
CREATE INDEX kept_revision ON cimf_ledger.kept (revision);

-- Those that are kept no longer, for a day.
CREATE TABLE cimf_ledger.kept_gone (
  id bigint PRIMARY KEY,
  revision bigint NOT NULL,
  gone_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX kept_gone_revision ON cimf_ledger.kept_gone (revision);

-- Whoever changes what is kept has this row until the end of its transaction, so that revisions are seen in their order.
CREATE TABLE cimf_ledger.kept_latest (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  source uuid NOT NULL DEFAULT gen_random_uuid(),
  latest bigint NOT NULL DEFAULT 0,
  -- Up to here it is forgotten what is kept no longer.
  forgotten bigint NOT NULL DEFAULT 0
);
INSERT INTO cimf_ledger.kept_latest DEFAULT VALUES;

-- Who has taken over which message from whom, for a day: a node that comes back lets go what stands here.
CREATE TABLE cimf_ledger.moved (
  message bigint NOT NULL,
  from_run bigint NOT NULL,
  to_run bigint NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (message, from_run)
);
CREATE INDEX moved_at ON cimf_ledger.moved (moved_at);

-- What is not finished, to be read by people.
CREATE VIEW cimf_ledger.unfinished AS
  SELECT message.id, node.name AS node, to_timestamp(accepted_at / 1000.0) AS accepted_at,
    CASE WHEN anonymous THEN 'anonymous' ELSE encode(originator, 'escape') END AS originator,
    encode(group_uri, 'escape') AS group_uri, recipient_count, length(body) AS body_bytes
  FROM cimf_ledger.message LEFT JOIN cimf_ledger.node USING (run) WHERE NOT finished;
