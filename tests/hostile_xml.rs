//! Documents and bodies made to cost time or memory: none takes more than 50 ms or 8 MiB (X-4; T 76).
//!
//! This binary counts what each thread allocates, so nothing else may live in it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod measured;

use cimf::sip::list_error::{ListError, ListErrorKind};
use cimf::sip::media_type::MediaType;
use cimf::sip::multipart::{MAX_DEPTH, parts};
use cimf::sip::resource_list::{COPY_CONTROL, MAX_BYTES, NAMESPACE, ResourceList};
use cimf::sip::transfer::decoded;
use cimf::sip::xml::{Event, Reader};
use measured::{MOST_MEMORY, MOST_TIMES, harmless, measured};

/// What a reader without the limit of 64 KiB says: the other guards must hold by themselves.
fn read_any_length(document: &[u8]) -> Result<usize, ListError> {
    let mut reader = Reader::new("document", document, usize::MAX)?;
    let mut bytes = 0;
    while let Some(event) = reader.read()? {
        bytes += match event {
            Event::Start(element) => element.attribute(None, "uri").map_or(0, |uri| uri.len()),
            Event::End => 0,
            Event::Text(text) => text.len(),
        };
    }
    Ok(bytes)
}

/// Both readers refuse the document for what it is, within the bounds.
fn refused(name: &str, document: &str, expected: &str) {
    let error = measured(name, || read_any_length(document.as_bytes())).unwrap_err();
    assert_eq!(error.cause.expected, expected, "{name}");
    let list = measured(name, || ResourceList::read(document.as_bytes(), 1000));
    assert!(list.is_err(), "{name}");
}

fn in_list(content: &str) -> String {
    format!(
        "<resource-lists xmlns='{NAMESPACE}' xmlns:cp='{COPY_CONTROL}'><list>{content}</list></resource-lists>"
    )
}

#[test]
#[should_panic(expected = "took 8388609 bytes")]
fn one_byte_more_than_is_allowed_is_noticed() {
    measured("8 MiB and a byte", || {
        std::hint::black_box(Vec::<u8>::with_capacity(MOST_MEMORY as usize + 1));
    });
}

#[test]
#[should_panic(expected = "a pause took")]
fn too_much_time_is_noticed() {
    let pause = harmless().mul_f64(4.0 * MOST_TIMES);
    measured("a pause", || std::thread::sleep(pause));
}

#[test]
fn deep_documents_end_at_the_sixteenth_element() {
    let declarations = (0..5_000).map(|depth| format!("<a{depth} xmlns:p{depth}='u{depth}'>"));
    let expected = "elements at most 16 deep";
    refused(
        "5,000 nested declarations",
        &declarations.collect::<String>(),
        expected,
    );
    refused("200,000 nested elements", &"<a>".repeat(200_000), expected);
}

#[test]
fn document_types_and_entities_are_refused_unread() {
    let mut laughs = String::from("<!DOCTYPE l [<!ENTITY l0 'ha'>");
    for level in 1..30 {
        laughs += &format!(
            "<!ENTITY l{level} '{}'>",
            format!("&l{};", level - 1).repeat(10)
        );
    }
    laughs += "]><l>&l29;</l>";
    let expected = "no document type declaration";
    refused("billion laughs", &laughs, expected);
    let file = "<!DOCTYPE l [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><l>&f;</l>";
    refused("an external entity", file, expected);
    refused(
        "a parameter entity",
        "<!DOCTYPE l [<!ENTITY % p SYSTEM 'http://h/'>%p;]><l/>",
        expected,
    );
    let entity = "one of the five entities or a character reference";
    refused("an entity without declaration", &in_list("&l;"), entity);
}

#[test]
fn large_and_many_attributes_stay_within_bounds() {
    let long = |length| in_list(&format!("<entry uri='{}'/>", "a".repeat(length)));
    let huge = long(65 * 1024);
    let error = measured("65 KiB attribute", || {
        ResourceList::read(huge.as_bytes(), 1000)
    });
    assert_eq!(error.unwrap_err().kind, ListErrorKind::TooLong);
    assert!(
        measured("65 KiB attribute, any length", || read_any_length(
            huge.as_bytes()
        ))
        .is_ok()
    );
    let large = long(63 * 1024);
    let list = measured("63 KiB attribute", || {
        ResourceList::read(large.as_bytes(), 1000)
    });
    assert_eq!(list.unwrap().entries[0].uri.len(), 63 * 1024);

    let many = |count, prefix| {
        let attributes = (0..count).map(|number| format!(" {prefix}a{number}='n'"));
        format!("<a{}/>", attributes.collect::<String>())
    };
    refused(
        "10,000 attributes",
        &many(10_000, ""),
        "at most 32 attributes",
    );
    let expected = "at most 32 namespaces, none reserved";
    refused("10,000 declarations", &many(10_000, "xmlns:"), expected);
    let repeated = format!("<x{}/>", " a='1'".repeat(10_000));
    refused(
        "10,000 equal attributes",
        &repeated,
        "attributes with quoted values, each once",
    );
}

