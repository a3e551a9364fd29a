//! Looking for a name in a text, in whatever spelling it stands there.

use super::encodings::base64;
use super::reader::undone;
use memchr::memmem;

/// A text as it is, and with its escapes undone.
pub struct Traces<'t> {
    text: &'t [u8],
    /// In lower case; those with escapes undone only where there are any.
    spellings: Vec<Vec<u8>>,
}

impl<'t> Traces<'t> {
    /// `%HH` are the escapes of URIs, `=HH` those of quoted-printable.
    pub fn of(text: &'t [u8]) -> Self {
        let mut spellings = vec![text.to_ascii_lowercase()];
        let escaped = [b'%', b'='].into_iter().filter(|mark| text.contains(mark));
        spellings.extend(escaped.map(|mark| undone(text, mark).to_ascii_lowercase()));
        Self { text, spellings }
    }

    /// How often a name, which is in lower case, stands in the text.
    pub fn count(&self, name: &str) -> usize {
        let count = |text: &[u8], name: &[u8]| memmem::find_iter(text, name).count();
        let spelled = self
            .spellings
            .iter()
            .map(|text| count(text, name.as_bytes()));
        let encoded = (0..3).map(|shift| {
            let shifted = [&[0; 3][..shift], name.as_bytes()].concat();
            let encoded = base64(&shifted);
            // The characters that the bytes around have a share of do not count.
            let (first, last) = ([0, 2, 3][shift], shifted.len() * 8 / 6);
            count(self.text, &encoded.as_bytes()[first..last])
        });
        spelled.max().unwrap_or_default() + encoded.sum::<usize>()
    }
}
