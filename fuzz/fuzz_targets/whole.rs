#![no_main]

#[path = "../whole/mod.rs"]
#[allow(dead_code)]
mod whole;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    whole::whole(data);
    let tally = whole::tally();
    if tally.requests.is_multiple_of(1 << 17) {
        eprintln!("{tally:?}");
    }
});
