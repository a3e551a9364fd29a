//! A stored group, ready for use: its members in order, found again by equality (C-1 to C-3).

use super::NextHopCapabilities;
use super::rules::Rules;
use crate::sip::address_text::without_password;
use crate::sip::tel::TelUri;
use crate::sip::uri::{Form, SipUri, Uri};
use crate::sip::uri_equality::same_host;

/// How addresses are told apart and sent to, the same for all groups of a server.
#[derive(Clone, Debug)]
pub struct Addressing {
    /// What the way out can carry.
    pub next_hop: NextHopCapabilities,
    /// Whether `sip:+N@HOST;user=phone` is `tel:+N` where HOST is one of ours (C-3).
    pub same_number: bool,
    /// The domain at which telephone numbers are sent to as SIP addresses; `None` where they are
    /// sent to as tel addresses (M-7).
    pub tel_domain: Option<String>,
    /// The served domains, in lower case.
    pub domains: Vec<String>,
}

impl Addressing {
    /// Whether `host` is a served domain.
    pub fn serves(&self, host: &[u8]) -> bool {
        let mut domains = self.domains.iter();
        domains.any(|domain| same_host(domain.as_bytes(), host))
    }

    /// Whether both addresses are one recipient.
    pub fn same(&self, a: &Uri<'_>, b: &Uri<'_>) -> bool {
        a.same(b)
            || match (self.number(a), self.number(b)) {
                (Some(a), Some(b)) => a.same(&b),
                _ => false,
            }
    }

    /// Whether both are the same user, however it is got at (C-3 included).
    pub fn is_same_user(&self, a: &Uri<'_>, b: &Uri<'_>) -> bool {
        a.is_same_user(b)
            || match (self.number(a), self.number(b)) {
                (Some(a), Some(b)) => a.is_same_user(&b),
                _ => false,
            }
    }

    /// The one spelling of who somebody is, by which his messages are counted and told: the number, where
    /// it stands for the address.
    pub fn address_of_record(&self, uri: &Uri<'_>) -> Vec<u8> {
        let mut spelt = Vec::with_capacity(64);
        let number = self.number(uri);
        number
            .as_ref()
            .unwrap_or(uri)
            .write(Form::AddressOfRecord, &mut spelt);
        spelt
    }

    /// The number that an address stands for, if it is one of ours or a tel URI: a global one with
    /// `same_number`, and any at the domain where numbers are sent to, since both then reach the same.
    fn number<'a>(&self, uri: &Uri<'a>) -> Option<Uri<'a>> {
        let number = match uri {
            Uri::Tel(tel) => *tel,
            Uri::Sip(sip) if sip.is_phone() && !sip.secure => {
                let at_tel_domain = self.is_tel_domain(sip.host);
                if !at_tel_domain && !self.serves(sip.host) {
                    return None;
                }
                let number = TelUri::parse(sip.user?).ok()?;
                if at_tel_domain {
                    return Some(Uri::Tel(number));
                }
                number
            }
            _ => return None,
        };
        let is_one = number.is_global() && self.same_number;
        let is_converted = matches!(uri, Uri::Tel(_)) && self.tel_domain.is_some();
        (is_one || is_converted).then_some(Uri::Tel(number))
    }

    /// The addresses at domains of ours under which a recipient is reached as well: those of his
    /// number, where it is one.
    pub fn also_reached_as(&self, uri: &Uri<'_>) -> Vec<Vec<u8>> {
        let Some(Uri::Tel(number)) = self.number(uri) else {
            return Vec::new();
        };
        let domains = self.domains.iter().filter(|domain| {
            let is_converted = self.is_tel_domain(domain.as_bytes());
            is_converted || (self.same_number && number.is_global())
        });
        // Groups are found by the spelling of their address, and that has no visual separators.
        let digits: Vec<u8> = number.digits().collect();
        let plain = TelUri {
            number: &digits,
            ..number
        };
        let addresses = domains.map(|domain| {
            let mut address = Vec::new();
            plain.write_as_sip(domain, &mut address);
            address
        });
        addresses.collect()
    }

    fn is_tel_domain(&self, host: &[u8]) -> bool {
        let mut domain = self.tel_domain.iter();
        domain.any(|domain| same_host(domain.as_bytes(), host))
    }

    /// Why `uri` cannot be sent to, or nothing (A-12, M-7).
    fn obstacle(&self, uri: &Uri<'_>) -> Option<&'static str> {
        match uri {
            Uri::Tel(_) if self.tel_domain.is_some() => None,
            _ => self.next_hop.obstacle(uri),
        }
    }

    /// The buckets in which an address is filed and looked for.
    fn buckets<'a>(&self, uri: &Uri<'a>) -> impl Iterator<Item = u64> + use<'a> {
        let own = uri.bucket();
        let number = match uri {
            // It is filed as what it is already.
            Uri::Tel(_) => None,
            _ => self.number(uri).map(|number| number.bucket()),
        };
        std::iter::once(own).chain(number.filter(|&number| number != own))
    }
}

