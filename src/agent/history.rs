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

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

use crate::proto::Message;
use crate::values::{ChannelName, Json, Level, NodeId, PeerText, WallTime};

/// The form of the database that this program writes; in its `user_version`.
const VERSION: i64 = 1;

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

/// From each version to the next.
const MIGRATIONS: [&str; VERSION as usize] = ["
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        channel TEXT NOT NULL,        -- '' for what was told to one
        author BLOB,                  -- NULL for what was written by hand
        peer BLOB,                    -- to whom, for what this node told one
        nick TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,          -- milliseconds since 1970, by the author's clock
        arrived INTEGER NOT NULL,     -- the same, by this host's
        text TEXT NOT NULL,
        data TEXT,
        level TEXT NOT NULL,
        verified INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX signed ON messages (author, epoch, channel, seq) WHERE verified;
    CREATE INDEX arrival ON messages (arrived);
    CREATE INDEX conversation ON messages (channel, id);
    CREATE VIRTUAL TABLE words USING fts5 (text, nick, content = 'messages', content_rowid = 'id');
    CREATE TRIGGER added AFTER INSERT ON messages BEGIN
        INSERT INTO words (rowid, text, nick) VALUES (new.id, new.text, new.nick);
    END;
    CREATE TRIGGER removed AFTER DELETE ON messages BEGIN
        INSERT INTO words (words, rowid, text, nick)
            VALUES ('delete', old.id, old.text, old.nick);
    END;
"];

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

impl History {
    /// Opens the file, or makes it, and brings it to the present form.
    pub(crate) fn open(path: &Path) -> Result<Self, HistoryError> {
        make_private(path)?;
        let mut db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "wal")?;
        // What the process wrote survives its death; only a power cut may cost the last moments.
        db.pragma_update(None, "synchronous", "normal")?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > VERSION {
            return Err(HistoryError::Newer(version));
        }
        for (at, migration) in (0..).zip(MIGRATIONS).skip(usize::try_from(version).unwrap_or(0)) {
            let change = db.transaction()?;
            change.execute_batch(migration)?;
            change.pragma_update(None, "user_version", at + 1)?;
            change.commit()?;
        }
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

/// Reads what was kept, each with whom it was told by this node if it was, the oldest first, beside
/// an agent that goes on writing, or without one.
pub(crate) fn query(
    path: &Path,
    query: &Query,
    mut each: impl FnMut(Message, Option<NodeId>) -> bool,
) -> Result<(), HistoryError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(BUSY)?;
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

/// For nobody but its owner.
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        crate::node::create_private(folder)?;
    }
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

/// A history that may fail: then the agent lives on without one, says so, and tries again.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// `None`: nothing is kept, and nothing is wrong.
    path: Option<PathBuf>,
    open: Option<History>,
    trouble: Option<String>,
    /// When to try again, in seconds since some start.
    retry: u64,
    /// What was added last is in the file.
    kept: bool,
    /// How much is kept.
    pub(crate) keeping: Keeping,
}

/// Seconds between one attempt to open a failing history and the next.
const RETRY: u64 = 30;

impl Keeper {
    /// Opens the history. What goes wrong is told by `warn`, here and later.
    pub(crate) fn open(path: PathBuf, keeping: Keeping, warn: &mut dyn FnMut(String)) -> Self {
        let mut keeper = Self { path: Some(path), keeping, ..Self::nowhere() };
        keeper.reopen(0, warn);
        keeper
    }

    /// Keeps nothing.
    pub(crate) fn nowhere() -> Self {
        let keeping = Keeping::default();
        Self { path: None, open: None, trouble: None, retry: 0, kept: false, keeping }
    }

    fn reopen(&mut self, now: u64, warn: &mut dyn FnMut(String)) {
        let Some(path) = self.path.clone() else { return };
        match History::open(&path) {
            Ok(history) => {
                self.open = Some(history);
                if self.trouble.take().is_some() {
                    warn("the history works again".to_owned());
                }
            }
            Err(error) if is_damaged(&error) => self.begin_anew(&path, &error, now, warn),
            Err(error) => self.fail(&error, now, warn),
        }
    }

    /// Puts a damaged file aside, and begins a new one.
    fn begin_anew(
        &mut self,
        path: &Path,
        error: &HistoryError,
        now: u64,
        warn: &mut dyn FnMut(String),
    ) {
        let aside = path.with_extension("damaged");
        let moved = fs::rename(path, &aside);
        for ending in ["db-wal", "db-shm"] {
            let _ = fs::remove_file(path.with_extension(ending));
        }
        warn(format!(
            "the history {} is damaged ({error}); it was put aside as {}",
            path.display(),
            aside.display()
        ));
        match moved.map_err(HistoryError::from).and_then(|()| History::open(path)) {
            Ok(history) => self.open = Some(history),
            Err(error) => self.fail(&error, now, warn),
        }
    }

    fn fail(&mut self, error: &HistoryError, now: u64, warn: &mut dyn FnMut(String)) {
        self.open = None;
        self.retry = now + RETRY;
        let trouble = error.to_string();
        if self.trouble.as_ref() != Some(&trouble) {
            warn(format!(
                "the history{} can't be written ({trouble}): messages are passed on and NOT kept; \
                 make room, or mend the permissions; it is tried again every {RETRY} s",
                self.path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default()
            ));
        }
        self.trouble = Some(trouble);
    }

    /// Keeps messages if it can. Returns for each whether it is new, as far as can be told.
    pub(crate) fn add(
        &mut self,
        messages: &[(&Message, Option<NodeId>)],
        wall: WallTime,
        now: u64,
        warn: &mut dyn FnMut(String),
    ) -> Vec<bool> {
        if self.open.is_none() && now >= self.retry {
            self.reopen(now, warn);
        }
        self.kept = false;
        // Twice: a damage may show only now, though the file could be opened.
        for _ in 0..2 {
            let Some(history) = &mut self.open else { break };
            match history.add(messages, self.keeping, wall) {
                Ok(new) => {
                    self.kept = true;
                    return new;
                }
                Err(error) => {
                    self.open = None;
                    match self.path.clone() {
                        Some(path) if is_damaged(&error) => {
                            self.begin_anew(&path, &error, now, warn);
                        }
                        _ => self.fail(&error, now, warn),
                    }
                }
            }
        }
        vec![true; messages.len()]
    }

    /// Whether the messages that were added last are in the file. Only then is what [`Keeper::add`]
    /// said of them sure.
    pub(crate) fn has_kept(&self) -> bool {
        self.kept
    }

    /// How many messages are kept.
    pub(crate) fn count(&self) -> Option<u64> {
        self.open.as_ref().and_then(|history| history.count().ok())
    }

    /// What is wrong, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }
}

fn is_damaged(error: &HistoryError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let HistoryError::Database(error) = error else { return false };
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

#[cfg(test)]
mod tests;
