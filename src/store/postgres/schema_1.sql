-- Groups and services in PostgreSQL, for many nodes: the tables of the SQLite file, and what tells a node which rows
-- have changed. All is in the schema `cimf`.

CREATE SCHEMA cimf;

-- Which version of these tables this is; `cimfctl init` brings older ones up to date.
CREATE TABLE cimf.version (
  only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT version_has_one_row CHECK (only_row),
  number integer NOT NULL
);

CREATE TABLE cimf.im_group (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The address in its one spelling: scheme and everything after the '@' in lower case, no URI headers, escapes only
  -- where needed. "cimfctl group add" writes it so whatever it is given.
  uri text COLLATE "C" NOT NULL UNIQUE
    CONSTRAINT "a group URI is sip:USER@HOST or sips:USER@HOST" CHECK (uri ~ '^sips?:.+@.+')
    CONSTRAINT "a group URI is in lower case and without headers after the @"
      CHECK (substr(uri, strpos(uri, '@')) !~ '[A-Z?]')
    CONSTRAINT "a group URI is in ASCII without white space" CHECK (uri !~ '[^!-~]'),
  display_name text,
  -- False: messages to this group are refused with 403.
  pager_mode boolean NOT NULL DEFAULT true,
  -- RFC 4745, as XML with `ruleset` as its root; null: its members may send.
  ruleset text,
  -- Kept for group documents only; neither limits or invites anybody here.
  max_participant_count integer,
  invite_members boolean
);

CREATE TABLE cimf.member (
  group_id bigint NOT NULL REFERENCES cimf.im_group ON DELETE CASCADE,
  -- A sip, sips or tel URI.
  uri text COLLATE "C" NOT NULL
    CONSTRAINT "a member URI is a scheme, a colon and more, in ASCII" CHECK (uri ~ '^.+:.+' AND uri !~ '[^!-~]'),
  PRIMARY KEY (group_id, uri)
);

-- Names of members, for people.
CREATE TABLE cimf.member_name (
  group_id bigint NOT NULL,
  uri text COLLATE "C" NOT NULL,
  display_name text NOT NULL,
  PRIMARY KEY (group_id, uri),
  FOREIGN KEY (group_id, uri) REFERENCES cimf.member ON UPDATE CASCADE ON DELETE CASCADE
);

-- Who is in the lists that the condition external-list of a ruleset names.
CREATE TABLE cimf.rule_list (
  group_id bigint NOT NULL REFERENCES cimf.im_group ON DELETE CASCADE,
  -- The list's address as the ruleset spells it.
  anchor text COLLATE "C" NOT NULL,
  -- A sip, sips or tel URI.
  uri text COLLATE "C" NOT NULL,
  PRIMARY KEY (group_id, anchor, uri)
);

CREATE TABLE cimf.service (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The address of a URI-list service, in the one spelling that groups have. Never a group's too.
  uri text COLLATE "C" NOT NULL UNIQUE
    CONSTRAINT "a service URI is sip:USER@HOST or sips:USER@HOST" CHECK (uri ~ '^sips?:.+@.+')
    CONSTRAINT "a service URI is in lower case and without headers after the @"
      CHECK (substr(uri, strpos(uri, '@')) !~ '[A-Z?]')
    CONSTRAINT "a service URI is in ASCII without white space" CHECK (uri !~ '[^!-~]'),
  -- False: messages to this service are refused with 403.
  pager_mode boolean NOT NULL DEFAULT true
);

-- Who has consented to get messages from a service.
CREATE TABLE cimf.consent (
  service_id bigint NOT NULL REFERENCES cimf.service ON DELETE CASCADE,
  -- A sip, sips or tel URI.
  uri text COLLATE "C" NOT NULL
    CONSTRAINT "a consenting URI is a scheme, a colon and more, in ASCII" CHECK (uri ~ '^.+:.+' AND uri !~ '[^!-~]'),
  PRIMARY KEY (service_id, uri)
);

