//! How long an answer to a request for repair is waited for before it is asked for again.
//!
//! As long as answers have taken lately: a host that is busy answers late, and asking it again and
//! again makes it busier. (RFC 6298, but for its doubling: where a fifth of all datagrams is lost, a
//! third of all requests brings nothing, and that is no reason to wait longer for each. So only what
//! came after just one request counts: of others it is not known which request brought them, Karn.)

use std::time::Duration;

use super::timing;

/// The wait before the first repetition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(Duration);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(timing::ASK_AGAIN)
    }

    pub(crate) fn get(self) -> Duration {
        self.0
    }

    /// What was missing came so long after it was asked for, just once.
    pub(crate) fn answered(&mut self, after: Duration) {
        let less = self.0 / 8 * 7;
        self.0 = (after * 2).max(less).clamp(timing::ASK_AGAIN, timing::PATIENCE_MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_answers_make_it_longer_and_quick_ones_shorter() {
        let ms = Duration::from_millis;
        let mut patience = Patience::new();
        patience.answered(ms(40));
        assert_eq!(patience.get(), ms(80));
        for _ in 0..100 {
            patience.answered(ms(1));
        }
        assert_eq!(patience.get(), timing::ASK_AGAIN);
        patience.answered(Duration::from_secs(9));
        assert_eq!(patience.get(), timing::PATIENCE_MOST);
    }
}
