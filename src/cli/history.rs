//! `cooee history`: what was said while the agent listened. It is read from the file, so it is there
//! without an agent, too.

use super::args;
use super::exit::{Exit, Failure};
use super::options::Settings;
use super::output::text::Style;
use super::output::{Out, json, note};
use crate::agent::history::{Query, query};
use crate::agent::objects::Clocks;
use crate::net::Clock;
use crate::values::WallTime;

/// Runs the command.
pub(super) fn run(args: args::History, settings: &Settings) -> Result<Exit, Failure> {
    let none = "there is no state folder, so no history is kept; see COOEE_STATE_DIR";
    let folder = settings.node.state_dir.as_ref();
    let path = folder.ok_or_else(|| Failure::Refused(none.to_owned()))?.join("history.db");
    if !path.exists() {
        return Err(Failure::No(format!(
            "no history at {}; `cooee agent` keeps one while it runs",
            path.display()
        )));
    }
    let wall = Clock::wall();
    let since = args.since.map(|since| {
        WallTime(wall.0.saturating_sub(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    });
    let wanted = Query {
        channel: args.channel,
        since,
        limit: args.limit,
        words: args.search.filter(|words| !words.trim().is_empty()),
    };
    let clocks = Clocks::new(Clock::new().now(), wall);
    let (mut out, style) = (Out::new(), Style::new(false));
    let (mut failed, mut count) = (None, 0_usize);
    let read = query(&path, &wanted, |message, to| {
        count += 1;
        let line = if settings.json {
            json::kept(&message, to, clocks)
        } else {
            style.dated(&message, to)
        };
        failed = out.line(&line).err();
        failed.is_none()
    });
    if let Some(failure) = failed {
        return Err(failure);
    }
    read.map_err(|error| {
        Failure::Refused(format!("the history {} can't be read: {error}", path.display()))
    })?;
    if count == 0 {
        if !settings.quiet {
            note("the history has nothing that fits");
        }
        return Ok(Exit::No);
    }
    Ok(Exit::Done)
}
