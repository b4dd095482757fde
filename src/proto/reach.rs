//! How one peer and this node hear each other: by multicast, or by unicast only, each direction
//! for itself.
//!
//! ```text
//!   this node hears the peer    silent for `deaf`, or first heard late and warily
//!                  ┌──────────┐ ────────────────────────────────────▶ ┌──────┐
//!                  │ openly   │                                       │ deaf │ tells the peer,
//!                  └──────────┘ ◀──────────────────────────────────── └──────┘ which sends copies
//!                               heard again while it is not sure; once it is,
//!                               heard without a gap for MULTICAST_BACK
//!
//!   the peer hears this node    by its own word, which holds for `copies`; before its first word,
//!                               by how the two met
//! ```
//!
//! What goes to the group goes to a peer's own address as well while either is in doubt: a copy
//! too many costs a datagram, one too few loses what was said.
//!
//! The user is told only what is sure: a few announcements may be lost in a row, and nothing is
//! filtered. Sure it is when the peer is silent for longer ([`timing::deaf_surely`]), when several peers
//! fall silent, when the other side says the same of this one, or when copies show what has not come
//! by multicast.

use super::timing;
use crate::values::Instant;
use crate::wire::Hearing;

/// How the first words between two nodes went, for as long as the peer has not said how it hears
/// this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Met {
    /// Through the group, or not at all yet.
    #[default]
    Openly,
    /// One asked the other alone, so the group probably does not carry.
    Alone,
    /// The peer asked without knowing who is here: its user had told it the address.
    BySeed,
}

/// What a datagram that came through the group shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing new.
    AsBefore,
    /// The first one from a peer to which this node was deaf: the path carries something again.
    Something,
    /// It has carried long enough: the peer is heard by multicast from now on, and should know.
    Again,
}

/// How a peer and this node hear each other.
///
/// There is one for each of ten thousand peers, so what few need is kept elsewhere.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent findings, in as little room as there is"
)]
pub(crate) struct Reach {
    /// When it was last heard by multicast; [`Instant::NEVER`] if it never was.
    heard: Instant,
    doubt: Option<Box<Doubt>>,
    /// It is heard by unicast only.
    deaf: bool,
    /// And that is sure.
    sure: bool,
    met: Met,
    /// It has said that it hears this node by multicast, and nothing else since.
    confirmed: bool,
    /// This node's user knows that one of the two does not hear the other by multicast.
    told: bool,
}

/// What is known of a peer that does not hear multicast, or is not heard by it.
#[derive(Clone, Debug, Default)]
struct Doubt {
    /// While it is heard by unicast only: since when it is heard by multicast again.
    back: Option<Instant>,
    /// Until when its word holds that it hears this node by unicast only.
    copies_until: Option<Instant>,
    /// When it said so first, and whether it has said so again since.
    asked: Option<Instant>,
    insists: bool,
    /// While it is heard by unicast only, and not surely: so many copies came of what did not come by
    /// multicast.
    missed: u8,
}

/// What several peers together show of how this node hears, and is heard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Several {
    /// Half of those who might be heard by multicast are not, and at least two.
    pub(crate) deaf: bool,
    /// Half say that they don't hear this node so, and at least two.
    pub(crate) unheard: bool,
}

impl Default for Reach {
    fn default() -> Self {
        let (heard, doubt, met) = (Instant::NEVER, None, Met::Openly);
        Self { heard, doubt, deaf: false, sure: false, met, confirmed: false, told: false }
    }
}

impl Reach {
    /// When it was last heard by multicast, if it ever was.
    pub(crate) fn heard(&self) -> Option<Instant> {
        Some(self.heard).filter(|heard| *heard != Instant::NEVER)
    }

    fn copies_until(&self) -> Option<Instant> {
        self.doubt.as_ref()?.copies_until
    }

    fn set_back(&mut self, back: Option<Instant>) {
        if back.is_some() || self.doubt.is_some() {
            self.doubt.get_or_insert_default().back = back;
            self.tidy();
        }
    }

