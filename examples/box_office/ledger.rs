//! The database that remembers who has which seat. Nothing here knows of a network.
//!
//! - A seat is one row at most, whose key is the seat: it can't have two owners.
//! - An order is one transaction: all of its seats or none, with its number and its outcome. It is on
//!   the disk before anyone is told of it.
//! - Each transaction that changes a show takes the show's next version, so that whoever counts knows
//!   whether it has missed one.
//! - The database is this process's alone for as long as it runs.
//!
//! `rules` says who may have what; `sql` has the statements.

mod files;
mod sql;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cooee::NodeId;
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Result, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use self::files::Files;
use crate::plan::Show;
use crate::rules::{Owner, Rules};
use crate::words::{Change, Deed, Done, Night, No, Order, Place, State, mark};

/// How long an order's outcome is kept for a buyer who asks again.
const REMEMBER: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub(crate) struct Ledger {
    db: Connection,
    files: Files,
}

/// Why a ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("another office has the database open, or some other program; it has to end first")]
    InUse,
    #[error("it belongs to the office {0}; each office needs a folder of its own")]
    OfAnother(String),
    #[error("there is nothing in it, though this office had a database here")]
    Emptied,
    #[error("it is damaged ({0})")]
    Damaged(String),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

/// What came of an order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is carried out; by this call, or before under the same number.
    Done(Done),
    /// It is refused, and changes nothing.
    No(No),
}

/// An order that was carried out, as it is kept for a buyer who asks again.
#[derive(Serialize, Deserialize)]
struct Kept<O, D> {
    order: O,
    done: D,
}

/// A seat of the database that is in no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unlisted {
    pub(crate) night: Night,
    pub(crate) seat: String,
    pub(crate) state: State,
}

