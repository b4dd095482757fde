//! Receipts as objects, and back.

use std::time::Duration;

use serde::Serialize;

use super::asking::{Members, Peer};
use super::line;
use crate::agent::roll_call::{Confirmed, Receipt};
use crate::agent::survey::Who;
use crate::values::PeerText;

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Object {
    Receipt {
        #[serde(skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
        id: String,
        nick: String,
        rtt_ms: f64,
    },
    Confirmed {
        #[serde(skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
        received: usize,
        expected: usize,
        missing: Vec<Peer>,
    },
    Unconfirmed {
        missing: Vec<Peer>,
    },
}

/// A peer has what was said; on the control socket with the number of the request.
pub(crate) fn receipt(receipt: &Receipt, n: Option<u64>) -> String {
    line(&Object::Receipt {
        n,
        id: receipt.from.to_string(),
        nick: receipt.nick.raw().to_owned(),
        rtt_ms: receipt.took.as_micros() as f64 / 1_000.0,
    })
}

/// What came of a confirmation.
pub(crate) fn confirmed(confirmed: &Confirmed, n: Option<u64>) -> String {
    line(&Object::Confirmed {
        n,
        received: confirmed.received,
        expected: confirmed.expected,
        missing: confirmed.missing.iter().map(|(id, nick)| Peer::of(*id, nick)).collect(),
    })
}

/// Who may not have what was said, where nobody has asked for more than that it arrives.
pub(crate) fn unconfirmed(missing: &[Who]) -> String {
    let missing = missing.iter().map(|(id, nick)| Peer::of(*id, nick)).collect();
    line(&Object::Unconfirmed { missing })
}

/// One of these lines, read again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Receipt(Receipt),
    Confirmed(Confirmed),
}

/// Reads a line; `None` if it is none of these.
pub(crate) fn read(line: &str) -> Option<Read> {
    let members: Members = serde_json::from_slice(line.as_bytes()).ok()?;
    match members.event.as_str() {
        "receipt" => Some(Read::Receipt(Receipt {
            from: members.id?.parse().ok()?,
            nick: PeerText::new(members.nick?),
            took: Duration::try_from_secs_f64(members.rtt_ms? / 1_000.0).unwrap_or_default(),
        })),
        "confirmed" => {
            let missing = members.missing?.into_iter().map(Peer::who).collect::<Option<_>>()?;
            let (received, expected) = (members.received?, members.expected?);
            Some(Read::Confirmed(Confirmed { received, expected, missing }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::NodeId;

    fn a_receipt() -> Receipt {
        let took = Duration::from_micros(1_200);
        Receipt { from: NodeId([3; 32]), nick: "web1\u{202e}".into(), took }
    }

    fn a_summary() -> Confirmed {
        let missing = vec![(NodeId([3; 32]), "web1".into())];
        Confirmed { received: 3, expected: 4, missing }
    }

    #[test]
    fn a_receipt_and_the_end_are_lines_with_promised_members() {
        let id = NodeId([3; 32]);
        assert_eq!(
            receipt(&a_receipt(), None),
            format!(r#"{{"event":"receipt","id":"{id}","nick":"web1\u202e","rtt_ms":1.2}}"#)
        );
        assert_eq!(
            confirmed(&a_summary(), None),
            format!(
                r#"{{"event":"confirmed","received":3,"expected":4,"missing":[{{"id":"{id}","nick":"web1"}}]}}"#
            )
        );
        assert_eq!(
            unconfirmed(&a_summary().missing),
            format!(r#"{{"event":"unconfirmed","missing":[{{"id":"{id}","nick":"web1"}}]}}"#)
        );
        assert!(confirmed(&a_summary(), Some(9)).starts_with(r#"{"event":"confirmed","n":9,"#));
    }

    #[test]
    fn what_was_printed_is_read_again() {
        for n in [None, Some(9)] {
            assert_eq!(read(&receipt(&a_receipt(), n)), Some(Read::Receipt(a_receipt())));
            assert_eq!(read(&confirmed(&a_summary(), n)), Some(Read::Confirmed(a_summary())));
        }
        for other in ["", "{}", r#"{"event":"answer"}"#, r#"{"event":"receipt","id":"x"}"#] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
