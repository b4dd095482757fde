//! Ctrl-C, or a `kill`, as a flag that a loop looks at: so that it ends in order.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Exit, Failure, note, print};

/// Whether somebody wants this command to end.
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on a signal ends nothing by itself.
    pub(crate) fn on_signals() -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let registered = signal_hook::flag::register(signal, Arc::clone(&stop));
            registered.map_err(|error| Failure::Refused(format!("signals: {error}")))?;
        }
        Ok(Self(stop))
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is to be said of an order if Ctrl-C comes just now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending(Arc<Mutex<Put>>);

#[derive(Debug, Default)]
pub(crate) enum Put {
    /// None is on its way, or its outcome was told.
    #[default]
    Nothing,
    /// It has not left yet, and this is to be said once it has.
    Begun(Interrupted),
    /// The office may have carried it out.
    Sent(Interrupted),
}

/// What is said of an order that was interrupted.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) text: String,
    pub(crate) object: Option<Value>,
}

impl Pending {
    /// From now on a signal ends the process as it always does, unless an order was sent whose outcome
    /// was not told: then that it is not known is said first, as its outcome.
    pub(crate) fn on_signals(&self) -> Result<(), Failure> {
        let refused = |error| Failure::Refused(format!("signals: {error}"));
        let mut signals =
            signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(refused)?;
        let pending = self.clone();
        let watch = move || {
            for signal in signals.forever() {
                let put = pending.lock();
                if let Put::Sent(Interrupted { text, object }) = &*put {
                    note(text);
                    // Where that can't be written the exit code still tells.
                    let _ = object.as_ref().map(print);
                    process::exit(Exit::Unknown.code().into());
                }
                // It does not return, or else the signal is none that ends anything.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(refused)?;
        Ok(())
    }

    pub(crate) fn begin(&self, interrupted: Interrupted) {
        *self.lock() = Put::Begun(interrupted);
    }

    /// To be called before the order leaves.
    pub(crate) fn sent(&self) {
        let mut put = self.lock();
        *put = match std::mem::take(&mut *put) {
            Put::Begun(interrupted) => Put::Sent(interrupted),
            other => other,
        };
    }

    /// Its outcome is known, and is told while the guard lives: no signal comes between.
    pub(crate) fn tell(&self) -> MutexGuard<'_, Put> {
        let mut put = self.lock();
        *put = Put::Nothing;
        put
    }

    fn lock(&self) -> MutexGuard<'_, Put> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
