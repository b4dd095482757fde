use std::fs;
use std::path::PathBuf;

use super::*;
use crate::agent::objects::tests::a_message;

/// A folder of a test's own, gone with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("cooee-history-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn db(&self) -> PathBuf {
        self.0.join("history.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn said(seq: u64, text: &str) -> Message {
    Message { seq, text: text.into(), ..a_message() }
}

pub(super) fn texts(path: &Path, wanted: &Query) -> Vec<String> {
    let mut texts = Vec::new();
    query(path, wanted, |message, _| {
        texts.push(message.text.raw().to_owned());
        true
    })
    .unwrap();
    texts
}

pub(super) fn all() -> Query {
    Query { limit: 100, ..Query::default() }
}

#[test]
fn what_was_said_is_read_again_as_it_was_and_once() {
    let folder = Folder::new("again");
    let now = WallTime(1_795_383_250_000);
    let message = a_message();
    let mut history = History::open(&folder.db()).unwrap();
    assert_eq!(history.add(&[(&message, None)], &[], Keeping::default(), now).unwrap(), [true]);
    drop(history);
    let mut history = History::open(&folder.db()).unwrap();
    let other = said(10, "another");
    assert_eq!(
        history.add(&[(&message, None), (&other, None)], &[], Keeping::default(), now).unwrap(),
        [false, true]
    );
    let mut read = Vec::new();
    query(&folder.db(), &all(), |message, _| {
        read.push(message);
        true
    })
    .unwrap();
    assert_eq!(read, [message, other]);
}

#[test]
fn what_is_not_signed_is_never_taken_for_a_repetition() {
    let folder = Folder::new("unsigned");
    let mut history = History::open(&folder.db()).unwrap();
    let claim = Message { verified: false, ..a_message() };
    let by_hand = Message { from: None, verified: false, ..a_message() };
    let real = a_message();
    for message in [&claim, &claim, &by_hand, &by_hand, &real] {
        assert_eq!(
            history.add(&[(message, None)], &[], Keeping::default(), WallTime(5)).unwrap(),
            [true]
        );
    }
    assert_eq!(history.count().unwrap(), 5);
}

#[test]
fn it_is_searched_by_channel_time_and_words() {
    let folder = Folder::new("search");
    let mut history = History::open(&folder.db()).unwrap();
    let day = 86_400_000;
    for (seq, text) in [(1, "the build is green"), (2, "deploy DONE"), (3, "the deploy is \"red\"")]
    {
        history
            .add(&[(&said(seq, text), None)], &[], Keeping::default(), WallTime(seq * day))
            .unwrap();
    }
    let lobby = Message { channel: Some(ChannelName::lobby()), ..said(1, "hello lobby") };
    history.add(&[(&lobby, None)], &[], Keeping::default(), WallTime(4 * day)).unwrap();
    let find = |wanted: Query| texts(&folder.db(), &wanted);
    assert_eq!(find(all()).len(), 4);
    assert_eq!(find(Query { limit: 2, ..all() }), ["the deploy is \"red\"", "hello lobby"]);
    assert_eq!(find(Query { channel: Some(ChannelName::lobby()), ..all() }), ["hello lobby"]);
    assert_eq!(find(Query { since: Some(WallTime(3 * day)), ..all() }).len(), 2);
    let words = |words: &str| find(Query { words: Some(words.into()), ..all() });
    assert_eq!(words("deploy").len(), 2);
    assert_eq!(words("deploy done"), ["deploy DONE"]);
    for odd in ["OR", "\"", "*", "NEAR(", "a:b", "-"] {
        words(odd); // no syntax error, whatever is asked for
    }
}

#[test]
fn what_a_newer_program_wrote_is_not_touched() {
    let folder = Folder::new("newer");
    let history = History::open(&folder.db()).unwrap();
    history.db.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(history);
    assert!(matches!(History::open(&folder.db()), Err(HistoryError::Newer(_))));
}

/// A database as version 1 made it, with these texts as messages 1, 2, ….
fn version_1(path: &Path, texts: &[&str]) {
    let db = Connection::open(path).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    db.execute_batch(schema::MIGRATIONS[0]).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    for (seq, text) in (1..).zip(texts) {
        db.execute(
            "INSERT INTO messages (channel, author, nick, epoch, seq, at, arrived, text, level,
                verified) VALUES ('ops', ?1, 'ada', ?2, ?3, 5, 6, ?4, 'info', TRUE)",
            params![a_message().from.map(|id| id.0), a_message().epoch.cast_signed(), seq, text],
        )
        .unwrap();
    }
}

#[test]
fn what_version_1_wrote_is_there_is_found_and_is_known_after_the_migration() {
    let folder = Folder::new("migration");
    version_1(&folder.db(), &["the build is green", "deploy done"]);
    let mut history = History::open(&folder.db()).unwrap();
    assert_eq!(schema::version(&history.db).unwrap(), 2);
    assert_eq!(texts(&folder.db(), &all()), ["the build is green", "deploy done"]);
    let search = Query { words: Some("deploy".into()), ..all() };
    assert_eq!(texts(&folder.db(), &search), ["deploy done"]);
    let again = Message { data: None, ..said(2, "deploy done") };
    let new = said(3, "deploy undone");
    let both = [(&again, None), (&new, None)];
    assert_eq!(
        history.add(&both, &[], Keeping::default(), WallTime(7)).unwrap(),
        [false, true],
        "what was kept is no news"
    );
    assert_eq!(texts(&folder.db(), &search), ["deploy done", "deploy undone"]);
    drop(history);
    assert_eq!(History::open(&folder.db()).unwrap().count().unwrap(), 3, "and it is done once");
}

#[test]
fn two_agents_that_open_an_old_history_at_once_bring_it_to_the_present_form_once() {
    let folder = Folder::new("race");
    version_1(&folder.db(), &["kept"]);
    let open = || History::open(&folder.db()).and_then(|history| history.count()).unwrap();
    std::thread::scope(|scope| {
        let both = [scope.spawn(open), scope.spawn(open)];
        assert_eq!(both.map(|opened| opened.join().unwrap()), [1, 1]);
    });
}
