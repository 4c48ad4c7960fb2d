//! One object store per bucket or web server, with the vendor's usual settings.
//!
//! Settings come from the environment under the vendors' own names (`AWS_…`, `GOOGLE_…`, `AZURE_…`), and those in
//! [`AccessOptions::settings`] go before them. Credentials that neither gives come from the machine's role.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpConnector;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::client::{Clients, Connector, Kind};
use crate::access::options::AccessOptions;
use crate::place::{Remote, Scheme};

/// Stores that are open. A manifest may name any number of web servers, so there is an end to it.
const MOST_STORES: usize = 256;

type Key = (Scheme, String);

#[derive(Debug)]
pub(super) struct Stores {
    clients: Arc<Clients>,
    options: Arc<AccessOptions>,
    /// A std mutex: nothing waits under it.
    open: Mutex<HashMap<Key, Arc<dyn ObjectStore>>>,
}

impl Stores {
    pub(super) fn new(clients: Clients, options: Arc<AccessOptions>) -> Self {
        Self {
            clients: Arc::new(clients),
            options,
            open: Mutex::new(HashMap::new()),
        }
    }

    /// The store that holds `remote`. A query belongs to one URL, so a store with one is not kept.
    pub(super) fn of(&self, remote: &Remote) -> object_store::Result<Arc<dyn ObjectStore>> {
        if remote.query.is_some() {
            return self.build(remote);
        }
        let key = (remote.scheme, remote.host.clone());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(&key) {
            return Ok(Arc::clone(store));
        }
        let store = self.build(remote)?;
        if open.len() >= MOST_STORES {
            open.clear();
        }
        open.insert(key, Arc::clone(&store));
        Ok(store)
    }

    fn build(&self, remote: &Remote) -> object_store::Result<Arc<dyn ObjectStore>> {
        match remote.scheme {
            Scheme::S3 => self.s3(&remote.host),
            Scheme::Gs => self.google(&remote.host),
            Scheme::Azure => self.azure(&remote.host),
            Scheme::Http | Scheme::Https => self.web(remote),
        }
    }

    fn s3(&self, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut builder = AmazonS3Builder::from_env();
        for (key, value) in self.settings() {
            if let Ok(key) = key.parse() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder
            .with_bucket_name(bucket)
            .with_retry(self.retry())
            .with_http_connector(self.connector(Kind::Store))
            .build()?;
        Ok(Arc::new(store))
    }

    fn google(&self, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut builder = GoogleCloudStorageBuilder::from_env();
        for (key, value) in self.settings() {
            if let Ok(key) = key.parse() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder
            .with_bucket_name(bucket)
            .with_retry(self.retry())
            .with_http_connector(self.connector(Kind::Store))
            .build()?;
        Ok(Arc::new(store))
    }

    /// `host` is `container`, `container@account` or `container@account.blob.core.windows.net`.
    fn azure(&self, host: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut builder = MicrosoftAzureBuilder::from_env();
        for (key, value) in self.settings() {
            if let Ok(key) = key.parse() {
                builder = builder.with_config(key, value);
            }
        }
        let builder = match host.split_once('@') {
            // The library takes the vendor's own domains and refuses others.
            Some((_, account)) if account.contains('.') => {
                builder.with_url(format!("abfss://{host}/"))
            }
            Some((container, account)) => {
                builder.with_container_name(container).with_account(account)
            }
            None => builder.with_container_name(host),
        };
        let store = builder
            .with_retry(self.retry())
            .with_http_connector(self.connector(Kind::Store))
            .build()?;
        Ok(Arc::new(store))
    }

    fn web(&self, remote: &Remote) -> object_store::Result<Arc<dyn ObjectStore>> {
        let query = remote
            .query
            .as_ref()
            .map_or_else(String::new, |query| format!("?{query}"));
        let store = HttpBuilder::new()
            .with_url(format!(
                "{}://{}/{query}",
                remote.scheme.as_str(),
                remote.host
            ))
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(self.retry())
            .with_http_connector(self.connector(Kind::Web))
            .build()?;
        Ok(Arc::new(store))
    }

    fn settings(&self) -> impl Iterator<Item = (String, &str)> {
        let settings = self.options.settings.iter();
        settings.map(|(key, value)| (key.to_ascii_lowercase(), value))
    }

    fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: self.options.first_backoff,
                max_backoff: self.options.first_backoff * 100,
                base: 2.0,
            },
            max_retries: self.options.retries,
            retry_timeout: self.options.retry_timeout,
        }
    }

    fn connector(&self, kind: Kind) -> impl HttpConnector {
        Connector {
            clients: Arc::clone(&self.clients),
            kind,
        }
    }
}
