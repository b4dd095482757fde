//! Signatures: who holds a key is the node whose id it is.
//!
//! The signature is Ed25519 (RFC 8032) over every byte before the tail `,"sig":"…"}`. The signed
//! bytes begin with `{"cooee":1`, so they can't be mistaken for anything else signed by the key.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier as _, VerifyingKey};

use crate::values::NodeId;

const HEAD: &[u8] = b",\"sig\":\"";
const END: &[u8] = b"\"}";
/// Characters of a signature: 64 bytes in base64url (RFC 4648 §5) without padding.
const TEXT: usize = 86;

/// Bytes that a signature adds to an object that already has its closing brace.
pub(crate) const TAIL: usize = HEAD.len() + TEXT + END.len() - 1;

/// A node's secret key.
pub struct Identity {
    key: SigningKey,
    id: NodeId,
    /// Only of a simulated node.
    signs: bool,
}

impl Identity {
    /// The identity that a 32-byte secret stands for. Anyone who has the secret is this node.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&secret);
        let id = NodeId(key.verifying_key().to_bytes());
        Self { key, id, signs: true }
    }

    /// For simulations of thousands of nodes, whose packets are vouched for: writes blanks where a
    /// signature would stand.
    pub(crate) fn without_signing(self) -> Self {
        Self { signs: false, ..self }
    }

    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Signs the object that `text` holds without its closing brace, and closes it.
    pub(crate) fn sign(&self, mut text: String) -> Vec<u8> {
        let signature =
            if self.signs { self.key.sign(text.as_bytes()).to_bytes() } else { [0; 64] };
        text.push_str(",\"sig\":\"");
        BASE64URL_NOPAD.encode_append(&signature, &mut text);
        text.push_str("\"}");
        text.into_bytes()
    }

    /// The X25519 secret that belongs to this key: the scalar of RFC 8032 §5.1.5, as libsodium's
    /// `crypto_sign_ed25519_sk_to_curve25519` derives it.
    pub(crate) fn exchange_secret(&self) -> [u8; 32] {
        self.key.to_scalar_bytes()
    }
}

impl std::fmt::Debug for Identity {
    /// Shows the id only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.id).finish()
    }
}

/// Whether the datagram ends in a signature, good or bad.
pub(crate) fn has_tail(datagram: &[u8]) -> bool {
    split(datagram).is_some()
}

/// Checks signatures, and keeps the keys that were used lately ready for use: to find the point
/// that an id stands for takes a tenth of a check.
///
/// Holds at most 256 keys, each in the place that its id gives it, where a later one
/// supersedes it.
#[derive(Debug, Default)]
pub struct Verifier {
    slots: Vec<Option<Box<VerifyingKey>>>,
}

/// One for each value of an id's first byte, which is as good as random.
const SLOTS: usize = 256;

impl Verifier {
    /// Whether the datagram ends in a signature by `id` over all that comes before.
    pub(crate) fn verify(&mut self, id: NodeId, datagram: &[u8]) -> bool {
        let Some((signed, text)) = split(datagram) else { return false };
        let mut signature = [0; 64];
        if BASE64URL_NOPAD.decode_len(TEXT) != Ok(signature.len()) {
            return false;
        }
        let Ok(64) = BASE64URL_NOPAD.decode_mut(text, &mut signature) else { return false };
        // No second signature of the same bytes can be made from a first one: `S` has to be in
        // range, and `R` is compared as it is written (Brendel et al., "The Provable Security of
        // Ed25519", 2021).
        let signature = Signature::from_bytes(&signature);
        self.key(id).is_some_and(|key| key.verify(signed, &signature).is_ok())
    }

    /// The key of `id`, if it is one. Those of small order, which sign anything, are not.
    fn key(&mut self, id: NodeId) -> Option<&VerifyingKey> {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        let slot = &mut self.slots[usize::from(id.0[0])];
        if slot.as_ref().is_none_or(|key| *key.as_bytes() != id.0) {
            let key = VerifyingKey::from_bytes(&id.0).ok().filter(|key| !key.is_weak())?;
            *slot = Some(Box::new(key));
        }
        slot.as_deref()
    }
}

fn split(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = datagram.strip_suffix(END)?;
    let (rest, text) = rest.split_at_checked(rest.len().checked_sub(TEXT)?)?;
    Some((rest.strip_suffix(HEAD)?, text))
}

/// The Ed25519 key of `id` as an X25519 public key (RFC 7748 §4.1), if it is a point at all.
pub(crate) fn exchange_public(id: NodeId) -> Option<curve25519_dalek::montgomery::MontgomeryPoint> {
    Some(VerifyingKey::from_bytes(&id.0).ok()?.to_montgomery())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_every_byte_before_it() {
        let identity = Identity::from_secret([1; 32]);
        let datagram = identity.sign("{\"cooee\":1".to_owned());
        assert_eq!(datagram.len(), "{\"cooee\":1}".len() + TAIL);
        let mut verifier = Verifier::default();
        assert!(verifier.verify(identity.id(), &datagram));
        assert!(!verifier.verify(Identity::from_secret([2; 32]).id(), &datagram));
        for at in 0..datagram.len() {
            let mut forged = datagram.clone();
            forged[at] ^= 1;
            assert!(!verifier.verify(identity.id(), &forged), "byte {at}");
        }
    }

    #[test]
    fn keys_of_small_order_sign_nothing() {
        // The neutral element as key and as `R`, with `S` = 0: [S]B = R + [k]A for every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let sig = BASE64URL_NOPAD.encode(&signature);
        let forged = format!("{{\"cooee\":1,\"sig\":\"{sig}\"}}");
        let key = VerifyingKey::from_bytes(&neutral).unwrap();
        assert!(key.verify(b"{\"cooee\":1", &Signature::from_bytes(&signature)).is_ok());
        assert!(!Verifier::default().verify(NodeId(neutral), forged.as_bytes()));
    }

    #[test]
    fn keys_that_share_a_place_are_told_apart() {
        let (one, other) = (1..=u8::MAX)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| (Identity::from_secret([i; 32]), Identity::from_secret([j; 32])))
            .find(|(one, other)| one.id().0[0] == other.id().0[0])
            .unwrap();
        let (by_one, by_other) = (one.sign("{".to_owned()), other.sign("{".to_owned()));
        let mut verifier = Verifier::default();
        for _ in 0..2 {
            assert!(verifier.verify(one.id(), &by_one) && !verifier.verify(other.id(), &by_one));
            assert!(
                verifier.verify(other.id(), &by_other) && !verifier.verify(one.id(), &by_other)
            );
        }
    }

    #[test]
    fn what_has_no_whole_tail_is_unsigned() {
        for bytes in [&b""[..], b"{}", b"\"}", b",\"sig\":\"\"}", b"{\"sig\":\"abc\"}"] {
            assert!(!has_tail(bytes) && !Verifier::default().verify(NodeId([0; 32]), bytes));
        }
    }
}
