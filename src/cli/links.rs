//! `cooee links`: which interfaces there are, which of them are used, and why.

use super::exit::{Exit, Failure};
use super::options::Settings;
use super::output::Out;
use super::session;
use crate::agent::protocol::{Line, LinkRow};
use crate::net;
use crate::talk::table::table;
use crate::values::Escaped;

pub(super) fn run(settings: &Settings) -> Result<Exit, Failure> {
    let rows = match session::agent(settings)? {
        Some(agent) => {
            let reply = agent.ask(Line { verb: "links".to_owned(), ..Line::default() })?;
            reply.links.unwrap_or_default()
        }
        None => own(&settings.node.interfaces)?,
    };
    let mut out = Out::new();
    if settings.json {
        for row in &rows {
            out.line(&serde_json::to_string(row).unwrap_or_default())?;
        }
    } else {
        let shown: Vec<[String; 4]> = rows
            .iter()
            .map(|row| {
                let used = if row.used { "+" } else { "-" };
                let addrs: Vec<_> = row
                    .addrs
                    .iter()
                    .chain(&row.ipv6)
                    .map(|addr| Escaped::of(addr).to_string())
                    .collect();
                let (name, why) = (Escaped::of(&row.name), Escaped::of(&row.why));
                [used.to_owned(), name.to_string(), addrs.join(" "), why.to_string()]
            })
            .collect();
        out.line(&table(["", "LINK", "ADDRESS", "WHY"], &shown))?;
    }
    let leads_out = |row: &LinkRow| row.used && row.carrier && !row.loopback;
    Ok(if rows.iter().any(leads_out) { Exit::Done } else { Exit::No })
}

/// What a command with these wishes makes of them.
fn own(wanted: &[String]) -> Result<Vec<LinkRow>, Failure> {
    let all = net::interfaces()
        .map_err(|e| Failure::Refused(format!("the system does not list its interfaces: {e}")))?;
    if !wanted.is_empty() {
        // One that is not there is told as every command tells it.
        net::choose(&all, wanted).map_err(|e| Failure::Refused(e.to_string()))?;
    }
    let usage = net::usage(&all, wanted);
    Ok(all.iter().zip(usage).map(|(interface, usage)| LinkRow::new(interface, usage)).collect())
}
