//! Where steps may connect, and the only way in which they resolve names and open connections.
//!
//! Whoever may create an Operation may make the controller connect. So in a cluster the machine itself, its network segment
//! and the metadata service of its cloud are out of bounds unless `--egress-allow` opens them. The guard looks at addresses,
//! after DNS; the addresses that [`Egress::resolve`] returns are the ones that are connected to, so a name that
//! resolves differently the next time gains nothing.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::address::{self, Reserved};

/// What `--egress-allow` opens: a network, a host name, or all names under a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressAllow {
    /// `127.0.0.0/8`, `fd00:ec2::254`: these addresses, however a host is named.
    Network(IpNet),
    /// `metrics.local`: the addresses of this name; lower case.
    Host(String),
    /// `*.local`: the addresses of every name that ends in `.local`; lower case, without `*.`.
    Domain(String),
}

/// A value of `--egress-allow` that is neither an address, a network nor a host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} opens nothing: {reason}")]
pub struct EgressAllowError {
    value: String,
    reason: &'static str,
}

impl FromStr for EgressAllow {
    type Err = EgressAllowError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Network(address.into()));
        }
        if let Ok(network) = value.parse::<IpNet>() {
            return Ok(Self::Network(network.trunc()));
        }
        let name = value.strip_suffix('.').unwrap_or(value).to_ascii_lowercase();
        let (suffix, name) = match name.strip_prefix("*.") {
            Some(suffix) => (true, suffix),
            None => (false, name.as_str()),
        };
        refuse_unless_host_name(name).map_err(|reason| EgressAllowError {
            value: value.to_owned(),
            reason,
        })?;
        Ok(if suffix {
            Self::Domain(name.to_owned())
        } else {
            Self::Host(name.to_owned())
        })
    }
}

fn refuse_unless_host_name(name: &str) -> Result<(), &'static str> {
    if name.contains("://") {
        return Err("write the host alone, without scheme and path");
    }
    if name.contains('/') {
        return Err("this is no network; one looks like 10.0.0.0/8 or fd00::/8");
    }
    if name.contains(':') {
        return Err("write the host alone, without port");
    }
    if name == "*" {
        return Err("to open every address write 0.0.0.0/0 and ::/0");
    }
    let plain = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if !name.split('.').all(plain) {
        return Err("write an address, a network such as 127.0.0.0/8, a host name, or *.domain");
    }
    if name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err("an address has four numbers up to 255, such as 127.0.0.1");
    }
    Ok(())
}

impl EgressAllow {
    fn opens(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(&address),
            Self::Host(name) => host == name,
            Self::Domain(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

/// An address that the guard refused to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reserved}, which steps may not reach; start thermostat with --egress-allow {address} to open it", Subject { host, address })]
pub struct Refusal {
    /// As the step named it.
    pub host: String,
    pub address: IpAddr,
    pub reserved: Reserved,
}

/// The beginning of a sentence about an address: "HOST resolves to ADDRESS, " or, where the step named the address itself, "ADDRESS is ".
struct Subject<'a> {
    host: &'a str,
    address: &'a IpAddr,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.parse::<IpAddr>().is_ok() {
            write!(f, "{} is ", self.address)
        } else {
            write!(f, "{} resolves to {}, ", self.host, self.address)
        }
    }
}

/// Why a host could not be turned into addresses to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("failed to resolve host {host}: {source}")]
    Lookup { host: String, source: io::Error },
    #[error("failed to resolve host {host}: the name has no address")]
    NoAddress { host: String },
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("failed to connect to {address}: {source}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("failed to connect to {host}:{port} within {after:?}")]
    TimedOut { host: String, port: u16, after: Duration },
}

/// Where names come from.
pub(crate) trait Names: Send + Sync {
    /// The addresses of `host`, a name or an address.
    fn addresses(&self, host: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>>;
}

/// The machine's own resolver.
struct SystemNames;

impl Names for SystemNames {
    fn addresses(&self, host: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((host.as_str(), 0))
                .await?
                .map(|address| address.ip())
                .collect())
        })
    }
}

/// The policy that every outgoing connection of a step obeys. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    guarded: bool,
    allow: Arc<[EgressAllow]>,
    names: Arc<dyn Names>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("guarded", &self.guarded)
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

impl Egress {
    /// For a controller in a cluster: reserved addresses are refused, except for what `allow` opens.
    #[must_use]
    pub fn guarded(allow: impl IntoIterator<Item = EgressAllow>) -> Self {
        Self {
            guarded: true,
            allow: allow.into_iter().collect(),
            names: Arc::new(SystemNames),
        }
    }

