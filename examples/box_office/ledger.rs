//! Who has which seat: the rules, and the database that remembers. Nothing here knows of a network.
//!
//! - A seat is one row at most, whose key is the seat: it can't have two owners.
//! - An order is one transaction: all of its seats or none, with its number and its outcome. It is on
//!   the disk before anyone is told of it.
//! - Each transaction that changes a show takes the show's next version, so that whoever counts knows
//!   whether it has missed one.
//! - The database is this process's alone for as long as it runs.

use std::path::Path;
use std::time::Duration;

use cooee::NodeId;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Result, Transaction, params};

use crate::plan::{Rules, Show};
use crate::words::{Deed, Done, News, Night, No, Order, Place, State, mark};

/// How long an order's outcome is kept for a buyer who asks again.
const REMEMBER: Duration = Duration::from_secs(24 * 3600);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS office (id TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS shows (name TEXT PRIMARY KEY, version INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS seats (
        show TEXT, date TEXT, seat TEXT,
        buyer TEXT NOT NULL,
        since INTEGER NOT NULL,     -- milliseconds since 1970
        until INTEGER,              -- the end of a hold; NULL: it is sold
        PRIMARY KEY (show, date, seat)
    );
    CREATE TABLE IF NOT EXISTS orders (
        buyer TEXT, number TEXT, done TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (buyer, number)
    );";

#[derive(Debug)]
pub(crate) struct Ledger {
    db: Connection,
}

/// Why a ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("another office has the database open; it has to end first")]
    InUse,
    #[error("it belongs to the office {0}; each office needs a folder of its own")]
    OfAnother(String),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

/// What came of an order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// For the buyer.
    pub(crate) answer: Result<Done, No>,
    /// For all, if anything has changed.
    pub(crate) news: Option<News>,
}

impl Ledger {
    /// Opens the database for this office alone, and makes it if there is none.
    pub(crate) fn open(path: &Path, office: NodeId) -> Result<Self, OpenError> {
        let db = Connection::open(path)?;
        // One that was killed a moment ago may still be on its way out.
        db.busy_timeout(Duration::from_secs(1))?;
        // The lock is taken with the first transaction and kept until the process ends, however it
        // ends. FULL: what was committed is still there after the power has failed.
        let locked = db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             BEGIN EXCLUSIVE; COMMIT;",
        );
        locked.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse,
            _ => OpenError::Database(error),
        })?;
        db.execute_batch(SCHEMA)?;
        let owner = db.query_row("SELECT id FROM office", [], |row| row.get::<_, String>(0));
        match owner.optional()? {
            Some(id) if id == office.to_string() => {}
            Some(id) => return Err(OpenError::OfAnother(id)),
            None => drop(db.execute("INSERT INTO office VALUES (?)", [office.to_string()])?),
        }
        Ok(Self { db })
    }

    /// Carries out an order, or says why not.
    pub(crate) fn order(
        &mut self,
        show: &Show,
        order: &Order,
        buyer: NodeId,
        rules: &Rules,
        now: i64,
    ) -> Result<Outcome> {
        let change = self.db.transaction()?;
        let mut changes = end_holds(&change, &show.name, now)?;
        let id = buyer.to_string();
        let before = "SELECT done FROM orders WHERE buyer = ? AND number = ?";
        let before = change
            .query_row(before, params![id, order.number], |row| row.get::<_, String>(0))
            .optional()?;
        let answer = if let Some(done) = before.and_then(|done| serde_json::from_str(&done).ok()) {
            Ok(done)
        } else {
            let mut night = OneNight { change: &change, show, night: &order.night, buyer, now };
            let answer = night.decide(order, rules)?;
            if let Ok(done) = &answer {
                changes.extend(night.carry_out(order.deed, done)?);
                // It changed something, so it must not be done again; what was refused may be tried.
                let done = serde_json::to_string(done).unwrap_or_default();
                change
                    .prepare_cached("INSERT INTO orders VALUES (?, ?, ?, ?)")?
                    .execute(params![id, order.number, done, now])?;
            }
            answer
        };
        let news = number(&change, &show.name, changes)?;
        change.commit()?;
        Ok(Outcome { answer, news })
    }

    /// Ends the holds whose time is over.
    pub(crate) fn expire(&mut self, show: &Show, now: i64) -> Result<Option<News>> {
        let change = self.db.transaction()?;
        let ended = end_holds(&change, &show.name, now)?;
        let news = number(&change, &show.name, ended)?;
        change.commit()?;
        Ok(news)
    }

    /// Forgets outcomes that nobody will ask for any more.
    pub(crate) fn forget(&self, now: i64) -> Result<()> {
        let old = now.saturating_sub(millis(REMEMBER));
        self.db.execute("DELETE FROM orders WHERE at < ?", [old])?;
        Ok(())
    }

    /// The number of the last change of a show.
    pub(crate) fn version(&self, show: &str) -> Result<i64> {
        let version = "SELECT version FROM shows WHERE name = ?";
        let mut version = self.db.prepare_cached(version)?;
        Ok(version.query_row([show], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// The seats of a night that are not free.
    pub(crate) fn taken(&self, night: &Night) -> Result<Vec<Place>> {
        let rows = "SELECT seat, buyer, until IS NULL FROM seats WHERE show = ? AND date = ?";
        let mut rows = self.db.prepare_cached(rows)?;
        let place = |row: &rusqlite::Row<'_>| {
            let buyer: String = row.get(1)?;
            let sold: bool = row.get(2)?;
            Ok(Place {
                date: night.date.clone(),
                seat: row.get(0)?,
                state: if sold { State::Sold } else { State::Held },
                mark: buyer.parse().map(|buyer| mark(night, buyer)).unwrap_or_default(),
            })
        };
        rows.query_map([&night.show, &night.date], place)?.collect()
    }
}

/// As the database counts time.
fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Gives changes the show's next version; nothing happens if there are none.
fn number(change: &Transaction<'_>, show: &str, changes: Vec<Place>) -> Result<Option<News>> {
    if changes.is_empty() {
        return Ok(None);
    }
    let next = "INSERT INTO shows VALUES (?, 1)
        ON CONFLICT DO UPDATE SET version = version + 1 RETURNING version";
    let version = change.prepare_cached(next)?.query_row([show], |row| row.get(0))?;
    Ok(Some(News { show: show.to_owned(), version, changes }))
}

fn end_holds(change: &Transaction<'_>, show: &str, now: i64) -> Result<Vec<Place>> {
    let ended = "DELETE FROM seats WHERE show = ? AND until <= ? RETURNING date, seat";
    let mut ended = change.prepare_cached(ended)?;
    let place = |row: &rusqlite::Row<'_>| Ok(free(row.get(0)?, row.get(1)?));
    ended.query_map(params![show, now], place)?.collect()
}

fn free(date: String, seat: String) -> Place {
    Place { date, seat, state: State::Free, mark: String::new() }
}

/// One night, within a transaction, as one buyer sees it.
struct OneNight<'a> {
    change: &'a Transaction<'a>,
    show: &'a Show,
    night: &'a Night,
    buyer: NodeId,
    now: i64,
}

