//! cooee: the hosts of a LAN find each other and talk.
//!
//! No server, no account, no configuration: nodes find each other over UDP multicast, know who is
//! there, and talk in channels. Where multicast does not get through, unicast takes its place: among
//! those who know each other already without anybody noticing; otherwise once one of them is found,
//! by an address that is given ([`Options::seeds`]), from an earlier run, or among the neighbours that
//! the system knows.
//!
//! # A first program
//!
//! The crate is not on crates.io; it is used from a checkout (or with `--git` and the address of a
//! repository of yours), and a library needs nothing of the command line:
//!
//! ```text
//! cargo new hello && cd hello
//! cargo add cooee --path ../cooee --no-default-features
//! ```
//!
//! This `src/main.rs` says hello to everybody and prints who comes and what is said. Run it on two
//! hosts, or in two terminals of one (`cargo run ada`, `cargo run ben`); there is nothing to configure.
//! Where `ada` runs, it prints `ben came` and `ben: hello, everybody`. **Alone on a LAN it prints nothing**:
//! nobody comes, and what a node says itself it is not told. (`cooee peers` and `cooee say hi` of the
//! command line are company, too.)
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use cooee::{ChannelName, Event, Node, Notice, Options};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let nick = std::env::args().nth(1).unwrap_or_else(|| "ada".to_owned());
//!     let lobby = ChannelName::lobby();
//!     let options = Options { channels: vec![lobby.clone()], ..Options::named(&nick) };
//!     let (node, notices) = Node::start(options)?;
//!     node.say(&lobby, "hello, everybody")?;
//!     while let Some(notice) = notices.next(Duration::MAX)? {
//!         match notice {
//!             Notice::Event(Event::Joined(peer)) => {
//!                 println!("{} came", peer.profile.nick.escaped());
//!             }
//!             Notice::Event(Event::Message(message)) => {
//!                 println!("{}: {}", message.nick.escaped(), message.text.escaped());
//!             }
//!             _ => {} // there is much more that one can hear of, see `Event`
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! - [`Node::start`] opens the sockets and starts a thread in which the node lives. It returns the
//!   handle, and [`Notices`]: what happens from then on, in order. When the handle is dropped the node
//!   says goodbye; a program that is killed does not, and is missed within some seconds.
//! - Whoever is in the channel when something is said hears it. Who was started second has heard nothing
//!   of the first one's hello, and prints only that it came.
//! - What others wrote is a [`PeerText`], which can't be printed by oversight: `.escaped()` is for
//!   terminals and logs, `.raw()` for programs.
//! - What is said in a channel arrives at all who are in it, once and in each author's order, though
//!   the network loses some of it.
//!
//! # Who a node is
//!
//! A node is a key pair, and its [`NodeId`] is the public key: what it says is signed, so nobody else can
//! be it. By default each run makes a new key and is somebody new. [`Options`] decide otherwise:
//!
//! | option | what it does |
//! | --- | --- |
//! | `state_dir` | the folder in which keys are kept; a later run gets one again that no other run is using |
//! | `key` | the name of the key in it (`"office"`: the file `key.office`), so that each program has its own |
//! | `same` | that key or none: [`Node::start`] fails where it is in use or unreadable. For whoever is recognised by it |
//! | `visitor` | asks or says something and goes: answered by all, listed by nobody, and met by no `Joined`. For commands |
//!
//! A nick is what people read; several nodes may have the same, so a program compares ids.
//!
//! ```no_run
//! use cooee::{Node, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let office = Options {
//!     state_dir: Some("/var/lib/office".into()),
//!     key: Some("office".into()),
//!     same: true,
//!     ..Options::named("box office")
//! };
//! println!("it will be {}", office.id()?); // makes the key if there is none yet
//! let (node, notices) = Node::start(office)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Saying and hearing
//!
//! Two nodes on this host's loopback, so that it runs anywhere (and as a test of this page).
//! [`Node::join`] and [`Node::leave`] are for channels later on, [`Node::subscribe`] gives
//! another thread notices of its own, [`Node::peers`] lists who is there: all of them once
//! [`Node::wait_until_settled`] has returned.
//!
//! ```
//! # use std::time::Duration;
//! # use cooee::{ChannelName, Event, Json, Node, Notice, Options, Outgoing};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let patience = Duration::from_secs(30);
//! # let here = |nick| -> Result<Options, Box<dyn std::error::Error>> {
//! #     Ok(Options { group: "239.255.77.1:26701".parse()?, ..Options::named(nick).on_loopback() })
//! # };
//! let kitchen: ChannelName = "kitchen".parse()?;
//! let (ada, _) = Node::start(here("ada")?)?;
//! let (ben, heard) = Node::start(Options { channels: vec![kitchen.clone()], ..here("ben")? })?;
//!
//! // Ada waits until somebody is in the kitchen: who comes later hears only what is said later.
//! let listener = ada.wait_for_peer(patience, |peer| peer.is_in(&kitchen))?;
//! assert_eq!(listener.map(|peer| peer.id), Some(ben.id()));
//! let tea = Outgoing::new("tea is ready").with_data(Json::parse(r#"{"cups":3}"#)?);
//! ada.say(&kitchen, tea)?;
//!
//! let message = loop {
//!     match heard.next(patience)? {
//!         Some(Notice::Event(Event::Message(message))) => break message,
//!         Some(_) => {}
//!         None => panic!("nothing was said"),
//!     }
//! };
//! assert_eq!((message.text.raw(), message.from), ("tea is ready", Some(ada.id())));
//! assert!(message.verified, "it bears ada's signature");
//! # Ok(())
//! # }
//! ```
//!
//! # Asking and answering
//!
//! A service is a node that says so in its profile and answers questions. Who needs it looks for it
//! by name, wherever it is. Questions and answers go to one node alone, encrypted, and are repeated
//! until they arrive.
//!
//! ```
//! # use std::time::Duration;
//! # use cooee::{ChannelName, Event, Node, Notice, Options};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let patience = Duration::from_secs(30);
//! # let here = |nick| -> Result<Options, Box<dyn std::error::Error>> {
//! #     Ok(Options { group: "239.255.77.2:26702".parse()?, ..Options::named(nick).on_loopback() })
//! # };
//! let mut options = here("library")?;
//! options.profile.services.insert("loans".into(), 0); // a port, if it had one of its own
//! let (library, questions) = Node::start(options)?;
//! library.set_answering(true)?;
//! let desk = std::thread::spawn(move || {
//!     // Until the node stops; `Ok(None)` would be a timeout, which here never comes.
//!     while let Ok(Some(notice)) = questions.next(Duration::MAX) {
//!         if let Notice::Event(Event::Question(question)) = notice {
//!             let answer = match question.text.raw() {
//!                 "Emma" => "on the shelf",
//!                 _ => "never heard of it",
//!             };
//!             if library.reply(question.number, answer).is_err() {
//!                 return;
//!             }
//! #           if answer == "never heard of it" { return }
//!         }
//!     }
//! });
//!
//! let (reader, _) = Node::start(Options { visitor: true, ..here("reader")? })?;
//! let found = reader.wait_for_peer(patience, |peer| peer.offers("loans"))?;
//! let library = found.ok_or("there is no library here")?.id;
//! let answer = reader.ask_one(library, "Emma", patience)?;
//! assert_eq!(answer.text.raw(), "on the shelf");
//!
//! // Everyone at once; who does not answer is not among the answers.
//! let everyone = reader.peers()?.into_iter().map(|peer| peer.id).collect();
//! let answers = reader.ask_many(everyone, "Emma", patience)?;
//! assert_eq!(answers.len(), 1);
//! # reader.ask_one(library, "?", patience)?;
//! # desk.join().unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! [`Node::answer`] is for those who give several answers, [`Node::pass`] for those who have none.
//! [`Node::ask`] waits for nobody and has the answers come as events. [`Node::tell`] sends one peer
//! something and tells when it is there, [`Node::confirm`] tells who has what was said, [`Node::cast`]
//! is for readings at high rates that nobody will miss. A program with a loop of its own can have a
//! node without a thread, a [`LocalNode`].
//!
//! # Larger programs
//!
//! In the repository, `examples/hello.rs` is the smallest, and `examples/box_office` sells the seats of a
//! theatre: a service that is found by itself, keeps what it sold in a database, tells all screens of
//! each change, and can be killed at any moment.
//!
//! # The floors
//!
//! ```text
//!  cli          the command line (feature `cli`)
//!  agent        one node for a host, and the socket by which commands use it (feature `cli`)
//!  talk         talk in lines of text: what they mean, how they look (feature `cli`)
//!  node         a node as a program sees it          ◀── start here
//!  net   sim    sockets and links                    whole LANs in virtual time
//!  proto        the protocol as a value: inputs in, outputs out, no I/O
//!  wire         datagrams, signatures, seals
//!  values       time, ids, names, limits, strangers' text
//! ```
//!
//! Each floor uses only those below it. [`proto::Engine`] is the protocol itself, for those who
//! want to drive it with sockets of their own.

#[cfg(feature = "cli")]
mod agent;
#[cfg(feature = "cli")]
pub mod cli;
pub mod net;
pub mod node;
pub mod proto;
pub mod sim;
#[cfg(feature = "cli")]
mod talk;
pub mod values;
pub mod wire;

// What a program needs that has a node, in one line.
pub use node::{LocalNode, NoAnswer, Node, Notice, Notices, Options, StartError, Stopped};
pub use proto::{
    Answer, AnswerEnd, Event, Message, Outgoing, PeerInfo, PeerState, Question, Refusal, TellError,
};
pub use values::{ChannelName, Escaped, Group, Json, JsonError, Level, NodeId, PeerText};
pub use wire::Profile;
