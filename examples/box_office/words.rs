//! What buyers, the office and viewers say to each other. Each of these travels as the `data` of a
//! question, an answer or a message of cooee's; the text beside it is for people.

use std::collections::BTreeMap;

use cooee::{ChannelName, Json, JsonError, NodeId, Outgoing};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The service by which any office is found.
pub(crate) const SERVICE: &str = "box-office";

/// One performance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub(crate) struct Night {
    /// The show's name, as `shows` prints it
    pub(crate) show: String,
    /// The date, as `shows` prints it
    pub(crate) date: String,
}

/// A question to the office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// What is on?
    Shows,
    /// Which seats of that night are taken?
    Seats(Night),
    /// May I have these?
    Order(Order),
}

/// What a buyer wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) deed: Deed,
    pub(crate) night: Night,
    /// None: all that the buyer has that night.
    pub(crate) seats: Vec<String>,
    /// The buyer's own number for it. Whoever did not hear the answer asks again under the same number,
    /// and is told the same, without it being done a second time.
    pub(crate) number: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    Hold,
    Book,
    Cancel,
}

/// The office's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Shows(Vec<Billing>),
    Seats(Snapshot),
    Done(Done),
    No(No),
}

/// A show, as it is announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Billing {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) dates: Vec<String>,
    /// How many seats the house has.
    pub(crate) seats: usize,
}

/// Everything about one night, as it was after change number `version` of the show. The seats that are
/// not free, with their marks, are grouped by their state: so those of a large house fit into one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) title: String,
    /// The picture of the seats, see [`crate::seating`].
    pub(crate) seating: String,
    pub(crate) version: i64,
    pub(crate) held: BTreeMap<String, String>,
    pub(crate) sold: BTreeMap<String, String>,
}

/// An order that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) seats: Vec<String>,
    /// Until when they are held, in milliseconds since 1970.
    pub(crate) until: Option<i64>,
}

/// Why an order was not carried out. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "why")]
pub(crate) enum No {
    #[error("there is no such show or date here; `box_office shows` lists them")]
    NotOn,
    #[error("there is no seat {}; `box_office seats` shows those that there are", .seats.join(", "))]
    UnknownSeat { seats: Vec<String> },
    #[error("somebody else has {}; `box_office seats` shows what is free", .seats.join(", "))]
    Taken { seats: Vec<String> },
    #[error("you have bought {} already", .seats.join(", "))]
    Bought { seats: Vec<String> },
    #[error("{} is not yours", .seats.join(", "))]
    NotYours { seats: Vec<String> },
    #[error("this order has the number of another one that was carried out; order anew")]
    OtherOrder,
    #[error("you have none there; name a seat")]
    Nothing,
    #[error("one buyer holds at most {most} seats a night; book some, or cancel")]
    TooMany { most: usize },
}

/// What the office says to all in a show's channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum News {
    Change(Change),
    /// Nothing has changed since the change of this number.
    Still {
        show: String,
        version: i64,
    },
}

/// What has changed in a show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) show: String,
    /// The number of the change, one more than that of the change before.
    pub(crate) version: i64,
    /// The seats, of any night.
    pub(crate) places: Vec<Place>,
}

/// What a seat is since some change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) date: String,
    pub(crate) seat: String,
    pub(crate) state: State,
    /// Whose it is, see [`mark`]; empty where it is nobody's.
    pub(crate) mark: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    #[default]
    Free,
    Held,
    Sold,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Sold => "sold",
        }
    }
}

/// A buyer, as all may see it: enough for itself to know its seats, and different each night, so that
/// nobody can tell from what is said to all who goes where with whom. (Who knows a buyer's id can.)
pub(crate) fn mark(night: &Night, buyer: NodeId) -> String {
    let text = format!("{}\n{}\n{buyer}", night.show, night.date);
    data_encoding::HEXLOWER.encode(&Sha256::digest(text)[..5])
}

/// The name of a show's channel, and of the service by which the office is found that sells it.
pub(crate) fn channel(show: &str) -> Option<ChannelName> {
    format!("show-{show}").parse().ok()
}

/// Something said to the other side, with words beside it for people who listen.
pub(crate) fn outgoing(text: String, what: &impl Serialize) -> Result<Outgoing, JsonError> {
    Ok(Outgoing::new(text).with_data(Json::of(what)?))
}
