//! What a client is shown of what was said before it came: what the history has, and, where the agent
//! itself has only just come to the channel, what others bring of it.
//!
//! ```text
//!   listen, history 5 ──▶ the last 5 of the file ──nobody is asked──────────────▶ shown
//!                                  └── others are asked ──▶ what they bring ─────▶ the last 5 shown
//!                                        what is said meanwhile waits behind it ─▶ shown
//! ```
//!
//! What the file has is read at once, and of what others bring only that is taken which the file had
//! not: so nothing of it is shown twice, nor of what is said from then on.

use std::time::Duration;

use super::objects;
use super::server::Server;
use crate::proto::{Message, sort_by_time};
use crate::values::{ChannelName, Instant, Json, SmallMap, limits};

/// How long others are waited for: a little longer than a node asks them, and fetches.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Bytes of what a client is shown of the past, over all its channels. The oldest is left out.
pub(super) const PAST: usize = 3 << 20;

/// The past of one channel, as far as it is known.
#[derive(Debug)]
struct Past {
    channel: ChannelName,
    /// So many of it are wanted.
    last: usize,
    messages: Vec<Message>,
    bytes: usize,
    /// Bytes that there is room for.
    room: usize,
    /// Messages that were left out, because there was no room for them.
    left_out: u64,
}

impl Past {
    fn add(&mut self, message: Message) {
        self.bytes += weight(&message);
        self.messages.push(Message { history: true, ..message });
        // Not each time, because it has to be sorted.
        if self.messages.len() > 2 * self.last || self.bytes > 2 * self.room {
            self.trim();
        }
    }

    /// Keeps the last ones, for which there is room.
    fn trim(&mut self) {
        sort_by_time(&mut self.messages);
        let superfluous = self.messages.len().saturating_sub(self.last);
        self.messages.drain(..superfluous);
        self.bytes = self.messages.iter().map(weight).sum();
        let mut over = 0;
        while self.bytes > self.room && over < self.messages.len() {
            self.bytes -= weight(&self.messages[over]);
            over += 1;
        }
        self.messages.drain(..over);
        self.left_out += over as u64;
    }
}

/// What one client waits for.
#[derive(Debug)]
struct Waiting {
    pasts: Vec<Past>,
    until: Instant,
}

/// The clients that wait for the past.
#[derive(Debug, Default)]
pub(super) struct LookingBack(SmallMap<usize, Waiting>);

impl LookingBack {
    /// When a client has waited long enough.
    pub(super) fn next(&self) -> Instant {
        self.0.values().map(|waiting| waiting.until).min().unwrap_or(Instant::NEVER)
    }

    /// A client is gone.
    pub(super) fn forget(&mut self, client: usize) {
        self.0.remove(&client);
    }
}

impl Server {
    /// Shows a client that has just come to these channels the last messages of each, at once or as
    /// soon as they are there.
    pub(super) fn look_back(&mut self, client: usize, channels: &[ChannelName], last: u32) {
        if last == 0 || channels.is_empty() {
            return;
        }
        let room = PAST / channels.len();
        let mut pasts = Vec::new();
        for channel in channels {
            let (messages, bytes, left_out) = (Vec::new(), 0, 0);
            let channel = channel.clone();
            let last = last as usize;
            let mut past = Past { channel, last, messages, bytes, room, left_out };
            // What was fetched from others has come after what is more recent.
            let read = last + limits::RECALL as usize;
            self.history.said(&past.channel.clone(), read, |message| past.add(message));
            past.trim();
            pasts.push(past);
        }
        for past in &pasts {
            let asked = self.recalled.get(&past.channel).copied().unwrap_or(self.recall);
            let is_short = past.messages.len() < past.last || self.node.is_recalling(&past.channel);
            if last > asked && is_short {
                self.recalled.insert(past.channel.clone(), last);
                self.node.recall(&past.channel, last);
            }
        }
        let until = self.node.now() + PATIENCE;
        let Some(session) = self.session(client) else { return };
        session.hold();
        let waiting = self.looking_back.0.entry(client);
        let waiting = waiting.or_insert_with(|| Waiting { pasts: Vec::new(), until });
        waiting.pasts.extend(pasts);
        waiting.until = until;
        self.show_past();
    }

