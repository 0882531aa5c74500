//! What the service counts, for Prometheus.

use std::time::Duration;

use axum::{
    extract::State,
    http::{Method, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use metrics::{
    Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::{SERVICE, VERSION, process};

const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Keeps from now on what the macros of the metrics crate record.
pub fn init() -> PrometheusHandle {
    let recorder = recorder();
    let recorded = recorder.handle();
    metrics::set_global_recorder(recorder).expect("metrics are set up once");
    recorded
}

/// Keeps what is recorded while it is the thread's recorder, or the global one.
pub fn recorder() -> PrometheusRecorder {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .expect("there are buckets")
        .build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe_counter!("http_requests_total", "Requests that were answered.");
        describe_histogram!(
            "http_request_duration_seconds",
            "Time from a request's headers to its answer."
        );
        describe_gauge!(
            "http_requests_in_flight",
            "Requests that are being answered."
        );
        describe_gauge!("build_info", "Always 1; the labels say what is running.");

        gauge!("http_requests_in_flight").set(0);
        gauge!("build_info", "service" => SERVICE, "version" => VERSION).set(1);
    });
    recorder
}

/// Answers `GET /metrics` in the text format, whatever the client accepts.
pub async fn expose(State(recorded): State<PrometheusHandle>) -> impl IntoResponse {
    let mut text = recorded.render();
    process::render(&mut text);
    ([(CONTENT_TYPE, CONTENT)], text)
}

/// Counts a request as being in flight until it is dropped.
pub struct InFlight(Gauge);

impl InFlight {
    pub fn begin() -> Self {
        let gauge = gauge!("http_requests_in_flight");
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Counts an answered request. `route` is the pattern that matched, never the
/// path of the request: a label has few values.
pub fn observe(method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
    let method = method_label(method);
    let route = route.to_owned();
    let status = status.as_str().to_owned();
    counter!(
        "http_requests_total",
        "method" => method, "route" => route.clone(), "status" => status,
    )
    .increment(1);
    histogram!("http_request_duration_seconds", "method" => method, "route" => route)
        .record(elapsed);
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::CONNECT => "CONNECT",
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(record: impl FnOnce()) -> String {
        let recorder = recorder();
        metrics::with_local_recorder(&recorder, record);
        recorder.handle().render()
    }

    #[test]
    fn a_request_is_counted_and_timed() {
        let text = recorded(|| {
            for milliseconds in [5, 30] {
                observe(
                    &Method::POST,
                    "/v1/greetings",
                    StatusCode::OK,
                    Duration::from_millis(milliseconds),
                );
            }
        });

        for line in [
            "# TYPE http_requests_total counter",
            "# TYPE http_request_duration_seconds histogram",
            r#"http_requests_total{method="POST",route="/v1/greetings",status="200"} 2"#,
            r#"http_request_duration_seconds_bucket{method="POST",route="/v1/greetings",le="0.005"} 1"#,
            r#"http_request_duration_seconds_bucket{method="POST",route="/v1/greetings",le="0.05"} 2"#,
            r#"http_request_duration_seconds_bucket{method="POST",route="/v1/greetings",le="+Inf"} 2"#,
        ] {
            assert!(
                text.lines().any(|present| present == line),
                "{line}\n{text}"
            );
        }
    }

    #[test]
    fn a_client_cannot_choose_a_method_label() {
        assert_eq!(method_label(&Method::PATCH), "PATCH");
        assert_eq!(method_label(&"PROPFIND".parse().unwrap()), "other");
        assert_eq!(method_label(&"get".parse().unwrap()), "other");
    }

    #[test]
    fn a_request_is_in_flight_until_it_is_dropped() {
        let during = recorded(|| std::mem::forget(InFlight::begin()));
        let after = recorded(|| drop(InFlight::begin()));

        assert!(during.contains("\nhttp_requests_in_flight 1\n"), "{during}");
        assert!(after.contains("\nhttp_requests_in_flight 0\n"), "{after}");
    }

    #[test]
    fn the_build_is_named() {
        let text = recorded(|| {});

        let line = format!("build_info{{service=\"{SERVICE}\",version=\"{VERSION}\"}} 1");
        assert!(text.contains(&line), "{text}");
    }
}
