//! Regions of AWS: which texts may be one, and which one the environment names.

/// Variables that name the region, the first one set counts.
const VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Whether a text may be a region. It becomes a part of a host's name and of signatures.
pub fn is_region(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= 32 && text.contains('-') && text.chars().all(is_part)
}

/// The region that an environment names, if it is one; `variable` looks a variable up.
pub fn of_the_environment(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut set = VARIABLES.into_iter().filter_map(variable).filter(|value| !value.is_empty());
    set.next().filter(|region| is_region(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_counts_and_must_hold_a_region() {
        for (first, second, expected) in [
            (Some("eu-west-1"), Some("us-east-1"), Some("eu-west-1")),
            (Some(""), Some("us-east-1"), Some("us-east-1")),
            (None, Some("us-gov-west-1"), Some("us-gov-west-1")),
            (Some("evil.example.com/"), Some("us-east-1"), None),
            (Some("EU-WEST-1"), None, None),
            (None, None, None),
        ] {
            let variable = |name: &str| match name {
                "AWS_REGION" => first.map(str::to_owned),
                _ => second.map(str::to_owned),
            };
            assert_eq!(of_the_environment(variable).as_deref(), expected, "{first:?} {second:?}");
        }
    }
}
