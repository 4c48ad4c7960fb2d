//! One file per subcommand: `Args` and `run`.

pub(crate) mod check_config;
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod fit;
pub(crate) mod inspect;
pub(crate) mod jobs;
pub(crate) mod models;
pub(crate) mod serve;
pub(crate) mod submit;
pub(crate) mod weights;
