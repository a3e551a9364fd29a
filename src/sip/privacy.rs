//! Privacy, RFC 3323 §4.2 and RFC 3325 §9.3 (I-5).

use super::Malformed;
use super::text::{Nesting, is_token, split};

/// The values of all Privacy rows combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// `id`: keep the asserted identity inside the trust domain.
    pub id: bool,
    /// `user`: remove what the user agent could not anonymise itself.
    pub user: bool,
    /// `header`: obscure header fields that reveal the user.
    pub header: bool,
    /// `critical`: refuse the request if privacy cannot be provided.
    pub critical: bool,
    /// `none`, which must stand alone.
    pub none: bool,
    /// `session` or `history`, for which a MESSAGE has nothing to hide.
    pub other: bool,
    /// An unknown value.
    pub unknown: bool,
}

const PART: &str = "Privacy";

/// The tokens of one row.
pub fn tokens(row: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    split(PART, row, b';', Nesting::Quotes).map(|token| {
        let token = token?;
        match is_token(token) {
            true => Ok(token),
            false => Err(Malformed::at(PART, token, 0, "a privacy value")),
        }
    })
}

impl Privacy {
    /// Parses all rows; tokens are separated by semicolons and compared without regard to case.
    pub fn parse<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Result<Self, Malformed> {
        let mut privacy = Self::default();
        for row in rows {
            for token in tokens(row) {
                *privacy.field(token?) = true;
            }
            let others = Self {
                none: false,
                ..privacy
            };
            if privacy.none && others != Self::default() {
                return Err(Malformed::at(PART, row, 0, "`none` alone or not at all"));
            }
        }
        Ok(privacy)
    }

    fn field(&mut self, token: &[u8]) -> &mut bool {
        match token.to_ascii_lowercase().as_slice() {
            b"id" => &mut self.id,
            b"user" => &mut self.user,
            b"header" => &mut self.header,
            b"critical" => &mut self.critical,
            b"none" => &mut self.none,
            b"session" | b"history" => &mut self.other,
            _ => &mut self.unknown,
        }
    }

    /// Whether the values ask that the originator stay unknown.
    pub fn wants_anonymity(&self) -> bool {
        self.id || self.user || self.header || self.critical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rows: &[&str]) -> Result<Privacy, Malformed> {
        Privacy::parse(rows.iter().map(|row| row.as_bytes()))
    }

    #[test]
    fn rows_are_merged_without_regard_to_case() {
        // I-5.
        let privacy = parse(&["Session", "ID ; Critical"]).unwrap();
        assert!(privacy.id && privacy.critical && privacy.other && !privacy.none);
    }

    #[test]
    fn only_what_hides_the_originator_is_anonymity() {
        //
        for (rows, wanted) in [
            (&["id"][..], true),
            (&["user"], true),
            (&["header"], true),
            (&["critical"], true),
            (&["session;id"], true),
            (&["none"], false),
            (&["session"], false),
            (&["history;x-new"], false),
            (&[], false),
        ] {
            assert_eq!(parse(rows).unwrap().wants_anonymity(), wanted, "{rows:?}");
        }
    }

    #[test]
    fn none_beside_others_and_what_is_not_a_token_are_malformed() {
        for rows in [&["none;id"][..], &["none", "session"], &["id,header"]] {
            assert!(parse(rows).is_err(), "{rows:?}");
        }
    }

    #[test]
    fn an_empty_value_is_none() {
        assert_eq!(parse(&[""]), Ok(Privacy::default()));
        assert!(parse(&["none;"]).unwrap().none);
        assert!(parse(&[";id;;"]).unwrap().id);
    }
}
