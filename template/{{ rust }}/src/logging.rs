//! The service's log: one JSON object a line.

use std::{
    fmt::Debug,
    io::{self, Write},
    panic::{self, PanicHookInfo},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use tracing::{
    Event, Level, Subscriber, error,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::{SERVICE, VERSION};

/// Logs to stdout from now on; panics too.
pub fn init(level: LevelFilter) {
    let subscriber = subscriber(io::stdout(), level);
    tracing::subscriber::set_global_default(subscriber).expect("logging is set up once");
    panic::set_hook(Box::new(log_panic));
}

/// Writes what is logged at `level` and above to `output`.
pub fn subscriber(
    output: impl Write + Send + 'static,
    level: LevelFilter,
) -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry()
        .with(level)
        .with(JsonLines(Mutex::new(output)))
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    error!(
        error = info.payload_as_str().unwrap_or("no message"),
        location, "panicked"
    );
}

struct JsonLines<W>(Mutex<W>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Write + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.add_missing(outer);
            }
        }
        event.record(&mut fields);

        let Ok(line) = line(*event.metadata().level(), &fields) else {
            return;
        };
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell when stdout is gone.
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

fn line(level: Level, fields: &Fields) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("time", &format_args!("{:.3}", Timestamp::now()))?;
    map.serialize_entry("level", level_name(level))?;
    map.serialize_entry("msg", &fields.message)?;
    map.serialize_entry("service", SERVICE)?;
    map.serialize_entry("version", VERSION)?;
    for (key, value) in &fields.values {
        map.serialize_entry(key, value)?;
    }
    map.end()?;
    line.push(b'\n');
    Ok(line)
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

/// The fields of an event or a span, in the order in which they were recorded.
#[derive(Default)]
struct Fields {
    message: String,
    values: Vec<(&'static str, Value)>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        let key = field.name();
        match self.values.iter_mut().find(|(present, _)| *present == key) {
            Some((_, present)) => *present = value,
            None => self.values.push((key, value)),
        }
    }

    fn add_missing(&mut self, outer: &Self) {
        for (key, value) in &outer.values {
            if !self.values.iter().any(|(present, _)| present == key) {
                self.values.push((key, value.clone()));
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field, value.into());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::{debug, info, info_span, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter, write: impl FnOnce()) -> Vec<String> {
        let buffer = Buffer::default();
        tracing::subscriber::with_default(subscriber(buffer.clone(), level), write);
        let bytes = buffer.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn parse(line: &str) -> Value {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_line_has_the_keys_of_every_service() {
        let lines = logged(LevelFilter::INFO, || {
            info!(
                count = 3,
                ratio = 0.5,
                name = "\"\n",
                who = ?Some("x"),
                on = true,
                "what happened"
            );
        });

        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        let (time, rest) = line.split_once(',').unwrap();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, r#"{"time":"0000-00-00T00:00:00.000Z""#);
        assert_eq!(
            rest,
            format!(
                "\"level\":\"info\",\"msg\":\"what happened\",\"service\":\"{SERVICE}\",\
                 \"version\":\"{VERSION}\",\"count\":3,\"ratio\":0.5,\"name\":\"\\\"\\n\",\
                 \"who\":\"Some(\\\"x\\\")\",\"on\":true}}"
            ),
        );
    }

    #[test]
    fn lines_below_the_level_are_left_out() {
        let lines = logged(LevelFilter::WARN, || {
            debug!("one");
            info!("two");
            warn!("three");
            error!("four");
        });

        let levels: Vec<_> = lines
            .iter()
            .map(|line| parse(line)["level"].clone())
            .collect();
        assert_eq!(levels, ["warn", "error"]);
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans() {
        let lines = logged(LevelFilter::INFO, || {
            let outer = info_span!("outer", id = "a", user = tracing::field::Empty).entered();
            outer.record("user", "ada");
            let _inner = info_span!("inner", id = "b").entered();
            info!("one");
            info!(id = "c", "two");
        });

        let one = parse(&lines[0]);
        let two = parse(&lines[1]);
        assert_eq!((&one["id"], &one["user"]), (&"b".into(), &"ada".into()));
        assert_eq!((&two["id"], &two["user"]), (&"c".into(), &"ada".into()));
        assert_eq!(lines[1].matches("\"id\"").count(), 1);
    }
}
