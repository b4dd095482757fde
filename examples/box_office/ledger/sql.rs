//! The statements of the ledger, each with why it is as it is. A seat's row is its owner: no row, no
//! owner; and the primary key lets it have one only.

/// What the database looks like.
pub(super) const SCHEMA: &str = "
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
    );
    CREATE TABLE IF NOT EXISTS retired (    -- seats that are known not to be in the file any more
        show TEXT, date TEXT, seat TEXT, PRIMARY KEY (show, date, seat)
    );";

/// EXCLUSIVE: the lock is taken with the first transaction and kept until the process ends, however it
/// ends. TRUNCATE: what was committed is in the database file itself and in no other, so that no sale goes
/// with a file beside it, and a copy has them all. FULL: it is still there after the power has failed.
pub(super) const LOCK: &str = "
    PRAGMA cache_size = -262144; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;
    BEGIN EXCLUSIVE; COMMIT;";

/// Whether it is whole; reads each page of it. All of them stay in memory, where the cache (in KiB) has
/// room for far more than the largest house has.
pub(super) const CHECK: &str = "PRAGMA quick_check(1)";

/// Whether there is anything in it at all.
pub(super) const TABLES: &str = "SELECT count(*) FROM sqlite_schema WHERE name = 'office'";

pub(super) const READ_OFFICE: &str = "SELECT id FROM office";

pub(super) const WRITE_OFFICE: &str = "INSERT INTO office VALUES (?)";

/// Changes nothing, but makes the journal, so that it is known from the start which file it is: an order
/// that is cut short is undone from it.
pub(super) const TOUCH: &str = "UPDATE office SET id = id";

/// Whose a seat is.
pub(super) const OWNER: &str =
    "SELECT buyer, until IS NULL FROM seats WHERE show = ? AND date = ? AND seat = ?";

/// A buyer's seats of one night.
pub(super) const OWN: &str =
    "SELECT seat, until IS NULL FROM seats WHERE show = ? AND date = ? AND buyer = ?";

/// A free seat gets an owner. Plain INSERT: should it have one after all, the whole order fails.
pub(super) const TAKE: &str = "INSERT INTO seats VALUES (?, ?, ?, ?, ?, ?)";

/// A held seat is held for longer, or bought. The owner stands in the condition as well: it changes no
/// other's row, whatever the rules have overlooked; and what is sold does not become a hold again.
pub(super) const RENEW: &str = "UPDATE seats SET since = ?, until = ?
    WHERE show = ? AND date = ? AND seat = ? AND buyer = ? AND until IS NOT NULL";

/// A seat gets free; only its owner's, for the same reason.
pub(super) const GIVE_BACK: &str =
    "DELETE FROM seats WHERE show = ? AND date = ? AND seat = ? AND buyer = ?";

/// Ends the holds of a show whose time is over, and says which they were.
pub(super) const END_HOLDS: &str =
    "DELETE FROM seats WHERE show = ? AND until <= ? RETURNING date, seat";

/// The outcome of an order that was carried out before.
pub(super) const REMEMBERED: &str = "SELECT done FROM orders WHERE buyer = ? AND number = ?";

pub(super) const REMEMBER: &str = "INSERT INTO orders VALUES (?, ?, ?, ?)";

pub(super) const FORGET: &str = "DELETE FROM orders WHERE at < ?";

/// The next number of a show, which has none before its first change.
pub(super) const NEXT_VERSION: &str = "INSERT INTO shows VALUES (?, 1)
    ON CONFLICT DO UPDATE SET version = version + 1 RETURNING version";

pub(super) const VERSION: &str = "SELECT version FROM shows WHERE name = ?";

/// The seats of one night that are not free.
pub(super) const TAKEN: &str =
    "SELECT seat, buyer, until IS NULL FROM seats WHERE show = ? AND date = ?";

/// All seats that are sold, or held at the moment, but for those that are known to be in no file.
pub(super) const ALL_TAKEN: &str = "SELECT show, date, seat, until IS NULL FROM seats AS s
    WHERE (until IS NULL OR until > ?) AND NOT EXISTS (SELECT 1 FROM retired AS r
        WHERE r.show = s.show AND r.date = s.date AND r.seat = s.seat)
    ORDER BY show, date, seat";

/// From now on it is known that this seat is in no file. It stays whose it is.
pub(super) const RETIRE: &str = "INSERT OR IGNORE INTO retired VALUES (?, ?, ?)";

/// Whatever the database holds, in a new file. It reads from the open file, so also from one that
/// was removed meanwhile.
pub(super) const COPY: &str = "VACUUM INTO ?";
