//! The form of the database, and how an older one is brought to it.

use rusqlite::Connection;

use super::HistoryError;

/// The form of the database that this program writes; in its `user_version`.
pub(super) const VERSION: i64 = 1;

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

/// Brings a database to the present form.
pub(super) fn migrate(db: &mut Connection) -> Result<(), HistoryError> {
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
    Ok(())
}
