//! One node for a whole host: it keeps presence, memberships and history, and every command of its
//! user on that host uses it through a socket, as any script can.
//!
//! ```text
//!   cooee say, listen, chat …      scripts
//!        │ client                    │ lines of JSON          docs/agent.md
//!        ▼                           ▼
//!   server ── session (one each)   ◀── one mio poll ──▶  node: engine, sockets, timers
//!        │
//!        ├── history    SQLite: what was said, and the datagrams that said so
//!        ├── hooks      commands run for what happens, by the runner
//!        ├── gateway    callers with nothing but nc: a thread of its own
//!        └── kept       memberships, nick, tags: what survives a restart
//! ```
//!
//! What was said is in the history before any client hears of it, if the file can be written. No
//! client holds the node up: what waits for one is bounded, and one that does not read is cut off.
//! Nor does whoever has locked the history.

mod asking;
mod client;
mod clients;
mod confirmation;
mod confirming;
mod door;
mod entrance;
pub(crate) mod facts;
mod filter;
mod gateway;
pub(crate) mod history;
pub(crate) mod hooks;
mod inquiry;
mod kept;
mod late;
pub(crate) mod log;
mod looking_back;
pub(crate) mod objects;
#[cfg(test)]
mod page;
mod past;
pub(crate) mod protocol;
mod reload;
mod renewal;
mod requests;
mod roll_call;
pub(crate) mod runner;
mod server;
mod session;
mod survey;

pub(crate) use client::{Client, ClientError, usual_socket};
pub(crate) use confirmation::{Confirmation, OwnConfirmation, Word};
pub(crate) use door::{Door, DoorError};
pub(crate) use entrance::{AgentError, AgentOptions};
pub(crate) use filter::Filter;
pub(crate) use gateway::{GatewayOptions, is_private};
pub(crate) use inquiry::{Heard, Inquiry, Wanted};
pub(crate) use log::Log;
pub(crate) use reload::{Configuration, Source};
pub(crate) use renewal::Ended;
pub(crate) use roll_call::{Confirmed, Receipt};
pub(crate) use server::Server;
pub(crate) use survey::{Need, Summary, Who};
