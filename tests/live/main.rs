//! The built program on networks of its own: real processes, a real switch, cables pulled.
//!
//! Each test makes a [`lab::Lab`], a LAN in network namespaces with a name that no other test has,
//! so tests run in parallel and send nothing to the machine's own network. Nothing here sleeps to
//! wait for something: a test waits for the event, for at most [`lines::PATIENCE`].
#![cfg(all(target_os = "linux", feature = "cli"))]
#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

// The rig.
mod host;
mod lab;
mod lines;
mod links;
mod running;

// The stories.
mod agent;
mod agent_service;
mod asking;
mod box_office;
mod channels;
mod confirming;
mod control;
mod delivery;
mod examples;
mod finding;
mod gateway;
mod hooks;
mod hostile;
mod ipv6;
mod leaving;
mod network;
mod pages;
mod refusals;
mod saying;
mod terminal;
mod unicast;
mod watching;
