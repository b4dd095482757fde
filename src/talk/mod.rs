//! Talk in lines of text, as the chat and the agent's gateway have it in common: what a typed line
//! means ([`commands`]), what it does ([`Conversation`]), whom a name means ([`find`]), and how
//! messages, peers and what happens are written for people ([`text`], [`table`]).
//!
//! Where lines come from and go to, and which node does the work, is a [`Place`] of the caller's.
//! Nothing here reads, prints or waits; what strangers wrote is escaped in every line made here.

pub(crate) mod commands;
mod conversation;
pub(crate) mod find;
pub(crate) mod table;
pub(crate) mod text;

pub(crate) use conversation::{Conversation, Place, tell_who_is_here};
