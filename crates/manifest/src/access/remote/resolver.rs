//! Names to addresses, with the forbidden ones refused.
//!
//! The check is made on the very addresses that the connection is then made to, so a name that answers differently
//! the second time gains nothing.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Class, class_of};
use super::refusal::Refusal;
use crate::access::allow::Rules;

/// Who a name may lead to.
pub(super) enum Resolver {
    /// The operator's own choice of endpoint: anything but metadata services and neighbours.
    Store,
    /// A web server that a user named: nothing private either, unless the rules name the host.
    Web(Arc<Rules>),
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let may_be_private = match self {
            Self::Store => true,
            Self::Web(rules) => rules.names_host(&name),
        };
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || look_up(&name, may_be_private)).await;
            let addresses = found.map_err(io::Error::other)??;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn look_up(name: &str, may_be_private: bool) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<SocketAddr> = (name, 0).to_socket_addrs()?.collect();
    for address in &addresses {
        check(name, class_of(address.ip()), may_be_private).map_err(io::Error::other)?;
    }
    Ok(addresses)
}

/// Whether the host `name`, which leads to an address of this class, may be talked to.
pub(super) fn check(name: &str, class: Class, may_be_private: bool) -> Result<(), Refusal> {
    match class {
        Class::Public => Ok(()),
        Class::Private if may_be_private => Ok(()),
        Class::Private => Err(Refusal(format!(
            "the host {name} is on this machine or a private network, and sources.allow does not name it"
        ))),
        Class::Forbidden => Err(Refusal(format!(
            "the host {name} leads to a link-local, multicast or metadata address"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::options::Allow;

    #[test]
    fn a_name_is_judged_by_where_it_leads() {
        assert!(look_up("localhost", true).is_ok());
        let error = look_up("localhost", false).unwrap_err().to_string();
        assert!(
            error.contains("localhost") && error.contains("sources.allow"),
            "{error}"
        );
        for literal in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"] {
            let error = look_up(literal, true).unwrap_err().to_string();
            assert!(error.contains("metadata"), "{error}");
        }
    }

    #[test]
    fn rules_name_hosts_whatever_their_port() {
        let allow = Allow::Only(vec!["http://localhost:9000/data/".to_owned()]);
        let rules = Rules::of(&allow).unwrap();
        assert!(rules.names_host("localhost"));
        assert!(!rules.names_host("localhost.example.org"));
    }
}
