//! How far a scenario has come, for whoever waits for it.

/// What happens at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Hosts start: how many of them know everyone.
    Start,
    /// They stay: for how many seconds.
    Stay,
    /// Some have crashed: how many of these everyone knows to be dead.
    Crash,
    /// One joins: how many know it.
    Join,
    /// Some have left: how many know everyone who has stayed.
    Leave,
    /// Two halves are one again: how many know everyone.
    Heal,
}

/// How far a phase has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub phase: Phase,
    /// So many, see [`Phase`].
    pub done: usize,
    /// Of so many.
    pub of: usize,
}
