//! What the system says about this process, under the names that Prometheus' own clients use.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

/// Seconds since 1970 at which this process began to count.
static STARTED: OnceLock<f64> = OnceLock::new();

pub(super) fn started() {
    STARTED.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_secs_f64()
    });
}

/// As metrics. What the system does not say is left out.
pub(super) fn text() -> String {
    let mut text = String::new();
    let mut add = |name: &str, kind: &str, meaning: &str, value: Option<f64>| {
        if let Some(value) = value {
            text.push_str(&format!(
                "# HELP {name} {meaning}\n# TYPE {name} {kind}\n{name} {value}\n"
            ));
        }
    };
    add(
        "process_start_time_seconds",
        "gauge",
        "seconds since 1970 at the start",
        STARTED.get().copied(),
    );
    #[cfg(target_os = "linux")]
    {
        let usage = linux::usage();
        let of = |field: fn(&linux::Usage) -> f64| usage.as_ref().map(field);
        add(
            "process_cpu_seconds_total",
            "counter",
            "user and system time",
            of(|usage| usage.cpu_seconds),
        );
        add(
            "process_resident_memory_bytes",
            "gauge",
            "memory in use, of files that are mapped too",
            of(|usage| usage.resident_bytes),
        );
        let threads = of(|usage| usage.threads);
        add("process_threads", "gauge", "threads", threads);
        let open = linux::open_files();
        add(
            "process_open_fds",
            "gauge",
            "files and sockets that are open",
            open,
        );
        let most = linux::max_files();
        add(
            "process_max_fds",
            "gauge",
            "files and sockets that may be open",
            most,
        );
    }
    text
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::{
        param::{clock_ticks_per_second, page_size},
        process::{Resource, getrlimit},
    };
    use std::fs;

    pub(super) struct Usage {
        pub(super) cpu_seconds: f64,
        pub(super) resident_bytes: f64,
        pub(super) threads: f64,
    }

    pub(super) fn usage() -> Option<Usage> {
        parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// proc(5): the second field is a name in brackets, and may hold anything.
    fn parse(stat: &str) -> Option<Usage> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // `rest` begins with field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Usage {
            cpu_seconds: (field(14)? + field(15)?) as f64 / clock_ticks_per_second() as f64,
            resident_bytes: (field(24)? * page_size() as u64) as f64,
            threads: field(20)? as f64,
        })
    }

    pub(super) fn open_files() -> Option<f64> {
        let files = fs::read_dir("/proc/self/fd").ok()?.count();
        // Without the one that reads the folder.
        Some(files.saturating_sub(1) as f64)
    }

    pub(super) fn max_files() -> Option<f64> {
        getrlimit(Resource::Nofile).current.map(|most| most as f64)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn fields_are_found_behind_any_name() {
            let numbers: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
            let stat = format!("1 (a ) b (c) S {}", numbers.join(" "));
            let usage = parse(&stat).unwrap();
            assert_eq!(usage.cpu_seconds, 29.0 / clock_ticks_per_second() as f64);
            assert_eq!(usage.resident_bytes, 24.0 * page_size() as f64);
            assert_eq!(usage.threads, 20.0);
            assert!(parse("1 (a) S 4 5").is_none());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_knows_itself() {
        started();
        let text = text();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 1e6, "{text}");
        assert!(value("process_open_fds ") >= 3.0, "{text}");
        assert!(value("process_max_fds ") >= value("process_open_fds "));
        assert!(value("process_start_time_seconds ") > 1.7e9, "{text}");
    }
}
