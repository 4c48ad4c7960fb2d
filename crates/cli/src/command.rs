//! One file per subcommand: `Args` and `run`.

pub(crate) mod check_config;
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod extract;
pub(crate) mod fit;
pub(crate) mod gc;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod jobs;
pub(crate) mod models;
pub(crate) mod promote;
pub(crate) mod push;
pub(crate) mod rollback;
pub(crate) mod sample;
pub(crate) mod serve;
pub(crate) mod submit;
pub(crate) mod verify;
pub(crate) mod versions;
pub(crate) mod weights;
