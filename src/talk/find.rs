//! Whom somebody means by a name: a nick, an id, or the first characters of an id.

use std::fmt::Write;

use crate::proto::PeerInfo;
use crate::values::order;

/// Characters of an id that are enough to mean it: with fewer, a slip of the pen in somebody's nick
/// would mean somebody else.
pub(crate) const PREFIX: usize = 4;

/// Who was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    /// Just this one.
    One(&'a PeerInfo),
    /// Nobody.
    Nobody,
    /// Any of these. Nicks are not unique, so a stranger may have taken somebody's: who is meant
    /// is never guessed.
    Several(Vec<&'a PeerInfo>),
}

/// By nick, those with the same by id.
pub(crate) fn sort_by_nick(peers: &mut Vec<PeerInfo>) {
    order::sort_by(peers, |a, b| (&a.profile.nick, a.id).cmp(&(&b.profile.nick, b.id)));
}

/// Finds the peer that `name` means.
pub(crate) fn find<'a>(peers: &'a [PeerInfo], name: &str) -> Found<'a> {
    let id = name.to_ascii_lowercase();
    if let Some(peer) = id.parse().ok().and_then(|id| peers.iter().find(|peer| peer.id == id)) {
        return Found::One(peer);
    }
    let begins = |peer: &PeerInfo| id.len() >= PREFIX && peer.id.to_string().starts_with(&id);
    let mut found: Vec<&PeerInfo> =
        peers.iter().filter(|p| p.profile.nick.raw() == name || begins(p)).collect();
    order::sort_by_key(&mut found, |peer| peer.id);
    match *found {
        [] => Found::Nobody,
        [one] => Found::One(one),
        _ => Found::Several(found),
    }
}

/// Finds the peer that `line` begins with, and what follows. A nick may have blanks in it: the
/// longest one that is here counts.
pub(crate) fn find_first<'a, 'l>(
    peers: &'a [PeerInfo],
    line: &'l str,
) -> (Found<'a>, &'l str, &'l str) {
    let blanks = line.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    let mut ends: Vec<usize> = blanks.chain([line.len()]).collect();
    // A nick is short, so only the beginning of a long text is tried.
    ends.retain(|end| *end <= crate::values::limits::NICK);
    for end in ends.iter().rev() {
        let found = find(peers, &line[..*end]);
        if found != Found::Nobody {
            return (found, &line[..*end], line[*end..].trim_start());
        }
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (Found::Nobody, name, rest.trim_start())
}

/// The candidates, one a line, so that the user can choose by id.
pub(crate) fn candidates(found: &[&PeerInfo]) -> String {
    let mut text = String::new();
    for peer in found {
        let profile = &peer.profile;
        let (nick, host) = (profile.nick.escaped(), profile.host.escaped());
        let _ = write!(text, "\n  {}  {nick}", peer.id);
        let _ = write!(text, " on {host}");
        if let Some(addr) = peer.addr {
            let _ = write!(text, " at {}", super::text::host(addr));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::agent::objects::tests::a_peer;
    use crate::values::NodeId;

    fn named(byte: u8, nick: &str) -> PeerInfo {
        let mut peer = a_peer();
        peer.id = NodeId([byte; 32]);
        Arc::make_mut(&mut peer.profile).nick = nick.into();
        peer
    }

    #[test]
    fn a_nick_an_id_and_its_beginning_mean_a_peer() {
        let peers = [named(1, "ada"), named(2, "bob")];
        let id = peers[1].id.to_string();
        assert_eq!(find(&peers, "ada"), Found::One(&peers[0]));
        assert_eq!(find(&peers, &id), Found::One(&peers[1]));
        assert_eq!(find(&peers, &id[..4]), Found::One(&peers[1]));
        for nobody in [&id[..3], "Ada", "", "eve"] {
            assert_eq!(find(&peers, nobody), Found::Nobody);
        }
    }

    #[test]
    fn who_takes_anothers_nick_or_id_as_a_nick_gets_nothing_meant_for_that_one() {
        let bob = named(2, "bob");
        let id = bob.id.to_string();
        let peers = [named(1, &id), bob, named(3, &id[..8]), named(4, "bob")];
        assert_eq!(find(&peers, &id), Found::One(&peers[1]));
        assert!(matches!(find(&peers, &id[..8]), Found::Several(found) if found.len() == 2));
        let Found::Several(found) = find(&peers, "bob") else { panic!() };
        let text = candidates(&found);
        assert!(text.contains(&id) && text.contains(&peers[3].id.to_string()), "{text}");
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn a_nick_at_the_beginning_of_a_line_may_have_blanks() {
        let peers = [named(1, "ada"), named(2, "ada lovelace")];
        let of = |line| find_first(&peers, line);
        assert_eq!(of("ada hi"), (Found::One(&peers[0]), "ada", "hi"));
        assert_eq!(of("ada lovelace  hi you"), (Found::One(&peers[1]), "ada lovelace", "hi you"));
        assert_eq!(of("eve hi"), (Found::Nobody, "eve", "hi"));
        assert_eq!(of("eve"), (Found::Nobody, "eve", ""));
    }
}
