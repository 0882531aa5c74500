//! What an operator sees: JSON log lines and Prometheus metrics.

use std::{fmt, panic, sync::OnceLock, time::Duration};

use axum::http::{HeaderName, header::CONTENT_TYPE};
use metrics::{Unit, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_serde::fields::AsMap;
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    registry::{LookupSpan, Scope},
    util::SubscriberInitExt,
};

const DURATION: &str = "http_server_request_duration_seconds";
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const METHODS: [&str; 9] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts to log what `tracing` and `log` are told, panics too, and to keep what
/// `metrics` is told, the way that `builder` says.
pub fn init(
    service: &'static str,
    version: &'static str,
    level: LevelFilter,
    builder: PrometheusBuilder,
) {
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Line {
            service: service.into(),
            version: version.into(),
        })
        .with_filter(level);
    let subscriber = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(super::otel::layer(service, version));
    subscriber.init();
    panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));

    let builder = builder.set_buckets(&BUCKETS);
    let recorder = builder.and_then(PrometheusBuilder::install_recorder);
    let metrics = METRICS.get_or_init(|| recorder.expect("one recorder"));
    Collector::default().describe();
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Time from a request's headers to its answer."
    );
    gauge!("build_info", "service" => service, "version" => version).set(1);
    tokio::spawn(async {
        let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            metrics.run_upkeep();
        }
    });
}

/// Answers `/metrics`.
pub(super) async fn metrics() -> ([(HeaderName, &'static str); 1], String) {
    Collector::default().collect();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        METRICS
            .get()
            .map_or_else(String::new, PrometheusHandle::render),
    )
}

/// Keeps how long a request took. `route` is a pattern and never a path, so that no
/// client chooses a label.
pub(super) fn measure(method: &str, route: &str, status: &str, elapsed: Duration) {
    let known = METHODS.iter().find(|known| **known == method);
    histogram!(
        DURATION,
        "http_request_method" => *known.unwrap_or(&"_OTHER"),
        "http_route" => route.to_owned(),
        "http_response_status_code" => status.to_owned(),
    )
    .record(elapsed);
}

/// An event as one line of JSON, with the fields of the spans around it.
struct Line {
    service: Value,
    version: Value,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for Line {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields: Map<String, Value> = Map::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(known) = span.extensions().get::<FormattedFields<JsonFields>>() {
                fields.extend(serde_json::from_str::<Map<_, _>>(known).unwrap_or_default());
            }
        }
        if let Ok(Value::Object(own)) = serde_json::to_value(event.field_map()) {
            fields.extend(own);
        }
        let target = || event.metadata().target().into();
        let message = fields.remove("message").unwrap_or_else(target);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let Self { service, version } = self;
        write!(writer, r#"{{"time":""#)?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, r#"","level":"{level}","msg":{message},"#)?;
        write!(writer, r#""service":{service},"version":{version}"#)?;
        for (name, value) in fields {
            let own = ["time", "level", "msg", "service", "version"].contains(&name.as_str());
            if !own && !name.starts_with("otel.") {
                write!(writer, ",{}:{value}", Value::from(name))?;
            }
        }
        writeln!(writer, "}}")
    }
}
