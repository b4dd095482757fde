//! Ctrl-C, or a `kill`, as a flag that a loop looks at: so that it ends in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

/// Whether somebody wants this command to end.
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on a signal ends nothing by itself.
    pub(crate) fn on_signals() -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let registered = signal_hook::flag::register(signal, Arc::clone(&stop));
            registered.map_err(|error| Failure::Refused(format!("signals: {error}")))?;
        }
        Ok(Self(stop))
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
