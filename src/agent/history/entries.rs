//! The authors' own datagrams, kept so that they can be given to those who come later, as they
//! were signed.

use rusqlite::{Transaction, params};

use super::HistoryError;
use crate::proto::Kept;
use crate::values::{WallTime, limits};

/// More messages than a datagram can carry: so many of the shortest fill it.
const SPAN: usize = limits::DATAGRAM / r#"{"text":""},"#.len();

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
mod tests;
