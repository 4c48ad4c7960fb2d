//! A fetch that runs before its bytes are asked for, within a budget of bytes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::future::{Either, select};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::fetch::{self, Wanted};
use super::wait::wait_unless;
use super::{Net, given_up};
use crate::access::error::AccessError;
use crate::place::Remote;

/// A permit stands for so many bytes.
const UNIT: u64 = 1 << 10;

/// The bytes that may lie ready, for all fetches ahead of one reader.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    total: u32,
}

/// What a fetch holds of the budget, until it is dropped.
pub(crate) type Share = Option<OwnedSemaphorePermit>;

/// Bytes, with their share of the budget.
pub(crate) type Fetched = Result<(Vec<u8>, Share), AccessError>;

/// A fetch that was begun.
#[derive(Debug)]
pub(crate) struct Ahead {
    remote: Remote,
    task: Option<JoinHandle<Fetched>>,
    urgent: Arc<Notify>,
}

impl Budget {
    pub(crate) fn of(bytes: u64) -> Self {
        let most = (Semaphore::MAX_PERMITS as u64).min(u64::from(u32::MAX));
        // At most `u32::MAX`, which fits.
        let total = (bytes / UNIT).clamp(1, most) as u32;
        Self {
            permits: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Whether nothing more need be begun for now.
    pub(crate) fn is_spent(&self) -> bool {
        self.permits.available_permits() == 0
    }

    /// Waits for room for `bytes`; but one whose user waits already goes on without.
    pub(super) async fn share(&self, bytes: u64, urgent: &Notify) -> Share {
        let units = bytes.div_ceil(UNIT).min(u64::from(self.total));
        let units = u32::try_from(units).unwrap_or(self.total);
        let room = pin!(Arc::clone(&self.permits).acquire_many_owned(units));
        let hurry = pin!(urgent.notified());
        match select(room, hurry).await {
            Either::Left((share, _)) => share.ok(),
            Either::Right(_) => None,
        }
    }
}

impl Ahead {
    pub(super) fn start(net: &Net, remote: &Remote, wanted: Wanted, budget: &Budget) -> Self {
        let urgent = Arc::new(Notify::new());
        let (shared, asked) = (Arc::clone(&net.shared), remote.clone());
        let (budget, hurry) = (budget.clone(), Arc::clone(&urgent));
        let task = net.spawn(async move {
            let room = fetch::Room::Shared {
                budget: &budget,
                urgent: &hurry,
            };
            fetch::fetch(&shared, &asked, &wanted, &room).await
        });
        Self {
            remote: remote.clone(),
            task: Some(task),
            urgent,
        }
    }

    /// Waits for the bytes, ahead of those that nobody waits for; or until `stop` is set.
    pub(crate) fn wait(mut self, stop: &AtomicBool) -> Fetched {
        self.urgent.notify_one();
        let Some(task) = &mut self.task else {
            return Ok((Vec::new(), None));
        };
        match wait_unless(task, stop) {
            Some(Ok(result)) => {
                self.task = None;
                result
            }
            Some(Err(error)) => given_up(&self.remote, &error),
            None => Err(AccessError::Interrupted {
                place: self.remote.to_string(),
            }),
        }
    }
}

/// Nobody wants the bytes any more.
impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
