//! Parameters, read and refused.

use super::*;

#[test]
fn every_default_is_a_value_of_its_parameter() {
    for parameter in PARAMETERS {
        let stored = parameter.store(&mut Settings::default(), parameter.default);
        assert_eq!(stored, Ok(()), "{}", parameter.name);
    }
}

#[test]
fn a_wrong_value_names_parameter_value_and_what_was_expected() {
    for (name, value, text) in [
        (
            "direct",
            "yes",
            "parameter direct: expected 0 or 1, found \"yes\"",
        ),
        (
            "db_url",
            "mysql://x",
            "parameter db_url: expected sqlite:/// and an absolute path, such as sqlite:///var/lib/cimf/cimf.db, or \
             postgres://USER@HOST/DATABASE with libpq's sslmode (verify-ca and verify-full need sslrootcert), found \
             \"mysql://x\"",
        ),
        (
            "max_members",
            "0",
            "parameter max_members: expected a number from 1 to 10000000, found \"0\"",
        ),
        (
            "skip_originator",
            "Group",
            "parameter skip_originator: expected group, always or never, found \"Group\"",
        ),
        (
            "domains",
            "a,,b",
            "parameter domains: expected a comma-separated list, each item a domain, found \"a,,b\"",
        ),
        (
            "nosuch",
            "1\n",
            "parameter nosuch: expected a known parameter name, found \"1\\n\"",
        ),
    ] {
        let error = Settings::new().set(name, value).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn lists_are_split_at_commas_and_trimmed() {
    let mut settings = Settings::new();
    settings
        .set("domains", " im.home1.net , home1.net")
        .unwrap();
    assert_eq!(settings.domains, ["im.home1.net", "home1.net"]);
    assert_eq!(settings.server_name(), "im.home1.net");
}
