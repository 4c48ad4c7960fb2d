//! Which network addresses a server may be led to.
//!
//! Sources: the IANA special-purpose address registries (RFC 6890), and the vendors' documents for the addresses at
//! which a cloud hands out a machine's credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stands behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Public,
    /// This machine, or the network around it.
    Private,
    /// A cloud's metadata service, a link-local neighbour, or no single machine: never a source of data.
    Forbidden,
}

/// Metadata services outside the link-local ranges: Alibaba, Azure's wire server, Oracle.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// AWS (`fd00:ec2::/32`) and Google (`fd20:ce::/32`).
const METADATA_V6: [[u16; 2]; 2] = [[0xfd00, 0x0ec2], [0xfd20, 0x00ce]];

pub(super) fn class_of(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_of_v4(address),
        IpAddr::V6(address) => class_of_v6(address),
    }
}

fn class_of_v4(address: Ipv4Addr) -> Class {
    let [a, b, c, _] = address.octets();
    if address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || METADATA_V4.contains(&address)
    {
        return Class::Forbidden;
    }
    let shared = a == 100 && b & 0xc0 == 64;
    let benchmarks = a == 198 && b & 0xfe == 18;
    let protocols = (a, b, c) == (192, 0, 0);
    let private = a == 0 || a >= 240 || shared || benchmarks || protocols;
    if private || address.is_loopback() || address.is_private() {
        Class::Private
    } else {
        Class::Public
    }
}

fn class_of_v6(address: Ipv6Addr) -> Class {
    if let Some(inner) = embedded_v4(address) {
        return class_of_v4(inner);
    }
    let [first, second, ..] = address.segments();
    let link_local = first & 0xffc0 == 0xfe80;
    if link_local || address.is_multicast() || METADATA_V6.contains(&[first, second]) {
        return Class::Forbidden;
    }
    let unique_local = first & 0xfe00 == 0xfc00;
    let site_local = first & 0xffc0 == 0xfec0;
    // Teredo hides the address of a client behind it.
    let teredo = (first, second) == (0x2001, 0);
    if unique_local || site_local || teredo || address.is_loopback() || address.is_unspecified() {
        Class::Private
    } else {
        Class::Public
    }
}

/// The IPv4 address that a translator would take the packets to: mapped, compatible, NAT64 or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // `::` and `::1` are addresses of IPv6 itself.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            Some(of(high, low))
        }
        [0x64, 0xff9b, 0 | 1, _, _, _, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(text: &str) -> Class {
        class_of(text.parse().unwrap())
    }

    #[test]
    fn metadata_and_link_local_addresses_are_forbidden() {
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "ff02::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            assert_eq!(class(text), Class::Forbidden, "{text}");
        }
    }

    #[test]
    fn this_machine_and_its_network_are_private() {
        for text in [
            "127.0.0.1",
            "127.255.1.2",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "240.0.0.1",
            "::1",
            "::",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "2001::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
        ] {
            assert_eq!(class(text), Class::Private, "{text}");
        }
    }

    #[test]
    fn the_rest_is_public() {
        for text in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "169.253.1.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(class(text), Class::Public, "{text}");
        }
    }

    proptest! {
        #[test]
        fn writing_an_address_as_ipv6_does_not_change_its_class(bits in any::<u32>()) {
            prop_assume!(bits > 1);
            let v4 = Ipv4Addr::from(bits);
            let class = class_of(v4.into());
            prop_assert_eq!(class_of(v4.to_ipv6_mapped().into()), class);
            let [a, b, c, d] = v4.octets();
            let nat64 = format!("64:ff9b::{a}.{b}.{c}.{d}");
            prop_assert_eq!(class_of(nat64.parse().unwrap()), class);
        }
    }
}
