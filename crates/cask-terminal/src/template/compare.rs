//! `eq`, `lt` and their kin.

use std::cmp::Ordering;

use crate::value::{Repr, Value};

/// The kinds that Go's comparisons know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Other,
    Bool,
    Int,
    Uint,
    Float,
    Text,
}

fn kind(value: &Value) -> Kind {
    match value.0 {
        Repr::Bool(_) => Kind::Bool,
        Repr::Int(_) | Repr::Duration(_) => Kind::Int,
        Repr::Uint(_) => Kind::Uint,
        Repr::Float(_) => Kind::Float,
        Repr::Text(_) => Kind::Text,
        _ => Kind::Other,
    }
}

fn is_nil(value: &Value) -> bool {
    matches!(value.0, Repr::NoValue | Repr::Nil | Repr::NilList | Repr::NilMap)
}

/// Whether the first value equals any of the others.
pub(super) fn equal(first: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal_two(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_two(left: &Value, right: &Value) -> Result<bool, String> {
    match (&left.0, &right.0) {
        (Repr::Int(signed), Repr::Uint(unsigned)) | (Repr::Uint(unsigned), Repr::Int(signed)) => {
            Ok(u64::try_from(*signed).is_ok_and(|signed| signed == *unsigned))
        }
        (Repr::Float(left), Repr::Float(right)) => Ok(left == right),
        _ if kind(left) != Kind::Other && kind(left) == kind(right) => {
            Ok(left.compare_key(right).is_eq())
        }
        (Repr::NoValue, _) | (_, Repr::NoValue) => Ok(is_nil(left) && is_nil(right)),
        _ if kind(left) != kind(right) => Err("incompatible types for comparison".to_owned()),
        _ if is_nil(left) || is_nil(right) => Ok(is_nil(left) == is_nil(right)),
        _ => equal_structures(left, right),
    }
}

/// Structs are compared field by field; lists and maps cannot be.
fn equal_structures(left: &Value, right: &Value) -> Result<bool, String> {
    match (&left.0, &right.0) {
        (Repr::Time(left), Repr::Time(right)) => Ok(left == right),
        (Repr::Struct(one), Repr::Struct(other)) if one.name == other.name => {
            for (field, counterpart) in one.fields.iter().zip(&other.fields) {
                if !equal_two(&field.value, &counterpart.value)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (_, Repr::Struct(_) | Repr::Time(_)) => Ok(false),
        _ => Err(format!("non-comparable type {}: {}", right, right.type_name())),
    }
}

/// Whether the left value comes before the right one.
pub(super) fn less(left: &Value, right: &Value) -> Result<bool, String> {
    order(left, right).map(|order| order == Some(Ordering::Less))
}

/// Whether the left value comes before the right one or equals it.
pub(super) fn less_or_equal(left: &Value, right: &Value) -> Result<bool, String> {
    order(left, right).map(|order| order.is_some_and(Ordering::is_le))
}

/// The order of two values; `None` if one is not a number.
fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    let bad_type = || Err("invalid type for comparison".to_owned());
    match (&left.0, &right.0) {
        (Repr::Int(left), Repr::Uint(right)) => Ok(Some(i128::from(*left).cmp(&(*right).into()))),
        (Repr::Uint(left), Repr::Int(right)) => Ok(Some(i128::from(*left).cmp(&(*right).into()))),
        (Repr::Float(left), Repr::Float(right)) => Ok(left.partial_cmp(right)),
        _ if kind(left) == Kind::Other || kind(right) == Kind::Other => bad_type(),
        _ if kind(left) != kind(right) => Err("incompatible types for comparison".to_owned()),
        (Repr::Bool(_), _) => bad_type(),
        _ => Ok(Some(left.compare_key(right))),
    }
}
