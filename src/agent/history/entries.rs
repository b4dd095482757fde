//! The authors' own datagrams, kept so that they can be given to those who come later, as they
//! were signed.
//!
//! Each answer is bounded by whoever asks, and found by an index: what it costs depends on how much
//! is asked for, not on how much is kept.

use rusqlite::{Row, Transaction, params};

use super::{History, HistoryError};
use crate::proto::Kept;
use crate::values::{ChannelName, Epoch, NodeId, SmallMap, SmallSet, WallTime, limits, order};
use crate::wire::{Datagram, Packet};

/// A stretch of a log: whose, in which run, the lowest and the highest number.
pub(crate) type Stretch = (NodeId, Epoch, u64, u64);

/// More messages than a datagram can carry: so many of the shortest fill it.
const SPAN: usize = limits::DATAGRAM / r#"{"text":""},"#.len();

/// Entries of one log with any of these numbers. Those that begin too far below carry none of them.
const OF_LOG: &str = "
    SELECT first, last, bytes FROM entries
    WHERE channel = ?1 AND author = ?2 AND epoch = ?3
        AND first > ?4 - ?7 AND first <= ?5 AND last >= ?4
    ORDER BY first LIMIT ?6";

/// Entries of a channel, the newest first.
const NEWEST: &str = "
    SELECT author, epoch, first, last, bytes FROM entries WHERE channel = ?1
    ORDER BY id DESC LIMIT ?2";

/// The same, with the time of their arrival.
const NEWEST_SINCE: &str = "
    SELECT author, epoch, first, arrived FROM entries WHERE channel = ?1 ORDER BY id DESC LIMIT ?2";

/// Logs of a channel, that of the newest entry first.
const RECENT: &str = "
    SELECT author, epoch, first, last FROM logs WHERE channel = ?1 ORDER BY newest DESC LIMIT ?2";

