//! What an operator sees: JSON log lines and Prometheus metrics.

use std::{
    fmt::{self, Debug},
    panic,
    sync::LazyLock,
    time::Duration,
};

use axum::http::header::CONTENT_TYPE;
use metrics::{Unit, describe_histogram, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    filter::LevelFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

pub(super) const DURATION: &str = "http_server_request_duration_seconds";
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let metrics = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .expect("no other recorder of metrics");
    describe_histogram!(DURATION, Unit::Seconds, "Time from a request's headers to its answer.");
    Collector::default().describe();
    metrics
});

/// Starts to log what `tracing` and `log` are told, panics too, and to keep what
/// `metrics` is told.
pub fn init(service: &'static str, version: &'static str, level: LevelFilter) {
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line { service, version })
        .fmt_fields(Members)
        .with_filter(level);
    let subscriber = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(super::otel::layer(service, version));
    subscriber.init();
    panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));

    LazyLock::force(&METRICS);
    gauge!("build_info", "service" => service, "version" => version).set(1);
    tokio::spawn(async {
        let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            METRICS.run_upkeep();
        }
    });
}

pub(super) async fn metrics() -> ([(axum::http::HeaderName, &'static str); 1], String) {
    Collector::default().collect();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], METRICS.render())
}

/// An event as a line of JSON, with the fields of the spans around it.
struct Line {
    service: &'static str,
    version: &'static str,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"time\":\"")?;
        SystemTime.format_time(&mut writer)?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let Self { service, version } = self;
        write!(
            writer,
            "\",\"level\":\"{level}\",\"service\":{service:?},\"version\":{version:?}"
        )?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                writer.write_str(fields)?;
            }
        }
        context.format_fields(writer.by_ref(), event)?;
        writer.write_str("}\n")
    }
}

/// Fields as members of a JSON object, each with a comma before it.
struct Members;

impl<'writer> FormatFields<'writer> for Members {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut member = Member { writer, result: Ok(()) };
        fields.record(&mut member);
        member.result
    }
}

struct Member<'writer> {
    writer: Writer<'writer>,
    result: fmt::Result,
}

impl Member<'_> {
    fn write(&mut self, field: &Field, value: impl Serialize) {
        let name = match field.name() {
            "message" => "msg",
            name if name.starts_with("log.") || name.starts_with("otel.") => return,
            name => name,
        };
        let value = serde_json::to_string(&value).unwrap_or_default();
        self.result = self.result.and_then(|()| write!(self.writer, ",\"{name}\":{value}"));
    }
}

impl Visit for Member<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, format!("{value:?}"));
    }
}
