//! Reading what was said, beside an agent that goes on writing, or without one.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use super::{BUSY, History, HistoryError};
use crate::proto::Message;
use crate::values::{ChannelName, Json, Level, NodeId, PeerText, WallTime};

/// Which messages are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) channel: Option<ChannelName>,
    /// Those that arrived since.
    pub(crate) since: Option<WallTime>,
    /// The last so many.
    pub(crate) limit: usize,
    /// With all of these words.
    pub(crate) words: Option<String>,
}

/// Reads what was kept, each with whom it was told by this node if it was, the oldest first, beside
/// an agent that goes on writing, or without one.
pub(crate) fn query(
    path: &Path,
    query: &Query,
    mut each: impl FnMut(Message, Option<NodeId>) -> bool,
) -> Result<(), HistoryError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(BUSY)?;
    read(&db, query, &mut each)
}

impl History {
    /// The messages of a channel that arrived last, the oldest of them first.
    pub(crate) fn said(
        &self,
        channel: &ChannelName,
        last: usize,
        mut each: impl FnMut(Message),
    ) -> Result<(), HistoryError> {
        let wanted = Query { channel: Some(channel.clone()), limit: last, ..Query::default() };
        read(&self.db, &wanted, &mut |message, _| {
            each(message);
            true
        })
    }
}

fn read(
    db: &Connection,
    query: &Query,
    each: &mut dyn FnMut(Message, Option<NodeId>) -> bool,
) -> Result<(), HistoryError> {
    let mut select = db.prepare(
        "SELECT channel, author, nick, epoch, seq, at, text, data, level, verified, peer FROM (
            SELECT * FROM messages
            WHERE (?1 IS NULL OR channel = ?1) AND arrived >= ?2
                AND (?3 IS NULL OR id IN (SELECT rowid FROM words WHERE words MATCH ?3))
            ORDER BY id DESC LIMIT ?4
         ) ORDER BY id",
    )?;
    let channel = query.channel.as_ref().map(ChannelName::as_str);
    let since = query.since.map_or(0, |since| since.0).cast_signed();
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let words = query.words.as_deref().map(quoted);
    let mut rows = select.query(params![channel, since, words, limit])?;
    while let Some(row) = rows.next()? {
        let channel: String = row.get(0)?;
        let level: String = row.get(8)?;
        let data: Option<String> = row.get(7)?;
        let text: String = row.get(6)?;
        let nick: String = row.get(2)?;
        let number = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        let message = Message {
            channel: channel.parse().ok(),
            from: row.get::<_, Option<[u8; 32]>>(1)?.map(NodeId),
            source: None,
            nick: PeerText::new(nick),
            epoch: number(3)?,
            seq: number(4)?,
            at: Some(WallTime(number(5)?)),
            text: PeerText::new(text),
            data: data.and_then(|data| Json::parse(&data).ok()),
            level: level.parse().unwrap_or(Level::Info),
            verified: row.get(9)?,
            history: false,
        };
        let told = row.get::<_, Option<[u8; 32]>>(10)?.map(NodeId);
        if !each(message, told) {
            break;
        }
    }
    Ok(())
}

/// The words as FTS5 takes them: each as a string of its own, so that none is an operator.
fn quoted(words: &str) -> String {
    let quote = |word: &str| format!("\"{}\"", word.replace('"', "\"\""));
    words.split_whitespace().map(quote).collect::<Vec<_>>().join(" ")
}
