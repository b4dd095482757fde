//! What is forgotten: what is too old, and the oldest while the file is too large.
//!
//! Messages and entries go together, in the order in which they came, so that what is offered to
//! others and what is shown here reach equally far back. Each step is bounded. What is freed is
//! used again, so the file stays as large as it ever was.

use rusqlite::{Transaction, params};

use super::{HistoryError, Keeping};
use crate::values::WallTime;

/// Messages and entries between one look at the limits and the next.
pub(super) const PRUNE_EVERY: usize = 1_000;

/// Messages and entries that are forgotten at each look at most, so that no turn of the agent takes
/// long: twice as many as come between two.
pub(super) const PRUNE: usize = 2 * PRUNE_EVERY;

/// Which came first, and how many bytes each has; its part of the indices comes on top of that.
const FIRST: &str = "
    SELECT id, octet_length(text) + ifnull(octet_length(data), 0) FROM messages
    UNION ALL SELECT id, octet_length(bytes) FROM entries
    ORDER BY id LIMIT ?1";

/// One step.
pub(super) fn prune(
    change: &Transaction,
    keeping: Keeping,
    now: WallTime,
) -> Result<(), HistoryError> {
    let oldest = now.0.saturating_sub(u64::from(keeping.days) * 86_400_000).cast_signed();
    let pragma = |name| change.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    let mut excess = pages * pragma("page_size")? - (i64::from(keeping.mebibytes) << 20);
    // Of those up to `looked_at` what is too old goes, up to `go` all of them: `arrived` is the
    // host's clock, which may have jumped; the order of arrival has not.
    let (mut looked_at, mut go) = (0, 0);
    let mut first = change.prepare_cached(FIRST)?;
    let mut rows = first.query(params![PRUNE.cast_signed()])?;
    while let Some(row) = rows.next()? {
        looked_at = row.get::<_, i64>(0)?;
        if excess > 0 {
            go = looked_at;
            excess = excess.saturating_sub(row.get(1)?);
        }
    }
    for table in ["messages", "entries"] {
        change
            .prepare_cached(&format!(
                "DELETE FROM {table} WHERE id <= ?1 AND (id <= ?2 OR arrived < ?3)"
            ))?
            .execute(params![looked_at, go, oldest])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
