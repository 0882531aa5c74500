//! Settings from the environment.

use std::{collections::HashMap, env};

/// The variables of the process, and what is wrong with those read so far.
pub struct Environment {
    variables: HashMap<String, String>,
    wrong: Vec<String>,
}

impl Environment {
    /// Reads settings from the process' variables. The error has a line for every
    /// variable that is wrong, with what it wants and never with its value.
    pub fn load<T>(read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, String> {
        Self::load_from(
            env::vars_os().map(|(name, value)| {
                (
                    name.to_string_lossy().into_owned(),
                    value.to_string_lossy().into_owned(),
                )
            }),
            read,
        )
    }

    /// Reads settings from these variables, as a test does.
    pub fn load_from<N: Into<String>, V: Into<String>, T>(
        variables: impl IntoIterator<Item = (N, V)>,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, String> {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let mut environment = Self {
            variables,
            wrong: Vec::new(),
        };
        let settings = read(&mut environment);
        match settings {
            Some(settings) if environment.wrong.is_empty() => Ok(settings),
            _ => Err(environment.wrong.join("\n")),
        }
    }

    /// What `parse` makes of the variable, or of `default` where it is not set.
    pub fn get<T>(
        &mut self,
        name: &str,
        default: &str,
        want: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.variables.get(name).map_or(default, String::as_str);
        let parsed = parse(value);
        if parsed.is_none() {
            self.wrong.push(format!("{name}: want {want}"));
        }
        parsed
    }

    /// What `parse` makes of a variable that must be set.
    pub fn require<T>(
        &mut self,
        name: &str,
        want: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.get(name, "", want, |value| {
            Some(value).filter(|value| !value.is_empty()).and_then(parse)
        })
    }
}