impl Ledger {
    /// Opens the database for this office alone. If there is none it is made, unless `was_made`: one that
    /// was there has become empty, and what it knew is somewhere else.
    pub(crate) fn open(path: &Path, office: NodeId, was_made: bool) -> Result<Self, OpenError> {
        let db = Connection::open(path)?;
        // One that was killed a moment ago may still be on its way out.
        db.busy_timeout(Duration::from_secs(1))?;
        db.execute_batch(sql::LOCK).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse,
            _ => OpenError::Database(error),
        })?;
        let is_blank = db.query_row(sql::TABLES, [], |row| row.get::<_, i64>(0))? == 0;
        if is_blank && was_made {
            return Err(OpenError::Emptied);
        }
        db.execute_batch(sql::SCHEMA)?;
        let owner = db.query_row(sql::READ_OFFICE, [], |row| row.get::<_, String>(0));
        match owner.optional()? {
            Some(id) if id == office.to_string() => {}
            Some(id) => return Err(OpenError::OfAnother(id)),
            None if was_made => return Err(OpenError::Emptied),
            None => drop(db.execute(sql::WRITE_OFFICE, [office.to_string()])?),
        }
        db.execute(sql::TOUCH, [])?;
        // Reads all of it into memory, so that it can be saved whatever becomes of the file; and what is
        // damaged is not sold from.
        let health: String = db.query_row(sql::CHECK, [], |row| row.get(0))?;
        if health != "ok" {
            return Err(OpenError::Damaged(health));
        }
        Ok(Self { db, files: Files::of(path) })
    }

    /// Carries out an order, or says why not; and what has changed, for all.
    pub(crate) fn order(
        &mut self,
        show: &Show,
        order: &Order,
        buyer: NodeId,
        rules: &Rules,
        now: i64,
    ) -> Result<(Outcome, Option<Change>)> {
        let transaction = self.db.transaction()?;
        let mut changed = end_holds(&transaction, &show.name, now)?;
        let sale = Sale { db: &transaction, show, night: &order.night, buyer, now };
        let outcome = if let Some(outcome) = sale.remembered(order)? {
            outcome // nothing is done twice
        } else {
            let outcome = sale.decide(order, rules)?;
            if let Outcome::Done(done) = &outcome {
                changed.extend(sale.write(order.deed, done)?);
                sale.remember(order, done)?;
            }
            outcome
        };
        let change = versioned(&transaction, &show.name, changed)?;
        transaction.commit()?;
        self.files.written();
        Ok((outcome, change))
    }

    /// Ends the holds whose time is over.
    pub(crate) fn expire(&mut self, show: &Show, now: i64) -> Result<Option<Change>> {
        let transaction = self.db.transaction()?;
        let ended = end_holds(&transaction, &show.name, now)?;
        let change = versioned(&transaction, &show.name, ended)?;
        transaction.commit()?;
        if change.is_some() {
            self.files.written();
        }
        Ok(change)
    }

    /// Forgets outcomes that nobody will ask for any more.
    pub(crate) fn forget(&mut self, now: i64) -> Result<()> {
        self.db.execute(sql::FORGET, [now.saturating_sub(millis(REMEMBER))])?;
        self.files.written();
        Ok(())
    }

    /// The number of the last change of a show.
    pub(crate) fn version(&self, show: &str) -> Result<i64> {
        let mut version = self.db.prepare_cached(sql::VERSION)?;
        Ok(version.query_row([show], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// The seats of a night that are not free.
    pub(crate) fn taken(&self, night: &Night) -> Result<Vec<Place>> {
        let mut taken = self.db.prepare_cached(sql::TAKEN)?;
        let place = |row: &Row<'_>| {
            let (seat, buyer): (_, String) = (row.get(0)?, row.get(1)?);
            let mark = buyer.parse().map(|buyer| mark(night, buyer)).unwrap_or_default();
            Ok(Place { date: night.date.clone(), seat, state: state(row.get(2)?), mark })
        };
        taken.query_map([&night.show, &night.date], place)?.collect()
    }

    /// The seats that are somebody's though `is_listed` says that they are in no file, but for those of
    /// which that is known, see [`Ledger::retire`].
    pub(crate) fn unlisted(
        &self,
        now: i64,
        is_listed: impl Fn(&Night, &str) -> bool,
    ) -> Result<Vec<Unlisted>> {
        let mut all = self.db.prepare(sql::ALL_TAKEN)?;
        let all = all.query_map([now], |row| {
            let night = Night { show: row.get(0)?, date: row.get(1)? };
            Ok(Unlisted { night, seat: row.get(2)?, state: state(row.get(3)?) })
        })?;
        let mut all = all.collect::<Result<Vec<_>>>()?;
        all.retain(|one| !is_listed(&one.night, &one.seat));
        Ok(all)
    }

    /// From now on it is known that these seats are in no file. They stay whose they are.
    pub(crate) fn retire(&mut self, seats: &[Unlisted]) -> Result<()> {
        let transaction = self.db.transaction()?;
        for Unlisted { night, seat, .. } in seats {
            transaction.execute(sql::RETIRE, [&night.show, &night.date, seat])?;
        }
        transaction.commit()?;
        self.files.written();
        Ok(())
    }

    /// A file of the database that was removed, replaced or written by another since it was opened, if
    /// one was. To be asked before each change.
    pub(crate) fn missing(&self) -> Option<&Path> {
        self.files.missing()
    }

    /// Writes all that it knows to a new file beside where the database was, or else above.
    pub(crate) fn rescue(&self, database: &Path, now: i64) -> Result<PathBuf, String> {
        let mut why = "it has no folder".to_owned();
        for folder in database.ancestors().skip(1).take(2) {
            let copy = folder.join(format!("ledger.rescued-{now}.db"));
            let written = self.db.execute(sql::COPY, [copy.display().to_string()]);
            let written = written.map_err(|error| error.to_string()).and_then(|_| {
                File::open(&copy).and_then(|file| file.sync_all()).map_err(|e| e.to_string())
            });
            match written {
                Ok(()) => return Ok(copy),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

/// As the database counts time.
fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn state(is_sold: bool) -> State {
    if is_sold { State::Sold } else { State::Held }
}

fn free(date: String, seat: String) -> Place {
    Place { date, seat, state: State::Free, mark: String::new() }
}

/// Gives what has changed the show's next version; nothing happens if nothing has.
fn versioned(db: &Transaction<'_>, show: &str, places: Vec<Place>) -> Result<Option<Change>> {
    if places.is_empty() {
        return Ok(None);
    }
    let mut next = db.prepare_cached(sql::NEXT_VERSION)?;
    let version = next.query_row([show], |row| row.get(0))?;
    Ok(Some(Change { show: show.to_owned(), version, places }))
}

fn end_holds(db: &Transaction<'_>, show: &str, now: i64) -> Result<Vec<Place>> {
    let mut ended = db.prepare_cached(sql::END_HOLDS)?;
    let place = |row: &Row<'_>| Ok(free(row.get(0)?, row.get(1)?));
    ended.query_map(params![show, now], place)?.collect()
}

/// One order in its transaction. From top to bottom: what it is about, whether it is granted, what is
/// written.
struct Sale<'a> {
    db: &'a Transaction<'a>,
    show: &'a Show,
    night: &'a Night,
    buyer: NodeId,
    now: i64,
}

impl Sale<'_> {
    /// What came of it if it was carried out before. Another order under the same number is not that one,
    /// and hears nothing of it.
    fn remembered(&self, order: &Order) -> Result<Option<Outcome>> {
        let mut before = self.db.prepare_cached(sql::REMEMBERED)?;
        let key = params![self.buyer.to_string(), order.number];
        let kept = before.query_row(key, |row| row.get::<_, String>(0)).optional()?;
        let Some(kept) = kept else { return Ok(None) };
        // What can't be read may have been carried out, so it must not be done again.
        let kept: Kept<Order, Done> = serde_json::from_str(&kept).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
        })?;
        let is_same = kept.order == *order;
        Ok(Some(if is_same { Outcome::Done(kept.done) } else { Outcome::No(No::OtherOrder) }))
    }

    /// Whether it is granted; nothing is written.
    fn decide(&self, order: &Order, rules: &Rules) -> Result<Outcome> {
        let seats =
            if order.seats.is_empty() { self.own(order.deed)? } else { order.seats.clone() };
        let seats = self.owners(seats)?;
        if let Some(no) = self.unknown(order.deed, &seats) {
            return Ok(Outcome::No(no));
        }
        let is_besides = |seat: &String| seats.iter().all(|(other, _)| other != seat);
        let besides = self.own(Deed::Hold)?.iter().filter(|seat| is_besides(seat)).count();
        if let Err(no) = rules.grant(order.deed, &seats, besides) {
            return Ok(Outcome::No(no));
        }
        let until = (order.deed == Deed::Hold).then(|| self.now.saturating_add(millis(rules.hold)));
        Ok(Outcome::Done(Done { seats: seats.into_iter().map(|(seat, _)| seat).collect(), until }))
    }

    /// The buyer's own seats that a deed can be about: to be given back are all, to be bought those
    /// that are held and on sale, to be held again those that are held.
    fn own(&self, deed: Deed) -> Result<Vec<String>> {
        let mut own = self.db.prepare_cached(sql::OWN)?;
        let Night { show, date } = self.night;
        let own = own.query_map(params![show, date, self.buyer.to_string()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
        })?;
        let mut own = own.collect::<Result<Vec<_>>>()?;
        own.retain(|(seat, is_sold)| match deed {
            Deed::Cancel => true,
            Deed::Book => !is_sold && self.show.has(seat),
            Deed::Hold => !is_sold,
        });
        Ok(own.into_iter().map(|(seat, _)| seat).collect())
    }

    /// The seats, each once, and whose they are.
    fn owners(&self, mut seats: Vec<String>) -> Result<Vec<(String, Owner)>> {
        seats.sort_unstable();
        seats.dedup();
        let mut owner = self.db.prepare_cached(sql::OWNER)?;
        let Night { show, date } = self.night;
        let mut found = Vec::with_capacity(seats.len());
        for seat in seats {
            let row = owner.query_row(params![show, date, seat], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
            });
            let owner = match row.optional()? {
                None => Owner::Nobody,
                Some((buyer, _)) if buyer != self.buyer.to_string() => Owner::Another,
                Some((_, is_sold)) if is_sold => Owner::Buyer,
                Some(_) => Owner::Holder,
            };
            found.push((seat, owner));
        }
        Ok(found)
    }

    /// A refusal if some are no seats of the show. Who has one that the file does not list any more can
    /// give it back all the same.
    fn unknown(&self, deed: Deed, seats: &[(String, Owner)]) -> Option<No> {
        let is_own = |owner| matches!(owner, Owner::Holder | Owner::Buyer);
        let is_known =
            |seat: &str, owner| self.show.has(seat) || deed == Deed::Cancel && is_own(owner);
        let unknown = seats.iter().filter(|(seat, owner)| !is_known(seat, *owner));
        let unknown: Vec<String> = unknown.map(|(seat, _)| seat.clone()).collect();
        (!unknown.is_empty()).then_some(No::UnknownSeat { seats: unknown })
    }

    /// Writes down what was granted; which seats have changed by it.
    fn write(&self, deed: Deed, done: &Done) -> Result<Vec<Place>> {
        let mut changed = Vec::new();
        for (seat, owner) in self.owners(done.seats.clone())? {
            match (deed, owner) {
                (Deed::Hold | Deed::Book, Owner::Buyer) => continue, // bought before
                (Deed::Cancel, _) => self.give_back(&seat)?,
                (_, Owner::Nobody) => self.take(&seat, done.until)?,
                _ => self.renew(&seat, done.until)?,
            }
            let date = self.night.date.clone();
            changed.push(match deed {
                Deed::Cancel => free(date, seat),
                Deed::Hold | Deed::Book => {
                    let mark = mark(self.night, self.buyer);
                    Place { date, seat, state: state(deed == Deed::Book), mark }
                }
            });
        }
        Ok(changed)
    }

    /// Keeps the outcome under the order's number. A refusal is not kept: it changed nothing, and may be
    /// tried again.
    fn remember(&self, order: &Order, done: &Done) -> Result<()> {
        let kept = serde_json::to_string(&Kept { order, done })
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let mut keep = self.db.prepare_cached(sql::REMEMBER)?;
        keep.execute(params![self.buyer.to_string(), order.number, kept, self.now])?;
        Ok(())
    }

    fn take(&self, seat: &str, until: Option<i64>) -> Result<()> {
        let (Night { show, date }, buyer) = (self.night, self.buyer.to_string());
        let row = params![show, date, seat, buyer, self.now, until];
        one(self.db.prepare_cached(sql::TAKE)?.execute(row)?)
    }

    fn renew(&self, seat: &str, until: Option<i64>) -> Result<()> {
        let (Night { show, date }, buyer) = (self.night, self.buyer.to_string());
        let row = params![self.now, until, show, date, seat, buyer];
        one(self.db.prepare_cached(sql::RENEW)?.execute(row)?)
    }

    fn give_back(&self, seat: &str) -> Result<()> {
        let (Night { show, date }, buyer) = (self.night, self.buyer.to_string());
        one(self.db.prepare_cached(sql::GIVE_BACK)?.execute(params![show, date, seat, buyer])?)
    }
}

/// Exactly one row was written; else nothing of the order is.
fn one(rows: usize) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(rows)) }
}
