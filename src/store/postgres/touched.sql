-- What a command touches of the rows in memory, each once: the table, whose row it is, and what tells it from others of
-- the same owner.
CREATE TEMP TABLE touched (
  kind TEXT NOT NULL,
  owner INTEGER NOT NULL,
  anchor TEXT NOT NULL DEFAULT '',
  uri TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (kind, owner, anchor, uri)
) WITHOUT ROWID;
CREATE TEMP TRIGGER touched_im_group_insert AFTER INSERT ON main.im_group BEGIN
  INSERT OR IGNORE INTO touched VALUES ('im_group', new.id, '', '');
END;
CREATE TEMP TRIGGER touched_im_group_update AFTER UPDATE OF uri, display_name, pager_mode, ruleset, max_participant_count, invite_members ON main.im_group BEGIN
  INSERT OR IGNORE INTO touched VALUES ('im_group', old.id, '', ''); INSERT OR IGNORE INTO touched VALUES ('im_group', new.id, '', '');
END;
CREATE TEMP TRIGGER touched_im_group_delete AFTER DELETE ON main.im_group BEGIN
  INSERT OR IGNORE INTO touched VALUES ('im_group', old.id, '', '');
END;
CREATE TEMP TRIGGER touched_service_insert AFTER INSERT ON main.service BEGIN
  INSERT OR IGNORE INTO touched VALUES ('service', new.id, '', '');
END;
CREATE TEMP TRIGGER touched_service_update AFTER UPDATE OF uri, pager_mode ON main.service BEGIN
  INSERT OR IGNORE INTO touched VALUES ('service', old.id, '', ''); INSERT OR IGNORE INTO touched VALUES ('service', new.id, '', '');
END;
CREATE TEMP TRIGGER touched_service_delete AFTER DELETE ON main.service BEGIN
  INSERT OR IGNORE INTO touched VALUES ('service', old.id, '', '');
END;
CREATE TEMP TRIGGER touched_member_insert AFTER INSERT ON main.member BEGIN
  INSERT OR IGNORE INTO touched VALUES ('member', new.group_id, '', new.uri);
END;
CREATE TEMP TRIGGER touched_member_update AFTER UPDATE ON main.member BEGIN
  INSERT OR IGNORE INTO touched VALUES ('member', old.group_id, '', old.uri); INSERT OR IGNORE INTO touched VALUES ('member', new.group_id, '', new.uri);
END;
CREATE TEMP TRIGGER touched_member_delete AFTER DELETE ON main.member BEGIN
  INSERT OR IGNORE INTO touched VALUES ('member', old.group_id, '', old.uri);
END;
CREATE TEMP TRIGGER touched_member_name_insert AFTER INSERT ON main.member_name BEGIN
  INSERT OR IGNORE INTO touched VALUES ('member_name', new.group_id, '', new.uri);
END;
CREATE TEMP TRIGGER touched_member_name_update AFTER UPDATE ON main.member_name BEGIN
  INSERT OR IGNORE INTO touched VALUES ('member_name', old.group_id, '', old.uri); INSERT OR IGNORE INTO touched VALUES ('member_name', new.group_id, '', new.uri);
END;
CREATE TEMP TRIGGER touched_member_name_delete AFTER DELETE ON main.member_name BEGIN
  INSERT OR IGNORE INTO touched VALUES ('member_name', old.group_id, '', old.uri);
END;
CREATE TEMP TRIGGER touched_rule_list_insert AFTER INSERT ON main.rule_list BEGIN
  INSERT OR IGNORE INTO touched VALUES ('rule_list', new.group_id, new.anchor, new.uri);
END;
CREATE TEMP TRIGGER touched_rule_list_update AFTER UPDATE ON main.rule_list BEGIN
  INSERT OR IGNORE INTO touched VALUES ('rule_list', old.group_id, old.anchor, old.uri); INSERT OR IGNORE INTO touched VALUES ('rule_list', new.group_id, new.anchor, new.uri);
END;
CREATE TEMP TRIGGER touched_rule_list_delete AFTER DELETE ON main.rule_list BEGIN
  INSERT OR IGNORE INTO touched VALUES ('rule_list', old.group_id, old.anchor, old.uri);
END;
CREATE TEMP TRIGGER touched_consent_insert AFTER INSERT ON main.consent BEGIN
  INSERT OR IGNORE INTO touched VALUES ('consent', new.service_id, '', new.uri);
END;
CREATE TEMP TRIGGER touched_consent_update AFTER UPDATE ON main.consent BEGIN
  INSERT OR IGNORE INTO touched VALUES ('consent', old.service_id, '', old.uri); INSERT OR IGNORE INTO touched VALUES ('consent', new.service_id, '', new.uri);
END;
CREATE TEMP TRIGGER touched_consent_delete AFTER DELETE ON main.consent BEGIN
  INSERT OR IGNORE INTO touched VALUES ('consent', old.service_id, '', old.uri);
END;
