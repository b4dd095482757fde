//! How long an answer to a request for repair is waited for before it is asked for again.
//!
//! As long as answers have taken lately, and longer the more requests go unanswered: a host that is
//! busy answers late, and asking it again and again makes it busier. (In the spirit of RFC 6298. Its
//! doubling would not do: here a third of all requests brings nothing where a fifth of all datagrams is
//! lost, and that is no reason to wait longer. So a failure adds half as much as a success takes off.)

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

    /// A request was answered after this time.
    pub(crate) fn answered(&mut self, after: Duration) {
        let less = self.0 / 8 * 7;
        self.0 = (after * 2).max(less).clamp(timing::ASK_AGAIN, timing::PATIENCE_MOST);
    }

    /// A request has brought nothing.
    pub(crate) fn unanswered(&mut self) {
        self.0 = (self.0 + self.0 / 16).min(timing::PATIENCE_MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_answers_and_none_make_it_longer_and_quick_ones_shorter() {
        let ms = Duration::from_millis;
        let mut patience = Patience::new();
        patience.answered(ms(40));
        assert_eq!(patience.get(), ms(80));
        for _ in 0..100 {
            patience.answered(ms(1));
        }
        assert_eq!(patience.get(), timing::ASK_AGAIN);
        for _ in 0..100 {
            patience.unanswered();
        }
        assert_eq!(patience.get(), timing::PATIENCE_MOST);
    }

    #[test]
    fn where_a_third_of_the_requests_brings_nothing_it_stays_short() {
        let mut patience = Patience::new();
        for round in 0..1_000 {
            if round % 3 == 0 {
                patience.unanswered();
            } else {
                patience.answered(Duration::from_millis(1));
            }
        }
        assert!(patience.get() < timing::ASK_AGAIN * 3 / 2);
    }
}
