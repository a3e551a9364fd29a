-- Names of members count as changes of their group: copies name the sender by them.

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