    fn set_copies_until(&mut self, until: Option<Instant>) {
        if until.is_some() || self.doubt.is_some() {
            let doubt = self.doubt.get_or_insert_default();
            doubt.copies_until = until;
            if until.is_none() {
                (doubt.asked, doubt.insists) = (None, false);
            }
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        self.doubt.take_if(|doubt| {
            doubt.back.is_none() && doubt.copies_until.is_none() && doubt.missed == 0
        });
    }

    fn set_missed(&mut self, missed: u8) {
        if missed > 0 || self.doubt.is_some() {
            self.doubt.get_or_insert_default().missed = missed;
            self.tidy();
        }
    }

    /// Of a peer that others tell of; `unicast`: they expect that it needs copies.
    pub(crate) fn told(unicast: bool) -> Self {
        let met = if unicast { Met::Alone } else { Met::Openly };
        Self { met, ..Self::default() }
    }

    /// This node uses no multicast, or none where it has met the peer, so it does not hear it that way:
    /// which is no news, since it never did.
    pub(crate) fn without_multicast(&mut self) {
        (self.deaf, self.sure, self.told) = (true, true, true);
    }

    /// Something came from the peer by multicast. `wary`: nobody has ever answered what went to the
    /// group, and the peer was known before; then this may be the first that a switch lets through,
    /// and other groups may have to wait.
    pub(crate) fn hear_multicast(&mut self, now: Instant, size: usize, wary: bool) -> Heard {
        let before = self.heard();
        self.heard = now;
        if wary && before.is_none() {
            (self.deaf, self.sure) = (true, true);
        }
        if self.deaf && !self.sure {
            // Some announcements were lost, nothing else.
            self.deaf = false;
            self.set_missed(0);
            self.met = Met::Openly;
            return Heard::Again;
        }
        if !self.deaf {
            // What comes by multicast one way will mostly go the other way, too; if it does not,
            // the peer will say so.
            self.met = Met::Openly;
            return Heard::AsBefore;
        }
        let gap = before.is_none_or(|before| now.since(before) > timing::deaf(size));
        let back = self.doubt.as_ref().and_then(|doubt| doubt.back);
        let Some(since) = back.filter(|_| !gap) else {
            self.set_back(Some(now));
            return Heard::Something;
        };
        if now.since(since) < timing::MULTICAST_BACK {
            return Heard::AsBefore;
        }
        (self.deaf, self.sure) = (false, false);
        self.set_back(None);
        self.set_missed(0);
        self.met = Met::Openly;
        Heard::Again
    }

    /// Whether something by multicast would be news: none came for as long as announcements are apart.
    pub(crate) fn awaits_multicast(&self, now: Instant, size: usize) -> bool {
        let lately = |heard| now.since(heard) < timing::announce(size);
        self.deaf || !self.heard().is_some_and(lately)
    }

    /// The two met by a question to one of them alone. `by_seed`: the asker did not know whom it
    /// asked.
    pub(crate) fn meet_alone(&mut self, by_seed: bool) {
        if self.heard().is_none() {
            self.met = if by_seed { Met::BySeed } else { Met::Alone };
        }
    }

    /// It answered a question that was for it alone, without a word about how it hears this node.
    pub(crate) fn answered_alone(&mut self) {
        if self.heard().is_none() && self.met == Met::Openly {
            self.met = Met::Alone;
        }
    }

    /// The peer says how it hears this node. `true` if it says only now that it does not by multicast.
    pub(crate) fn is_heard(&mut self, how: Hearing, now: Instant, size: usize) -> bool {
        match how {
            Hearing::Unicast => {
                let is_new = !self.asks_for_copies(now);
                self.set_copies_until(Some(now + timing::copies(size)));
                self.confirmed = false;
                let doubt = self.doubt.get_or_insert_default();
                let first = *doubt.asked.get_or_insert(now);
                doubt.insists |= now.since(first) >= timing::INSIST;
                return is_new;
            }
            Hearing::Multicast => {
                self.confirmed = true;
                self.set_copies_until(None);
                self.met = Met::Openly;
            }
        }
        false
    }

    /// A copy came of what the peer has announced to the group.
    pub(crate) fn copy_came(&mut self) {
        if self.deaf && !self.sure {
            let missed = self.doubt.as_ref().map_or(0, |doubt| doubt.missed);
            self.set_missed(missed.saturating_add(1));
        }
    }

    /// The peer has started again, and has said nothing yet in this run.
    pub(crate) fn restart(&mut self) {
        self.set_copies_until(None);
        (self.confirmed, self.told) = (false, self.deaf && self.told);
    }

    /// Nothing came by multicast for too long from a peer, though it and this node have been there since
    /// `since`. `true` if this node finds only now that it is deaf to it.
    pub(crate) fn miss(&mut self, since: Instant, now: Instant, size: usize) -> bool {
        let patience = match self.heard() {
            Some(_) => timing::deaf(size),
            None => timing::deaf_at_first(size),
        };
        let silent_since = self.heard().map_or(since, |heard| heard.max(since));
        if self.deaf || now.since(silent_since) <= patience {
            return false;
        }
        self.deaf = true;
        self.set_back(None);
        true
    }

    /// Nobody is heard by multicast any more, so neither is this peer. `true` if that is news.
    pub(crate) fn miss_with_all(&mut self) -> bool {
        self.sure = true;
        !std::mem::replace(&mut self.deaf, true)
    }

    /// Whether it is heard, or is not heard, as the other peers are: not where it was never to be
    /// expected.
    pub(crate) fn counts(&self) -> bool {
        self.heard().is_some() || self.deaf && !self.sure
    }

    /// Whether one of the two may not hear the other by multicast, and that is not sure yet.
    pub(crate) fn is_unsure(&self) -> bool {
        self.deaf && !self.sure || self.copies_until().is_some() && !self.told
    }

    /// When [`Reach::miss`], [`Reach::expire`] or [`Reach::has_changed`] may have something to say.
    pub(crate) fn next(&self, since: Instant, size: usize) -> Instant {
        let silent = match self.heard() {
            _ if size <= timing::FEW && self.is_unsure() => Instant::ZERO,
            _ if self.deaf => Instant::NEVER,
            Some(heard) => heard + timing::deaf(size),
            None => since + timing::deaf_at_first(size),
        };
        silent.min(self.copies_until().unwrap_or(Instant::NEVER))
    }

    /// Whether the peer's wish for copies has just run out.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let over = self.copies_until().is_some_and(|until| until <= now);
        if over {
            self.set_copies_until(None);
        }
        over
    }

