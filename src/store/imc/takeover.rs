//! Groups out of rooms: what is taken over, and what is left out and why.

use super::imc_tables::{ImcTables, Place};
use crate::store::edit::{PutGroup, group_uri};
use std::collections::{HashMap, HashSet};

/// Flag of a room: it is deleted.
const ROOM_DELETED: i64 = 2;
/// Flags of a member: the room's owner, or one of its administrators.
const MEMBER_HAS_A_ROLE: i64 = 1 | 2;
/// Flag of a member: invited, and has not accepted.
const MEMBER_INVITED: i64 = 4;
/// Flag of a member: deleted.
const MEMBER_DELETED: i64 = 8;

/// A row that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Where the row is.
    pub place: Place,
    /// Which room or member it is, and why it is left out.
    pub what: String,
}

/// What becomes of both tables.
#[derive(Clone, Debug, Default)]
pub struct Takeover {
    /// The groups, each with the places of its members.
    pub groups: Vec<(PutGroup, Vec<Place>)>,
    /// The rows that are left out.
    pub left_out: Vec<LeftOut>,
    /// How many members are left out with their rooms.
    pub gone_with_rooms: usize,
    /// How many members were owners or administrators, which groups do not have.
    pub roles: usize,
}

/// What becomes of a room.
enum Fate {
    /// It is the group of this number.
    Group(usize),
    /// It is left out: the number among [`Takeover::left_out`], and how many members it had.
    LeftOut(usize, usize),
}

impl Takeover {
    /// Makes groups of the rooms. A room keeps its address, unless all get another `domain`; its members keep the names
    /// that they have as members of the group.
    pub fn of(tables: ImcTables, domain: Option<&str>) -> Self {
        let mut takeover = Self::default();
        let mut fates = HashMap::new();
        let mut taken = HashSet::new();
        for room in tables.rooms {
            let key = canonical(&room.uri);
            let uri = match domain {
                None => group_uri(&room.uri),
                Some(domain) => group_uri(&format!("sip:{}@{domain}", room.name)),
            };
            let reason = match uri {
                _ if room.flag & ROOM_DELETED != 0 => "deleted (flag 2)".to_owned(),
                _ if matches!(fates.get(&key), Some(Fate::Group(_))) => {
                    "it is there twice; the members of both become members of one group".to_owned()
                }
                Err(error) => error.to_string(),
                Ok(uri) if taken.contains(&uri) => {
                    format!("another room becomes the group {uri} already")
                }
                Ok(uri) => {
                    taken.insert(uri.clone());
                    fates.insert(key, Fate::Group(takeover.groups.len()));
                    takeover.groups.push((group(uri), Vec::new()));
                    continue;
                }
            };
            let left_out = takeover.left_out.len();
            let what = format!("room {} is left out: {reason}", room.uri);
            let place = room.place;
            takeover.left_out.push(LeftOut { place, what });
            fates.entry(key).or_insert(Fate::LeftOut(left_out, 0));
        }
        for member in tables.members {
            let reason = match fates.get_mut(&canonical(&member.room)) {
                Some(Fate::LeftOut(_, members)) => {
                    *members += 1;
                    takeover.gone_with_rooms += 1;
                    continue;
                }
                _ if member.flag & MEMBER_DELETED != 0 => "deleted (flag 8)",
                _ if member.flag & MEMBER_INVITED != 0 => "invited, and has not accepted (flag 4)",
                None => "imc_rooms has no such room",
                Some(Fate::Group(number)) => {
                    takeover.roles += usize::from(member.flag & MEMBER_HAS_A_ROLE != 0);
                    let (group, places) = &mut takeover.groups[*number];
                    group.members.push((member.uri, None));
                    places.push(member.place);
                    continue;
                }
            };
            takeover.left_out.push(LeftOut {
                place: member.place,
                what: format!(
                    "member {} of {} is left out: {reason}",
                    member.uri, member.room
                ),
            });
        }
        for fate in fates.values() {
            if let Fate::LeftOut(number, members @ 1..) = fate {
                let what = &mut takeover.left_out[*number].what;
                *what += &format!(", and with it the rows of {members} of its members");
            }
        }
        takeover
    }
}

/// The one spelling of a room's address, or what stands there if it is none.
fn canonical(room: &str) -> String {
    group_uri(room).unwrap_or_else(|_| room.to_owned())
}

/// A group without members, so far.
fn group(uri: String) -> PutGroup {
    PutGroup {
        uri,
        keeps_names: true,
        ..PutGroup::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a dump: groups with their numbers of members, and what is left out.
    fn of(dump: &str, domain: Option<&str>) -> (Vec<(String, usize)>, Vec<String>) {
        let tables = ImcTables::from_dump(dump.as_bytes());
        let takeover = Takeover::of(tables.unwrap_or_default(), domain);
        let groups = takeover.groups.into_iter();
        let groups = groups.map(|(group, _)| (group.uri, group.members.len()));
        let left_out = takeover.left_out.into_iter().map(|it| it.what);
        (groups.collect(), left_out.collect())
    }

    const ROOMS: &str = "INSERT INTO imc_rooms VALUES (1,'r','a.net',0),(2,'r','b.net',0),(3,'R','A.net',0),(4,'r','A.NET',0);
INSERT INTO imc_members VALUES (1,'ann','h','sip:r@a.net',0),(2,'bob','h','sip:r@A.NET',0),(3,'cho','h','sip:r@b.net',0),(4,'dee','h','sip:r@b.net',4);";

    #[test]
    fn a_room_that_is_there_twice_is_one_group() {
        let (groups, left_out) = of(ROOMS, None);
        let expected = [("sip:r@a.net", 2), ("sip:r@b.net", 1), ("sip:R@a.net", 0)];
        assert_eq!(groups, expected.map(|(uri, count)| (uri.to_owned(), count)));
        let [room, member] = left_out.as_slice() else {
            panic!("{left_out:?}");
        };
        assert!(room.starts_with("room sip:r@A.NET is left out: it is there twice"));
        assert!(member.starts_with("member sip:dee@h of sip:r@b.net is left out: invited"));
    }

    #[test]
    fn rooms_of_one_name_do_not_become_one_group_in_another_domain() {
        let (groups, left_out) = of(ROOMS, Some("im.net"));
        let expected = [("sip:r@im.net", 2), ("sip:R@im.net", 0)];
        assert_eq!(groups, expected.map(|(uri, count)| (uri.to_owned(), count)));
        assert_eq!(
            left_out[0],
            "room sip:r@b.net is left out: another room becomes the group sip:r@im.net already, and with it the rows of 2 of its members"
        );
        assert!(left_out[1].starts_with("room sip:r@A.NET is left out: it is there twice"));
        let (groups, left_out) = of(ROOMS, Some("no domain"));
        assert!(groups.is_empty() && left_out.len() == 4, "{left_out:?}");
    }
}
