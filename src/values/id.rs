//! Who a node is: its public key, and which run of it.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};

/// A node's id: its Ed25519 public key (RFC 8032).
///
/// The id is the key itself and not a hash of it, so that whoever holds a signed datagram can
/// check it without asking anyone. It is written in lower-case base32 (RFC 4648 §6, no padding, 52
/// characters): it can be typed, has no case to get wrong and never begins with a `-`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 32]);

/// Which run of a node: the wall-clock millisecond at which it started, made to grow with every
/// run. A higher epoch of an id replaces a lower one.
pub type Epoch = u64;

/// A text that is not a node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a node id: an id is 52 characters of a-z and 2-7")]
pub struct ParseIdError;

/// How many characters of an id people are shown. 40 bits: two of 10,000 hosts share them by
/// chance once in 20,000 LANs.
const SHORT: usize = 8;

fn base32() -> &'static Encoding {
    static BASE32: std::sync::OnceLock<Encoding> = std::sync::OnceLock::new();
    BASE32.get_or_init(|| {
        let mut spec = Specification::new();
        spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
        // The specification is constant, so this can't fail at run time without failing in tests.
        spec.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
    })
}

impl NodeId {
    /// Characters of a written id.
    pub const TEXT_LEN: usize = 52;

    /// The first characters of the written id: enough to tell peers apart on a screen.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT);
        text
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::TEXT_LEN];
        base32().encode_mut(&self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for NodeId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.len() != Self::TEXT_LEN {
            return Err(ParseIdError);
        }
        let mut id = [0; 32];
        match base32().decode_mut(text.as_bytes(), &mut id) {
            Ok(32) => Ok(Self(id)),
            _ => Err(ParseIdError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = NodeId(std::array::from_fn(|i| (i * 37) as u8));
        let text = id.to_string();
        assert_eq!(text.len(), NodeId::TEXT_LEN);
        assert_eq!(text.parse(), Ok(id));
        assert!(text.starts_with(&id.short()));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        let good = NodeId([7; 32]).to_string();
        for bad in ["", "abc", &good[1..], &good.to_uppercase(), &format!("{}1", &good[1..])] {
            assert_eq!(bad.parse::<NodeId>(), Err(ParseIdError), "{bad}");
        }
        // The last character carries four spare bits: a second spelling of the same id is refused.
        let other = format!("{}b", &NodeId([0; 32]).to_string()[..51]);
        assert_eq!(other.parse::<NodeId>(), Err(ParseIdError));
    }
}
