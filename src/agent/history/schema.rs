//! The form of the database, and how an older one is brought to it.

use rusqlite::{Connection, TransactionBehavior};

use super::HistoryError;

/// The form of the database that this program writes; in its `user_version`.
pub(super) const VERSION: i64 = 2;

/// From each version to the next. What was released is never changed, only added to.
pub(super) const MIGRATIONS: [&str; VERSION as usize] = [MESSAGES, ENTRIES];

const MESSAGES: &str = "
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
";

/// Entries beside the messages. The ids of both are from one count, so that their order is that of
/// arrival. What a log has is written down beside its entries, because there may be as many logs as
/// entries: each run of a command that says something begins one.
const ENTRIES: &str = "
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        channel TEXT NOT NULL,
        author BLOB NOT NULL,
        epoch INTEGER NOT NULL,
        first INTEGER NOT NULL,       -- the numbers of its first and its last message
        last INTEGER NOT NULL,
        arrived INTEGER NOT NULL,     -- milliseconds since 1970, by this host's clock
        bytes BLOB NOT NULL           -- the author's own datagram
    );
    CREATE UNIQUE INDEX numbered ON entries (channel, author, epoch, first);
    CREATE INDEX heard ON entries (channel, id);
    CREATE TABLE logs (
        channel TEXT NOT NULL,
        author BLOB NOT NULL,
        epoch INTEGER NOT NULL,
        first INTEGER NOT NULL,       -- the lowest and the highest number that is kept
        last INTEGER NOT NULL,
        newest INTEGER NOT NULL,      -- id of the entry that came last
        PRIMARY KEY (channel, author, epoch)
    ) WITHOUT ROWID;
    CREATE INDEX recent ON logs (channel, newest);
    CREATE TRIGGER entered AFTER INSERT ON entries BEGIN
        INSERT INTO logs (channel, author, epoch, first, last, newest)
            VALUES (new.channel, new.author, new.epoch, new.first, new.last, new.id)
            ON CONFLICT (channel, author, epoch) DO UPDATE SET
                first = min(first, excluded.first),
                last = max(last, excluded.last),
                newest = excluded.newest;
    END;
    CREATE TRIGGER forgotten AFTER DELETE ON entries BEGIN
        DELETE FROM logs
            WHERE channel = old.channel AND author = old.author AND epoch = old.epoch
                AND NOT EXISTS (SELECT 1 FROM entries WHERE channel = old.channel
                    AND author = old.author AND epoch = old.epoch);
        UPDATE logs SET
            first = (SELECT first FROM entries WHERE channel = old.channel
                AND author = old.author AND epoch = old.epoch ORDER BY first LIMIT 1),
            last = (SELECT last FROM entries WHERE channel = old.channel
                AND author = old.author AND epoch = old.epoch ORDER BY first DESC LIMIT 1)
            WHERE channel = old.channel AND author = old.author AND epoch = old.epoch
                AND (first = old.first OR last = old.last);
    END;
";

/// Brings a database to the present form.
pub(super) fn migrate(db: &mut Connection) -> Result<(), HistoryError> {
    let version = version(db)?;
    if version > VERSION {
        return Err(HistoryError::Newer(version));
    }
    if version < VERSION {
        // Read again within: another agent of the same user may be at it, too.
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = usize::try_from(self::version(&change)?).unwrap_or(0);
        for migration in MIGRATIONS.iter().skip(done) {
            change.execute_batch(migration)?;
        }
        change.pragma_update(None, "user_version", VERSION)?;
        change.commit()?;
    }
    Ok(())
}

pub(super) fn version(db: &Connection) -> Result<i64, HistoryError> {
    Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