#[test]
fn the_largest_allowed_documents_stay_within_bounds() {
    let fill = |piece: &str| {
        let room = MAX_BYTES - in_list("").len();
        in_list(&piece.repeat(room / piece.len()))
    };
    let list = |name: &str, document: &str, max| {
        assert!(document.len() <= MAX_BYTES);
        measured(name, || ResourceList::read(document.as_bytes(), max))
    };
    let entries = fill("<entry uri='a:1'/>");
    let read = list("64 KiB of entries", &entries, usize::MAX).unwrap();
    assert!(read.entries.len() > 3_000);
    let error = list("64 KiB of entries, 1,000 allowed", &entries, 1000).unwrap_err();
    assert_eq!(error.kind, ListErrorKind::TooManyEntries);

    for piece in [
        "<list/>",
        "<a/>",
        "<entry-ref/>",
        "<!---->",
        "<?p?>",
        "<![CDATA[]]>",
        "&#32;",
        "<a xmlns:p='u' p:b=''/>",
        "<cp:a cp:b='&amp;&amp;&amp;&amp;'/>",
    ] {
        let name = format!("64 KiB of {piece}");
        assert_eq!(list(&name, &fill(piece), 1000).unwrap().entries.len(), 0);
    }
    let name = "&amp;".repeat(13_000);
    let document = in_list(&format!(
        "<entry uri='a:1'><display-name>{name}</display-name></entry>"
    ));
    let read = list("a name of 13,000 entities", &document, 1000).unwrap();
    assert_eq!(read.entries[0].display_name.as_ref().unwrap().len(), 13_000);

    // All names are looked up in all declarations.
    let declared: String = (0..30)
        .map(|it| format!(" xmlns:p{it}{}='u'", "p".repeat(500)))
        .collect();
    let document = format!(
        "<resource-lists xmlns='{NAMESPACE}'{declared}>{}</resource-lists>",
        "<x:a xmlns:x='u' x:b=''/>".repeat(1_800)
    );
    assert!(list("long prefixes", &document, 1000).is_ok());

    for piece in [
        "<",
        ">",
        "&",
        "<!",
        "<!--",
        "<?",
        "<![CDATA[",
        "<!DOCTYPE",
        "<a ",
        "<a b='",
        "</",
        "]]>",
    ] {
        let name = format!("64 KiB of {piece}");
        assert!(list(&name, &fill(piece), 1000).is_err());
        assert!(list(&name, &piece.repeat(MAX_BYTES / piece.len()), 1000).is_err());
    }
}

#[test]
fn multipart_bodies_are_bounded_in_depth_and_parts() {
    let many = "--b\r\n\r\n".repeat(100_000);
    let error = measured("100,000 boundaries", || parts(many.as_bytes(), b"b", 1)).unwrap_err();
    assert_eq!(error.expected, "at most 64 parts");

    let mut nested = String::from("\r\nx");
    for depth in (0..2_000).rev() {
        nested = format!(
            "Content-Type: multipart/mixed;boundary=b{depth}z\r\n\r\n--b{depth}z\r\n{nested}\r\n--b{depth}z--"
        );
    }
    let error = measured("2,000 nested bodies", || walk(nested.as_bytes(), 0)).unwrap_err();
    assert_eq!(error, MAX_DEPTH);

    for (name, piece) in [
        ("boundaries inside lines", "x--b\r\n"),
        ("longer boundaries", "--bb\r\n"),
        ("padding", "--b \t \t \t \t"),
        ("hyphens", "-"),
        ("line ends", "\r\n"),
        ("folds", "A: b\r\n "),
        ("header fields", "A: b\r\n"),
    ] {
        let lines = piece.repeat((1 << 20) / piece.len());
        for body in [
            format!("--b\r\n{lines}\r\n--b--"),
            format!("--b\r\n\r\n{lines}\r\n--b--"),
            lines,
        ] {
            let _ = measured(&format!("1 MiB of {name}"), || {
                parts(body.as_bytes(), b"b", 1)
            });
        }
    }
}

/// Goes into the first part of each body; the error is the depth at which that was refused.
fn walk(part: &[u8], depth: usize) -> Result<(), usize> {
    let headers = memchr::memmem::find(part, b"\r\n\r\n").unwrap();
    let Some(value) = part[..headers].strip_prefix(b"Content-Type: ") else {
        return Ok(());
    };
    let media_type = MediaType::parse(value).map_err(|_| depth)?;
    let boundary = media_type.boundary().map_err(|_| depth)?;
    let parts = parts(&part[headers + 4..], &boundary, depth + 1).map_err(|_| depth)?;
    walk(parts[0].bytes, depth + 1)
}

#[test]
fn long_header_values_and_encoded_lists_stay_within_bounds() {
    for piece in [
        ";a=b",
        ";",
        ";a=\"\\\"\"",
        "\"",
        "\\",
        "\r\n ",
        ";boundary=b",
    ] {
        let value = format!("multipart/mixed{}", piece.repeat((1 << 20) / piece.len()));
        let _ = measured(&format!("1 MiB of {piece:?}"), || {
            MediaType::parse(value.as_bytes()).and_then(|it| it.boundary().map(|_| ()))
        });
    }
    for (encoding, piece) in [
        ("base64", "YWFh"),
        ("base64", "\n"),
        ("quoted-printable", "=41"),
        ("quoted-printable", "=\n"),
        ("quoted-printable", "= \t "),
        ("quoted-printable", " \n"),
        ("quoted-printable", "a"),
    ] {
        for length in [MAX_BYTES, MAX_BYTES * 4, 16 << 20] {
            let content = piece.repeat(length / piece.len());
            let decoded = measured(&format!("{length} bytes of {encoding} {piece:?}"), || {
                decoded(Some(encoding.as_bytes()), content.as_bytes(), MAX_BYTES)
            });
            assert!(decoded.map_or(true, |bytes| bytes.len() <= MAX_BYTES));
        }
    }
}