    /// How this node hears the peer, if it can tell yet.
    pub(crate) fn hears(&self) -> Option<Hearing> {
        if self.deaf {
            return Some(Hearing::Unicast);
        }
        self.heard().map(|_| Hearing::Multicast)
    }

    /// Whether it is heard by unicast only.
    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// Whether what goes to the group has to go to this peer's address as well.
    pub(crate) fn wants_copies(&self, now: Instant) -> bool {
        self.met != Met::Openly || self.asks_for_copies(now)
    }

    /// Whether the peer has said of late that it needs copies.
    pub(crate) fn asks_for_copies(&self, now: Instant) -> bool {
        self.copies_until().is_some_and(|until| now < until)
    }

    /// Whether it is heard by multicast, and nothing speaks against its hearing this node so.
    pub(crate) fn is_open(&self) -> bool {
        !self.deaf && self.heard().is_some() && self.met == Met::Openly && self.doubt.is_none()
    }

    /// Whether it is sure that what goes to the group reaches the peer.
    pub(crate) fn is_sure(&self) -> bool {
        self.confirmed
    }

    /// How the two hear each other: by multicast only if both do.
    pub(crate) fn path(&self, now: Instant) -> Hearing {
        if self.deaf || self.wants_copies(now) { Hearing::Unicast } else { Hearing::Multicast }
    }

