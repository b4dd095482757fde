//! What was said before a command came, as the agent's history has it.

use super::options::Settings;
use super::output::note;
use crate::agent::history::{Query, query};
use crate::proto::Message;
use crate::values::{ChannelName, order};

/// The last messages of these channels, so many of each, in the order of their arrival. A history
/// that can't be read has none, and is no reason not to go on.
pub(super) fn last(settings: &Settings, channels: &[ChannelName], count: u32) -> Vec<Message> {
    let Some(folder) = &settings.node.state_dir else { return Vec::new() };
    let path = folder.join("history.db");
    let mut messages = Vec::new();
    for channel in channels {
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let wanted = Query { channel: Some(channel.clone()), limit, ..Query::default() };
        let read = query(&path, &wanted, |message, _| {
            messages.push(Message { history: true, ..message });
            true
        });
        if let Err(error) = read
            && path.exists()
            && !settings.quiet
        {
            note(format_args!("the history {} can't be read: {error}", path.display()));
        }
    }
    order::sort_by_key(&mut messages, |message| message.at);
    messages
}
