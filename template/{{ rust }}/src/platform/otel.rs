//! Spans for an OpenTelemetry collector, where `OTEL_EXPORTER_OTLP_ENDPOINT` names one.

use std::{env, process, sync::OnceLock};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, StatusCode},
};
use opentelemetry::{
    KeyValue, global,
    trace::{Status, TraceContextExt, TracerProvider},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    registry::LookupSpan,
};

use super::http::routine;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Exports the spans that are made with `tracing`.
pub(super) fn layer<S>(service: &'static str, version: &'static str) -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|endpoint| !endpoint.is_empty())?;
    let Ok(exporter) = SpanExporter::builder().with_http().build() else {
        eprintln!(
            "OTEL_EXPORTER_OTLP_ENDPOINT: want an http:// URL, and what fits it in OTEL_EXPORTER_OTLP_*"
        );
        process::exit(2)
    };
    let name = env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| service.to_owned());
    let resource = Resource::builder()
        .with_service_name(name)
        .with_attribute(KeyValue::new("service.version", version));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_batch_exporter(exporter)
        .build();
    let tracer = provider.tracer(service);
    global::set_text_map_propagator(TraceContextPropagator::new());
    PROVIDER.set(provider).ok();
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    let exported = Targets::new().with_default(LevelFilter::INFO);
    Some(layer.with_filter(exported.with_target("untraced", LevelFilter::OFF)))
}

/// Exports what has not been exported yet.
pub(super) fn stop() {
    if let Some(Err(error)) = PROVIDER.get().map(SdkTracerProvider::shutdown) {
        tracing::error!(%error, "cannot export spans");
    }
}

/// The span of a request, within the trace of its caller. There is none where no
/// span is exported.
pub(super) fn span(request: &Request, request_id: &str) -> Option<Span> {
    PROVIDER.get().filter(|_| !routine(request.uri().path()))?;
    let method = request.method().as_str();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let span = tracing::error_span!(
        "request",
        request_id,
        trace_id = tracing::field::Empty,
        otel.kind = "server",
        otel.name = format!("{method} {}", route.unwrap_or_default()).trim_end(),
    );
    let caller = global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(request.headers()))
    });
    span.set_parent(caller).ok();
    span.set_attribute("http.request.method", method.to_owned());
    span.set_attribute("url.path", request.uri().path().to_owned());
    if let Some(route) = route {
        span.set_attribute("http.route", route.to_owned());
    }
    let trace_id = span.context().span().span_context().trace_id();
    span.record("trace_id", tracing::field::display(trace_id));
    Some(span)
}

/// Notes the answer in the span of a request.
pub(super) fn answer(span: &Span, status: StatusCode) {
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set_status(Status::error(""));
    }
}

/// Adds the `traceparent` of the current span.
pub(super) fn inject(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut HeaderInjector(headers));
    });
}
