-- Names of members count as changes, and copies that come back to the proxy are known by a mark.

-- What the Route of copies carries with copy_mark=1, known to the proxy alone. It is kept here so that
-- copies of before a restart are known after it. To change it: UPDATE copy_mark SET mark =
-- lower(hex(randomblob(16))), and restart the proxy when no copy is under way.
CREATE TABLE copy_mark (
  only_row INTEGER PRIMARY KEY CONSTRAINT "copy_mark has one row" CHECK (only_row = 1),
  mark TEXT NOT NULL
    CONSTRAINT "a mark is 32 hexadecimal digits in lower case"
      CHECK (length(mark) = 32 AND mark NOT GLOB '*[^0-9a-f]*')
);
INSERT INTO copy_mark (only_row, mark) VALUES (1, lower(hex(randomblob(16))));

CREATE TRIGGER member_name_inserted AFTER INSERT ON member_name BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = new.group_id;
END;

CREATE TRIGGER member_name_updated AFTER UPDATE ON member_name BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision)
    WHERE id IN (old.group_id, new.group_id);
END;

CREATE TRIGGER member_name_deleted AFTER DELETE ON member_name
WHEN EXISTS (SELECT 1 FROM im_group WHERE id = old.group_id) BEGIN
  UPDATE revision SET latest = (SELECT number FROM next_revision);
  UPDATE im_group SET revision = (SELECT latest FROM revision) WHERE id = old.group_id;
END;
