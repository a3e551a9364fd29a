-- Services, consents, rulesets and what else a group document says of a group.

CREATE TABLE service (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- The address of a URI-list service, in the one spelling that groups have. Never a group's too.
  uri TEXT NOT NULL UNIQUE
    CONSTRAINT "a service URI is sip:USER@HOST or sips:USER@HOST, the scheme in lower case"
      CHECK (typeof(uri) = 'text' AND (uri GLOB 'sip:?*@?*' OR uri GLOB 'sips:?*@?*'))
    CONSTRAINT "a service URI is in lower case after the '@' and has no headers ('?') there"
      CHECK (substr(uri, instr(uri, '@')) NOT GLOB '*[A-Z?]*')
    CONSTRAINT "a service URI has no white space and no other character than ASCII"
      CHECK (uri NOT GLOB '*[^!-~]*'),
  -- 0: messages to this service are refused with 403.
  pager_mode INTEGER NOT NULL DEFAULT 1
    CONSTRAINT "pager_mode is 0 or 1" CHECK (pager_mode IN (0, 1)),
  -- Kept by triggers; see the table revision.
  revision INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX service_revision ON service (revision);

-- Who has consented to get messages from a service.
CREATE TABLE consent (
  -- The id of a service.
  service_id INTEGER NOT NULL,
  -- A sip, sips or tel URI.
  uri TEXT NOT NULL
    CONSTRAINT "a consenting URI is a scheme, a colon and more, without white space, in ASCII"
      CHECK (typeof(uri) = 'text' AND uri GLOB '?*:?*' AND uri NOT GLOB '*[^!-~]*'),
  PRIMARY KEY (service_id, uri)
) WITHOUT ROWID;

-- The ruleset of the group, RFC 4745, as XML with `ruleset` as its root; NULL: its members may send.
ALTER TABLE im_group ADD COLUMN ruleset TEXT;
-- Kept for group documents only; neither limits or invites anybody here.
ALTER TABLE im_group ADD COLUMN max_participant_count INTEGER;
ALTER TABLE im_group ADD COLUMN invite_members INTEGER;

-- Names of members, for people.
CREATE TABLE member_name (
  group_id INTEGER NOT NULL,
  -- The URI of the member as it stands in the table member.
  uri TEXT NOT NULL,
  display_name TEXT NOT NULL,
  PRIMARY KEY (group_id, uri)
) WITHOUT ROWID;

-- Who is in the lists that the condition external-list of a ruleset names.
CREATE TABLE rule_list (
  -- The id of an im_group.
  group_id INTEGER NOT NULL,
  -- The list's address as the ruleset spells it.
  anchor TEXT NOT NULL,
  -- A sip, sips or tel URI.
  uri TEXT NOT NULL,
  PRIMARY KEY (group_id, anchor, uri)
) WITHOUT ROWID;

-- An address is a group's or a service's, never both.
CREATE TRIGGER service_insert_checked BEFORE INSERT ON service
WHEN EXISTS (SELECT 1 FROM im_group WHERE uri = new.uri) BEGIN
  SELECT RAISE(ABORT, 'a group has this address: a service needs one of its own');
END;
CREATE TRIGGER service_update_checked BEFORE UPDATE OF uri ON service
WHEN EXISTS (SELECT 1 FROM im_group WHERE uri = new.uri) BEGIN
  SELECT RAISE(ABORT, 'a group has this address: a service needs one of its own');
END;
CREATE TRIGGER im_group_insert_checked BEFORE INSERT ON im_group
WHEN EXISTS (SELECT 1 FROM service WHERE uri = new.uri) BEGIN
  SELECT RAISE(ABORT, 'a service has this address: a group needs one of its own');
END;
CREATE TRIGGER im_group_update_checked BEFORE UPDATE OF uri ON im_group
WHEN EXISTS (SELECT 1 FROM service WHERE uri = new.uri) BEGIN
  SELECT RAISE(ABORT, 'a service has this address: a group needs one of its own');
END;

CREATE TRIGGER service_inserted AFTER INSERT ON service BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE revision SET directory = latest;
  UPDATE service SET revision = (SELECT latest FROM revision) WHERE id = new.id;
END;

CREATE TRIGGER service_id_kept BEFORE UPDATE OF id ON service WHEN new.id IS NOT old.id BEGIN
  SELECT RAISE(ABORT, 'the id of a service cannot change: its consents are filed under it');
END;

CREATE TRIGGER service_updated AFTER UPDATE OF uri, pager_mode ON service BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE revision SET directory = latest WHERE new.uri IS NOT old.uri;
  UPDATE service SET revision = (SELECT latest FROM revision) WHERE id = new.id;
END;

CREATE TRIGGER service_deleted AFTER DELETE ON service BEGIN
  DELETE FROM consent WHERE service_id = old.id;
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE revision SET directory = latest;
END;

CREATE TRIGGER consent_insert_checked BEFORE INSERT ON consent
WHEN NOT EXISTS (SELECT 1 FROM service WHERE id = new.service_id) BEGIN
  SELECT RAISE(ABORT, 'no service has this service_id: insert the service first');
END;

CREATE TRIGGER consent_inserted AFTER INSERT ON consent BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE service SET revision = (SELECT latest FROM revision) WHERE id = new.service_id;
END;

CREATE TRIGGER consent_update_checked BEFORE UPDATE OF service_id ON consent
WHEN NOT EXISTS (SELECT 1 FROM service WHERE id = new.service_id) BEGIN
  SELECT RAISE(ABORT, 'no service has this service_id: insert the service first');
END;

CREATE TRIGGER consent_updated AFTER UPDATE ON consent BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE service SET revision = (SELECT latest FROM revision)
    WHERE id IN (old.service_id, new.service_id);
END;

-- Not where the service itself goes: it has no revision to keep then.
CREATE TRIGGER consent_deleted AFTER DELETE ON consent
WHEN EXISTS (SELECT 1 FROM service WHERE id = old.service_id) BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE service SET revision = (SELECT latest FROM revision) WHERE id = old.service_id;
END;

-- The new columns count as changes too.
CREATE TRIGGER im_group_ruled AFTER UPDATE OF ruleset, max_participant_count, invite_members
ON im_group BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = new.id;
END;

CREATE TRIGGER im_group_gone AFTER DELETE ON im_group BEGIN
  DELETE FROM rule_list WHERE group_id = old.id;
  DELETE FROM member_name WHERE group_id = old.id;
END;

CREATE TRIGGER member_gone AFTER DELETE ON member BEGIN
  DELETE FROM member_name WHERE group_id = old.group_id AND uri = old.uri;
END;

CREATE TRIGGER rule_list_insert_checked BEFORE INSERT ON rule_list
WHEN NOT EXISTS (SELECT 1 FROM im_group WHERE id = new.group_id) BEGIN
  SELECT RAISE(ABORT, 'no group has this group_id: insert the group into im_group first');
END;

CREATE TRIGGER rule_list_inserted AFTER INSERT ON rule_list BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = new.group_id;
END;

CREATE TRIGGER rule_list_updated AFTER UPDATE ON rule_list BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision)
    WHERE id IN (old.group_id, new.group_id);
END;

CREATE TRIGGER rule_list_deleted AFTER DELETE ON rule_list
WHEN EXISTS (SELECT 1 FROM im_group WHERE id = old.group_id) BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = old.group_id;
END;
