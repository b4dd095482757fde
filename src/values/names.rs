//! Names that people choose: nicks, channels, levels, and the group's address.
//!
//! A value of one of these types has been checked; the types' constructors are the only place
//! where the rules stand.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::limits;
use super::peer_text::{Escaped, is_misleading};

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing but blanks.
    #[error("the {what} is empty; give it at least one character")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// Longer than its limit.
    #[error("the {what} has {bytes} bytes; at most {limit} are allowed")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A character that this kind of name can't have.
    #[error("the {what} contains {character}, which is not allowed; use {allowed}")]
    Character {
        /// Which kind of name.
        what: &'static str,
        /// The first offending character, escaped.
        character: String,
        /// What may be used instead.
        allowed: &'static str,
    },
    /// Not one of the levels.
    #[error("'{0}' is not a level; the levels are debug, info, warn and error")]
    Level(String),
}

fn check(
    what: &'static str,
    text: &str,
    limit: usize,
    allowed: &'static str,
    good: impl Fn(char) -> bool,
) -> Result<(), NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limit {
        return Err(NameError::TooLong { what, bytes: text.len(), limit });
    }
    match text.chars().find(|&c| !good(c)) {
        Some(c) => {
            let character = format!("'{}'", Escaped::of(c.encode_utf8(&mut [0; 4])));
            Err(NameError::Character { what, character, allowed })
        }
        None => Ok(()),
    }
}

/// The name under which this node's user appears: 1 to 64 bytes, no control characters and
/// nothing invisible. Nicks are not unique; ids are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nick(Arc<str>);

impl Nick {
    /// The nick as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nick nearest to `text` that is allowed: for host names, which nobody chose as nicks.
    pub fn from_host_name(text: &str) -> Self {
        let clean: String = text.chars().filter(|&c| !is_misleading(c)).take(16).collect();
        clean.trim().parse().unwrap_or_else(|_| Self("host".into()))
    }
}

impl FromStr for Nick {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = "visible characters and blanks";
        check("nick", text, limits::NICK, allowed, |c| !is_misleading(c))?;
        Ok(Self(text.trim().into()))
    }
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A channel's name: 1 to 48 bytes of letters and digits of any script, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// The channel in which everybody is who names no other.
    pub const LOBBY: &'static str = "lobby";

    /// The channel `lobby`.
    pub fn lobby() -> Self {
        Self(Self::LOBBY.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = "letters, digits, '-', '_' and '.'";
        let good = |c: char| c.is_alphanumeric() && !is_misleading(c) || "-_.".contains(c);
        check("channel name", text, limits::CHANNEL_NAME, allowed, good)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How urgent a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Of use to those who look for a fault.
    Debug,
    /// What a message is when nothing else is said.
    #[default]
    Info,
    /// Somebody should look.
    Warn,
    /// Something is broken.
    Error,
}

impl Level {
    /// All levels, the least urgent first.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The level's name on the wire and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl FromStr for Level {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| NameError::Level(Escaped::of(text).to_string()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The multicast address and port that a community of nodes shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(SocketAddrV4);

/// Why an address can't be a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Not `ADDRESS` or `ADDRESS:PORT`.
    #[error("'{0}' is not ADDRESS[:PORT]; for example {default}", default = Group::DEFAULT)]
    Syntax(String),
    /// Not a multicast address.
    #[error(
        "{0} is not a multicast address: a group is 224.0.0.0 to 239.255.255.255; for example {default}",
        default = Group::DEFAULT
    )]
    NotMulticast(Ipv4Addr),
    /// Nothing can be sent to port 0.
    #[error(
        "{0}:0 has no port to send to; give 1 to 65535, or leave it out for {default}",
        default = Group::PORT
    )]
    PortZero(Ipv4Addr),
}

impl Group {
    /// The port unless said otherwise.
    pub const PORT: u16 = 26_633;

    /// The group unless said otherwise: in the block for use inside one site (RFC 2365 §6.1),
    /// which no router forwards unasked. Not in 224.0.0.0/24, which IANA assigns and which
    /// switches flood to every port (RFC 4541 §2.1.2).
    pub const DEFAULT: Self = Self(SocketAddrV4::new(Ipv4Addr::new(239, 255, 26, 33), Self::PORT));

    /// Checks an address.
    pub fn new(addr: SocketAddrV4) -> Result<Self, GroupError> {
        if !addr.ip().is_multicast() {
            return Err(GroupError::NotMulticast(*addr.ip()));
        }
        if addr.port() == 0 {
            return Err(GroupError::PortZero(*addr.ip()));
        }
        Ok(Self(addr))
    }

    /// Where announcements go.
    pub fn addr(self) -> SocketAddrV4 {
        self.0
    }

    /// The port of the group and of all its channels.
    pub fn port(self) -> u16 {
        self.0.port()
    }