-- What the Route of copies carries with copy_mark=1, the same on all nodes, known to the proxies alone.
CREATE TABLE cimf.copy_mark (
  only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT copy_mark_has_one_row CHECK (only_row),
  mark text NOT NULL CONSTRAINT "a mark is 32 hexadecimal digits in lower case" CHECK (mark ~ '^[0-9a-f]{32}$')
);
INSERT INTO cimf.copy_mark (mark) VALUES (replace(gen_random_uuid()::text, '-', ''));

-- Each change has a revision, and each transaction that changes anything holds this row from its first change to its
-- end: revisions become visible in their own order, and whoever has seen one has seen all before it.
CREATE TABLE cimf.revision (
  only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT revision_has_one_row CHECK (only_row),
  -- Another one wherever these tables are made anew.
  source uuid NOT NULL DEFAULT gen_random_uuid(),
  -- Of the last change: its time in microseconds since 1970, or one more than the one before.
  latest bigint NOT NULL,
  -- What changed before this one is no longer told row by row.
  pruned bigint NOT NULL
);
INSERT INTO cimf.revision (latest, pruned) VALUES (1, 1);

-- All revisions since `pruned`. A node that has seen one that is not here follows tables that were restored from a
-- backup.
CREATE TABLE cimf.history (revision bigint PRIMARY KEY);
INSERT INTO cimf.history VALUES (1);

-- When the group or service with an address last changed, came or went.
CREATE TABLE cimf.changed_address (
  uri text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL,
  -- The same for its lists: those of a group's rules.
  lists bigint NOT NULL DEFAULT 0
);
CREATE INDEX changed_address_revision ON cimf.changed_address (revision);

-- When a member of a group, or the name of one, last changed, came or went.
CREATE TABLE cimf.changed_member (
  group_id bigint NOT NULL,
  uri text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  PRIMARY KEY (group_id, uri)
);
CREATE INDEX changed_member_revision ON cimf.changed_member (revision);

-- When a consent to a service was last given or withdrawn.
CREATE TABLE cimf.changed_consent (
  service_id bigint NOT NULL,
  uri text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  PRIMARY KEY (service_id, uri)
);
CREATE INDEX changed_consent_revision ON cimf.changed_consent (revision);

-- The revision of this transaction, in which all that it changes is noted. Once an hour it forgets what is older than a day, but for what came before a pause.
CREATE FUNCTION cimf.next_revision() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  hour CONSTANT bigint := 3600000000;
  -- Ends with the transaction, and with the savepoint that it was set in.
  known text := current_setting('cimf.revision', true);
  before bigint;
  number bigint;
  horizon bigint;
