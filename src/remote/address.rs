//! Addresses that a program inside a cluster must not be talked into reaching: those of the machine it runs on and those of
//! its cloud's metadata service. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is out of bounds unless somebody opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The machine itself: 127.0.0.0/8, `::1`.
    Loopback,
    /// The network segment the machine is on: 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// A cloud's metadata service, which hands credentials to whoever asks.
    Metadata,
    /// "This host": 0.0.0.0/8, `::`; Linux connects it to the machine itself.
    Unspecified,
    /// Not one host: 224.0.0.0/4, `ff00::/8`.
    Multicast,
    /// Not one host: 255.255.255.255.
    Broadcast,
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
        })
    }
}

/// AWS (and most clouds that copied it); Alibaba; Oracle; Azure's host agent.
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// AWS instance metadata; AWS pod identity; Google.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// The reserved addresses that `address` is or stands for, and why each is reserved: itself, and where it is an IPv6 address
/// that carries IPv4 addresses, those. Empty for an ordinary address.
#[must_use]
pub fn reserved(address: IpAddr) -> Vec<(IpAddr, Reserved)> {
    match address {
        IpAddr::V4(plain) => reserved_v4(plain).map(|reserved| (address, reserved)).into_iter().collect(),
        IpAddr::V6(plain) => {
            let carried = carried(plain)
                .into_iter()
                .filter_map(|form| Some((IpAddr::V4(form), reserved_v4(form)?)));
            reserved_v6(plain)
                .map(|reserved| (address, reserved))
                .into_iter()
                .chain(carried)
                .collect()
        }
    }
}

fn reserved_v4(address: Ipv4Addr) -> Option<Reserved> {
    if METADATA_V4.contains(&address) {
        return Some(Reserved::Metadata);
    }
    match address.octets() {
        [0, ..] => Some(Reserved::Unspecified),
        [127, ..] => Some(Reserved::Loopback),
        [169, 254, ..] => Some(Reserved::LinkLocal),
        [224..=239, ..] => Some(Reserved::Multicast),
        [255, 255, 255, 255] => Some(Reserved::Broadcast),
        _ => None,
    }
}

fn reserved_v6(address: Ipv6Addr) -> Option<Reserved> {
    if METADATA_V6.contains(&address) {
        Some(Reserved::Metadata)
    } else if address.is_unspecified() {
        Some(Reserved::Unspecified)
    } else if address.is_loopback() {
        Some(Reserved::Loopback)
    } else if address.is_unicast_link_local() {
        Some(Reserved::LinkLocal)
    } else if address.is_multicast() {
        Some(Reserved::Multicast)
    } else {
        None
    }
}

/// The IPv4 addresses that an IPv6 address may stand for. Where a prefix does not say which bits hold the address, each place that it could be in counts.
fn carried(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let segments = address.segments();
    let tail = v4(segments[6], segments[7]);
    match segments {
        // `::` and `::1` lie in the compatible range and mean what they always mean
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // ::/96 compatible, ::ffff:0:0/96 mapped, ::ffff:0:0:0/96 translated (RFC 4291, RFC 2765)
        // and 64:ff9b::/96, the well-known NAT64 prefix (RFC 6052)
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![tail],
        // 64:ff9b:1::/48, local NAT64 prefixes of any length from 48 to 96 (RFC 8215)
        [0x64, 0xff9b, 1, ..] => nat64(&address.octets()),
        // 2002::/16, 6to4 (RFC 3056)
        [0x2002, high, low, ..] => vec![v4(high, low)],
        // 2001::/32, Teredo: the server, and the client with its bits turned (RFC 4380)
        [0x2001, 0, high, low, ..] => vec![v4(high, low), v4(!segments[6], !segments[7])],
        _ => Vec::new(),
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

/// What a NAT64 prefix of 48, 56, 64 or 96 bits may carry; octet 8 is always skipped. No gateway forwards to 0.0.0.0/8, so a place that reads so is not the one.
fn nat64(octets: &[u8; 16]) -> Vec<Ipv4Addr> {
    let places: [[usize; 4]; 4] = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
    places
        .into_iter()
        .map(|places| places.map(|place| octets[place]))
        .filter(|octets| octets[0] != 0)
        .map(Ipv4Addr::from)
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn judged(text: &str) -> Option<Reserved> {
        reserved(text.parse().unwrap()).first().map(|(_, reserved)| *reserved)
    }

    #[test]
    fn addresses_of_the_machine_and_of_metadata_services_are_reserved() {
        for (text, expected) in [
            ("127.0.0.1", Reserved::Loopback),
            ("127.255.255.254", Reserved::Loopback),
            ("::1", Reserved::Loopback),
            ("169.254.0.1", Reserved::LinkLocal),
            ("fe80::1", Reserved::LinkLocal),
            ("febf:ffff::1", Reserved::LinkLocal),
            ("169.254.169.254", Reserved::Metadata),
            ("100.100.100.200", Reserved::Metadata),
            ("168.63.129.16", Reserved::Metadata),
            ("fd00:ec2::254", Reserved::Metadata),
            ("fd20:ce::254", Reserved::Metadata),
            ("0.0.0.0", Reserved::Unspecified),
            ("0.1.2.3", Reserved::Unspecified),
            ("::", Reserved::Unspecified),
            ("224.0.0.1", Reserved::Multicast),
            ("239.255.255.255", Reserved::Multicast),
            ("ff02::1", Reserved::Multicast),
            ("255.255.255.255", Reserved::Broadcast),
        ] {
            assert_eq!(judged(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn addresses_of_pods_services_and_the_internet_are_not_reserved() {
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "8.8.8.8",
            "fd00::1",
            "2001:db8::1",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(judged(text), None, "{text}");
        }
    }

    #[test]
    fn an_ipv6_address_that_carries_a_reserved_ipv4_address_is_reserved() {
        for (text, expected) in [
            ("::ffff:127.0.0.1", Reserved::Loopback),
            ("::127.0.0.1", Reserved::Loopback),
            ("::ffff:0:127.0.0.1", Reserved::Loopback),
            ("::ffff:169.254.169.254", Reserved::Metadata),
            ("64:ff9b::a9fe:a9fe", Reserved::Metadata),
            ("64:ff9b:1::7f00:1", Reserved::Loopback),
            ("64:ff9b:1:7f00:0:100::", Reserved::Loopback),
            ("2002:7f00:1::", Reserved::Loopback),
            ("2002:a9fe:a9fe::1", Reserved::Metadata),
            ("2001:0:7f00:1::", Reserved::Loopback),
            ("2001:0:4136:e378:8000:63bf:5601:5601", Reserved::Metadata),
        ] {
            assert_eq!(judged(text), Some(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_in_every_guise(address in prop_oneof![any::<u32>(), 0x7f00_0000..0x7f01_0000_u32, 0xa9fe_0000..0xa9ff_0000_u32]) {
            let address = Ipv4Addr::from(address);
            let [a, b, c, d] = address.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for guise in [address.to_ipv6_mapped(), Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low), Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)] {
                prop_assert_eq!(reserved(guise.into()), reserved(address.into()), "{}", guise);
            }
        }
    }
}
