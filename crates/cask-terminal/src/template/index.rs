//! `len`, `index` and `slice`.

use crate::value::{Repr, Value};

fn int(number: usize) -> Value {
    Value(Repr::Int(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// The length of text in bytes, of a list or a map in entries.
pub(super) fn length(value: &Value) -> Result<Value, String> {
    match &value.0 {
        Repr::Text(bytes) => Ok(int(bytes.len())),
        Repr::List(items) => Ok(int(items.len())),
        Repr::Map(entries) => Ok(int(entries.len())),
        Repr::NilList | Repr::NilMap => Ok(int(0)),
        Repr::Nil => Err("len of nil pointer".to_owned()),
        // Go trips over itself here, and this is how it says so.
        Repr::NoValue => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        _ => Err(format!("len of type {}", value.type_name())),
    }
}

/// Looks up keys one after the other: `index x 1 2` is `x[1][2]`.
pub(super) fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut value = value.clone();
    if matches!(value.0, Repr::NoValue) {
        return Err("index of untyped nil".to_owned());
    }
    for key in keys {
        value = match &value.0 {
            Repr::NoValue | Repr::Nil => return Err("index of nil pointer".to_owned()),
            Repr::Text(bytes) => {
                let position = bound(key, bytes.len())?;
                let byte = bytes.get(position).ok_or("reflect: string index out of range")?;
                Value(Repr::Uint((*byte).into()))
            }
            Repr::List(items) => {
                let position = bound(key, items.len())?;
                items.get(position).ok_or("reflect: slice index out of range")?.clone()
            }
            Repr::NilList => {
                bound(key, 0)?;
                return Err("reflect: slice index out of range".to_owned());
            }
            Repr::Map(entries) => {
                let example = entries.first().map(|(key, _)| key);
                check_key(key, example)?;
                match Value::entry(entries, &matching_key(key, example)) {
                    Some(value) => value.clone(),
                    None => zero(entries),
                }
            }
            Repr::NilMap => {
                check_key(key, None)?;
                Value::string("")
            }
            _ => return Err(format!("can't index item of type {}", value.type_name())),
        };
    }
    Ok(value)
}

/// A position from zero to the length itself, as Go's check allows.
fn bound(key: &Value, length: usize) -> Result<usize, String> {
    let out_of_range = |number: String| Err(format!("index out of range: {number}"));
    let position = match &key.0 {
        Repr::Int(number) => usize::try_from(*number).map_err(|_| number.to_string()),
        Repr::Uint(number) => usize::try_from(*number).map_err(|_| number.to_string()),
        Repr::NoValue => return Err("cannot index slice/array with nil".to_owned()),
        _ => return Err(format!("cannot index slice/array with type {}", key.type_name())),
    };
    match position {
        Ok(position) if position <= length => Ok(position),
        Ok(position) => out_of_range(position.to_string()),
        Err(number) => out_of_range(number),
    }
}

fn is_integer(value: &Value) -> bool {
    matches!(value.0, Repr::Int(_) | Repr::Uint(_))
}

fn check_key(key: &Value, example: Option<&Value>) -> Result<(), String> {
    let wanted = example.map_or_else(|| "string".to_owned(), Value::type_name);
    if matches!(key.0, Repr::NoValue) {
        return Err(format!("value is nil; should be of type {wanted}"));
    }
    let integers = is_integer(key) && example.is_some_and(is_integer);
    if key.type_name() == wanted || integers {
        return Ok(());
    }
    Err(format!("value has type {}; should be {wanted}", key.type_name()))
}

/// An integer key in the sign of the map's own.
fn matching_key(key: &Value, example: Option<&Value>) -> Value {
    match (&key.0, example.map(|example| &example.0)) {
        (Repr::Int(number), Some(Repr::Uint(_))) => {
            u64::try_from(*number).map_or_else(|_| key.clone(), |number| Value(Repr::Uint(number)))
        }
        (Repr::Uint(number), Some(Repr::Int(_))) => {
            i64::try_from(*number).map_or_else(|_| key.clone(), |number| Value(Repr::Int(number)))
        }
        _ => key.clone(),
    }
}

/// What Go gives for a key that is not there: the zero value of what the map holds. One that holds nothing is taken for
/// one of texts, as labels are.
fn zero(entries: &[(Value, Value)]) -> Value {
    let Some((_, first)) = entries.first() else { return Value::string("") };
    let uniform = entries.iter().all(|(_, value)| value.type_name() == first.type_name());
    match first.0 {
        Repr::Text(_) if uniform => Value::string(""),
        Repr::Int(_) if uniform => Value(Repr::Int(0)),
        Repr::Uint(_) if uniform => Value(Repr::Uint(0)),
        Repr::Float(_) if uniform => Value(Repr::Float(0.0)),
        Repr::Bool(_) if uniform => Value(Repr::Bool(false)),
        Repr::List(_) if uniform => Value(Repr::NilList),
        Repr::Map(_) if uniform => Value(Repr::NilMap),
        _ => Value::NO_VALUE,
    }
}

/// `slice x 1 2` is `x[1:2]`, in bytes for text.
pub(super) fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    if matches!(value.0, Repr::NoValue) {
        return Err("slice of untyped nil".to_owned());
    }
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let length = match &value.0 {
        Repr::Text(_) if bounds.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Repr::Text(bytes) => bytes.len(),
        Repr::List(items) => items.len(),
        Repr::NilList => 0,
        _ => return Err(format!("can't slice item of type {}", value.type_name())),
    };
    let mut limits = [0, length, length];
    for (limit, given) in limits.iter_mut().zip(bounds) {
        *limit = bound(given, length)?;
    }
    let [start, end, capacity] = limits;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    if end > capacity {
        return Err(format!("invalid slice index: {end} > {capacity}"));
    }
    Ok(match &value.0 {
        Repr::Text(bytes) => Value::text(&bytes[start..end]),
        Repr::List(items) => Value(Repr::List(items[start..end].into())),
        _ => value.clone(),
    })
}
