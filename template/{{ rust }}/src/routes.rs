//! The paths of the service.

use axum::Router;

use crate::{greetings, platform};

/// What `/openapi.json` answers. `make openapi` writes it from the handlers.
const OPENAPI: &str = include_str!("../openapi.json");

pub fn router() -> Router {
    let routes = Router::new().merge(greetings::router());
    platform::router(routes, OPENAPI)
}

#[cfg(test)]
mod tests {
    use utoipa::{OpenApi, openapi::Info};

    use super::*;
    use crate::SERVICE;

    #[derive(OpenApi)]
    #[openapi(paths(greetings::create))]
    struct Api;

    #[test]
    fn openapi_json_is_what_the_handlers_say() {
        let mut api = Api::openapi();
        api.info = Info::new(SERVICE, "1.0.0");
        let openapi = api.to_pretty_json().unwrap() + "\n";
        if std::env::var_os("WRITE_OPENAPI").is_some() {
            std::fs::write("openapi.json", openapi).unwrap();
        } else {
            assert_eq!(OPENAPI, openapi, "`make openapi` writes it anew");
        }
    }
}
