//! Who may have which seat: the rules of the sale and nothing else. No database, no network, no clock.
//!
//! A seat is given to nobody who finds it somebody else's, and an order is granted for all of its seats
//! or for none.

use std::time::Duration;

use crate::words::{Deed, No};

/// What holds for every show of the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How long a hold lasts.
    pub(crate) hold: Duration,
    /// Seats that one buyer holds in one night at most.
    pub(crate) most: usize,
}

/// Whose a seat is, as the one who orders sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Nobody,
    Another,
    /// The buyer, who only holds it.
    Holder,
    /// The buyer, who has bought it.
    Buyer,
}

impl Rules {
    /// Whether an order about these seats is granted. `besides`: how many others the buyer holds that
    /// night.
    pub(crate) fn grant(
        &self,
        deed: Deed,
        seats: &[(String, Owner)],
        besides: usize,
    ) -> Result<(), No> {
        let of = |owners: &[Owner]| -> Vec<String> {
            let those = seats.iter().filter(|(_, owner)| owners.contains(owner));
            those.map(|(seat, _)| seat.clone()).collect()
        };
        if seats.is_empty() {
            return Err(No::Nothing);
        }
        match deed {
            Deed::Hold => {
                none_of(of(&[Owner::Buyer]), |seats| No::Bought { seats })?;
                none_of(of(&[Owner::Another]), |seats| No::Taken { seats })?;
                let fits = besides + seats.len() <= self.most;
                if fits { Ok(()) } else { Err(No::TooMany { most: self.most }) }
            }
            Deed::Book => none_of(of(&[Owner::Another]), |seats| No::Taken { seats }),
            Deed::Cancel => {
                none_of(of(&[Owner::Nobody, Owner::Another]), |seats| No::NotYours { seats })
            }
        }
    }
}

fn none_of(seats: Vec<String>, no: fn(Vec<String>) -> No) -> Result<(), No> {
    if seats.is_empty() { Ok(()) } else { Err(no(seats)) }
}