    /// Something was brought that was said before the agent came.
    pub(super) fn note_past(&mut self, message: &Message) {
        for (_, waiting) in &mut self.looking_back.0 {
            for past in &mut waiting.pasts {
                if message.channel.as_ref() == Some(&past.channel) {
                    past.add(message.clone());
                }
            }
        }
    }

    /// Shows the past to those who wait for nothing more of it.
    pub(super) fn show_past(&mut self) {
        let now = self.node.now();
        let waiting = self.looking_back.0.iter();
        let done: Vec<usize> = waiting
            .filter(|(_, waiting)| {
                let mut channels = waiting.pasts.iter().map(|past| &past.channel);
                now >= waiting.until || !channels.any(|channel| self.node.is_recalling(channel))
            })
            .map(|(client, _)| *client)
            .collect();
        for client in done {
            let Some(waiting) = self.looking_back.0.remove(&client) else { continue };
            let (mut messages, mut left_out) = (Vec::new(), 0);
            for mut past in waiting.pasts {
                past.trim();
                left_out += past.left_out;
                messages.extend(past.messages);
            }
            sort_by_time(&mut messages);
            let clocks = self.clocks();
            let Some(session) = self.session(client) else { continue };
            if left_out > 0 {
                session.send(format!("{{\"event\":\"missed\",\"count\":{left_out}}}\n"));
            }
            for message in messages {
                session.send(objects::message(&message, clocks) + "\n");
            }
            session.release();
        }
    }
}

/// Bytes that a message takes.
fn weight(message: &Message) -> usize {
    let data = message.data.as_ref().map_or(0, |data| Json::as_str(data).len());
    size_of::<Message>() + message.nick.raw().len() + message.text.raw().len() + data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::objects::tests::a_message;
    use crate::values::WallTime;

    fn past(last: usize, room: usize) -> Past {
        let channel = ChannelName::lobby();
        Past { channel, last, messages: Vec::new(), bytes: 0, room, left_out: 0 }
    }

    fn said(at: u64, seq: u64) -> Message {
        Message { at: Some(WallTime(at)), seq, ..a_message() }
    }

    fn seqs(past: &mut Past) -> Vec<u64> {
        past.trim();
        past.messages.iter().map(|message| message.seq).collect()
    }

    #[test]
    fn the_last_are_shown_whoever_had_them() {
        let mut past = past(3, PAST);
        for (at, seq) in [(7, 4), (7, 5), (6, 3), (5, 2), (4, 1), (7, 6)] {
            past.add(said(at, seq));
        }
        assert_eq!(seqs(&mut past), [4, 5, 6]);
        assert!(past.messages.iter().all(|message| message.history));
        assert_eq!(past.left_out, 0, "more were not wanted");
    }

    #[test]
    fn what_one_has_said_stays_in_order_though_its_clock_was_put_back() {
        let mut past = past(10, PAST);
        let other = Message { from: Some(crate::values::NodeId([9; 32])), ..said(15, 7) };
        for message in [said(20, 2), said(10, 1), other, said(5, 3), said(30, 4)] {
            past.add(message);
        }
        assert_eq!(seqs(&mut past), [1, 7, 2, 3, 4]);
    }

    #[test]
    fn of_what_has_no_room_the_oldest_is_left_out_and_counted() {
        let mut past = past(100, 10 * weight(&a_message()));
        for seq in 0..50 {
            past.add(said(seq, seq));
            assert!(past.bytes <= 2 * past.room);
        }
        assert_eq!(seqs(&mut past), (40..50).collect::<Vec<_>>());
        assert_eq!(past.left_out, 40);
    }
}
