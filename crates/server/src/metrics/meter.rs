//! What is measured now and then: the data folder, and the memory of the GPUs.

use super::catalogue::{DEVICE_MEMORY, STORE_BYTES, STORE_FREE};
use crate::live::Live;
use curriculum_pipeline::in_background;
use curriculum_store::Store;
use metrics::gauge;
use std::{
    io,
    process::{Command, Stdio},
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(15);

/// Between two counts of the data folder, which may hold a million files.
const USAGE_INTERVAL: Duration = Duration::from_secs(60);

/// A count of the data folder takes at most one part of so many of the time.
const USAGE_SHARE: u32 = 20;

/// Measures on a thread of its own until the store is closed.
///
/// # Errors
/// When there is no thread.
pub(crate) fn start(store: &Arc<Store>, live: Live) -> io::Result<()> {
    let store = Arc::downgrade(store);
    let thread = thread::Builder::new().name("meter".to_owned());
    thread
        .spawn(move || in_background(|| measure(&store, &live)))
        .map(drop)
}

fn measure(store: &Weak<Store>, live: &Live) {
    let mut next_usage = Instant::now();
    let mut devices_answered = true;
    loop {
        let Some(store) = store.upgrade() else { return };
        match store.free_bytes() {
            Ok(free) => gauge!(STORE_FREE).set(free as f64),
            Err(error) => tracing::warn!(%error, "the room on the disk is not known"),
        }
        if Instant::now() >= next_usage {
            let begun = Instant::now();
            for (kind, bytes) in store.usage() {
                gauge!(STORE_BYTES, "kind" => kind).set(bytes as f64);
            }
            next_usage = Instant::now() + USAGE_INTERVAL.max(begun.elapsed() * USAGE_SHARE);
        }
        drop(store);
        let devices = live.get().map_or(&[][..], |live| &live.device_ids);
        if !devices.is_empty() {
            devices_answered = watch("nvidia-smi", devices, devices_answered);
        }
        thread::sleep(INTERVAL);
    }
}

/// Of one GPU, bytes.
#[derive(Debug, PartialEq)]
struct Memory {
    device: String,
    used: f64,
    total: f64,
}

/// Shows what the tool says, or, where it says nothing, that nothing is known; whether it answered. Silence is
/// logged once, where it begins.
fn watch(tool: &str, devices: &[u32], answered: bool) -> bool {
    match device_memory(tool, devices) {
        Ok(memory) => {
            show(&memory);
            true
        }
        Err(error) => {
            if answered {
                tracing::warn!(%error, "nvidia-smi does not say how much memory is used");
            }
            let unknown = devices.iter().map(|id| Memory {
                device: id.to_string(),
                used: f64::NAN,
                total: f64::NAN,
            });
            show(&unknown.collect::<Vec<_>>());
            false
        }
    }
}

fn show(memory: &[Memory]) {
    for Memory {
        device,
        used,
        total,
    } in memory
    {
        let of = |kind| gauge!(DEVICE_MEMORY, "device" => device.clone(), "kind" => kind);
        of("used").set(*used);
        of("total").set(*total);
    }
}

/// Asks the tool of the driver. Linking its library would need one on every machine.
fn device_memory(tool: &str, devices: &[u32]) -> io::Result<Vec<Memory>> {
    let ids: Vec<String> = devices.iter().map(u32::to_string).collect();
    let output = Command::new(tool)
        .arg(format!("--id={}", ids.join(",")))
        .arg("--query-gpu=memory.used,memory.total")
        .arg("--format=csv,noheader,nounits")
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("it ended with {}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let memory = ids.into_iter().zip(text.lines()).map(|(device, line)| {
        let (used, total) = line.split_once(',')?;
        let bytes = |mebibytes: &str| Some(mebibytes.trim().parse::<f64>().ok()? * 1_048_576.0);
        Some(Memory {
            device,
            used: bytes(used)?,
            total: bytes(total)?,
        })
    });
    let memory: Option<Vec<Memory>> = memory.collect();
    memory.ok_or_else(|| io::Error::other(format!("it said `{}`", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Mutex};

    /// While one test writes a program, no other may start one: its child would hold the file open for writing,
    /// and a program that is open so cannot be run.
    static ALONE: Mutex<()> = Mutex::new(());

    /// A tool that says this.
    fn tool(folder: &Path, script: &str) -> String {
        let path = folder.join("nvidia-smi");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn memory_is_read_by_device() {
        let _alone = ALONE.lock();
        let folder = tempfile::tempdir().unwrap();
        let said = tool(
            folder.path(),
            r#"test "$1" = --id=0,2 && printf '1, 81559\n5000, 81559\n'"#,
        );
        let memory = device_memory(&said, &[0, 2]).unwrap();
        let of = |device: &str, used: f64| Memory {
            device: device.to_owned(),
            used: used * 1_048_576.0,
            total: 81_559.0 * 1_048_576.0,
        };
        assert_eq!(memory, [of("0", 1.0), of("2", 5_000.0)]);
        for script in ["exit 9", "echo '[N/A], [N/A]'"] {
            let said = tool(folder.path(), script);
            assert!(device_memory(&said, &[0]).is_err(), "{script}");
        }
        assert!(device_memory("no-such-tool", &[0]).is_err());
    }

    #[test]
    fn a_tool_that_fails_leaves_no_old_values_and_is_asked_again() {
        let _alone = ALONE.lock();
        let folder = tempfile::tempdir().unwrap();
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let shown = || {
            let used = format!("{DEVICE_MEMORY}{{device=\"3\",kind=\"used\"}} ");
            let text = handle.render();
            let value = text.lines().find_map(|line| line.strip_prefix(&used));
            value.map(str::to_owned)
        };
        metrics::with_local_recorder(&recorder, || {
            for (script, answers, value) in [
                ("echo '1, 2'", true, "1048576"),
                ("exit 9", false, "NaN"),
                ("echo '2, 2'", true, "2097152"),
            ] {
                let said = tool(folder.path(), script);
                assert_eq!(watch(&said, &[3], true), answers, "{script}");
                assert_eq!(shown().as_deref(), Some(value), "{script}");
            }
        });
    }
}
