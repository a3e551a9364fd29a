CREATE TABLE im_group (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- The address in its one spelling: scheme and everything after the '@' in lower case, no URI
  -- headers, escapes only where needed. "cimfctl group add" writes it so whatever it is given.
  uri TEXT NOT NULL UNIQUE
    CONSTRAINT "a group URI is sip:USER@HOST or sips:USER@HOST, the scheme in lower case"
      CHECK (typeof(uri) = 'text' AND (uri GLOB 'sip:?*@?*' OR uri GLOB 'sips:?*@?*'))
    CONSTRAINT "a group URI is in lower case after the '@' and has no headers ('?') there"
      CHECK (substr(uri, instr(uri, '@')) NOT GLOB '*[A-Z?]*')
    CONSTRAINT "a group URI has no white space and no other character than ASCII"
      CHECK (uri NOT GLOB '*[^!-~]*'),
  display_name TEXT,
  -- 0: messages to this group are refused with 403.
  pager_mode INTEGER NOT NULL DEFAULT 1
    CONSTRAINT "pager_mode is 0 or 1" CHECK (pager_mode IN (0, 1)),
  -- Kept by triggers; see the table revision.
  revision INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX im_group_revision ON im_group (revision);

CREATE TABLE member (
  -- The id of an im_group.
  group_id INTEGER NOT NULL,
  -- A sip, sips or tel URI.
  uri TEXT NOT NULL
    CONSTRAINT "a member URI is a scheme, a colon and more, without white space, in ASCII"
      CHECK (typeof(uri) = 'text' AND uri GLOB '?*:?*' AND uri NOT GLOB '*[^!-~]*'),
  PRIMARY KEY (group_id, uri)
) WITHOUT ROWID;

-- Revisions tell the proxy's workers what to read again. Each is the time of a change, in
-- microseconds since 1970, or one more than the last where that is not later: none is ever used
-- twice, not even after the file was restored from a copy.
CREATE TABLE revision (
  only_row INTEGER PRIMARY KEY CONSTRAINT "revision has one row" CHECK (only_row = 1),
  -- Of the last change of anything.
  latest INTEGER NOT NULL,
  -- Of the last change of the set of group URIs.
  directory INTEGER NOT NULL
);
INSERT INTO revision (only_row, latest, directory) VALUES (1, 1, 1);

CREATE VIEW next_revision AS
  SELECT max(latest + 1, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)) AS number
  FROM revision;

CREATE TRIGGER im_group_inserted AFTER INSERT ON im_group BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE revision SET directory = latest;
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = new.id;
END;

CREATE TRIGGER im_group_id_kept BEFORE UPDATE OF id ON im_group WHEN new.id IS NOT old.id BEGIN
  SELECT RAISE(ABORT, 'the id of a group cannot change: its members are filed under it');
END;

CREATE TRIGGER im_group_updated AFTER UPDATE OF uri, display_name, pager_mode ON im_group BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE revision SET directory = latest WHERE new.uri IS NOT old.uri;
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = new.id;
END;

CREATE TRIGGER im_group_deleted AFTER DELETE ON im_group BEGIN
  DELETE FROM member WHERE group_id = old.id;
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE revision SET directory = latest;
END;

CREATE TRIGGER member_insert_checked BEFORE INSERT ON member
WHEN NOT EXISTS (SELECT 1 FROM im_group WHERE id = new.group_id) BEGIN
  SELECT RAISE(ABORT, 'no group has this group_id: insert the group into im_group first');
END;

CREATE TRIGGER member_inserted AFTER INSERT ON member BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = new.group_id;
END;

CREATE TRIGGER member_update_checked BEFORE UPDATE OF group_id ON member
WHEN NOT EXISTS (SELECT 1 FROM im_group WHERE id = new.group_id) BEGIN
  SELECT RAISE(ABORT, 'no group has this group_id: insert the group into im_group first');
END;

CREATE TRIGGER member_updated AFTER UPDATE ON member BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision)
    WHERE id IN (old.group_id, new.group_id);
END;

-- Not where the group itself goes: it has no revision to keep then.
CREATE TRIGGER member_deleted AFTER DELETE ON member
WHEN EXISTS (SELECT 1 FROM im_group WHERE id = old.group_id) BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = old.group_id;
END;
