//! The example endpoint: copy its shape, then delete it.

use serde::{Deserialize, Serialize};

use crate::json::Json;

const MAX_NAME_LENGTH: usize = 100;

/// The body of `POST /v1/greetings`.
#[derive(Debug, Deserialize)]
pub struct NewGreeting {
    name: Name,
}

/// A name of 1 to 100 characters.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.chars().count() {
            1..=MAX_NAME_LENGTH => Ok(Self(name)),
            length => Err(format!(
                "name has {length} characters instead of 1 to {MAX_NAME_LENGTH}"
            )),
        }
    }
}

/// The answer to a [`NewGreeting`].
#[derive(Debug, Serialize)]
pub struct Greeting {
    message: String,
}

impl From<NewGreeting> for Greeting {
    fn from(NewGreeting { name: Name(name) }: NewGreeting) -> Self {
        Self {
            message: format!("Hello, {name}!"),
        }
    }
}

/// Answers `POST /v1/greetings`.
pub async fn create(Json(greeting): Json<NewGreeting>) -> Json<Greeting> {
    Json(greeting.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        let name = Name::try_from("Ada".to_owned()).unwrap();

        let greeting = Greeting::from(NewGreeting { name });

        assert_eq!(greeting.message, "Hello, Ada!");
    }

    #[test]
    fn a_name_is_measured_in_code_points() {
        assert!(Name::try_from("𝒜".repeat(100)).is_ok());
        assert_eq!(
            Name::try_from("𝒜".repeat(101)).unwrap_err(),
            "name has 101 characters instead of 1 to 100",
        );
        assert!(Name::try_from(String::new()).is_err());
    }
}
