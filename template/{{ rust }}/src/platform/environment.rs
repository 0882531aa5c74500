//! Settings from the environment.

use std::{env, fmt::Display, ops::RangeInclusive, str::FromStr};

/// The variables, and what is wrong with those that have been read.
pub struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    wrong: Vec<String>,
}

impl Environment<'_> {
    /// The settings that `read` finds in the variables of the process.
    pub fn load<T>(read: impl FnOnce(&mut Environment) -> Option<T>) -> Result<T, String> {
        let lookup = |name: &str| Some(env::var_os(name)?.to_string_lossy().into_owned());
        Self::load_from(&lookup, read)
    }

    /// The settings that `read` finds. The error has a line for every variable that
    /// is wrong: its name and what it wants, never its value.
    pub fn load_from<T>(
        lookup: &dyn Fn(&str) -> Option<String>,
        read: impl FnOnce(&mut Environment) -> Option<T>,
    ) -> Result<T, String> {
        let mut environment = Environment {
            lookup,
            wrong: Vec::new(),
        };
        let settings = read(&mut environment).filter(|_| environment.wrong.is_empty());
        settings.ok_or_else(|| environment.wrong.join("\n"))
    }

    /// What `parse` makes of a variable. Without a default it has to be set.
    pub fn get<T>(
        &mut self,
        name: &str,
        default: Option<&str>,
        want: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = (self.lookup)(name);
        let parsed = value.as_deref().or(default).and_then(parse);
        if parsed.is_none() {
            self.wrong.push(format!("{name}: want {want}"));
        }
        parsed
    }

    /// A number within `range`.
    pub fn number<T: Display + FromStr + PartialOrd>(
        &mut self,
        name: &str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let want = format!("a number from {} to {}", range.start(), range.end());
        self.get(name, Some(&default.to_string()), &want, |value| {
            value.parse().ok().filter(|number| range.contains(number))
        })
    }
}