impl History {
    /// The entries of a log that carry any of the numbers `from..=to`, in their order, at most
    /// `most`.
    pub(crate) fn entries(
        &self,
        channel: &ChannelName,
        author: NodeId,
        epoch: Epoch,
        from: u64,
        to: u64,
        most: usize,
    ) -> Result<Vec<Kept>, HistoryError> {
        // Nothing is kept of others; see `numbers`.
        let Ok(run) = i64::try_from(epoch) else { return Ok(Vec::new()) };
        let mut select = self.db.prepare_cached(OF_LOG)?;
        let (name, id) = (channel.as_str(), author.0);
        let rows = select.query_map(
            params![name, id, run, bounded(from), bounded(to), counted(most), counted(SPAN)],
            |row| {
                Ok(Kept {
                    channel: channel.clone(),
                    author,
                    epoch,
                    from: number(row, 0)?,
                    to: number(row, 1)?,
                    bytes: row.get_ref(2)?.as_blob()?.into(),
                })
            },
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What there is of each log of a channel, the lowest and the highest number; at most `most`
    /// logs, those first of which something came last.
    pub(crate) fn logs(
        &self,
        channel: &ChannelName,
        most: usize,
    ) -> Result<Vec<Stretch>, HistoryError> {
        let mut select = self.db.prepare_cached(RECENT)?;
        let rows = select.query_map(params![channel.as_str(), counted(most)], stretch)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to which number there is something of each log of a channel; at most `most` logs, those
    /// first of which something came last. What lacks below is not told.
    pub(crate) fn resumes(
        &self,
        channel: &ChannelName,
        most: usize,
    ) -> Result<Vec<(NodeId, Epoch, u64)>, HistoryError> {
        let logs = self.logs(channel, most)?;
        Ok(logs.into_iter().map(|(author, epoch, _, last)| (author, epoch, last)).collect())
    }

    /// When something came last in a channel, if anything ever did.
    pub(crate) fn arrived_last(
        &self,
        channel: &ChannelName,
    ) -> Result<Vec<WallTime>, HistoryError> {
        let mut select = self.db.prepare_cached(NEWEST_SINCE)?;
        let rows = select.query_map(params![channel.as_str(), 1], |row| number(row, 3))?;
        Ok(rows.map(|at| at.map(WallTime)).collect::<Result<_, _>>()?)
    }

    /// The stretches of logs that hold what came last in a channel: entries of at least so many
    /// messages, if there are as many, each whole. One for each log, those first of which something came
    /// last.
    pub(crate) fn latest(
        &self,
        channel: &ChannelName,
        messages: usize,
    ) -> Result<Vec<Stretch>, HistoryError> {
        let mut select = self.db.prepare_cached(NEWEST)?;
        let mut rows = select.query(params![channel.as_str(), bounded(limits::RECALLED)])?;
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut places = SmallMap::new();
        // Logs of which a long message has been taken, but not its beginning.
        let mut unfinished: SmallSet<(NodeId, Epoch)> = SmallSet::new();
        let mut left = u64::try_from(messages).unwrap_or(u64::MAX);
        while (left > 0 || !unfinished.is_empty())
            && let Some(row) = rows.next()?
        {
            let found @ (author, epoch, first, last) = stretch(row)?;
            let log = (author, epoch);
            if left == 0 && !unfinished.contains(&log) {
                continue;
            }
            let (messages, begins) =
                worth(first, last, row.get_ref(4)?.as_blob().unwrap_or_default());
            left = left.saturating_sub(messages);
            if begins {
                unfinished.remove(&log);
            } else {
                unfinished.insert(log);
            }
            let place = *places.entry(log).or_insert_with(|| {
                stretches.push(found);
                stretches.len() - 1
            });
            let (.., low, high) = &mut stretches[place];
            (*low, *high) = (first.min(*low), last.max(*high));
        }
        Ok(stretches)
    }
}

/// How many messages end in an entry, and whether one begins in it.
fn worth(first: u64, last: u64, bytes: &[u8]) -> (u64, bool) {
    if last > first {
        return (last - first + 1, true); // several short ones
    }
    match Packet::new(bytes).datagram() {
        Ok(Datagram::Entry(entry)) => {
            (entry.payload.messages().into(), entry.payload.is_beginning())
        }
        _ => (1, true),
    }
}

impl History {
    /// The first number of each log of a channel that arrived since then, looking at no more than
    /// the `most` newest entries.
    pub(crate) fn since(
        &self,
        channel: &ChannelName,
        since: WallTime,
        most: usize,
    ) -> Result<Vec<(NodeId, Epoch, u64)>, HistoryError> {
        let mut select = self.db.prepare_cached(NEWEST_SINCE)?;
        let mut rows = select.query(params![channel.as_str(), counted(most)])?;
        let mut firsts: Vec<(NodeId, Epoch, u64)> = Vec::new();
        while let Some(row) = rows.next()? {
            if number(row, 3)? < since.0 {
                break;
            }
            firsts.push((NodeId(row.get(0)?), number(row, 1)?, number(row, 2)?));
        }
        order::sort_by(&mut firsts, Ord::cmp);
        firsts.dedup_by_key(|(author, epoch, _)| (*author, *epoch));
        Ok(firsts)
    }
}

fn stretch(row: &Row) -> rusqlite::Result<Stretch> {
    Ok((NodeId(row.get(0)?), number(row, 1)?, number(row, 2)?, number(row, 3)?))
}

fn number(row: &Row, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::unsigned_abs)
}

/// A number to be looked for; above those that are kept they are all the same.
fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn counted(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// Writes entries from this id on, those that are not there yet.
pub(super) fn write(
    change: &Transaction,
    id: &mut i64,
    entries: &[&Kept],
    now: WallTime,
) -> Result<(), HistoryError> {
    let mut insert = change.prepare_cached(
        "INSERT OR IGNORE INTO entries (id, channel, author, epoch, first, last, arrived, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for entry in entries {
        let Some((epoch, first, last)) = numbers(entry) else { continue };
        let added = insert.execute(params![
            *id,
            entry.channel.as_str(),
            entry.author.0,
            epoch,
            first,
            last,
            now.0.cast_signed(),
            &entry.bytes[..],
        ])?;
        *id += i64::from(added > 0);
    }
    Ok(())
}

/// Epoch, first and last number as the database takes them; `None` for those that no clock and no
/// count gives, only an author who means mischief.
fn numbers(entry: &Kept) -> Option<(i64, i64, i64)> {
    let carried = entry.to.checked_sub(entry.from)?;
    let is_sound = usize::try_from(carried).is_ok_and(|carried| carried < SPAN);
    let number = |n| i64::try_from(n).ok().filter(|_| is_sound);
    Some((number(entry.epoch)?, number(entry.from)?, number(entry.to)?))
}

#[cfg(test)]
pub(super) mod tests;
