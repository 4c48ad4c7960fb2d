//! The HTTP side port.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{AddrParseError, Ipv4Addr, SocketAddr},
    str::FromStr,
};

/// What stands for no address.
const OFF: &str = "off";

/// The HTTP side port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address to listen on, port 0 for a free one; or `off`.
    pub addr: HttpAddr,
}

/// An address, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HttpAddr {
    /// No side port.
    Off,
    /// Where to listen.
    At(SocketAddr),
}

/// Neither an address nor `off`.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is neither IP:PORT nor `{OFF}`")]
pub struct NoHttpAddr {
    text: String,
    source: AddrParseError,
}

impl Default for HttpAddr {
    fn default() -> Self {
        Self::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)))
    }
}

impl FromStr for HttpAddr {
    type Err = NoHttpAddr;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == OFF {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|source| NoHttpAddr {
            text: text.to_owned(),
            source,
        })
    }
}

impl TryFrom<String> for HttpAddr {
    type Error = NoHttpAddr;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for HttpAddr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str(OFF),
            Self::At(addr) => addr.fmt(formatter),
        }
    }
}

impl From<HttpAddr> for String {
    fn from(addr: HttpAddr) -> Self {
        addr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_off_read_as_they_print() {
        for text in ["off", "127.0.0.1:0", "[::1]:9090"] {
            assert_eq!(text.parse::<HttpAddr>().unwrap().to_string(), text);
        }
        let error = "9090".parse::<HttpAddr>().unwrap_err();
        assert_eq!(error.to_string(), "`9090` is neither IP:PORT nor `off`");
    }
}
