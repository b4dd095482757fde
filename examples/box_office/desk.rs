//! A buyer's way to the office: finds it by its service, asks, and asks again until there is an answer.
//!
//! The office may be killed between taking a question in and answering it, and come back as another
//! run of the same node. So what changes anything bears a number of the buyer's, and is asked again
//! under the same number, of the same office and no other.

use std::thread;
use std::time::{Duration, Instant};

use cooee::values::duration;
use cooee::{NoAnswer, Node, NodeId};

use crate::failure::Failure;
use crate::words::{Reply, Request, channel, say};

/// An answer that takes longer has probably been lost together with the office that owed it; or else
/// the office has much to do, so further tries wait longer.
const FIRST_TRY: Duration = Duration::from_secs(1);

const LATER_TRIES: Duration = Duration::from_secs(2);

/// Between one try and the next.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Desk<'a> {
    node: &'a Node,
    /// The show's name on the network, as a service and as a channel.
    service: String,
    /// The office that sells the show, once it is known.
    office: Option<NodeId>,
}

impl<'a> Desk<'a> {
    /// The desk for a show, of this office if it is named and otherwise of whichever is there.
    pub(crate) fn of(node: &'a Node, show: &str, office: Option<NodeId>) -> Result<Self, Failure> {
        let no_name = || Failure::Usage("that can't be the name of a show".to_owned());
        let service = channel(show).ok_or_else(no_name)?.as_str().to_owned();
        Ok(Self { node, service, office })
    }

    /// The office, once one was found.
    pub(crate) fn office(&self) -> Option<NodeId> {
        self.office
    }

    /// The office's answer, however often it has to be asked within `wait`.
    pub(crate) fn ask(&mut self, request: &Request, wait: Duration) -> Result<Reply, Failure> {
        let until = Instant::now() + wait;
        let question = say("for the box office".to_owned(), request);
        let question = question.map_err(|error| Failure::Usage(format!("the request: {error}")))?;
        let (mut last, mut patience) = (None, FIRST_TRY);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let office = self.find(left)?.filter(|_| !left.is_zero());
            let Some(office) = office else { return Err(nobody(wait, last.as_ref())) };
            match self.node.ask_one(office, question.clone(), patience.min(left)) {
                Ok(answer) => {
                    let data = answer.data.ok_or_else(|| not_understood(&"it is empty"))?;
                    return data.read().map_err(|error| not_understood(&error));
                }
                Err(NoAnswer::Stopped(error)) => return Err(error.into()),
                Err(NoAnswer::Refused(error)) => return Err(Failure::Usage(error.to_string())),
                // Whether the office has done it is not known: it is asked again.
                Err(error) => last = Some(error),
            }
            patience = LATER_TRIES;
            thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn find(&mut self, wait: Duration) -> Result<Option<NodeId>, Failure> {
        let (service, wanted) = (self.service.as_str(), self.office);
        let is_it = |peer: &cooee::PeerInfo| {
            peer.offers(service) && wanted.is_none_or(|office| office == peer.id)
        };
        let found = self.node.wait_for_peer(wait, is_it)?.map(|peer| peer.id);
        if wanted.is_none() && found.is_some() {
            let peers = self.node.peers()?.into_iter().filter(is_it);
            let offices: Vec<String> = peers.map(|peer| peer.id.to_string()).collect();
            if offices.len() > 1 {
                let text = "several offices say that they sell this; name the right one: --office";
                return Err(Failure::No(format!("{text} {}", offices.join(" or "))));
            }
        }
        // From here on it is this office or none: another one would not know the numbers of our orders.
        self.office = self.office.or(found);
        Ok(found)
    }
}

fn nobody(wait: Duration, last: Option<&NoAnswer>) -> Failure {
    let wait = duration::show(wait);
    Failure::No(match last {
        Some(why) => format!(
            "the office did not answer within {wait} ({why}); whether it has done it is not known: look at \
             `box_office seats`"
        ),
        None => format!(
            "no office that sells this was found within {wait}; `box_office shows` lists what is sold"
        ),
    })
}

fn not_understood(why: &dyn std::fmt::Display) -> Failure {
    Failure::Refused(format!(
        "the office's answer is not understood ({why}): is it of this version?"
    ))
}
