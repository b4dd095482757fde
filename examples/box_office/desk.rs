//! A buyer's way to the office: finds it by its service, asks, and asks again until there is an answer.
//!
//! The office may be killed between taking a question in and answering it, and come back as another
//! run of the same node. So what changes anything bears a number of the buyer's, and is asked again
//! under the same number, of the same office and no other.

use std::thread;
use std::time::{Duration, Instant};

use cooee::values::duration;
use cooee::{Answer, NoAnswer, Node, NodeId};

use crate::failure::Failure;
use crate::stop::Pending;
use crate::words::{Reply, Request, channel, outgoing};

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
    /// Is told that an order leaves.
    pending: Pending,
}

impl<'a> Desk<'a> {
    /// The desk for a show, of this office if it is named and otherwise of whichever is there.
    pub(crate) fn of(node: &'a Node, show: &str, office: Option<NodeId>) -> Result<Self, Failure> {
        let no_name = || Failure::Usage("that can't be the name of a show".to_owned());
        let service = channel(show).ok_or_else(no_name)?.as_str().to_owned();
        Ok(Self { node, service, office, pending: Pending::default() })
    }

    /// With somebody to be told that an order leaves.
    pub(crate) fn telling(self, pending: &Pending) -> Self {
        Self { pending: pending.clone(), ..self }
    }

    /// The office, once one was found.
    pub(crate) fn office(&self) -> Option<NodeId> {
        self.office
    }

    /// The office's answer, however often it has to be asked within `wait`.
    ///
    /// # Errors
    /// [`Failure::Unknown`] says that an order may have been carried out; all others, that it was not.
    pub(crate) fn ask(&mut self, request: &Request, wait: Duration) -> Result<Reply, Failure> {
        let until = Instant::now() + wait;
        let left = || until.saturating_duration_since(Instant::now());
        let question = outgoing("for the box office".to_owned(), request);
        let question = question.map_err(|error| Failure::Usage(error.to_string()))?;
        let (mut patience, mut tries) = (FIRST_TRY, Tries::None);
        loop {
            let office = self.find(left())?.filter(|_| !left().is_zero());
            let Some(office) = office else { return Err(tries.failure(request, wait)) };
            self.pending.sent();
            match self.node.ask_one(office, question.clone(), patience.min(left())) {
                Ok(answer) => return understood(answer, request),
                Err(NoAnswer::Stopped(error)) => {
                    tries.add(&NoAnswer::Stopped(error));
                    return Err(tries.failure(request, wait));
                }
                Err(NoAnswer::Refused(error)) => return Err(Failure::Usage(error.to_string())),
                Err(error) => tries.add(&error),
            }
            patience = LATER_TRIES;
            thread::sleep(PAUSE.min(left()));
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

/// What came of the tries so far.
enum Tries {
    None,
    /// The office has let each pass: it does not sell at the moment.
    Passed,
    /// One may have reached it, and for this reason there was no answer.
    Unanswered(String),
}

impl Tries {
    fn add(&mut self, error: &NoAnswer) {
        match error {
            NoAnswer::Nobody if matches!(self, Self::Unanswered(_)) => {}
            NoAnswer::Nobody => *self = Self::Passed,
            error => *self = Self::Unanswered(error.to_string()),
        }
    }

    fn failure(&self, request: &Request, wait: Duration) -> Failure {
        let wait = duration::show(wait);
        match (self, request) {
            (Self::None, _) => Failure::No(format!(
                "no office that sells this was found within {wait}; `box_office shows` lists what is sold"
            )),
            (Self::Passed, _) => Failure::No(
                "the office is here, but sells nothing at the moment; try again".to_owned(),
            ),
            (Self::Unanswered(why), Request::Order(_)) => Failure::Unknown(format!(
                "the office did not answer within {wait} ({why}); whether it has carried the order out is \
                 not known: look at `box_office seats` before ordering again"
            )),
            (Self::Unanswered(why), Request::Shows | Request::Seats(_)) => {
                Failure::No(format!("the office did not answer within {wait} ({why}); try again"))
            }
        }
    }
}

/// What the office has answered. Of an order that it has answered in other words it is not known whether
/// it was carried out.
fn understood(answer: Answer, request: &Request) -> Result<Reply, Failure> {
    let read = match answer.data {
        Some(data) => data.read().map_err(|error| error.to_string()),
        None => Err("it is empty".to_owned()),
    };
    read.map_err(|why| {
        let text = format!("the office's answer is not understood ({why}): is it of this version?");
        match request {
            Request::Order(_) => Failure::Unknown(text),
            Request::Shows | Request::Seats(_) => Failure::Refused(text),
        }
    })
}
