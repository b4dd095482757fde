//! What was said has to arrive before the command is gone that has said it; whether it has is
//! printed, or only waited for.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::duration;
use super::exit::{Exit, Failure};
use super::options::Settings;
use super::output::text;
use super::output::{Out, json, names, note, table};
use crate::agent::{Confirmation, Confirmed, Door, Need, OwnConfirmation, Receipt, Word};
use crate::values::ChannelName;

/// How long a command that has said something and goes gives it to arrive.
pub(super) const CHANCE: Duration = Duration::from_secs(1);

/// The same once the user wants it to end: its goodbye has to leave before it is ended.
pub(super) const LAST_CHANCE: Duration = Duration::from_millis(500);

/// In this time its number is said again often enough: those who were not heard themselves, in groups
/// of many, ask for what they miss.
const SAID_AGAIN: Duration = Duration::from_millis(600);

/// Who has to confirm, and for how long that is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) need: Need,
    pub(super) wait: Duration,
}

/// Has everyone in a channel confirm what was said there, and prints each receipt as it comes.
pub(super) fn confirm(
    node: &Door,
    channel: &ChannelName,
    wish: Wish,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let mut confirmation = Confirmation::of(node, channel, wish.need, wish.wait)?;
    loop {
        match confirmation.next()? {
            Word::Receipt(receipt) => show_receipt(&receipt, settings)?,
            Word::Over(confirmed) => return conclude(&confirmed, wish.need, settings),
        }
    }
}

/// Prints that a peer has it.
pub(super) fn show_receipt(receipt: &Receipt, settings: &Settings) -> Result<(), Failure> {
    let line = if settings.json {
        json::confirming::receipt(receipt, None)
    } else {
        let (nick, took) = (text::name(&receipt.nick), table::round_trip(receipt.took));
        format!("{nick} has it ({took})")
    };
    Out::new().line(&line)
}

/// Prints what has come of it, and tells whether that is enough.
pub(super) fn conclude(
    confirmed: &Confirmed,
    need: Need,
    settings: &Settings,
) -> Result<Exit, Failure> {
    if settings.json {
        Out::new().line(&json::confirming::confirmed(confirmed, None))?;
    }
    let met = confirmed.is_met(need);
    if !settings.quiet && (!met || settings.verbose) {
        note(report(confirmed, need));
    }
    Ok(if met { Exit::Done } else { Exit::No })
}

/// Says who has not confirmed.
fn report(confirmed: &Confirmed, need: Need) -> String {
    let Confirmed { received, expected, missing } = confirmed;
    if *expected == 0 {
        return "nobody is here to confirm it; `cooee peers` tells more".to_owned();
    }
    let mut report = format!("confirmed by {received} of {expected}");
    let needed = need.of(*expected);
    if !confirmed.is_met(need) && needed != *expected {
        let _ = write!(report, ", {needed} needed");
    }
    if !missing.is_empty() {
        let _ = write!(report, "; missing: {}", names(missing));
    }
    report
}

/// Stays until those who are in these channels have what a node of the command's own has said there,
/// so long at most, and says who may not have it. (The agent stays anyway.)
pub(super) fn linger(
    node: &Door,
    channels: &[ChannelName],
    wait: Duration,
    settings: &Settings,
) -> Result<(), Failure> {
    let Door::Own(node) = node else { return Ok(()) };
    if channels.is_empty() {
        return Ok(());
    }
    let (begun, peers) = (Instant::now(), node.peers()?);
    let mut confirmation = OwnConfirmation::of(node, channels, wait)?;
    let missing = loop {
        if let Word::Over(Confirmed { missing, .. }) = confirmation.next()? {
            break missing;
        }
    };
    let waited = begun.elapsed() >= wait;
    if settings.json && !missing.is_empty() {
        Out::new().line(&json::confirming::unconfirmed(&missing))?;
    }
    if peers.iter().any(|peer| !peer.verified) {
        thread::sleep(SAID_AGAIN.min(wait).saturating_sub(begun.elapsed()));
    }
    if !missing.is_empty() && !settings.quiet {
        // Who does not answer at all is not waited for.
        let within =
            if waited { format!(" within {}", duration::show(wait)) } else { String::new() };
        let who = names(&missing);
        note(format_args!("said, but {who} may not have it: no confirmation{within}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{NodeId, PeerText};

    #[test]
    fn who_is_missing_is_named_and_how_many_were_needed_if_that_is_not_all() {
        let who = |n: u8| (NodeId([n; 32]), PeerText::from(format!("n{n}").as_str()));
        let mut confirmed = Confirmed { received: 3, expected: 4, missing: vec![who(4)] };
        assert_eq!(report(&confirmed, Need::All), "confirmed by 3 of 4; missing: n4");
        assert_eq!(report(&confirmed, Need::Percent(70)), "confirmed by 3 of 4; missing: n4");
        let five = report(&confirmed, Need::Count(5));
        assert_eq!(five, "confirmed by 3 of 4, 5 needed; missing: n4");
        confirmed.missing = (0..100).map(who).collect();
        assert!(report(&confirmed, Need::All).ends_with(", n19 and 80 more"));
        assert!(report(&Confirmed::default(), Need::All).starts_with("nobody is here"));
    }
}
