//! How long an acknowledgement is waited for: the retransmission timeout (RFC 6298).
//!
//! Of a datagram that was sent twice nobody knows which copy is acknowledged, so its acknowledgement
//! measures nothing (Karn's rule, RFC 6298 §3). Where nothing but such comes, round trips may have
//! become longer than the timeout, and none would ever be measured: then it grows until one is.

use std::time::Duration;

use super::timing;

/// So many acknowledgements in a row that measure nothing double the timeout. Where two thirds of
/// all datagrams have to be repeated, that happens by chance once in 25 times.
const UNMEASURED: u8 = 8;

/// The timeout of one message.
#[derive(Clone, Debug)]
pub(super) struct Rto {
    timeout: Duration,
    /// The smoothed round trip and its variation, once one was measured (RFC 6298 §2).
    measured: Option<(Duration, Duration)>,
    /// Acknowledgements in a row that measured nothing.
    unmeasured: u8,
}

impl Rto {
    /// `rtt` to the peer, if it is known.
    pub(super) fn new(rtt: Option<Duration>) -> Self {
        let timeout = clamp(rtt.unwrap_or_default().saturating_mul(4));
        Self { timeout, measured: None, unmeasured: 0 }
    }

    /// The timeout of a datagram for which so many have passed in vain.
    pub(super) fn after(&self, timeouts: u8) -> Duration {
        clamp(self.timeout * (1 << timeouts.min(8)))
    }

    /// A datagram that was sent once has been acknowledged after this time.
    pub(super) fn measure(&mut self, rtt: Duration) {
        let (smoothed, variation) = match self.measured {
            None => (rtt, rtt / 2),
            Some((smoothed, variation)) => {
                ((smoothed * 7 + rtt) / 8, (variation * 3 + smoothed.abs_diff(rtt)) / 4)
            }
        };
        self.measured = Some((smoothed, variation));
        self.timeout = clamp(smoothed + variation * 4);
        self.unmeasured = 0;
    }

    /// A datagram that was sent more than once has been acknowledged.
    pub(super) fn pass(&mut self) {
        self.unmeasured += 1;
        if self.unmeasured == UNMEASURED {
            self.unmeasured = 0;
            self.timeout = clamp(self.timeout * 2);
        }
    }
}

fn clamp(timeout: Duration) -> Duration {
    timeout.clamp(timing::TELL_RETRY, timing::TELL_RETRY_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn it_follows_the_round_trips_and_their_variation_within_bounds() {
        let mut rto = Rto::new(None);
        assert_eq!(rto.after(0), timing::TELL_RETRY);
        assert_eq!(Rto::new(Some(ms(40))).after(0), ms(160));
        assert_eq!(Rto::new(Some(Duration::MAX)).after(0), timing::TELL_RETRY_MOST);
        rto.measure(ms(80));
        assert_eq!(rto.after(0), ms(80 + 4 * 40));
        rto.measure(ms(160));
        assert_eq!(rto.after(0), ms(90 + 4 * 50));
        for _ in 0..100 {
            rto.measure(ms(1));
        }
        assert_eq!(rto.after(0), timing::TELL_RETRY);
    }

    #[test]
    fn each_timeout_in_vain_doubles_the_next_up_to_a_bound() {
        let rto = Rto::new(None);
        let timeouts: Vec<Duration> = (0..6).map(|n| rto.after(n)).collect();
        assert_eq!(timeouts, [50, 100, 200, 400, 500, 500].map(ms));
        assert_eq!(rto.after(u8::MAX), ms(500));
    }

    #[test]
    fn an_acknowledgement_of_what_was_repeated_measures_nothing() {
        let mut rto = Rto::new(None);
        rto.measure(ms(2));
        for _ in 0..5 {
            rto.pass();
        }
        assert_eq!(rto.after(0), timing::TELL_RETRY);
    }

    #[test]
    fn round_trips_that_have_become_longer_than_it_are_measured_in_the_end() {
        let mut rto = Rto::new(None);
        let (rtt, mut passed) = (ms(300), 0);
        while rto.after(0) < rtt {
            rto.pass();
            passed += 1;
        }
        assert_eq!(passed, 3 * UNMEASURED);
        rto.measure(rtt);
        assert_eq!(rto.after(0), timing::TELL_RETRY_MOST);
    }
}
