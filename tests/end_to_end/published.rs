//! A version as trainers see it, to be compared bit by bit.

use curriculum_proto::v1::{Job, Order};
use curriculum_tests::{TestServer, calls::weights_of};

/// Everything a trainer sees of a version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Published {
    pub(crate) version: String,
    easy_first: Vec<u32>,
    hard_first: Vec<u32>,
}

impl Published {
    /// Of the newest version of the job's curriculum.
    pub(crate) async fn read(server: &TestServer, job: Job) -> Self {
        let bits = async |order| {
            server
                .weights(weights_of(&job.curriculum, 0, order))
                .await
                .unwrap()
                .bits()
        };
        Self {
            version: job.version,
            easy_first: bits(Order::EasyFirst).await,
            hard_first: bits(Order::HardFirst).await,
        }
    }
}
