//! `curriculum check-config`

use super::serve::Settings;
use crate::table::print;

/// Print the settings that `serve` would run with, or what is wrong with them.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    print(args.settings.load()?.to_toml().trim_end());
    Ok(())
}