/// Why a member gets no message, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The address as it is stored, without a password.
    pub uri: String,
    /// The reason.
    pub reason: String,
}

impl Skipped {
    /// Of the member with this address.
    pub fn new(uri: &str, reason: String) -> Self {
        let uri = String::from_utf8_lossy(&without_password(uri.as_bytes())).into_owned();
        Self { uri, reason }
    }
}

/// A group with its members, compiled once and used for many messages.
#[derive(Debug)]
pub struct Group {
    uri: String,
    pager_mode: bool,
    /// The members' addresses, one behind the other, each with its Request-URI behind it where that
    /// is another.
    text: Vec<u8>,
    members: Vec<Member>,
    /// Buckets with the member filed there, sorted.
    index: Vec<(u64, u32)>,
    recipients: usize,
    /// The recipient with the longest Request-URI.
    longest: Option<u32>,
    skipped: Vec<Skipped>,
    /// Members that are groups or services of this server, in their one spelling (H-4).
    nested: Vec<String>,
    rules: Option<Rules>,
    /// Names of members for people, sorted by the member's number.
    names: Vec<(u32, Box<str>)>,
}

/// Why a member that is a group gets nothing where groups are not expanded.
const NESTED: &str = "it is a group or service of this server, and those are no members";

#[derive(Clone, Copy, Debug)]
struct Member {
    start: u32,
    /// Where the address ends.
    end: u32,
    /// Where the Request-URI ends that starts there; the address is the Request-URI where this is
    /// the same.
    request_end: u32,
    is_recipient: bool,
}

impl Group {
    /// Compiles a group from the addresses of its members, in their order.
    ///
    /// A duplicate (C-1 to C-3) is left out: the first wins. A member that cannot be read or sent
    /// to, or that `is_ours` says is a group or service of this server (H-4), is kept as no
    /// recipient.
    pub fn compile<'a>(
        uri: String,
        pager_mode: bool,
        members: impl Iterator<Item = &'a str>,
        addressing: &Addressing,
        mut is_ours: impl FnMut(&SipUri<'_>) -> bool,
    ) -> Self {
        let mut group = Self {
            uri,
            pager_mode,
            text: Vec::new(),
            members: Vec::new(),
            index: Vec::new(),
            recipients: 0,
            longest: None,
            skipped: Vec::new(),
            nested: Vec::new(),
            rules: None,
            names: Vec::new(),
        };
        let mut filed = std::collections::HashMap::<u64, Vec<u32>>::new();
        for stored in members {
            let parsed = match Uri::parse(stored.as_bytes()) {
                Ok(uri) => uri.as_address(),
                Err(error) => {
                    group.skip(stored, error.to_string());
                    continue;
                }
            };
            let is_known = addressing.buckets(&parsed).any(|bucket| {
                let known = filed.get(&bucket).into_iter().flatten();
                known
                    .into_iter()
                    .any(|&at| group.is_member_at(at, &parsed, addressing))
            });
            if is_known {
                group.skip(stored, "the group has this address already".to_owned());
                continue;
            }
            let nested = matches!(&parsed, Uri::Sip(sip) if is_ours(sip));
            if nested {
                group.nested.push(parsed.print(Form::Provisioned));
            }
            let obstacle = nested.then_some(NESTED);
            let obstacle = obstacle.or(addressing.obstacle(&parsed));
            if let Some(reason) = obstacle {
                group.skip(stored, reason.to_owned());
            }
            let Some(number) = group.add(&parsed, obstacle.is_none(), addressing) else {
                group.skip(
                    stored,
                    "the addresses of the group are longer than 4 GiB".to_owned(),
                );
                continue;
            };
            for bucket in addressing.buckets(&parsed) {
                filed.entry(bucket).or_default().push(number);
                group.index.push((bucket, number));
            }
        }
        group.index.sort_unstable();
        group
    }

