//! A question about an object's state, on its way.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::task::JoinHandle;

use super::wait::wait_unless;
use super::{Net, fetch, given_up};
use crate::access::error::AccessError;
use crate::access::stamp::Stamp;
use crate::place::Remote;

/// Asked; the answer is waited for separately, so that many can be asked at once.
#[derive(Debug)]
pub(crate) struct Question {
    remote: Remote,
    task: JoinHandle<Result<Stamp, AccessError>>,
}

impl Question {
    pub(super) fn ask(net: &Net, remote: &Remote) -> Self {
        let (shared, asked) = (Arc::clone(&net.shared), remote.clone());
        Self {
            remote: remote.clone(),
            task: net.spawn(async move { fetch::stamp(&shared, &asked).await }),
        }
    }

    /// The answer, or an error once `stop` is set.
    pub(crate) fn wait(mut self, stop: &AtomicBool) -> Result<Stamp, AccessError> {
        match wait_unless(&mut self.task, stop) {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => given_up(&self.remote, &error),
            None => Err(AccessError::Interrupted {
                place: self.remote.to_string(),
            }),
        }
    }
}

/// Nobody waits for the answer any more.
impl Drop for Question {
    fn drop(&mut self) {
        self.task.abort();
    }
}
