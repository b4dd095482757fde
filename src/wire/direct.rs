//! What is told to one peer can be read by that peer only.
//!
//! The sender draws a fresh X25519 key, agrees with the recipient's (its Ed25519 key in Montgomery
//! form, RFC 7748 §4.1), derives a key for this one datagram with HKDF-SHA-256 (RFC 5869) and
//! seals with ChaCha20-Poly1305 (RFC 8439). Who sent it is the datagram's signature's business.
//!
//! ```text
//! box = ephemeral public key (32) | ciphertext | tag (16)
//! key = HKDF(salt: none, secret: X25519, info: "cooee direct 1" | ephemeral | from | to)
//! nonce = 0, since each key seals once
//! ```

use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use curve25519_dalek::montgomery::MontgomeryPoint;
use hkdf::Hkdf;
use sha2::Sha256;

use super::sign::{Identity, exchange_public};
use crate::values::{NodeId, Rng};

/// Bytes that sealing adds.
pub(crate) const OVERHEAD: usize = 32 + 16;

/// Why something sealed for one peer can't be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectError {
    /// The id is no point of the curve, or one of those that agree on the same key with everyone.
    #[error("the peer's id can't be used to encrypt to it")]
    BadKey,
    /// Not sealed for us by that peer, or changed on the way.
    #[error("can't be decrypted")]
    Forged,
}

/// Seals `plain` from one node to another.
pub fn seal_direct(
    plain: &[u8],
    from: NodeId,
    to: NodeId,
    rng: &mut Rng,
) -> Result<Vec<u8>, DirectError> {
    let secret: [u8; 32] = rng.bytes();
    let ephemeral = MontgomeryPoint::mul_base_clamped(secret);
    let shared = exchange_public(to).ok_or(DirectError::BadKey)?.mul_clamped(secret);
    let cipher = cipher(shared, ephemeral, from, to)?;
    let sealed = cipher
        .encrypt(&chacha20poly1305::Nonce::default(), plain)
        .map_err(|_| DirectError::BadKey)?;
    Ok([ephemeral.as_bytes().as_slice(), &sealed].concat())
}

/// Opens what `from` sealed for the owner of `identity`.
pub fn open_direct(
    sealed: &[u8],
    from: NodeId,
    identity: &Identity,
) -> Result<Vec<u8>, DirectError> {
    let (ephemeral, sealed) = sealed.split_first_chunk::<32>().ok_or(DirectError::Forged)?;
    let ephemeral = MontgomeryPoint(*ephemeral);
    let shared = ephemeral.mul_clamped(identity.exchange_secret());
    let cipher = cipher(shared, ephemeral, from, identity.id())?;
    cipher.decrypt(&chacha20poly1305::Nonce::default(), sealed).map_err(|_| DirectError::Forged)
}

fn cipher(
    shared: MontgomeryPoint,
    ephemeral: MontgomeryPoint,
    from: NodeId,
    to: NodeId,
) -> Result<ChaCha20Poly1305, DirectError> {
    if shared.as_bytes() == &[0; 32] {
        return Err(DirectError::BadKey); // a point of small order: RFC 7748 §6.1
    }
    let info = [b"cooee direct 1".as_slice(), ephemeral.as_bytes(), &from.0, &to.0].concat();
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, shared.as_bytes())
        .expand(&info, &mut key)
        .map_err(|_| DirectError::BadKey)?;
    Ok(ChaCha20Poly1305::new(&key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipient_opens_and_only_what_the_sender_sealed() {
        let [ada, bob, eve] = [1, 2, 3].map(|n| Identity::from_secret([n; 32]));
        let mut rng = Rng::from_number(1);
        let sealed = seal_direct(b"psst", ada.id(), bob.id(), &mut rng).unwrap();
        assert_eq!(sealed.len(), 4 + OVERHEAD);
        assert_eq!(open_direct(&sealed, ada.id(), &bob).unwrap(), b"psst");
        assert_eq!(open_direct(&sealed, ada.id(), &eve), Err(DirectError::Forged));
        assert_eq!(open_direct(&sealed, eve.id(), &bob), Err(DirectError::Forged));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert!(open_direct(&forged, ada.id(), &bob).is_err(), "byte {at}");
        }
        assert!(open_direct(&sealed[..40], ada.id(), &bob).is_err());
        assert!(open_direct(&[0; 60], ada.id(), &bob).is_err());
    }

    #[test]
    fn an_id_of_small_order_is_refused() {
        let mut rng = Rng::from_number(1);
        let identity_point = NodeId(std::array::from_fn(|i| u8::from(i == 0)));
        assert!(seal_direct(b"x", NodeId([9; 32]), identity_point, &mut rng).is_err());
    }
}
