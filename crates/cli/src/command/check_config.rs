//! `curriculum check-config`

use super::serve::Settings;
use crate::table::print;
use curriculum_manifest::Allow;

/// Print the settings that `serve` would run with, or what is wrong with them.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.settings.load()?;
    print(config.to_toml().trim_end());
    // As comments, so that the output is still a file of settings.
    if config.exposes_keys() {
        print("# keys travel in plain text: set tls.cert_file, or listen on loopback");
    }
    if config.sources.allow.is_none() {
        print(match config.allow() {
            Allow::Anything => {
                "# sources.allow is not set: as only this machine reaches the server, jobs read whatever its user may"
            }
            Allow::Only(_) => {
                "# sources.allow is not set: as other machines reach the server, jobs read only what is pushed"
            }
        });
    }
    Ok(())
}
