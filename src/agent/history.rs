//! What was said, in a database (`SQLite`): messages in joined channels and direct ones.
//!
//! A message is in the file before anyone is told of it: whatever a `listen` has shown survives a
//! `kill -9`. All messages of one turn share a transaction. What is signed is kept once, whoever
//! sends it again and after whatever restart, so [`History::add`] also tells what is new.
//!
//! ```text
//!   messages   one row each; a signed one is unique by (author, epoch, channel, seq)
//!   words      the index of their texts (FTS5), kept by triggers
//! ```

mod keeper;
mod query;
mod schema;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::proto::Message;
use crate::values::{ChannelName, Json, NodeId, WallTime};

pub(crate) use keeper::Keeper;
pub(crate) use query::{Query, query};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// Days that messages are kept.
    pub(crate) days: u32,
    /// MiB of the file, its indices included.
    pub(crate) mebibytes: u32,
}

impl Default for Keeping {
    /// 90 days and 256 MiB: of messages of 200 bytes, some 400,000.
    fn default() -> Self {
        Self { days: 90, mebibytes: 256 }
    }
}

/// Messages between one look at the limits and the next.
const PRUNE_EVERY: u32 = 1_000;

/// Messages that are forgotten at each look at most, so that no turn of the agent takes long: twice
/// as many as may have come since the last one.
const PRUNE: u32 = 2 * PRUNE_EVERY;

/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(2);

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
    added: u32,
}

impl History {
    /// Opens the file, or makes it, and brings it to the present form.
    pub(crate) fn open(path: &Path) -> Result<Self, HistoryError> {
        make_private(path)?;
        let mut db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "wal")?;
        // What the process wrote survives its death; only a power cut may cost the last moments.
        db.pragma_update(None, "synchronous", "normal")?;
        schema::migrate(&mut db)?;
        Ok(Self { db, added: PRUNE_EVERY })
    }

    /// Keeps messages, all or none. Returns for each whether it is new.
    pub(crate) fn add(
        &mut self,
        messages: &[(&Message, Option<NodeId>)],
        keeping: Keeping,
        now: WallTime,
    ) -> Result<Vec<bool>, HistoryError> {
        let change = self.db.transaction()?;
        let mut new = Vec::with_capacity(messages.len());
        {
            let mut insert = change.prepare_cached(
                "INSERT OR IGNORE INTO messages (channel, author, peer, nick, epoch, seq, at,
                    arrived, text, data, level, verified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?;
            for (message, peer) in messages {
                let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                let added = insert.execute(params![
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
                new.push(added > 0);
            }
        }
        change.commit()?;
        self.added += u32::try_from(messages.len()).unwrap_or(u32::MAX);
        if self.added >= PRUNE_EVERY {
            self.added = 0;
            self.prune(keeping, now)?;
        }
        Ok(new)
    }

    /// Forgets what is too old, and the oldest while the file is too large. What is freed is used
    /// again, so the file stays as large as it ever was.
    fn prune(&self, keeping: Keeping, now: WallTime) -> Result<(), HistoryError> {
        let oldest = now.0.saturating_sub(u64::from(keeping.days) * 86_400_000).cast_signed();
        let most = i64::from(keeping.mebibytes) << 20;
        let pragma = |name| self.db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = pragma("page_count")? - pragma("freelist_count")?;
        // `arrived` is the host's clock, which may have jumped; the order of arrival has not.
        let before = if pages * pragma("page_size")? > most { i64::MAX } else { oldest };
        self.db.execute(
            "DELETE FROM messages WHERE arrived < ?1
                AND id IN (SELECT id FROM messages ORDER BY id LIMIT ?2)",
            params![before, PRUNE],
        )?;
        Ok(())
    }

    /// How many messages there are.
    pub(crate) fn count(&self) -> Result<u64, HistoryError> {
        let count: i64 =
            self.db.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

/// For nobody but its owner.
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        crate::node::create_private(folder)?;
    }
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

#[cfg(test)]
mod tests;
