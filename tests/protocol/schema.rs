//! Holds JSON against a schema: the keywords of draft 2020-12 that ours uses.
//!
//! Never ignores a keyword that it does not know: it refuses the whole schema then, so that nothing in it is for show. A
//! validator of all of JSON Schema would bring sixty crates for these.
//!
//! Patterns are the four that there are, matched by hand.

use serde_json::{Map, Value};

/// Why `value` is not what the part of `schema` at `#/$defs/name` says; `Ok` when it is.
pub(crate) fn check(schema: &Value, name: &str, value: &Value) -> Result<(), String> {
    let root = Checker { schema };
    root.check(root.definition(name), value, name)
}

struct Checker<'a> {
    schema: &'a Value,
}

impl<'a> Checker<'a> {
    fn definition(&self, name: &str) -> &'a Value {
        let found = &self.schema["$defs"][name];
        assert!(found.is_object(), "there is no #/$defs/{name}");
        found
    }

    fn check(&self, schema: &'a Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = schema.as_object().expect("a schema is an object");
        for (keyword, argument) in schema {
            let holds = match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" => true,
                "$ref" => {
                    let name = text(argument)
                        .strip_prefix("#/$defs/")
                        .expect("a definition of this schema");
                    self.check(self.definition(name), value, at)?;
                    true
                }
                "oneOf" => {
                    let parts = argument.as_array().expect("an array");
                    let found: Vec<_> = parts.iter().map(|part| self.check(part, value, at)).collect();
                    if found.iter().filter(|found| found.is_ok()).count() != 1 {
                        return Err(format!("{at}: not one of them: {found:?}"));
                    }
                    true
                }
                "type" => types(argument).any(|name| is_of_type(value, name)),
                "const" => value == argument,
                "enum" => argument.as_array().expect("an array").contains(value),
                "pattern" => value.as_str().is_none_or(|value| matches(value, text(argument))),
                "minimum" => value.as_u64().is_none_or(|value| value >= number(argument)),
                "maximum" => value.as_u64().is_none_or(|value| value <= number(argument)),
                "maxLength" => value
                    .as_str()
                    .is_none_or(|value| value.len() as u64 <= number(argument)),
                "minItems" => value
                    .as_array()
                    .is_none_or(|value| value.len() as u64 >= number(argument)),
                "maxItems" => value
                    .as_array()
                    .is_none_or(|value| value.len() as u64 <= number(argument)),
                "maxProperties" => value
                    .as_object()
                    .is_none_or(|value| value.len() as u64 <= number(argument)),
                "required" => value.as_object().is_none_or(|value| {
                    argument
                        .as_array()
                        .expect("an array")
                        .iter()
                        .all(|name| value.contains_key(text(name)))
                }),
                "properties" | "additionalProperties" | "propertyNames" => {
                    self.check_fields(schema, keyword, value, at)?;
                    true
                }
                "items" | "prefixItems" => {
                    self.check_items(argument, value, at)?;
                    true
                }
                unknown => panic!("{at}: {unknown} is not checked here"),
            };
            if !holds {
                return Err(format!("{at}: {value} breaks {keyword} {argument}"));
            }
        }
        Ok(())
    }

    fn check_fields(
        &self,
        schema: &'a Map<String, Value>,
        keyword: &str,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let argument = &schema[keyword];
        for (name, field) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            let known = schema.get("properties").and_then(|known| known.get(name));
            match (keyword, known) {
                ("properties", Some(schema)) => self.check(schema, field, &at)?,
                ("additionalProperties", None) => self.check(argument, field, &at)?,
                ("propertyNames", _) => self.check(argument, &Value::from(name.as_str()), &at)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// `items` is one schema for all, `prefixItems` one for each of the first.
    fn check_items(&self, argument: &'a Value, value: &Value, at: &str) -> Result<(), String> {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let schema = match argument.as_array() {
                None => Some(argument),
                Some(schemas) => schemas.get(index),
            };
            if let Some(schema) = schema {
                self.check(schema, item, &format!("{at}[{index}]"))?;
            }
        }
        Ok(())
    }
}

fn types(argument: &Value) -> impl Iterator<Item = &str> {
    let one = argument.as_str().into_iter();
    one.chain(argument.as_array().into_iter().flatten().map(text))
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is not checked here"),
    }
}

fn matches(value: &str, pattern: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = |text: &str| match text.split_once('.') {
        None => digits(text),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
    };
    let kind = |text: &str| !text.is_empty() && !text.contains([':', '*']);
    match pattern {
        r"^-?[0-9]+(\.[0-9]+)?$" => unsigned(value.strip_prefix('-').unwrap_or(value)),
        r"^[0-9]+(\.[0-9]+)?$" => unsigned(value),
        "^[^:*]+:[^*]+$" => value
            .split_once(':')
            .is_some_and(|(before, symbol)| kind(before) && !symbol.is_empty() && !symbol.contains('*')),
        r"^([^:*]+:)?\*$" => value == "*" || value.strip_suffix(":*").is_some_and(kind),
        other => panic!("the pattern {other} is not matched here"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("an unsigned integer")
}
