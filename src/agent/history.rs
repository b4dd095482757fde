//! What was said, in a database (`SQLite`): messages in joined channels and direct ones, and the
//! datagrams by which what is signed was said in channels.
//!
//! A message is in the file before anyone is told of it: whatever a `listen` has shown survives a
//! `kill -9`, but for the time in which the file can't be written, see [`Keeper`]. All messages and
//! entries of one turn share a transaction. What is signed is kept once, whoever sends it again and
//! after whatever restart, so [`History::add`] also tells what is new.
//!
//! ```text
//!   messages   one row each; a signed one is unique by (author, epoch, channel, seq)
//!   words      the index of their texts (FTS5), kept by triggers
//!   entries    an author's own datagram, with several messages, one, or a part of one; unique by
//!              (channel, author, epoch, number of its first message)
//!   logs       what of each (channel, author, epoch) the entries have, kept by triggers
//!
//!   ids of messages and entries are from one count: 1 entry, 2 message, 3 entry, 4 entry, …
//!       so both are forgotten in the order in which they came: what is too old, then the oldest
//! ```

mod backlog;
mod entries;
mod keeper;
mod place;
mod pruning;
mod query;
mod schema;

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::proto::{Kept, Message};
use crate::values::{ChannelName, Json, NodeId, WallTime};

pub(crate) use keeper::Keeper;
pub(crate) use query::{Query, query};

use place::{Lost, Place};
use pruning::{PRUNE_EVERY, prune};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// Days that messages, and the entries that they came in, are kept.
    pub(crate) days: u32,
    /// MiB of the file, its indices included.
    pub(crate) mebibytes: u32,
}

impl Default for Keeping {
    /// 90 days and 256 MiB: of messages of 200 bytes, each with its datagram, some 240,000.
    fn default() -> Self {
        Self { days: 90, mebibytes: 256 }
    }
}

/// How long another program may hold the file while this one waits for it and does nothing else.
const BUSY: Duration = Duration::from_secs(2);

/// The same, while an agent's turn waits for it.
const BUSY_IN_TURN: Duration = Duration::from_millis(100);

/// Why the history can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The database does not work: full disk, damaged file, no permission.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// The file can't be made.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A newer version of this program has written it.
    #[error("the history was written by a newer cooee (form {0}); update this one")]
    Newer(i64),
}

/// The open database.
#[derive(Debug)]
pub(crate) struct History {
    db: Connection,
    place: Place,
    /// Messages and entries since the last look at the limits.
    added: usize,
}

impl History {
    /// Opens the file, or makes it, and brings it to the present form.
    pub(crate) fn open(path: &Path) -> Result<Self, HistoryError> {
        place::make_private(path)?;
        let mut db = Connection::open(path)?;
        db.busy_timeout(BUSY_IN_TURN)?;
        db.pragma_update(None, "journal_mode", "wal")?;
        // What the process wrote survives its death; only a power cut may cost the last moments.
        db.pragma_update(None, "synchronous", "normal")?;
        schema::migrate(&mut db)?;
        let place = Place::of(path);
        Ok(Self { db, place, added: PRUNE_EVERY })
    }

    /// Waits longer from now on if another program has the file.
    fn be_patient(&self) {
        // It can't fail but for a connection that is closed.
        let _ = self.db.busy_timeout(BUSY);
    }

    /// What has become of the file, if its path does not name it any more.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.place.lost()
    }

    /// Gives up a file that was moved or removed: what it has is in it and in no other, wherever it
    /// is now.
    pub(crate) fn leave(self) {
        // Nobody may have it any more; then there is nothing to write.
        let _ = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        drop(self.db);
        self.place.clear();
    }

    /// Keeps messages, each with whom this node told it, and entries of channels' logs: all or
    /// none. Returns for each message whether it is new. What an entry carries need not be among
    /// the messages: a part of a long one completes none.
    pub(crate) fn add(
        &mut self,
        messages: &[(&Message, Option<NodeId>)],
        entries: &[&Kept],
        keeping: Keeping,
        now: WallTime,
    ) -> Result<Vec<bool>, HistoryError> {
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_due = self.added >= PRUNE_EVERY;
        if is_due {
            prune(&change, keeping, now)?;
        }
        let mut id: i64 = change.query_row(
            "SELECT max(ifnull((SELECT max(id) FROM messages), 0),
                ifnull((SELECT max(id) FROM entries), 0)) + 1",
            [],
            |row| row.get(0),
        )?;
        // So that an entry is forgotten before what it says, and never offered to others after it.
        entries::write(&change, &mut id, entries, now)?;
        let new = write(&change, &mut id, messages, now)?;
        change.commit()?;
        let added = messages.len() + entries.len();
        self.added = if is_due { added } else { self.added + added };
        Ok(new)
    }

    /// How many messages there are.
    pub(crate) fn count(&self) -> Result<u64, HistoryError> {
        let count: i64 =
            self.db.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

/// Writes messages from this id on. Returns for each whether it was not there yet.
fn write(
    change: &Transaction,
    id: &mut i64,
    messages: &[(&Message, Option<NodeId>)],
    now: WallTime,
) -> Result<Vec<bool>, HistoryError> {
    let mut insert = change.prepare_cached(
        "INSERT OR IGNORE INTO messages (id, channel, author, peer, nick, epoch, seq, at, arrived,
            text, data, level, verified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let mut new = Vec::with_capacity(messages.len());
    for (message, peer) in messages {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let added = insert.execute(params![
            *id,
            message.channel.as_ref().map_or("", ChannelName::as_str),
            message.from.map(|id| id.0),
            peer.map(|id| id.0),
            message.nick.raw(),
            number(message.epoch),
            number(message.seq),
            number(message.at.unwrap_or(now).0),
            number(now.0),
            message.text.raw(),
            message.data.as_ref().map(Json::as_str),
            message.level.as_str(),
            message.verified,
        ])?;
        *id += i64::from(added > 0);
        new.push(added > 0);
    }
    Ok(new)
}

#[cfg(test)]
mod tests;