    /// For `thermostat run`, where whoever writes the runbook is whoever runs it: nothing is refused.
    #[must_use]
    pub fn open() -> Self {
        Self {
            guarded: false,
            allow: Arc::new([]),
            names: Arc::new(SystemNames),
        }
    }

    #[cfg(test)]
    pub(crate) fn with_names(mut self, names: impl Names + 'static) -> Self {
        self.names = Arc::new(names);
        self
    }

    /// May a step connect to `address`, which it calls `host`?
    ///
    /// # Errors
    /// The refusal, if the address is reserved and nothing opens it.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), Refusal> {
        if !self.guarded {
            return Ok(());
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let opened = |form| {
            self.allow
                .iter()
                .any(|allow| allow.opens(&name, address) || allow.opens(&name, form))
        };
        match address::reserved(address).into_iter().find(|(form, _)| !opened(*form)) {
            None => Ok(()),
            Some((_, reserved)) => Err(Refusal {
                host: host.to_owned(),
                address,
                reserved,
            }),
        }
    }

    /// The addresses of `host` (a name or an address, IPv6 without brackets) that a step may connect to, in the resolver's order; never empty.
    ///
    /// # Errors
    /// If the name does not resolve, or every one of its addresses is refused.
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.names.addresses(host.to_owned()).await.map_err(|source| ResolveError::Lookup {
                host: host.to_owned(),
                source,
            })?,
        };
        let mut refusal = None;
        let mut admitted = Vec::with_capacity(found.len());
        for address in found {
            match self.check(host, address) {
                Ok(()) => admitted.push(address),
                Err(refused) => refusal = refusal.or(Some(refused)),
            }
        }
        match refusal {
            _ if !admitted.is_empty() => Ok(admitted),
            Some(refusal) => Err(refusal.into()),
            None => Err(ResolveError::NoAddress { host: host.to_owned() }),
        }
    }

    /// Opens a TCP connection to the first address of `host` that answers, within `timeout` for all of them together.
    ///
    /// # Errors
    /// If the host does not resolve, is refused by the guard, or no address could be connected to; then the error is that of the last address tried.
    pub async fn tcp_connect(&self, host: &str, port: u16, timeout: Duration) -> Result<TcpStream, ConnectError> {
        let timed_out = || ConnectError::TimedOut {
            host: host.to_owned(),
            port,
            after: timeout,
        };
        match tokio::time::timeout(timeout, self.connect_in_turn(host, port, timeout)).await {
            Ok(Ok(Some(stream))) => Ok(stream),
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) | Err(_) => Err(timed_out()),
        }
    }

    /// Each address gets its share of the time that is left, so that one that swallows packets does not take it all. `None`: the last one took too long.
    async fn connect_in_turn(&self, host: &str, port: u16, timeout: Duration) -> Result<Option<TcpStream>, ConnectError> {
        let started = Instant::now();
        let addresses = self.resolve(host).await?;
        let mut outcome = Ok(None);
        for (tried, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, port);
            let share = timeout.saturating_sub(started.elapsed()) / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            outcome = match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(Some(stream)),
                Ok(Err(source)) => Err(ConnectError::Connect { address, source }),
                Err(_) => Ok(None),
            };
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    fn allow(values: &[&str]) -> Egress {
        Egress::guarded(values.iter().map(|value| value.parse().unwrap()))
    }

    #[test]
    fn egress_allow_takes_an_address_a_network_a_host_or_a_domain() {
        for (value, expected) in [
            ("127.0.0.1", EgressAllow::Network("127.0.0.1/32".parse().unwrap())),
            ("127.0.0.1/8", EgressAllow::Network("127.0.0.0/8".parse().unwrap())),
            ("::1", EgressAllow::Network("::1/128".parse().unwrap())),
            ("[::1]", EgressAllow::Network("::1/128".parse().unwrap())),
            ("fe80::/10", EgressAllow::Network("fe80::/10".parse().unwrap())),
            ("LocalHost", EgressAllow::Host("localhost".to_owned())),
            ("metrics.local.", EgressAllow::Host("metrics.local".to_owned())),
            ("*.Local", EgressAllow::Domain("local".to_owned())),
        ] {
            assert_eq!(value.parse(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn egress_allow_says_what_to_write_instead() {
        for (value, hint) in [
            ("", "host name"),
            ("*", "0.0.0.0/0"),
            ("http://localhost", "without scheme"),
            ("localhost:80", "without port"),
            ("10.0.0.0/33", "no network"),
            ("127.1", "four numbers"),
            ("a..b", "host name"),
            ("*.*.local", "host name"),
            ("pláž", "host name"),
        ] {
            let message = value.parse::<EgressAllow>().unwrap_err().to_string();
            assert!(message.contains(hint), "{value}: {message}");
        }
    }

    #[test]
    fn reserved_addresses_are_refused_unless_opened() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        for (opened, host, address, expected) in [
            (&[][..], "here", loopback, false),
            (&["127.0.0.0/8"], "here", loopback, true),
            (&["127.0.0.0/8"], "here", mapped, true),
            (&["127.0.0.2"], "here", loopback, false),
            (&["::ffff:0:0/96"], "here", mapped, true),
            (
                &["127.0.0.0/8"],
                "64:ff9b:1:7f00:0:100:a9fe:a9fe",
                "64:ff9b:1:7f00:0:100:a9fe:a9fe".parse().unwrap(),
                false,
            ),
            (&["here"], "HERE.", loopback, true),
            (&["here"], "there", loopback, false),
            (&["*.local"], "a.b.local", loopback, true),
            (&["*.local"], "local", loopback, false),
            (&["*.local"], "xlocal", loopback, false),
            (&["*.local"], ".local", loopback, false),
            (&["0.0.0.0/0"], "::1", "::1".parse().unwrap(), false),
        ] {
            assert_eq!(allow(opened).check(host, address).is_ok(), expected, "{opened:?} {host} {address}");
        }
        assert_eq!(Egress::open().check("here", loopback), Ok(()));
    }

    #[test]
    fn a_refusal_names_the_address_the_reason_and_the_flag() {
        let refusal = |host: &str, address: &str| allow(&[]).check(host, address.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(
            refusal("db.example", "169.254.169.254"),
            "db.example resolves to 169.254.169.254, the address of a cloud's metadata service, which steps may not reach; start thermostat with --egress-allow 169.254.169.254 to open it"
        );
        assert_eq!(
            refusal("::1", "::1"),
            "::1 is a loopback address, which steps may not reach; start thermostat with --egress-allow ::1 to open it"
        );
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_the_machine_itself_is_refused() {
        let error = allow(&[]).resolve("localhost").await.unwrap_err();
        assert!(
            matches!(&error, ResolveError::Refused(refusal) if refusal.reserved == Reserved::Loopback),
            "{error}"
        );
        assert!(!allow(&["localhost"]).resolve("localhost").await.unwrap().is_empty());
    }

    struct Fixed(Vec<IpAddr>);

    impl Names for Fixed {
        fn addresses(&self, _host: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
            let addresses = self.0.clone();
            Box::pin(async { Ok(addresses) })
        }
    }

    #[tokio::test]
    async fn of_a_name_with_several_addresses_only_those_that_are_admitted_remain() {
        let names = Fixed(["127.0.0.1", "10.1.2.3", "::1"].map(|text| text.parse().unwrap()).to_vec());
        assert_eq!(
            allow(&[]).with_names(names).resolve("mixed").await.unwrap(),
            ["10.1.2.3".parse::<IpAddr>().unwrap()]
        );
    }

    #[tokio::test]
    async fn a_name_without_addresses_does_not_resolve() {
        let error = allow(&[]).with_names(Fixed(Vec::new())).resolve("empty").await.unwrap_err();
        assert_eq!(error.to_string(), "failed to resolve host empty: the name has no address");
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_first_address_that_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let names = Fixed(["127.0.0.9", "127.0.0.1"].map(|text| text.parse().unwrap()).to_vec());
        let stream = Egress::open()
            .with_names(names)
            .tcp_connect("twice", port, Duration::from_secs(5))
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap().ip().to_string(), "127.0.0.1");
    }

    #[tokio::test]
    async fn a_closed_port_and_a_refused_address_are_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let timeout = Duration::from_secs(5);
        let closed = Egress::open().tcp_connect("127.0.0.1", port, timeout).await.unwrap_err();
        assert!(
            matches!(&closed, ConnectError::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused),
            "{closed}"
        );
        let refused = allow(&[]).tcp_connect("127.0.0.1", port, timeout).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Resolve(ResolveError::Refused(_))), "{refused}");
    }

    #[tokio::test]
    async fn resolving_counts_towards_the_time_a_connection_may_take() {
        struct Never;
        impl Names for Never {
            fn addresses(&self, _host: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
                Box::pin(std::future::pending())
            }
        }
        let error = Egress::open()
            .with_names(Never)
            .tcp_connect("slow", 80, Duration::from_millis(20))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "failed to connect to slow:80 within 20ms");
    }
}