    /// Where what is said in a channel goes: the group's own /16, the last two bytes from
    /// SHA-256 of the channel's name. Never the group's own address. Two channels may share an
    /// address; their names in the datagrams tell them apart.
    pub fn channel(self, name: &ChannelName) -> SocketAddrV4 {
        let [a, b, c, d] = self.0.ip().octets();
        let hash = Sha256::digest(name.as_str().as_bytes());
        let (pairs, _) = hash.as_chunks::<2>();
        let pair = pairs
            .iter()
            .copied()
            .find(|pair| *pair != [c, d] && *pair != [0, 0])
            .unwrap_or([c ^ 1, d]);
        SocketAddrV4::new(Ipv4Addr::new(a, b, pair[0], pair[1]), self.0.port())
    }

    /// The address, at the same port, that a group's or channel's address has in IPv6: its 32 bits
    /// behind `ff02::`, which does not leave the link, or, if `site`, behind `ff05::`, which routers
    /// may pass on inside the site (RFC 4291 §2.7).
    pub fn ipv6(addr: Ipv4Addr, site: bool) -> Ipv6Addr {
        let prefix = if site { 0xff05 } else { 0xff02 };
        let [a, b, c, d] = addr.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Ipv6Addr::new(prefix, 0, 0, 0, 0, 0, high, low)
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        let syntax = || GroupError::Syntax(Escaped::of(text).to_string());
        let (ip, port) = match text.split_once(':') {
            Some((ip, port)) => (ip, port.parse().map_err(|_| syntax())?),
            None => (text, Self::PORT),
        };
        Self::new(SocketAddrV4::new(ip.parse().map_err(|_| syntax())?, port))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nick_is_visible_and_of_bounded_length() {
        assert_eq!("ada lovelace".parse::<Nick>().unwrap().as_str(), "ada lovelace");
        assert_eq!(" ada ".parse::<Nick>().unwrap().as_str(), "ada");
        assert!("x".repeat(64).parse::<Nick>().is_ok());
        for bad in ["", "  ", "a\nb", "a\x1b[1m", "a\u{202e}b", "a\u{200b}b", &"x".repeat(65)] {
            assert!(bad.parse::<Nick>().is_err(), "{bad:?}");
        }
        let error = "a\x1bb".parse::<Nick>().unwrap_err().to_string();
        assert_eq!(
            error,
            r"the nick contains '\u{1b}', which is not allowed; use visible characters and blanks"
        );
    }

    #[test]
    fn any_host_name_yields_a_nick() {
        assert_eq!(Nick::from_host_name("web1").as_str(), "web1");
        assert_eq!(Nick::from_host_name("").as_str(), "host");
        assert_eq!(Nick::from_host_name("a\x1b\u{202e}b").as_str(), "ab");
        assert_eq!(Nick::from_host_name(&"語".repeat(300)).as_str(), "語".repeat(16));
    }

    #[test]
    fn a_channel_is_letters_digits_and_three_signs() {
        for good in ["lobby", "ops-2.eu_1", "küche", "会議"] {
            assert_eq!(good.parse::<ChannelName>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "#ops", "a/b", "a\u{ad}b", &"x".repeat(49)] {
            assert!(bad.parse::<ChannelName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_group_is_a_multicast_address_with_a_port() {
        assert_eq!("239.255.26.33".parse(), Ok(Group::DEFAULT));
        assert_eq!("224.0.0.1:9".parse::<Group>().unwrap().to_string(), "224.0.0.1:9");
        for (bad, says) in [
            ("10.0.0.1", "10.0.0.1 is not a multicast address"),
            ("240.0.0.1", "240.0.0.1 is not a multicast address"),
            ("239.1.1.1:0", "239.1.1.1:0 has no port to send to"),
            ("239.1.1.1:70000", "is not ADDRESS[:PORT]"),
            ("239.1.1", "is not ADDRESS[:PORT]"),
            ("ff02::1", "is not ADDRESS[:PORT]"),
        ] {
            let error = bad.parse::<Group>().unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn channels_spread_over_the_groups_own_16_bits() {
        let group = Group::DEFAULT;
        let lobby = group.channel(&ChannelName::lobby());
        assert_eq!(lobby.ip().octets()[..2], [239, 255]);
        assert_eq!(lobby.port(), Group::PORT);
        assert_ne!(lobby, group.addr());
        let ops = group.channel(&"ops".parse().unwrap());
        assert_ne!(lobby, ops);
    }

    #[test]
    fn in_ipv6_a_group_has_the_same_32_bits_behind_the_prefix_of_its_scope() {
        let group = *Group::DEFAULT.addr().ip();
        assert_eq!(Group::ipv6(group, false).to_string(), "ff02::efff:1a21");
        assert_eq!(Group::ipv6(group, true).to_string(), "ff05::efff:1a21");
    }
}
