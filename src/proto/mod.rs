//! The engine: the protocol, and no I/O at all.
//!
//! An [`Engine`] is one node's half of the protocol as a value. It reads no clock, opens no
//! socket, starts no thread and draws every random number from the seed in its [`Config`]; the
//! same inputs at the same times give the same outputs, so a recorded list of inputs is a whole
//! bug report, and a LAN of ten thousand engines runs in one test.
//!
//! Each concern has a type of its own, which knows nothing of the others; only the engine wires
//! them:
//!
//! ```text
//!   Input ─▶ Engine ─▶ Output
//!             ├── guard       what strangers may cost            Guard, Counters
//!             ├── peers       who is known, where, and how heard Peers, Peer, Paths, Reach
//!             ├── probes      who may be gone                   Probes, Suspicion, Health
//!             ├── discovery   finding those who are not          Discovery, Answers
//!             ├── hints       where somebody may be           Hints
//!             ├── six         who needs IPv6                     Six
//!             ├── announcer   when to announce oneself           Announcer
//!             ├── channels    which groups to be a member of     Channels
//!             ├── outbox      packing what is said               Outbox
//!             ├── flow        saying it not too fast             Flow
//!             ├── heads       how far one's own logs go          Heads
//!             ├── logs        what others have said, in order    Logs, Log, Gaps
//!             ├── store       entries to be sent again           Store
//!             ├── repairs     which of them, to whom and when    Repairs
//!             ├── repeats     which of them without being asked  Repeats
//!             ├── confirms    who has what was said              Confirms, Receipts
//!             ├── recalls     what was said before one came      Recalls
//!             ├── untold      where to begin with a log          Untold
//!             ├── orphans     the logs of those who are gone     Orphans
//!             ├── inbox       casts, and parts of long messages  Authors, Assemblies
//!             ├── direct      messages to one peer               Direct
//!             ├── rto         when to repeat them                Rto
//!             ├── asked       this node's questions              Asked
//!             └── pending     others' questions                  Pending
//! ```

mod accusing;
mod announcer;
mod answering;
mod answers;
mod asked;
mod asking;
mod beginning;
mod channel_list;
mod channels;
mod cloning;
mod command;
mod config;
mod confirms;
mod contact;
mod delivering;
mod direct;
mod discovery;
mod engine;
mod event;
mod farewells;
mod fetches;
mod finding;
mod flapping;
mod flow;
mod following;
mod gaps;
mod greeting;
mod guard;
mod heads;
mod health;
mod hints;
mod inbox;
mod kept;
mod log;
mod logs;
mod orphans;
mod outbox;
mod paths;
mod patience;
mod peer;
mod peer_table;
mod peers;
mod pending;
mod probes;
mod probing;
mod pull;
mod reach;
mod recalling;
mod recalls;
mod receipts;
mod receiving;
mod recent;
mod reminder;
mod repairing;
mod repairs;
mod repeats;
mod ring;
mod routine;
mod rto;
mod runs;
mod sending;
mod six;
mod store;
mod suspicion;
mod talking;
mod telling;
mod timing;
mod turns;
mod untold;
mod watching;
mod window;

pub use command::{Command, Hint, Outgoing};
pub use config::Config;
pub use engine::Engine;
#[cfg(feature = "cli")]
pub(crate) use event::sort_by_time;
pub use event::{
    Answer, AnswerEnd, Contact, Destination, Event, Input, Message, Output, PeerInfo, PeerState,
    Question, Refusal, TellError,
};
#[cfg(feature = "cli")]
pub(crate) use guard::Bucket;
pub use guard::Counters;
pub use kept::{Kept, KeptLog, Past};
pub use six::Versions;