    /// Adds members that get no message for a reason that was found elsewhere.
    pub(super) fn also_skipped(&mut self, more: impl Iterator<Item = Skipped>) {
        self.skipped.extend(more);
    }

    fn skip(&mut self, uri: &str, reason: String) {
        self.skipped.push(Skipped::new(uri, reason));
    }

    fn add(&mut self, uri: &Uri<'_>, is_recipient: bool, addressing: &Addressing) -> Option<u32> {
        let number = u32::try_from(self.members.len()).ok()?;
        let start = u32::try_from(self.text.len()).ok()?;
        uri.write(Form::RequestUri, &mut self.text);
        let end = u32::try_from(self.text.len()).ok()?;
        if let (Uri::Tel(tel), Some(domain)) = (uri, &addressing.tel_domain) {
            tel.write_as_sip(domain, &mut self.text);
        }
        self.members.push(Member {
            start,
            end,
            request_end: u32::try_from(self.text.len()).ok()?,
            is_recipient,
        });
        self.recipients += usize::from(is_recipient);
        let length = |number| self.recipient(number).map_or(0, <[u8]>::len);
        if is_recipient
            && self
                .longest
                .is_none_or(|longest| length(longest) < length(number))
        {
            self.longest = Some(number);
        }
        Some(number)
    }

    /// The group's address.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Whether the group takes pager-mode messages.
    pub fn pager_mode(&self) -> bool {
        self.pager_mode
    }

    /// How many members there are, recipients or not.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// How many members can be sent to.
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    /// The members that get no message, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The members that are groups or services of this server, in their one spelling (H-4).
    pub fn nested(&self) -> &[String] {
        &self.nested
    }

    /// The group with its rules: without them only members may send (G-4).
    pub fn with_rules(self, rules: Rules) -> Self {
        let rules = Some(rules);
        Self { rules, ..self }
    }

    /// The rules, if there are any.
    pub fn rules(&self) -> Option<&Rules> {
        self.rules.as_ref()
    }

