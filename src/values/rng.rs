//! The one source of randomness that the protocol uses, seeded from outside.
//!
//! The same seed gives the same numbers for ever: a simulated LAN is repeated from its seed. With
//! a seed from the system's entropy the numbers are unpredictable, so keys and nonces may be drawn
//! from it.

use std::fmt;
use std::time::Duration;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

/// The keystream of `ChaCha20` (RFC 8439) as random numbers.
pub struct Rng {
    stream: Box<ChaCha20>,
    block: [u8; 64],
    used: usize,
}

impl Rng {
    /// A generator whose numbers depend on nothing but `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        let stream = Box::new(ChaCha20::new(&seed.into(), &[0; 12].into()));
        Self { stream, block: [0; 64], used: 64 }
    }

    /// As [`Rng::new`], from a seed that a person can type.
    pub fn from_number(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self::new(bytes)
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| {
            if self.used == self.block.len() {
                self.block = [0; 64];
                // A stream of 256 GiB does not end within a node's life; were it to, the bytes
                // would stay zero, which delays nothing and breaks no invariant.
                let _ = self.stream.try_apply_keystream(&mut self.block);
                self.used = 0;
            }
            self.used += 1;
            self.block[self.used - 1]
        })
    }

    /// The next number.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // Lemire, "Fast Random Integer Generation in an Interval" (2019), without the rejection
        // step: the bias is below end / 2^64.
        ((u128::from(self.u64()) * u128::from(end)) >> 64) as u64
    }

    /// A duration from zero to `end`, in whole microseconds.
    pub fn up_to(&mut self, end: Duration) -> Duration {
        let micros = u64::try_from(end.as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(self.below(micros + 1))
    }

    /// `true` with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.u64() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }
}

impl fmt::Debug for Rng {
    /// Does not show the state: whoever knows it knows the keys that will be drawn.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rng").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Rng::from_number(7), Rng::from_number(7));
        let numbers: Vec<u64> = (0..100).map(|_| a.u64()).collect();
        assert!(numbers.iter().all(|&n| n == b.u64()));
        assert_ne!(numbers[0], Rng::from_number(8).u64());
    }

    #[test]
    fn numbers_keep_within_their_bounds() {
        let mut rng = Rng::from_number(1);
        assert!((0..1000).all(|_| rng.below(3) < 3));
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| rng.up_to(Duration::from_millis(5)) <= Duration::from_millis(5)));
        assert!(!rng.chance(0.0) && rng.chance(1.0));
        let hits = (0..10_000).filter(|_| rng.chance(0.25)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
    }
}
