//! What has to hold before an office opens: its key is the one that the file names, its database is all there, and
//! what it has sold is still in the file. Each refusal says what to do.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use cooee::{NodeId, StartError};

use crate::args::Serve;
use crate::clock::now;
use crate::failure::{Failure, warn};
use crate::ledger::{Ledger, OpenError, Unlisted};
use crate::plan::Plan;
use crate::words::Night;

/// Seats that are named in one warning.
const NAMED: usize = 20;

pub(super) fn no_key(error: &StartError) -> Failure {
    Failure::Refused(format!(
        "{error}; the office keeps its key and what it has sold there: make the folder writable for this \
         user, or name another one with --office-dir"
    ))
}

/// What the file sells is sold by the office that it names, so two copies of it can't be two offices.
pub(super) fn must_be_named(
    plan: &Plan,
    id: NodeId,
    args: &Serve,
    folder: &Path,
) -> Result<(), Failure> {
    let (file, folder) = (args.file.display(), folder.display());
    match plan.office {
        Some(named) if named == id => Ok(()),
        Some(named) => Err(Failure::Usage(format!(
            "{file} is sold by the office {named}, and the key in {folder} makes this one {id}; run it \
             where the other's folder is, or move that folder here once the other has ended for good"
        ))),
        None => Err(Failure::Usage(format!(
            "{file} does not say which office sells it; if it is this one, whose key is in {folder}, add \
             as the first line:\n\noffice = \"{id}\"\n"
        ))),
    }
}

pub(super) fn open(path: &Path, id: NodeId) -> Result<Ledger, Failure> {
    // What was sold is known from the database alone: one that has gone must not be made anew unnoticed.
    let made = path.with_extension("made");
    let was_made = made.exists();
    let lost = |how: &str| {
        Failure::Refused(format!(
            "{} is {how}, and with it what this office has sold is gone; put it back from a copy, or, if nothing \
             was sold yet, remove {} to begin anew",
            path.display(),
            made.display()
        ))
    };
    if was_made && !path.exists() {
        return Err(lost("missing"));
    }
    let ledger = Ledger::open(path, id, was_made).map_err(|error| match error {
        OpenError::Emptied => lost("empty"),
        OpenError::InUse => Failure::No(format!("{}: {error}", path.display())),
        OpenError::OfAnother(_) => Failure::Usage(format!("{}: {error}", path.display())),
        OpenError::Damaged(_) => Failure::Refused(format!(
            "{}: {error}; put a copy of the database in its place",
            path.display()
        )),
        OpenError::Database(error) => no_database(path, &error),
    })?;
    let write = || {
        let mut file = fs::File::create(&made)?;
        file.write_all(b"this office has a ledger\n")?;
        file.sync_all() // as sure as the sales themselves
    };
    write().map_err(|error: io::Error| {
        Failure::Refused(format!(
            "{}: {error}; make its folder writable for this user, or name another one with --office-dir",
            made.display()
        ))
    })?;
    Ok(ledger)
}

/// The database can't be used, and what to do about it.
pub(super) fn no_database(path: &Path, error: &rusqlite::Error) -> Failure {
    use rusqlite::ErrorCode;

    const WRITABLE: &str =
        "make the folder writable for this user, or name another one with --office-dir";
    // On a disk that is mounted read-only the database knows only of an I/O error.
    if let Err(why) = fs::OpenOptions::new().append(true).open(path)
        && matches!(why.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)
    {
        return Failure::Refused(format!("{}: {why}; {WRITABLE}", path.display()));
    }
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "make room on the disk and start the office again",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => WRITABLE,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "put a copy of the database in its place"
        }
        _ => "see to the disk and start the office again",
    };
    Failure::Refused(format!("{}: {error}; {remedy}", path.display()))
}

/// What is sold stays sold, though the file lists it no more; but whoever has changed the file has to
/// know, since a seat that is called otherwise now would be sold again.
pub(super) fn must_be_listed(
    plan: &Plan,
    ledger: &mut Ledger,
    args: &Serve,
    as_json: bool,
) -> Result<(), Failure> {
    let is_listed = |night: &Night, seat: &str| plan.find(night).is_some_and(|show| show.has(seat));
    let refused = |error| Failure::Refused(format!("the database: {error}"));
    let unlisted = ledger.unlisted(now(), is_listed).map_err(refused)?;
    if unlisted.is_empty() {
        return Ok(());
    }
    let named = |one: &Unlisted| {
        let Unlisted { night: Night { show, date }, seat, state } = one;
        format!("{show} on {date}: {seat} ({})", state.as_str())
    };
    let mut all: Vec<String> = unlisted.iter().take(NAMED).map(named).collect();
    if unlisted.len() > NAMED {
        all.push(format!("and {} more", unlisted.len() - NAMED));
    }
    let (file, all) = (args.file.display(), all.join(", "));
    if !args.retire {
        return Err(Failure::Usage(format!(
            "seats are taken that {file} does not list any more: {all}; put them back into the file; or, if \
             they are gone for good and not merely called otherwise, start once with --retire: they stay \
             whose they are"
        )));
    }
    ledger.retire(&unlisted).map_err(refused)?;
    warn(format_args!("{file} does not list any more, and they stay taken: {all}"), as_json);
    Ok(())
}
