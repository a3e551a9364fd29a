//! Certificates of authorities of the test's own, made by openssl.

use std::path::Path;
use std::process::Command;

/// Makes an authority: `NAME.key` and `NAME.pem` in the folder.
#[track_caller]
pub fn authority(folder: &Path, name: &str) {
    let subject = format!("/CN={name}");
    let mut words = vec!["req", "-x509", "-days", "2", "-subj", &subject];
    let [key, certificate] = files(name);
    words.extend(KEY);
    words.extend(["-keyout", &key, "-out", &certificate]);
    openssl(folder, &words);
}

/// Makes `NAME.key` and `NAME.pem` for what `whom` says, such as `DNS:localhost`, by an authority.
#[track_caller]
pub fn certificate(folder: &Path, authority: &str, name: &str, whom: &str) {
    let subject = format!("/CN={name}");
    let whom = format!("subjectAltName={whom}");
    let [key, certificate] = files(name);
    let request = format!("{name}.csr");
    let mut words = vec!["req", "-subj", &subject, "-addext", &whom];
    words.extend(KEY);
    words.extend(["-keyout", &key, "-out", &request]);
    openssl(folder, &words);
    let [ca_key, ca] = files(authority);
    let mut words = vec!["x509", "-req", "-days", "2", "-in", &request];
    words.extend(["-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"]);
    words.extend(["-copy_extensions", "copyall", "-out", &certificate]);
    openssl(folder, &words);
}

const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];

fn files(name: &str) -> [String; 2] {
    ["key", "pem"].map(|suffix| format!("{name}.{suffix}"))
}

#[track_caller]
fn openssl(folder: &Path, words: &[&str]) {
    let mut command = Command::new("openssl");
    let output = command.args(words).current_dir(folder).output();
    let output = output.expect("openssl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words:?}: {said}");
}
