//! The options of the agent's line gateway, from the command line, the environment and the
//! configuration file.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::exit::Failure;
use super::{args, duration};
use crate::agent::{GatewayOptions, is_private};
use crate::values::Escaped;

/// How long a client may type nothing, unless said otherwise.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// An option as written, and where.
type Written<T> = Option<(T, String)>;

/// The options as the environment and the configuration file have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Defaults {
    pub(super) tcp: Written<String>,
    pub(super) public: bool,
    pub(super) idle: Written<String>,
}

/// The gateway that is wanted; `None` for none.
pub(super) fn resolve(
    typed: &args::Agent,
    defaults: &Defaults,
) -> Result<Option<GatewayOptions>, Failure> {
    let typed_as = |text: &Option<String>, name: &str| {
        text.as_ref().map(|text| (text.clone(), name.to_owned()))
    };
    let idle = match typed_as(&typed.tcp_idle, "--tcp-idle").or_else(|| defaults.idle.clone()) {
        None => IDLE,
        Some((text, origin)) => {
            duration::parse(&text).map_err(|why| Failure::Usage(format!("{origin}: {why}")))?
        }
    };
    let Some((text, origin)) = typed_as(&typed.tcp, "--tcp").or_else(|| defaults.tcp.clone())
    else {
        return Ok(None);
    };
    let addr = address(&text).ok_or_else(|| {
        let text = Escaped::of(&text);
        Failure::Usage(format!("{origin}: '{text}' is not ADDR:PORT; for example 127.0.0.1:3000"))
    })?;
    if !(is_private(addr.ip()) || typed.tcp_public || defaults.public) {
        return Err(Failure::Usage(format!(
            "{origin}: at {addr} others than this host's users can come in, and everything is sent \
             in the clear; say 127.0.0.1:{} instead, or --tcp-public if that is wanted",
            addr.port()
        )));
    }
    Ok(Some(GatewayOptions { addr, idle: (!idle.is_zero()).then_some(idle) }))
}

/// Reads `ADDR:PORT`; `localhost` is this host, and so is a port alone.
fn address(text: &str) -> Option<SocketAddr> {
    let here = |port: &str| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)));
    match text.strip_prefix("localhost:") {
        Some(port) => here(port),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => here(text),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn of(tcp: &str, public: bool) -> Result<Option<GatewayOptions>, Failure> {
        let typed =
            args::Agent { tcp: Some(tcp.to_owned()), tcp_public: public, ..args::Agent::default() };
        resolve(&typed, &Defaults::default())
    }

    #[test]
    fn without_an_address_there_is_no_gateway() {
        assert!(resolve(&args::Agent::default(), &Defaults::default()).unwrap().is_none());
    }

    #[test]
    fn this_hosts_own_addresses_are_fine_in_every_spelling() {
        for (text, addr) in [
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("127.0.0.7:0", "127.0.0.7:0"),
            ("localhost:3000", "127.0.0.1:3000"),
            ("3000", "127.0.0.1:3000"),
            ("[::1]:3000", "[::1]:3000"),
        ] {
            let options = of(text, false).unwrap().unwrap();
            assert_eq!((options.addr, options.idle), (addr.parse().unwrap(), Some(IDLE)));
        }
    }

    #[test]
    fn others_are_let_in_only_where_that_was_said() {
        for text in ["0.0.0.0:3000", "10.0.0.1:3000", "[::]:3000", "[::ffff:127.0.0.1]:3000"] {
            let error = of(text, false).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.to_string().contains("--tcp-public"), "{error}");
            assert!(of(text, true).unwrap().is_some());
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for bad in ["", "here", "127.0.0.1", "127.0.0.1:", "localhost:x", "127.0.0.1:70000", "\x1b"]
        {
            let error = of(bad, true).unwrap_err().to_string();
            assert!(error.contains("127.0.0.1:3000") && !error.contains('\x1b'), "{error}");
        }
    }

    #[test]
    fn what_is_typed_goes_before_what_is_configured_and_zero_is_for_ever() {
        let written = |text: &str| Some((text.to_owned(), "COOEE_X".to_owned()));
        let defaults = Defaults { tcp: written("10.0.0.1:1"), public: true, idle: written("0s") };
        let options = resolve(&args::Agent::default(), &defaults).unwrap().unwrap();
        assert_eq!((options.addr, options.idle), ("10.0.0.1:1".parse().unwrap(), None));
        let typed = args::Agent {
            tcp: Some("3000".to_owned()),
            tcp_idle: Some("5m".to_owned()),
            ..args::Agent::default()
        };
        let options = resolve(&typed, &defaults).unwrap().unwrap();
        assert_eq!(options.addr.port(), 3000);
        assert_eq!(options.idle, Some(Duration::from_secs(300)));
        let wrong = Defaults { idle: written("soon"), ..defaults };
        let error = resolve(&args::Agent::default(), &wrong).unwrap_err().to_string();
        assert!(error.starts_with("COOEE_X: "), "{error}");
    }
}