/// Whose a seat is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    Somebody,
    /// The buyer's own, held or sold.
    Held,
    Sold,
}

impl OneNight<'_> {
    /// Whether the order can be carried out. This is all that there is of rules.
    fn decide(&self, order: &Order, rules: &Rules) -> Result<Result<Done, No>> {
        let unknown: Vec<String> = order
            .seats
            .iter()
            .filter(|seat| !self.show.seating.seats().any(|other| other == seat.as_str()))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            return Ok(Err(No::UnknownSeat { seats: unknown }));
        }
        let mut seats = order.seats.clone();
        if seats.is_empty() {
            seats = self.own(order.deed != Deed::Cancel)?;
        }
        seats.sort_unstable();
        seats.dedup();
        if seats.is_empty() {
            return Ok(Err(No::Nothing));
        }
        let (mut refused, mut bought) = (Vec::new(), Vec::new());
        for seat in &seats {
            let owner = self.owner(seat)?;
            if order.deed == Deed::Hold && owner == Owner::Sold {
                bought.push(seat.clone());
                continue;
            }
            let may = match order.deed {
                Deed::Hold => matches!(owner, Owner::Nobody | Owner::Held),
                Deed::Book => owner != Owner::Somebody,
                Deed::Cancel => matches!(owner, Owner::Held | Owner::Sold),
            };
            if !may {
                refused.push(seat.clone());
            }
        }
        if !bought.is_empty() {
            return Ok(Err(No::Bought { seats: bought }));
        }
        if !refused.is_empty() {
            return Ok(Err(match order.deed {
                Deed::Cancel => No::NotYours { seats: refused },
                Deed::Hold | Deed::Book => No::Taken { seats: refused },
            }));
        }
        if order.deed == Deed::Hold {
            let others = self.own(true)?.into_iter().filter(|seat| !seats.contains(seat)).count();
            if others + seats.len() > rules.most {
                return Ok(Err(No::TooMany { most: rules.most }));
            }
        }
        let end = self.now + millis(rules.hold);
        Ok(Ok(Done { seats, until: (order.deed == Deed::Hold).then_some(end) }))
    }

    /// Writes down what was decided; what has changed by it.
    fn carry_out(&mut self, deed: Deed, done: &Done) -> Result<Vec<Place>> {
        let Night { show, date } = self.night;
        let take = "INSERT INTO seats VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE SET since = ?5, until = ?6 WHERE buyer = ?4 AND until IS NOT NULL";
        let give = "DELETE FROM seats WHERE show = ? AND date = ? AND seat = ? AND buyer = ?";
        let mut changes = Vec::new();
        for seat in &done.seats {
            let buyer = self.buyer.to_string();
            let (state, rows) = match deed {
                Deed::Cancel => {
                    let mut give = self.change.prepare_cached(give)?;
                    (State::Free, give.execute(params![show, date, seat, buyer])?)
                }
                Deed::Hold | Deed::Book => {
                    let state = if deed == Deed::Hold { State::Held } else { State::Sold };
                    let mut take = self.change.prepare_cached(take)?;
                    let row = params![show, date, seat, buyer, self.now, done.until];
                    (state, take.execute(row)?)
                }
            };
            let mark = mark(self.night, self.buyer);
            let place = Place { date: date.clone(), seat: seat.clone(), state, mark };
            match (rows, state) {
                (0, _) => {} // bought before
                (_, State::Free) => changes.push(free(place.date, place.seat)),
                _ => changes.push(place),
            }
        }
        Ok(changes)
    }

    /// The buyer's seats; only those that it holds, if `held`.
    fn own(&self, held: bool) -> Result<Vec<String>> {
        let own = "SELECT seat FROM seats WHERE show = ? AND date = ? AND buyer = ?
            AND (until IS NOT NULL OR NOT ?)";
        let mut own = self.change.prepare_cached(own)?;
        let Night { show, date } = self.night;
        own.query_map(params![show, date, self.buyer.to_string(), held], |row| row.get(0))?
            .collect()
    }

    fn owner(&self, seat: &str) -> Result<Owner> {
        let owner =
            "SELECT buyer, until IS NULL FROM seats WHERE show = ? AND date = ? AND seat = ?";
        let mut owner = self.change.prepare_cached(owner)?;
        let Night { show, date } = self.night;
        let row = owner.query_row(params![show, date, seat], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
        });
        Ok(match row.optional()? {
            None => Owner::Nobody,
            Some((buyer, _)) if buyer != self.buyer.to_string() => Owner::Somebody,
            Some((_, true)) => Owner::Sold,
            Some((_, false)) => Owner::Held,
        })
    }
}

#[cfg(test)]
mod tests;
