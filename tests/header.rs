//! `include/cimf.h` is what src/capi says. `CIMF_BLESS=1 cargo test --test header` writes it anew.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

#[test]
fn the_header_is_what_the_code_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/capi/mod.rs"));
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();
    assert!(made.contains("cimf_server_decide("), "{made}");

    let path = root.join("include/cimf.h");
    if std::env::var_os("CIMF_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "include/cimf.h differs from src/capi: run CIMF_BLESS=1 cargo test --test header"
    );
}
