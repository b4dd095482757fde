//! From settings to a driver that is ready for its first turn.

use std::io;
use std::sync::Arc;

use mio::{Poll, Waker};

use super::driver::{self, Driver};
use super::known::Whereabouts;
use super::memory::Memory;
use super::spoken::Spoken;
use super::{Options, StartError, identity};
use crate::net::{self, Clock, OpenOptions, Sockets, entropy};
use crate::proto::{Command, Config, Engine, Input};
use crate::values::{Epoch, NodeId};
use crate::wire::Secret;

/// A node that has not had its first turn.
pub(super) struct Ready {
    pub(super) driver: Driver,
    pub(super) waker: Waker,
    pub(super) id: NodeId,
    pub(super) epoch: Epoch,
    pub(super) warnings: Vec<String>,
    pub(super) clock: Clock,
}

pub(super) fn prepare(options: Options) -> Result<Ready, StartError> {
    let all = net::interfaces().map_err(system("the list of interfaces"))?;
    let links = net::choose(&all, &options.interfaces)?;
    let mut sockets = Sockets::open(&OpenOptions {
        port: options.group.port(),
        reachable: !options.visitor,
        ttl: options.ttl.max(1),
        multicast: !options.no_multicast,
        receive_buffer: OpenOptions::RECEIVE_BUFFER,
    })?;
    let poll = Poll::new().map_err(system("a poll"))?;
    let waker = Waker::new(poll.registry(), driver::WAKER).map_err(system("a waker"))?;
    sockets.register(poll.registry(), driver::SOCKETS).map_err(system("to watch the sockets"))?;
    sockets.set_links(&links); // no group is joined yet, so nothing can fail
    let (folder, key) = (options.state_dir.as_deref(), options.key.as_deref());
    let kept = if options.same {
        identity::load_same(folder, key)?
    } else {
        identity::load(folder, key).map_err(system("randomness"))?
    };
    let (id, epoch) = (kept.identity.id(), kept.epoch);
    let clock = Clock::new();
    let secret = secret(&options)?;
    let spoken = kept.spoken.map(|path| Spoken::load(path, id, options.group, epoch));
    let config = Config {
        identity: kept.identity,
        epoch,
        group: options.group,
        profile: Arc::new(options.profile),
        visitor: options.visitor,
        discover: !options.blind,
        multicast: !options.no_multicast,
        echo: options.echo,
        keep: options.keep,
        recall: options.recall.min(crate::values::limits::RECALL),
        seeds: options.seeds,
        secret,
        earlier: spoken.as_ref().map(|spoken| spoken.earlier(Clock::wall())).unwrap_or_default(),
        randomness: entropy().map_err(system("randomness"))?,
    };
    let mut engine = Engine::new(config, clock.now());
    for channel in options.channels {
        engine.handle(clock.now(), Input::Command(Command::Join(channel)));
    }
    // Who looks for nobody needs to know of no place either.
    let whereabouts = (!options.blind)
        .then(|| Whereabouts::new(options.state_dir.as_deref(), options.group, !options.visitor));
    let (wanted, memory) = (options.interfaces, Memory { whereabouts, spoken, _lock: kept.lock });
    let driver = Driver::new(engine, sockets, poll, clock, wanted, memory);
    Ok(Ready { driver, waker, id, epoch, warnings: kept.warnings, clock })
}

pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

fn secret(options: &Options) -> Result<Option<Secret>, StartError> {
    let Some(shared) = &options.secret else { return Ok(None) };
    let too_long = || io::Error::other("the group's secret is too long");
    let secret = Secret::derive(shared, options.group).ok_or_else(too_long);
    secret.map(Some).map_err(system("a key"))
}
