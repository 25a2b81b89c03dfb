//! Names for containers that nobody named.

use cask_storage::Id;

/// Source: moby, `pkg/namesgenerator`: adjectives and people, of which these are some.
const HOW: [&str; 48] = [
    "admiring",
    "adoring",
    "affectionate",
    "amazing",
    "awesome",
    "blissful",
    "bold",
    "brave",
    "busy",
    "charming",
    "clever",
    "compassionate",
    "competent",
    "cool",
    "dazzling",
    "determined",
    "eager",
    "ecstatic",
    "elastic",
    "elated",
    "elegant",
    "epic",
    "fervent",
    "festive",
    "focused",
    "friendly",
    "frosty",
    "gallant",
    "gifted",
    "gracious",
    "happy",
    "hopeful",
    "jolly",
    "jovial",
    "keen",
    "kind",
    "laughing",
    "loving",
    "lucid",
    "modest",
    "nifty",
    "peaceful",
    "quirky",
    "relaxed",
    "serene",
    "sharp",
    "sweet",
    "zen",
];
const WHO: [&str; 48] = [
    "agnesi",
    "albattani",
    "archimedes",
    "babbage",
    "bell",
    "bohr",
    "boyd",
    "brown",
    "carson",
    "cori",
    "curie",
    "darwin",
    "dijkstra",
    "easley",
    "einstein",
    "elion",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "feynman",
    "franklin",
    "galileo",
    "galois",
    "gauss",
    "goldberg",
    "goodall",
    "hamilton",
    "hawking",
    "hopper",
    "hypatia",
    "johnson",
    "jones",
    "kepler",
    "knuth",
    "lamarr",
    "leavitt",
    "lovelace",
    "mclean",
    "meitner",
    "mendel",
    "newton",
    "noether",
    "pasteur",
    "ritchie",
    "thompson",
    "turing",
    "wozniak",
];

/// A name, chosen by chance; the later the try, the more of it is chance.
pub(crate) fn choose(attempt: usize) -> String {
    let chance = Id::random();
    let bytes = chance.as_str().as_bytes();
    let sum =
        |part: &[u8]| part.iter().fold(0_usize, |sum, byte| (sum * 31 + usize::from(*byte)) % 9973);
    let (how, who) = (HOW[sum(&bytes[..16]) % HOW.len()], WHO[sum(&bytes[16..32]) % WHO.len()]);
    if attempt < 3 {
        format!("{how}_{who}")
    } else {
        format!("{how}_{who}_{}", &chance.as_str()[..8])
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_names() {
        for attempt in 0..20 {
            super::super::mounts::check_name(&super::choose(attempt)).unwrap();
        }
    }
}