BEGIN
  IF known <> '' THEN
    RETURN known::bigint;
  END IF;
  SELECT latest INTO before FROM cimf.revision FOR UPDATE;
  number := greatest(before + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
  UPDATE cimf.revision SET latest = number;
  PERFORM set_config('cimf.revision', number::text, true);
  INSERT INTO cimf.history VALUES (number);
  IF number / hour <> before / hour THEN
    -- Whoever has everything from before the pause gets this change by itself.
    horizon := least(before, number - 24 * hour);
    DELETE FROM cimf.history WHERE revision < horizon;
    -- When a group last changed is of interest for as long as there is one.
    DELETE FROM cimf.changed_address c WHERE c.revision < horizon
      AND NOT EXISTS (SELECT 1 FROM cimf.im_group g WHERE g.uri = c.uri)
      AND NOT EXISTS (SELECT 1 FROM cimf.service s WHERE s.uri = c.uri);
    DELETE FROM cimf.changed_member WHERE revision < horizon;
    DELETE FROM cimf.changed_consent WHERE revision < horizon;
    UPDATE cimf.revision SET pruned = greatest(pruned, horizon);
  END IF;
  -- Nodes that wait are woken when the transaction ends. They find out themselves what has changed.
  PERFORM pg_notify('cimf', '');
  RETURN number;
END $$;

-- Notes that the groups and services with these addresses have changed.
CREATE FUNCTION cimf.note_addresses(addresses text[], number bigint, lists bigint) RETURNS void LANGUAGE sql AS $$
  INSERT INTO cimf.changed_address AS known (uri, revision, lists)
    SELECT DISTINCT address, number, lists FROM unnest(addresses) AS address
  ON CONFLICT (uri) DO UPDATE
    SET revision = excluded.revision, lists = greatest(known.lists, excluded.lists);
$$;

-- For groups and services.
CREATE FUNCTION cimf.address_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  addresses text[];
  number bigint;
  lists bigint := 0;
  is_renamed boolean := false;
BEGIN
  IF TG_OP = 'INSERT' THEN
    addresses := ARRAY(SELECT uri FROM new_rows);
  ELSIF TG_OP = 'DELETE' THEN
    addresses := ARRAY(SELECT uri FROM old_rows);
  ELSE
    addresses := ARRAY(
      SELECT unnest(ARRAY[o.uri, n.uri]) FROM old_rows o JOIN new_rows n USING (id)
      WHERE o IS DISTINCT FROM n);
    -- A join would be a loop in a loop here, as the planner expects to find a row soon.
    is_renamed := EXISTS (SELECT id, uri FROM new_rows EXCEPT SELECT id, uri FROM old_rows);
  END IF;
  IF cardinality(addresses) > 0 THEN
    number := cimf.next_revision();
    IF is_renamed THEN
      -- What was noted of a group's lists was noted under its address of before.
      lists := number;
    END IF;
    PERFORM cimf.note_addresses(addresses, number, lists);
  END IF;
  RETURN NULL;
END $$;

-- For members and their names. What went with its group is the group's change.
CREATE FUNCTION cimf.member_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  groups bigint[];
  uris text[];
  addresses text[];
  number bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(group_id), array_agg(uri) INTO groups, uris FROM new_rows;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(group_id), array_agg(uri) INTO groups, uris FROM old_rows;
  ELSE
    SELECT array_agg(group_id), array_agg(uri) INTO groups, uris
      FROM (TABLE old_rows UNION TABLE new_rows) AS both_rows;
  END IF;
  addresses := ARRAY(SELECT g.uri FROM cimf.im_group g WHERE g.id = ANY (groups));
  IF cardinality(addresses) > 0 THEN
    number := cimf.next_revision();
    PERFORM cimf.note_addresses(addresses, number, 0);
    INSERT INTO cimf.changed_member (group_id, uri, revision)
      SELECT DISTINCT c.group_id, c.uri, number FROM unnest(groups, uris) AS c (group_id, uri)
      JOIN cimf.im_group g ON g.id = c.group_id
    ON CONFLICT (group_id, uri) DO UPDATE SET revision = excluded.revision;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION cimf.rule_list_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  groups bigint[];
  addresses text[];
  number bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN
    groups := ARRAY(SELECT group_id FROM new_rows);
  ELSIF TG_OP = 'DELETE' THEN
    groups := ARRAY(SELECT group_id FROM old_rows);
  ELSE
    groups := ARRAY(SELECT group_id FROM old_rows UNION ALL SELECT group_id FROM new_rows);
  END IF;
  addresses := ARRAY(SELECT uri FROM cimf.im_group WHERE id = ANY (groups));
  IF cardinality(addresses) > 0 THEN
    number := cimf.next_revision();
    PERFORM cimf.note_addresses(addresses, number, number);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION cimf.consent_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  services bigint[];
  uris text[];
  addresses text[];
  number bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(service_id), array_agg(uri) INTO services, uris FROM new_rows;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(service_id), array_agg(uri) INTO services, uris FROM old_rows;
  ELSE
    SELECT array_agg(service_id), array_agg(uri) INTO services, uris
      FROM (TABLE old_rows UNION TABLE new_rows) AS both_rows;
  END IF;
  addresses := ARRAY(SELECT s.uri FROM cimf.service s WHERE s.id = ANY (services));
  IF cardinality(addresses) > 0 THEN
    number := cimf.next_revision();
    PERFORM cimf.note_addresses(addresses, number, 0);
    INSERT INTO cimf.changed_consent (service_id, uri, revision)
      SELECT DISTINCT c.service_id, c.uri, number FROM unnest(services, uris) AS c (service_id, uri)
      JOIN cimf.service s ON s.id = c.service_id
    ON CONFLICT (service_id, uri) DO UPDATE SET revision = excluded.revision;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION cimf.everything_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'TRUNCATE is not told to the nodes: use DELETE FROM %.%', TG_TABLE_SCHEMA, TG_TABLE_NAME;
END $$;

-- Whoever changes anything waits for all others who do before the first row is touched: so nobody waits for a row that
-- another one holds who waits for them, and what triggers look up is as it stays.
CREATE FUNCTION cimf.change_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM cimf.revision FOR UPDATE;
  RETURN NULL;
END $$;

-- An address is a group's or a service's, never both.
CREATE FUNCTION cimf.address_checked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'service' AND EXISTS (SELECT 1 FROM cimf.im_group WHERE uri = NEW.uri) THEN
    RAISE EXCEPTION 'a group has the address %: a service needs one of its own', NEW.uri
      USING ERRCODE = 'unique_violation';
  END IF;
  IF TG_TABLE_NAME = 'im_group' AND EXISTS (SELECT 1 FROM cimf.service WHERE uri = NEW.uri) THEN
    RAISE EXCEPTION 'a service has the address %: a group needs one of its own', NEW.uri
      USING ERRCODE = 'unique_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER address_checked BEFORE INSERT OR UPDATE OF uri ON cimf.im_group
  FOR EACH ROW EXECUTE FUNCTION cimf.address_checked();
CREATE TRIGGER address_checked BEFORE INSERT OR UPDATE OF uri ON cimf.service
  FOR EACH ROW EXECUTE FUNCTION cimf.address_checked();

DO $$
DECLARE
  tables CONSTANT text[] := ARRAY['im_group', 'service', 'member', 'member_name', 'rule_list', 'consent'];
  changed CONSTANT text[] := ARRAY['address', 'address', 'member', 'member', 'rule_list', 'consent'];
BEGIN
  FOR n IN 1 .. cardinality(tables) LOOP
    EXECUTE format('CREATE TRIGGER begins BEFORE INSERT OR UPDATE OR DELETE ON cimf.%I
      FOR EACH STATEMENT EXECUTE FUNCTION cimf.change_begins()', tables[n]);
    EXECUTE format('CREATE TRIGGER inserted AFTER INSERT ON cimf.%I REFERENCING NEW TABLE AS new_rows
      FOR EACH STATEMENT EXECUTE FUNCTION cimf.%I()', tables[n], changed[n] || '_changed');
    EXECUTE format('CREATE TRIGGER updated AFTER UPDATE ON cimf.%I
      REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
      FOR EACH STATEMENT EXECUTE FUNCTION cimf.%I()', tables[n], changed[n] || '_changed');
    EXECUTE format('CREATE TRIGGER deleted AFTER DELETE ON cimf.%I REFERENCING OLD TABLE AS old_rows
      FOR EACH STATEMENT EXECUTE FUNCTION cimf.%I()', tables[n], changed[n] || '_changed');
    EXECUTE format('CREATE TRIGGER truncated BEFORE TRUNCATE ON cimf.%I
      FOR EACH STATEMENT EXECUTE FUNCTION cimf.everything_changed()', tables[n]);
  END LOOP;
END $$;

-- Another mark is a change too, though of no group.
CREATE FUNCTION cimf.copy_mark_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM cimf.next_revision();
  RETURN NULL;
END $$;
CREATE TRIGGER updated AFTER UPDATE ON cimf.copy_mark
  FOR EACH STATEMENT EXECUTE FUNCTION cimf.copy_mark_changed();

INSERT INTO cimf.version (number) VALUES (1);
