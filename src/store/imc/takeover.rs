//! Groups out of rooms: what is taken over, and what is left out and why.

use super::imc_tables::{ImcTables, Place};
use crate::store::edit::{PutGroup, group_uri};
use std::collections::HashMap;

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
    /// Makes groups of the rooms: a room keeps its address, and its members keep the names that they have.
    pub fn of(tables: ImcTables) -> Self {
        let mut takeover = Self::default();
        let mut fates = HashMap::new();
        for room in tables.rooms {
            let uri = group_uri(&room.uri);
            let key = uri.as_ref().unwrap_or(&room.uri).clone();
            let reason = match &uri {
                _ if room.flag & ROOM_DELETED != 0 => "deleted (flag 2)".to_owned(),
                Err(error) => error.to_string(),
                Ok(uri) if matches!(fates.get(uri), Some(Fate::Group(_))) => {
                    "it is there twice; the members of both become members of one group".to_owned()
                }
                Ok(uri) => {
                    fates.insert(key, Fate::Group(takeover.groups.len()));
                    takeover.groups.push((group(uri.clone()), Vec::new()));
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
            let key = group_uri(&member.room).unwrap_or_else(|_| member.room.clone());
            let reason = match fates.get_mut(&key) {
                Some(Fate::LeftOut(_, members)) => {
                    *members += 1;
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

/// A group without members, so far.
fn group(uri: String) -> PutGroup {
    PutGroup {
        uri,
        keeps_names: true,
        ..PutGroup::default()
    }
}