    /// Whether multicast between the two surely does not get through any more, or does again, since the
    /// last time this was asked. Both have been there since `since`.
    pub(crate) fn has_changed(
        &mut self,
        since: Instant,
        now: Instant,
        size: usize,
        several: Several,
    ) -> bool {
        let said = self.asks_for_copies(now);
        let (missed, insists) =
            self.doubt.as_ref().map_or((0, false), |doubt| (doubt.missed, doubt.insists));
        let silent_since = self.heard().map_or(since, |heard| heard.max(since));
        let silent = now.since(silent_since) > timing::deaf_surely(size);
        // When many start at once the first words of two are often lost both ways.
        let both = said && self.heard().is_some();
        self.sure |=
            self.deaf && (several.deaf || both || missed >= timing::MISSED_COPIES || silent);
        let said_surely = said && (self.deaf && self.sure || several.unheard || insists);
        let kept = self.told && self.path(now) == Hearing::Unicast;
        let filtered = self.deaf && self.sure || said_surely || kept;
        std::mem::replace(&mut self.told, filtered) != filtered
    }

    /// Whether others who hear of the peer should expect to reach it by unicast only. Having met it
    /// so is not enough: when many start at once many meet so.
    pub(crate) fn expects_unicast(&self, now: Instant) -> bool {
        self.deaf || self.asks_for_copies(now) || self.met == Met::BySeed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FEW: usize = 3;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    /// Deaf since the tenth second.
    fn deaf() -> Reach {
        let mut reach = Reach::default();
        assert!(reach.miss(at(0), at(10), FEW));
        assert!(reach.has_changed(at(0), at(10), FEW, Several { deaf: true, unheard: false }));
        reach
    }

    /// What is known when only this one peer is not heard, and hears this node.
    const NOBODY_ELSE: Several = Several { deaf: false, unheard: false };

    #[test]
    fn a_few_lost_announcements_are_made_up_for_by_copies_and_told_to_nobody() {
        let mut reach = Reach::default();
        reach.hear_multicast(at(0), FEW, false);
        assert!(reach.miss(at(0), at(10), FEW));
        assert_eq!(reach.hears(), Some(Hearing::Unicast), "it is asked for copies");
        assert!(!reach.has_changed(at(0), at(10), FEW, NOBODY_ELSE));
        assert_eq!(reach.hear_multicast(at(11), FEW, false), Heard::Again);
        assert!(!reach.is_deaf() && !reach.has_changed(at(0), at(11), FEW, NOBODY_ELSE));
    }

    #[test]
    fn that_a_peer_is_not_heard_by_multicast_is_sure_when_more_speaks_for_it() {
        let unsure = || {
            let mut reach = Reach::default();
            reach.hear_multicast(at(0), FEW, false);
            assert!(reach.miss(at(0), at(10), FEW));
            reach
        };
        let mut silent = unsure();
        assert!(silent.has_changed(at(0), at(16), FEW, NOBODY_ELSE));
        let mut copied = unsure();
        for _ in 0..timing::MISSED_COPIES {
            assert!(!copied.has_changed(at(0), at(10), FEW, NOBODY_ELSE));
            copied.copy_came();
        }
        assert!(copied.has_changed(at(0), at(10), FEW, NOBODY_ELSE));
        let mut both = unsure();
        both.is_heard(Hearing::Unicast, at(10), FEW);
        assert!(both.has_changed(at(0), at(10), FEW, NOBODY_ELSE));
    }

    #[test]
    fn who_says_that_it_does_not_hear_this_node_is_believed_when_it_insists_or_others_say_so() {
        let mut reach = Reach::default();
        reach.hear_multicast(at(0), FEW, false);
        assert!(reach.is_heard(Hearing::Unicast, at(1), FEW));
        assert!(!reach.is_heard(Hearing::Unicast, at(1), FEW), "a repetition");
        assert!(!reach.clone().has_changed(at(0), at(1), FEW, NOBODY_ELSE));
        let several = Several { deaf: false, unheard: true };
        assert!(reach.clone().has_changed(at(0), at(1), FEW, several));
        reach.is_heard(Hearing::Unicast, at(2), FEW);
        assert!(reach.has_changed(at(0), at(2), FEW, NOBODY_ELSE));
        reach.is_heard(Hearing::Multicast, at(3), FEW);
        assert!(reach.has_changed(at(0), at(3), FEW, NOBODY_ELSE));
    }

    #[test]
    fn who_is_heard_by_multicast_is_not_sent_copies_until_it_asks_for_them() {
        let mut reach = Reach::default();
        assert_eq!(reach.hears(), None);
        reach.meet_alone(false);
        assert!(reach.wants_copies(at(0)));
        assert_eq!(reach.hear_multicast(at(1), FEW, false), Heard::AsBefore);
        assert!(!reach.wants_copies(at(1)));
        assert_eq!(reach.hears(), Some(Hearing::Multicast));
        assert!(!reach.is_sure());
        reach.is_heard(Hearing::Multicast, at(2), FEW);
        assert!(reach.is_sure());
        reach.is_heard(Hearing::Unicast, at(2), FEW);
        assert!(reach.wants_copies(at(2)) && !reach.is_sure());
        assert_eq!(reach.path(at(2)), Hearing::Unicast);
        let later = at(2) + timing::copies(FEW);
        assert!(!reach.wants_copies(later) && reach.expire(later) && !reach.expire(later));
    }

    #[test]
    fn silence_in_the_group_is_told_once() {
        let mut reach = Reach::default();
        assert!(!reach.miss(at(0), at(0) + timing::deaf_at_first(FEW), FEW));
        assert!(reach.miss(at(0), at(10), FEW));
        assert!(!reach.miss(at(0), at(20), FEW));
        assert_eq!(reach.hears(), Some(Hearing::Unicast));
    }

    #[test]
    fn multicast_that_is_back_is_trusted_after_a_while_without_a_gap() {
        let mut reach = deaf();
        assert_eq!(reach.hear_multicast(at(20), FEW, false), Heard::Something);
        assert_eq!(reach.hear_multicast(at(22), FEW, false), Heard::AsBefore);
        let gap = at(22) + timing::deaf(FEW) + Duration::from_secs(1);
        assert_eq!(reach.hear_multicast(gap, FEW, false), Heard::Something);
        let mut now = gap;
        while now.since(gap) + Duration::from_secs(2) < timing::MULTICAST_BACK {
            now = now + Duration::from_secs(2);
            assert_eq!(reach.hear_multicast(now, FEW, false), Heard::AsBefore);
            assert!(reach.is_deaf());
        }
        now = now + Duration::from_secs(2);
        assert_eq!(reach.hear_multicast(now, FEW, false), Heard::Again);
        assert_eq!(reach.path(now), Hearing::Multicast);
    }

    #[test]
    fn the_first_multicast_is_not_trusted_by_the_wary() {
        let mut reach = Reach::default();
        assert_eq!(reach.hear_multicast(at(1), FEW, true), Heard::Something);
        assert!(reach.is_deaf());
        // Having heard it once, there is nothing to be wary of.
        let mut reach = Reach::default();
        reach.hear_multicast(at(1), FEW, false);
        assert_eq!(reach.hear_multicast(at(2), FEW, true), Heard::AsBefore);
        assert!(!reach.is_deaf());
    }

    #[test]
    fn others_are_warned_of_the_deaf_and_of_seeds_but_not_of_who_was_met_in_a_crowd() {
        let mut reach = Reach::default();
        reach.meet_alone(false);
        assert!(!reach.expects_unicast(at(0)));
        reach.meet_alone(true);
        assert!(reach.expects_unicast(at(0)));
        reach.is_heard(Hearing::Multicast, at(0), FEW);
        assert!(!reach.expects_unicast(at(0)));
        assert!(deaf().expects_unicast(at(10)));
    }
}
