//! `curriculum check-config`

use super::serve::Settings;
use crate::{exit::BadInput, table::print, telemetry};
use curriculum_extractor::ExtractorError;
use curriculum_manifest::Allow;
use curriculum_server::config::Model;
use std::fs::File;

/// Print the settings that `serve` would run with, or what is wrong with them.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.settings.load()?;
    let no_spans = telemetry::check(&config.log)?;
    let no_model = match config.versions.read_only {
        true => None,
        false => check_model(&config.model)?,
    };
    print(config.to_toml().trim_end());
    // As comments, so that the output is still a file of settings.
    if let Some(reason) = no_spans {
        print(format_args!("# no spans are sent: {reason}"));
    }
    if let Some(reason) = no_model {
        print(format_args!("# not on this machine: {reason}"));
    }
    for (setting, file) in config.files() {
        if let Err(error) = File::open(file) {
            print(format_args!(
                "# not on this machine: {setting}: cannot read {}: {error}",
                file.display()
            ));
        }
    }
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

/// What this machine lacks of the model; another may have it.
///
/// # Errors
/// When no machine has it: there is no such model, layer or pooling, or a setting is out of its range.
fn check_model(model: &Model) -> anyhow::Result<Option<String>> {
    match model.load() {
        Ok(_) => Ok(None),
        Err(
            error @ (ExtractorError::NotPulled { .. }
            | ExtractorError::ModelUnreadable { .. }
            | ExtractorError::EntryMissing { .. }),
        ) => Ok(Some(
            error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        )),
        Err(error) => Err(BadInput(format!("model: {error}")).into()),
    }
}
