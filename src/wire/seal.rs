//! Sealed groups: only holders of the group's secret read and speak.
//!
//! ```text
//! {"cooee":1,"key":"…","seal":"…"}
//! key  = which secret it is: the first 4 bytes of SHA-256("cooee key id 1" | key), hexadecimal
//! seal = base64url(nonce (24) | ciphertext | tag (16)), XChaCha20-Poly1305
//! ```
//!
//! What is sealed is a complete datagram, signature included. The key comes from the secret by
//! Argon2id (RFC 9106) with 19 MiB and 2 passes, the salt naming the group's address: one guess
//! at a passphrase costs an attacker some 30 ms of a core.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::values::{Group, Rng};

/// A sealed group's key.
#[derive(Clone)]
pub struct Secret {
    cipher: XChaCha20Poly1305,
    name: String,
}

impl Secret {
    /// Derives the key from what the group's members share. Takes some 30 ms and 19 MiB.
    ///
    /// Returns `None` if the secret is longer than Argon2 takes (4 GiB).
    pub fn derive(shared: &[u8], group: Group) -> Option<Self> {
        let params = Params::new(19 * 1024, 2, 1, Some(32)).ok()?;
        let salt = format!("cooee sealed group 1 {group}");
        let mut key = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(shared, salt.as_bytes(), &mut key)
            .ok()?;
        let hash = Sha256::new().chain_update(b"cooee key id 1").chain_update(key).finalize();
        let name = data_encoding::HEXLOWER.encode(&hash[..4]);
        Some(Self { cipher: XChaCha20Poly1305::new(&key.into()), name })
    }

    /// Bytes of the longest datagram that, sealed, has at most `limit` bytes.
    pub const fn room(limit: usize) -> usize {
        const AROUND: usize = "{\"cooee\":1,\"key\":\"00000000\",\"seal\":\"\"}".len();
        ((limit - AROUND) / 4 * 3) - 24 - 16
    }

    /// Seals a datagram.
    pub fn seal(&self, datagram: &[u8], rng: &mut Rng) -> Vec<u8> {
        let nonce: [u8; 24] = rng.bytes();
        // Fails only for lengths that no datagram has; nothing is then sent in the clear.
        let sealed = self.cipher.encrypt(&nonce.into(), datagram).unwrap_or_default();
        let mut text = format!("{{\"cooee\":1,\"key\":\"{}\",\"seal\":\"", self.name);
        BASE64URL_NOPAD.encode_append(&[&nonce, sealed.as_slice()].concat(), &mut text);
        text.push_str("\"}");
        text.into_bytes()
    }

    /// Opens what was sealed with the same key, if it was.
    pub(crate) fn open(&self, key: &str, seal: &str) -> Option<Vec<u8>> {
        if key != self.name {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(seal.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<24>()?;
        self.cipher.decrypt(&(*nonce).into(), sealed).ok()
    }
}

impl std::fmt::Debug for Secret {
    /// Shows the key's name only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secret").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::limits;

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_in_the_same_group_only() {
        let group = Group::DEFAULT;
        let other: Group = "239.1.2.3:7".parse().unwrap();
        let secret = Secret::derive(b"correct horse", group).unwrap();
        let mut rng = Rng::from_number(1);
        let plain = vec![b'x'; Secret::room(limits::DATAGRAM)];
        let sealed = secret.seal(&plain, &mut rng);
        assert!(sealed.len() <= limits::DATAGRAM && sealed.len() > limits::DATAGRAM - 4);
        let text: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
        let (key, seal) = (text["key"].as_str().unwrap(), text["seal"].as_str().unwrap());
        assert_eq!(secret.open(key, seal), Some(plain));
        assert_eq!(secret.open("00000000", seal), None);
        assert_eq!(secret.open(key, &seal[4..]), None);
        for wrong in [Secret::derive(b"other", group), Secret::derive(b"correct horse", other)] {
            let mut wrong = wrong.unwrap();
            assert_ne!(wrong.name, key);
            wrong.name = key.to_owned();
            assert_eq!(wrong.open(key, seal), None);
        }
    }
}
