//! The id that a request carries through logs and services.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// The client's own id if it is well formed, otherwise a random one.
pub fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(HEADER)
        .map(HeaderValue::as_bytes)
        .filter(|id| is_well_formed(id))
        .map_or_else(
            || Uuid::new_v4().to_string(),
            |id| String::from_utf8_lossy(id).into_owned(),
        )
}

fn is_well_formed(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &[u8]) -> String {
        let value = HeaderValue::from_bytes(value).unwrap();
        request_id(&HeaderMap::from_iter([(HEADER, value)]))
    }

    #[test]
    fn a_well_formed_id_is_kept() {
        for id in ["a", "A-z_0.9", &"x".repeat(128)] {
            assert_eq!(of(id.as_bytes()), id);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        let long = "x".repeat(129);
        for id in ["", "a b", "a/b", "\u{e9}", &long] {
            assert_uuid_v4(&of(id.as_bytes()));
        }
        assert_uuid_v4(&request_id(&HeaderMap::new()));
    }

    fn assert_uuid_v4(id: &str) {
        let uuid: Uuid = id.parse().unwrap();
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(id, uuid.hyphenated().to_string());
    }
}
