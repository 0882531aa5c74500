//! What the operating system knows about this process, for Prometheus.

/// Appends the metrics of this process to `text`.
#[cfg(target_os = "linux")]
pub fn render(text: &mut String) {
    // A process without /proc has no such metrics.
    for metric in linux::read().into_iter().flatten() {
        metric.render(text);
    }
}

/// Only Linux has them.
#[cfg(not(target_os = "linux"))]
pub fn render(_text: &mut String) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Write;

    use procfs::{
        ProcResult, WithCurrentSystemInfo, boot_time_secs,
        process::{LimitValue, Process},
        ticks_per_second,
    };

    pub(super) struct Metric {
        name: &'static str,
        kind: &'static str,
        help: &'static str,
        value: f64,
    }

    impl Metric {
        pub(super) fn render(&self, text: &mut String) {
            let Self {
                name,
                kind,
                help,
                value,
            } = self;
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
            );
        }
    }

    /// The usual names, as in every Prometheus client library.
    #[expect(clippy::cast_precision_loss, reason = "metrics are floating-point")]
    pub(super) fn read() -> ProcResult<[Metric; 7]> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = ticks_per_second() as f64;
        let metric = |name, kind, help, value| Metric {
            name,
            kind,
            help,
            value,
        };
        Ok([
            metric(
                "process_cpu_seconds_total",
                "counter",
                "Processor time spent, in seconds.",
                (stat.utime + stat.stime) as f64 / ticks,
            ),
            metric(
                "process_resident_memory_bytes",
                "gauge",
                "Resident memory, in bytes.",
                stat.rss_bytes().get() as f64,
            ),
            metric(
                "process_virtual_memory_bytes",
                "gauge",
                "Virtual memory, in bytes.",
                stat.vsize as f64,
            ),
            metric(
                "process_open_fds",
                "gauge",
                "Open file descriptors.",
                process.fd_count()? as f64,
            ),
            metric(
                "process_max_fds",
                "gauge",
                "Most file descriptors that may be open.",
                match process.limits()?.max_open_files.soft_limit {
                    LimitValue::Value(limit) => limit as f64,
                    LimitValue::Unlimited => f64::INFINITY,
                },
            ),
            metric(
                "process_threads",
                "gauge",
                "Operating system threads.",
                stat.num_threads as f64,
            ),
            metric(
                "process_start_time_seconds",
                "gauge",
                "When the process started, in seconds since 1970.",
                boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
            ),
        ])
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_threads_and_files() {
        let mut text = String::new();

        render(&mut text);

        for name in [
            "process_resident_memory_bytes",
            "process_threads",
            "process_open_fds",
            "process_start_time_seconds",
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            assert!(value.is_some_and(|value| value > 0.0), "{name}\n{text}");
        }
        assert!(text.contains("# TYPE process_cpu_seconds_total counter\n"));
    }
}
