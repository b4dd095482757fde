//! The entries of a roster: the only list of which a newcomer reads thousands.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::super::presence::Profile;
use super::super::roster::Told;
use super::{DecodeError, Result, text};
use crate::values::{Epoch, NodeId, limits};

/// `["id","addr",epoch,"nick",age]`, with a number behind it or none.
pub(super) struct ToldMembers {
    id: Parsed<NodeId>,
    addr: Parsed<SocketAddr>,
    epoch: Epoch,
    nick: String,
    age: u32,
    flag: u8,
}

impl ToldMembers {
    pub(super) fn told(self) -> Result<Told> {
        let nick = text(Some(self.nick), limits::NICK, "peers")?.unwrap_or_default();
        Ok(Told {
            id: self.id.0.ok_or(DecodeError::Member("peers"))?,
            addr: self.addr.0.ok_or(DecodeError::Member("peers"))?,
            epoch: self.epoch,
            profile: Arc::new(Profile { nick, ..Profile::default() }),
            age: self.age,
            unicast: self.flag == 1,
        })
    }
}

impl<'de> Deserialize<'de> for ToldMembers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_seq(Row)
    }
}

struct Row;

impl<'de> Visitor<'de> for Row {
    type Value = ToldMembers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a peer of five or six members")
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut row: A,
    ) -> std::result::Result<ToldMembers, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
            row: &mut A,
            at: usize,
        ) -> std::result::Result<T, A::Error> {
            row.next_element()?.ok_or_else(|| Error::invalid_length(at, &Row))
        }
        Ok(ToldMembers {
            id: next(&mut row, 0)?,
            addr: next(&mut row, 1)?,
            epoch: next(&mut row, 2)?,
            nick: next(&mut row, 3)?,
            age: next(&mut row, 4)?,
            flag: row.next_element()?.unwrap_or(0),
        })
    }
}

/// A string that stands for something else, read where it lies; `None` if it does not.
struct Parsed<T>(Option<T>);

impl<'de, T: FromStr> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Text<T>(PhantomData<T>);
        impl<T: FromStr> Visitor<'_> for Text<T> {
            type Value = Parsed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> std::result::Result<Parsed<T>, E> {
                Ok(Parsed(text.parse().ok()))
            }
        }
        from.deserialize_str(Text(PhantomData))
    }
}
