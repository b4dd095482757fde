//! Tables for people: aligned by the width that characters have on a terminal.

use std::fmt::Write;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::proto::{Contact, PeerInfo, PeerState};
use crate::values::ChannelName;

/// Rows under a head, each column as wide as its widest cell. Columns in which every cell is empty
/// are left out.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widest = rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        if widest == 0 { 0 } else { widest.max(head[column].width()) }
    });
    let mut text = String::new();
    for row in
        std::iter::once(head).chain(rows.iter().map(|row| row.each_ref().map(String::as_str)))
    {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths).filter(|(_, width)| *width > 0) {
            let _ = write!(line, "{cell}{:1$}", "", width.saturating_sub(cell.width()) + 2);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Columns of the widest cell of what strangers write: nobody spoils the table for all.
const WIDEST: usize = 40;

fn cut(text: &str) -> String {
    if text.width() <= WIDEST {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut width = 0;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width >= WIDEST {
            break;
        }
        short.push(c);
    }
    short + "…"
}

/// A round trip in a unit that shows what matters.
pub(crate) fn round_trip(rtt: Duration) -> String {
    let ms = rtt.as_secs_f64() * 1_000.0;
    match rtt.as_micros() {
        0..10_000 => format!("{ms:.2} ms"),
        10_000..100_000 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

/// Who is here.
pub(crate) fn peers(peers: &[PeerInfo]) -> String {
    let rows: Vec<_> = peers.iter().map(row).collect();
    table(
        ["NICK", "ADDRESS", "STATE", "PATH", "RTT", "HOST", "ID", "CHANNELS", "TAGS", "SERVICES"],
        &rows,
    )
}

fn row(peer: &PeerInfo) -> [String; 10] {
    let profile = &peer.profile;
    let state = match (peer.state, &profile.away) {
        (PeerState::Alive, Some(_)) => "away",
        (state, _) => state.as_str(),
    };
    let channels: Vec<&str> = peer.channels.iter().map(ChannelName::as_str).collect();
    let tags: Vec<String> = profile
        .tags
        .iter()
        .map(|(key, value)| format!("{}={}", key.escaped(), value.escaped()))
        .collect();
    let services: Vec<String> =
        profile.services.iter().map(|(name, port)| format!("{}:{port}", name.escaped())).collect();
    [
        cut(&super::text::name(&profile.nick)),
        peer.addr.map_or_else(|| "?".to_owned(), super::text::host),
        if peer.verified { state.to_owned() } else { format!("{state} (unverified)") },
        path(peer),
        peer.rtt.map(round_trip).unwrap_or_default(),
        cut(&profile.host.escaped().to_string()),
        peer.id.short(),
        cut(&channels.join(",")),
        cut(&tags.join(",")),
        cut(&services.join(",")),
    ]
}

/// How the two hear each other, and whether both do.
fn path(peer: &PeerInfo) -> String {
    let path = peer.path.as_str();
    match peer.contact {
        Contact::Both => path.to_owned(),
        one_way => format!("{path} ({})", one_way.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::objects::tests::a_peer;

    #[test]
    fn columns_are_aligned_by_width_on_the_screen() {
        let rows = [["会議", "x", ""], ["a", "yy", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["N", "LONG", "NONE"], &rows), "N     LONG\n会議  x\na     yy\n");
        assert_eq!(table(["N"], &[]), "\n");
    }

    #[test]
    fn a_table_of_peers_shows_what_matters_and_nothing_that_misleads() {
        let mut peer = a_peer();
        insta::assert_snapshot!(peers(std::slice::from_ref(&peer)), @r#"
        NICK  ADDRESS   STATE  PATH       RTT      HOST          ID        CHANNELS   TAGS      SERVICES
        ada   10.0.0.2  alive  multicast  0.31 ms  web1\u{202e}  a4dqobyh  lobby,ops  role=web  http:80
        "#);
        peer.addr = None;
        peer.verified = false;
        peer.rtt = None;
        peer.contact = Contact::Inbound;
        insta::assert_snapshot!(peers(&[peer]), @r#"
        NICK  ADDRESS  STATE               PATH                 HOST          ID        CHANNELS   TAGS      SERVICES
        ada   ?        alive (unverified)  multicast (inbound)  web1\u{202e}  a4dqobyh  lobby,ops  role=web  http:80
        "#);
    }

    #[test]
    fn what_is_too_wide_is_cut() {
        assert_eq!(cut("short"), "short");
        let wide = cut(&"会".repeat(100));
        assert!(wide.ends_with('…') && wide.width() <= WIDEST, "{wide}");
    }

    #[test]
    fn a_round_trip_shows_three_figures() {
        let shown = |micros| round_trip(Duration::from_micros(micros));
        assert_eq!(shown(312), "0.31 ms");
        assert_eq!(shown(12_345), "12.3 ms");
        assert_eq!(shown(1_234_567), "1235 ms");
    }
}