    /// The group with names of its members, each with the address for which it is stored.
    pub fn with_names<'a>(
        mut self,
        names: impl Iterator<Item = (&'a str, &'a str)>,
        addressing: &Addressing,
    ) -> Self {
        let mut found = Vec::new();
        for (address, name) in names {
            let Ok(uri) = Uri::parse(address.as_bytes()) else {
                continue;
            };
            let members = self.members_equal_to(&uri, addressing);
            found.extend(members.map(|number| (number, name.into())));
        }
        found.sort_by_key(|&(number, _)| number);
        self.names = found;
        self
    }

    /// The name that is stored for the member with this number.
    pub fn name(&self, number: u32) -> Option<&str> {
        let at = self.names.partition_point(|&(of, _)| of < number);
        let (of, name) = self.names.get(at)?;
        (*of == number).then_some(name)
    }

    /// For a server that expands nested groups: that a member is one is nothing to tell of.
    pub fn for_expansion(mut self) -> Self {
        self.skipped.retain(|member| member.reason != NESTED);
        self
    }

    /// Several groups as one, under the address of the first: who is in two of them is there once, who
    /// is in one of those `without` is not there, and no nested group is left (H-4).
    pub fn union(
        parts: &[std::sync::Arc<Self>],
        without: &[std::sync::Arc<Self>],
        addressing: &Addressing,
    ) -> Self {
        let first = parts.first();
        let (uri, pager_mode) = match first {
            Some(first) => (first.uri.clone(), first.pager_mode),
            None => (String::new(), true),
        };
        let recipients = parts.iter().flat_map(|part| {
            let recipients = part.members.iter().filter(|member| member.is_recipient);
            recipients.filter_map(|member| std::str::from_utf8(part.text_of(member)).ok())
        });
        let recipients = recipients.filter(|text| {
            let is_in = |uri: Uri<'_>| without.iter().any(|group| group.has(&uri, addressing));
            without.is_empty() || !Uri::parse(text.as_bytes()).is_ok_and(is_in)
        });
        let skipped = parts.iter().flat_map(|part| part.skipped.iter().cloned());
        Self {
            skipped: skipped.collect(),
            ..Self::compile(uri, pager_mode, recipients, addressing, |_| false)
        }
    }

    /// About how many addresses are kept in memory, those of the rules included.
    pub fn weight(&self) -> usize {
        self.members.len() + self.names.len() + self.rules.as_ref().map_or(0, Rules::weight)
    }

    /// The numbers of the members that equal `uri`: several may, since equality is not transitive
    /// (C-2).
    pub fn members_equal_to<'a>(
        &'a self,
        uri: &Uri<'a>,
        addressing: &'a Addressing,
    ) -> impl Iterator<Item = u32> + 'a {
        let uri = uri.as_address();
        let alike = self.members_like(&uri, addressing);
        alike.filter(move |&number| self.is_member_at(number, &uri, addressing))
    }

    /// The numbers of the members that are the same user as `uri`, who may have several addresses.
    pub fn members_who_are<'a>(
        &'a self,
        uri: &'a Uri<'a>,
        addressing: &'a Addressing,
    ) -> impl Iterator<Item = u32> + 'a {
        let alike = self.members_like(uri, addressing);
        alike.filter(move |&number| {
            self.is_plainly_at(number, uri)
                || self
                    .parsed(number)
                    .is_some_and(|member| addressing.is_same_user(&member, uri))
        })
    }

    /// The numbers of the members that may be meant by `uri`.
    fn members_like<'a>(
        &'a self,
        uri: &Uri<'a>,
        addressing: &Addressing,
    ) -> impl Iterator<Item = u32> + use<'a> {
        addressing.buckets(uri).flat_map(move |bucket| {
            let start = self.index.partition_point(|&(filed, _)| filed < bucket);
            let filed = self.index[start..].iter();
            filed
                .take_while(move |&&(filed, _)| filed == bucket)
                .map(|&(_, number)| number)
        })
    }

    /// Whether `uri` is the address of a member.
    pub fn has(&self, uri: &Uri<'_>, addressing: &Addressing) -> bool {
        self.members_equal_to(uri, addressing).next().is_some()
    }

    /// Whether `uri` is a member, by whichever address.
    pub fn has_user(&self, uri: &Uri<'_>, addressing: &Addressing) -> bool {
        self.members_who_are(uri, addressing).next().is_some()
    }

    fn is_member_at(&self, number: u32, uri: &Uri<'_>, addressing: &Addressing) -> bool {
        self.is_plainly_at(number, uri)
            || self
                .parsed(number)
                .is_some_and(|member| addressing.same(&member, uri))
    }

    fn is_plainly_at(&self, number: u32, uri: &Uri<'_>) -> bool {
        let member = self.members.get(number as usize);
        member.is_some_and(|member| uri.is_plainly(self.text_of(member)))
    }

    fn parsed(&self, number: u32) -> Option<Uri<'_>> {
        let member = self.members.get(number as usize)?;
        Uri::parse(self.text_of(member)).ok()
    }

    /// The members that can be sent to in their order, each with his number and Request-URI.
    pub fn numbered_recipients(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let numbered = (0..).zip(&self.members);
        let recipients = numbered.filter(|(_, member)| member.is_recipient);
        recipients.map(|(number, member)| (number, self.request_uri_of(member)))
    }

    /// The Request-URI of a member that can be sent to.
    pub fn recipient(&self, number: u32) -> Option<&[u8]> {
        let member = self.members.get(number as usize)?;
        member.is_recipient.then(|| self.request_uri_of(member))
    }

    /// The number of the member with the longest Request-URI, among those that can be sent to.
    pub fn longest_recipient(&self) -> Option<u32> {
        self.longest
    }

    /// The address of a member that can be sent to, as somebody has listed it.
    pub fn address(&self, number: u32) -> Option<&[u8]> {
        let member = self.members.get(number as usize)?;
        member.is_recipient.then(|| self.text_of(member))
    }

    fn request_uri_of(&self, member: &Member) -> &[u8] {
        match &self.text[member.end as usize..member.request_end as usize] {
            [] => self.text_of(member),
            other => other,
        }
    }

    fn text_of(&self, member: &Member) -> &[u8] {
        &self.text[member.start as usize..member.end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addressing() -> Addressing {
        Addressing {
            next_hop: NextHopCapabilities::Core { tls: false },
            same_number: true,
            tel_domain: None,
            domains: vec!["home1.net".to_owned()],
        }
    }

    fn compiled(members: &[&str]) -> Group {
        let members = members.iter().copied();
        let uri = "sip:g@home1.net".to_owned();
        Group::compile(uri, true, members, &addressing(), |sip| {
            sip.user == Some(b"nested")
        })
    }

    fn recipients(group: &Group) -> Vec<&str> {
        (0..group.members() as u32)
            .filter_map(|number| group.recipient(number))
            .map(|text| std::str::from_utf8(text).unwrap())
            .collect()
    }

    fn has(group: &Group, uri: &str) -> bool {
        let uri = Uri::parse(uri.as_bytes()).unwrap();
        group.has(&uri, &addressing())
    }

    #[test]
    fn duplicates_are_left_out_and_the_first_wins() {
        // C-1 to C-3; T 44, 49.
        let group = compiled(&[
            "sip:bob@home1.net",
            "SIP:bob@HOME1.NET?Subject=x",
            "sip:%62ob@home1.net",
            "tel:+1-555",
            "tel:+1555",
            "sip:+1555@home1.net;user=phone",
            "sip:+1555@elsewhere.net;user=phone",
        ]);
        let kept = [
            "sip:bob@home1.net",
            "tel:+1-555",
            "sip:+1555@elsewhere.net;user=phone",
        ];
        assert_eq!(recipients(&group), kept);
        assert_eq!(group.skipped().len(), 4);
    }

    #[test]
    fn numbers_are_sent_to_as_sip_addresses_and_compared_as_numbers() {
        // M-7, C-3; T 52.
        let converting = Addressing {
            next_hop: NextHopCapabilities::Direct,
            same_number: false,
            tel_domain: Some("gw.home1.net".to_owned()),
            ..addressing()
        };
        let members = [
            "tel:+1-555;EXT=7",
            "tel:+1555;ext=7",
            "sip:+1(555);ext=7@GW.home1.net;user=phone",
            "sip:+1-555;ext=7@home1.net;user=phone",
            "tel:7042;phone-context=Home1.net",
            "sip:7042;phone-context=home1.net@gw.home1.net;user=phone",
            "sip:bob@gw.home1.net",
        ];
        let compile = |members: &[&str]| {
            let uri = "sip:g@home1.net".to_owned();
            Group::compile(uri, true, members.iter().copied(), &converting, |_| false)
        };
        let group = compile(&members);
        let wanted = [
            "sip:+1-555;ext=7@gw.home1.net;user=phone",
            "sip:+1-555;ext=7@home1.net;user=phone",
            "sip:7042;phone-context=home1.net@gw.home1.net;user=phone",
            "sip:bob@gw.home1.net",
        ];
        assert_eq!(recipients(&group), wanted);
        assert_eq!(group.longest_recipient(), Some(2));
        assert_eq!(group.address(0), Some(&b"tel:+1-555;EXT=7"[..]));
        let union = Group::union(&[std::sync::Arc::new(group)], &[], &converting);
        assert_eq!(recipients(&union), wanted);
        for uri in [
            "tel:+1(555);ext=7",
            "sip:+1555;ext=7@gw.home1.net;user=phone",
        ] {
            let uri = Uri::parse(uri.as_bytes()).unwrap();
            assert!(union.has(&uri, &converting));
        }
        let other = Uri::parse(b"sip:+1555;ext=7@gw.home1.net").unwrap();
        assert!(!union.has(&other, &converting));
    }

    #[test]
    fn members_are_found_by_equality() {
        let group = compiled(&[
            "sip:ann@home1.net",
            "tel:+15551230003",
            "sips:cho@home1.net",
        ]);
        for uri in [
            "sip:%61nn@HOME1.net;x=1?a=b",
            "tel:+1(555)123-0003",
            "sip:+15551230003@home1.net;user=phone",
            "sips:cho@home1.net",
        ] {
            assert!(has(&group, uri), "{uri}");
        }
        for uri in [
            "sip:Ann@home1.net",
            "sip:ann@home1.net:5060",
            "sip:cho@home1.net",
        ] {
            assert!(!has(&group, uri), "{uri}");
        }
    }

    #[test]
    fn a_member_is_known_however_he_is_got_at() {
        let group = compiled(&[
            "sip:ann@home1.net:5070;transport=tcp",
            "sip:ann@home1.net",
            "tel:+15551230003;cpc=ordinary",
            "sip:*21%23@home1.net",
        ]);
        let who = |uri: &str| -> Vec<u32> {
            let uri = Uri::parse(uri.as_bytes()).unwrap();
            let mut numbers: Vec<_> = group.members_who_are(&uri, &addressing()).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(who("sip:%61nn:pw@HOME1.net:5060;lr;x=1?a=b"), [0, 1]);
        assert_eq!(who("tel:+1-555-123-0003;oli=62"), [2]);
        assert_eq!(who("sip:+15551230003;cpc=x@home1.net:5060;user=phone"), [2]);
        assert_eq!(who("sip:*21#@home1.net"), [3]);
        assert!(who("sips:ann@home1.net").is_empty() && who("sip:Ann@home1.net").is_empty());
    }

    #[test]
    fn who_sends_has_one_spelling() {
        let spelt = |uri: &str| {
            let uri = Uri::parse(uri.as_bytes()).unwrap();
            String::from_utf8(addressing().address_of_record(&uri)).unwrap()
        };
        assert_eq!(spelt("sip:%65ve@Home1.NET:5060;x=7"), "sip:eve@home1.net");
        for number in [
            "tel:+1-555;cpc=x",
            "sip:+1(555)@HOME1.net;user=phone",
            "sip:+1555;oli=1@home1.net:5060;user=phone;x=1",
        ] {
            assert_eq!(spelt(number), "tel:+1555");
        }
        assert_eq!(
            spelt("sip:+1555@home2.net;user=phone"),
            "sip:+1555@home2.net"
        );
    }

    #[test]
    fn several_members_may_equal_one_address() {
        // C-2.
        let group = compiled(&[
            "sip:ann@home1.net;x=1",
            "sip:ann@home1.net;x=2",
            "sip:bob@h",
        ]);
        let ann = Uri::parse(b"sip:ann@home1.net").unwrap();
        let found: Vec<_> = group.members_equal_to(&ann, &addressing()).collect();
        assert_eq!(found, [0, 1]);
    }

    #[test]
    fn members_that_cannot_be_sent_to_are_skipped_with_a_reason() {
        // A-12, H-4, S-7; T 51, 54, 86.
        let group = compiled(&[
            "sips:a@h",
            "im:b@h",
            "tel:5551",
            "sip:nested@home1.net",
            "sip:x%0d@h",
            "sip:bob@h;method=INVITE",
            "sip:bob@h",
        ]);
        assert_eq!(recipients(&group), ["sip:bob@h"]);
        assert_eq!(group.skipped().len(), 6);
        assert_eq!(group.recipients(), 1);
    }
}
